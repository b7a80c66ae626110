;; A level that there is not.
(import "slotwise:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (call $write (i32.const 9) (i32.const 176) (i32.const 7))
  (i32.const 32))
