;; The host tells the guest that it has read the answer, and waits.
(func (export "cabi_post_slotwise:policy/api@0.1.0#filter") (param i32)
  (loop $again (br $again)))
