;; One reason of 2000 bytes.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (i32.store (i32.const 160) (i32.const 256))
  (i32.store (i32.const 164) (i32.const 2000))
  (i32.const 32))
