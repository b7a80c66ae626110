;; A hundred thousand reasons that are all the same thousand bytes: less than 1 MiB here, 100 MB at the host.
(func (export "slotwise:policy/api@0.1.0#filter") (param i32) (result i32)
  (local $at i32)
  (drop (memory.grow (i32.const 16)))
  (local.set $at (i32.const 65536))
  (loop $again
    (i32.store (local.get $at) (i32.const 256))
    (i32.store offset=4 (local.get $at) (i32.const 1000))
    (local.set $at (i32.add (local.get $at) (i32.const 8)))
    (br_if $again (i32.lt_u (local.get $at) (i32.const 865536))))
  (i32.store (i32.const 44) (i32.const 65536))
  (i32.store (i32.const 48) (i32.const 100000))
  (i32.const 32))
