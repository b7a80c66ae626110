;; Four reasons for three hosts, all of them the same.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (local $at i32)
  (local.set $at (i32.const 256))
  (loop $again
    (i64.store (local.get $at) (i64.load (i32.const 160)))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $again (i32.lt_u (local.get $at) (i32.const 288))))
  (i32.store (i32.const 44) (i32.const 256))
  (i32.store (i32.const 48) (i32.const 4))
  (i32.const 32))
