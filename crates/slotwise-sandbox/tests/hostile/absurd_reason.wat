;; A reason that claims to have a gigabyte.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (i32.store (i32.const 164) (i32.const 0x40000000))
  (i32.const 32))
