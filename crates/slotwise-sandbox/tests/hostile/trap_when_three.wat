;; Fails when it is asked about three hosts, and refuses none otherwise. The number of hosts is the first field after
;; the query, which is two lists that may be left out.
(func (export "slotwise:policy/api@0.1.0#filter") (param $arguments i32) (result i32)
  (if (i32.eq (i32.load offset=24 (local.get $arguments)) (i32.const 3)) (then unreachable))
  (i32.store (i32.const 132) (i32.const 0))
  (i32.store (i32.const 40) (i32.load offset=24 (local.get $arguments)))
  (i32.const 32))
