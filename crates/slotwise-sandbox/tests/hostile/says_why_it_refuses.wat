;; A line in the log, and then the error of the interface itself.
(import "slotwise:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func (export "slotwise:policy/api@0.1.0#configure") (param i32 i32) (result i32)
  (call $write (i32.const 3) (i32.const 176) (i32.const 7))
  (i32.store8 (i32.const 16) (i32.const 1))
  (i32.store (i32.const 20) (i32.const 176))
  (i32.store (i32.const 24) (i32.const 7))
  (i32.const 16))
