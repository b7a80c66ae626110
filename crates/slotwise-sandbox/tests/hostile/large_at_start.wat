;; More memory than the limit before anything is called.
(memory (export "memory") 1100)
