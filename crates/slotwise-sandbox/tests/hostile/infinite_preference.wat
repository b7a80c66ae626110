(func (export "slotwise:policy/api@0.1.0#prefer") (param i32) (result i32)
  (f64.store (i32.const 192) (f64.const inf))
  (i32.const 64))
