;; The error of the interface itself: "refused".
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (i32.store8 (i32.const 32) (i32.const 1))
  (i32.store (i32.const 36) (i32.const 176))
  (i32.store (i32.const 40) (i32.const 7))
  (i32.const 32))
