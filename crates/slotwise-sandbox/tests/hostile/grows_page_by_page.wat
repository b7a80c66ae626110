;; Takes one page after the other, and goes on asking at the limit.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (loop $again
    (drop (memory.grow (i32.const 1)))
    (br $again))
  unreachable)
