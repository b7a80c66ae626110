;; A thousand lines in one call.
(import "slotwise:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (local $left i32)
  (local.set $left (i32.const 1000))
  (loop $again
    (call $write (i32.const 2) (i32.const 176) (i32.const 7))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $again (local.get $left)))
  (i32.const 32))
