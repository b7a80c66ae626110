;; Does nothing wrong: each part that a fixture does not define is taken from here.
;; It refuses the second of three hosts, and scores them 1, 2 and 3.
