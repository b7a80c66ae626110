;; A reason that begins with a byte that no text has.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (i32.store8 (i32.const 176) (i32.const 0xff))
  (i32.const 32))
