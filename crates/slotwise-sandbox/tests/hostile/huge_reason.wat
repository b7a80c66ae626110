;; One reason of 32 MiB.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (drop (memory.grow (i32.const 520)))
  (i32.store (i32.const 160) (i32.const 65536))
  (i32.store (i32.const 164) (i32.const 0x2000000))
  (i32.const 32))
