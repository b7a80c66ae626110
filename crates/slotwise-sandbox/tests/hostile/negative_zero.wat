;; Scores of 0 and -0, which are equal, and the least number above them.
(func (export "slotwise:policy/api@0.1.0#score") (param i32) (result i32)
  (f64.store (i32.const 192) (f64.const 0))
  (f64.store (i32.const 200) (f64.const -0))
  (f64.store (i32.const 208) (f64.const 0x1p-1074))
  (i32.const 64))
