;; Asks for no memory at all, for ever: the limit is not what ends it.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (loop $again
    (drop (memory.grow (i32.const 0)))
    (br $again))
  unreachable)
