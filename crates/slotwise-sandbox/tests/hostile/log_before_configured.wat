;; A line while nothing is set up: the start of a module runs before the host may be called back.
(import "slotwise:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func $say (call $write (i32.const 1) (i32.const 176) (i32.const 7)))
(start $say)
