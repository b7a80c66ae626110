;; Refuses its configuration with eight million bytes.
(func (export "slotwise:policy/api@0.1.0#configure") (param i32 i32) (result i32)
  (drop (memory.grow (i32.const 200)))
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 8000000))
  (i32.store8 (i32.const 16) (i32.const 1))
  (i32.store (i32.const 20) (i32.const 65536))
  (i32.store (i32.const 24) (i32.const 8000000))
  (i32.const 16))
