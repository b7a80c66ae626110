;; Makes resources of its own and lets none of them go; built with an interface that has one.
(import "[export]slotwise:policy/api@0.1.0" "[resource-new]thing" (func $new (param i32) (result i32)))
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (loop $again
    (drop (call $new (i32.const 1)))
    (br $again))
  unreachable)
