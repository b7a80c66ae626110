;; A line that lies outside of the memory.
(import "slotwise:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (call $write (i32.const 1) (i32.const 0x7fff0000) (i32.const 7))
  (i32.const 32))
