;; One line of 32 MiB.
(import "slotwise:policy/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (drop (memory.grow (i32.const 520)))
  (call $write (i32.const 1) (i32.const 65536) (i32.const 0x2000000))
  (i32.const 32))
