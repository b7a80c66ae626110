(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  unreachable)
