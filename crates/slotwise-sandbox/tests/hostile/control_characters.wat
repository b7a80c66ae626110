;; A reason that would colour a terminal: "\1b[31med".
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (i32.store (i32.const 176) (i32.const 0x31335b1b))
  (i32.store8 (i32.const 180) (i32.const 0x6d))
  (i32.const 32))
