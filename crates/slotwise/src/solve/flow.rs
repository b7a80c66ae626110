//! Maximum flow through a graph that is built once and whose capacities change.

/// Marks an arc or a level that is not there.
const NONE: u32 = u32::MAX;

/// A graph from a source to a sink. Each arc has a twin in the other direction, which holds what flows through it.
#[derive(Clone, Debug)]
pub(super) struct Network {
    /// Where each arc leads; arc `a ^ 1` is the twin of arc `a`.
    head: Vec<u32>,
    /// The arc after this one that leaves the same node.
    next: Vec<u32>,
    /// The first arc that leaves each node.
    first: Vec<u32>,
    /// What may still pass through each arc.
    spare: Vec<u64>,
    /// How many arcs each node is from the source; `NONE` if it cannot be reached.
    level: Vec<u32>,
    /// For each node the arc to look at next.
    cursor: Vec<u32>,
    queue: Vec<u32>,
    path: Vec<u32>,
    /// How many arcs were looked at since this was last asked.
    visits: u64,
}

/// An arc from its tail to its head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Arc(u32);

/// A node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Node(u32);

impl Network {
    pub(super) const SOURCE: Node = Node(0);
    pub(super) const SINK: Node = Node(1);

    pub(super) fn new() -> Self {
        Network {
            head: Vec::new(),
            next: Vec::new(),
            first: vec![NONE; 2],
            spare: Vec::new(),
            level: vec![NONE; 2],
            cursor: vec![NONE; 2],
            queue: Vec::new(),
            path: Vec::new(),
            visits: 0,
        }
    }

    pub(super) fn node(&mut self) -> Node {
        self.first.push(NONE);
        self.level.push(NONE);
        self.cursor.push(NONE);
        Node(self.first.len() as u32 - 1)
    }

    /// An arc that lets nothing pass yet.
    pub(super) fn connect(&mut self, tail: Node, head: Node) -> Arc {
        let arc = self.head.len() as u32;
        for (from, to) in [(tail, head), (head, tail)] {
            self.next.push(self.first[from.0 as usize]);
            self.first[from.0 as usize] = self.head.len() as u32;
            self.head.push(to.0);
            self.spare.push(0);
        }
        Arc(arc)
    }

    /// Closes all arcs, and with that takes back all flow.
    pub(super) fn close(&mut self) {
        self.spare.fill(0);
    }

    /// Lets at least `capacity` pass through an arc.
    pub(super) fn open(&mut self, arc: Arc, capacity: u64) {
        let spare = &mut self.spare[arc.0 as usize];
        *spare = capacity.max(*spare);
    }

    /// What flows through an arc.
    pub(super) fn flow(&self, arc: Arc) -> u64 {
        self.spare[arc.0 as usize ^ 1]
    }

    /// Whether a node could be reached from the source when [`Network::augment`] found no further way: on which side of
    /// the cut it is.
    pub(super) fn reached(&self, node: Node) -> bool {
        self.level[node.0 as usize] != NONE
    }

    /// How many arcs were looked at since this was last asked.
    pub(super) fn visits(&mut self) -> u64 {
        std::mem::take(&mut self.visits)
    }

    /// What may still pass through each arc, to be put back by [`Network::restore`].
    pub(super) fn snapshot(&self) -> Vec<u64> {
        self.spare.clone()
    }

    pub(super) fn restore(&mut self, snapshot: &[u64]) {
        self.spare.copy_from_slice(snapshot);
    }

    /// Sends as much more as possible from the source to the sink, and says how much that was (Dinic's algorithm).
    ///
    /// What flows out of the source or into the sink through one arc never becomes less.
    pub(super) fn augment(&mut self) -> u64 {
        let mut total = 0;
        while self.find_levels() {
            self.cursor.copy_from_slice(&self.first);
            self.path.clear();
            let mut at = Self::SOURCE.0;
            loop {
                if at == Self::SINK.0 {
                    total += self.push_along_path();
                    // Go on from the tail of the first arc that is full now.
                    let full = self.path.iter().position(|&arc| self.spare[arc as usize] == 0).unwrap_or(0);
                    at = self.head[self.path[full] as usize ^ 1];
                    self.path.truncate(full);
                    continue;
                }
                if let Some(arc) = self.advance(at) {
                    self.path.push(arc);
                    at = self.head[arc as usize];
                    continue;
                }
                // A dead end is not entered again.
                let Some(arc) = self.path.pop() else { break };
                at = self.head[arc as usize ^ 1];
                self.cursor[at as usize] = self.next[arc as usize];
            }
        }
        total
    }

    /// The next arc from a node that leads one level on.
    fn advance(&mut self, node: u32) -> Option<u32> {
        let onward = self.level[node as usize] + 1;
        loop {
            let arc = self.cursor[node as usize];
            if arc == NONE {
                return None;
            }
            self.visits += 1;
            if self.spare[arc as usize] > 0 && self.level[self.head[arc as usize] as usize] == onward {
                return Some(arc);
            }
            self.cursor[node as usize] = self.next[arc as usize];
        }
    }

    fn push_along_path(&mut self) -> u64 {
        let amount = self.path.iter().map(|&arc| self.spare[arc as usize]).min().unwrap_or(0);
        for &arc in &self.path {
            self.spare[arc as usize] -= amount;
            self.spare[arc as usize ^ 1] += amount;
        }
        amount
    }

    /// Finds how far each node is from the source, and says whether the sink can be reached.
    fn find_levels(&mut self) -> bool {
        self.level.fill(NONE);
        self.level[Self::SOURCE.0 as usize] = 0;
        self.queue.clear();
        self.queue.push(Self::SOURCE.0);
        let mut done = 0;
        while let Some(&node) = self.queue.get(done) {
            done += 1;
            let mut arc = self.first[node as usize];
            while arc != NONE {
                self.visits += 1;
                let head = self.head[arc as usize] as usize;
                if self.spare[arc as usize] > 0 && self.level[head] == NONE {
                    self.level[head] = self.level[node as usize] + 1;
                    if head == Self::SINK.0 as usize {
                        return true;
                    }
                    self.queue.push(head as u32);
                }
                arc = self.next[arc as usize];
            }
        }
        false
    }

    /// Lowers what may pass through an arc from the source by `amount`, and takes back what flows beyond that; says how
    /// much of it was not used.
    pub(super) fn lower(&mut self, arc: Arc, amount: u64) -> u64 {
        let unused = amount.min(self.spare[arc.0 as usize]);
        self.spare[arc.0 as usize] -= unused;
        for _ in unused..amount {
            self.take_back_one(arc);
        }
        unused
    }

    /// Takes back one unit that flows through an arc, all the way to the sink, and closes its place in the arc.
    fn take_back_one(&mut self, arc: Arc) {
        self.spare[arc.0 as usize ^ 1] -= 1;
        let mut at = self.head[arc.0 as usize];
        while at != Self::SINK.0 {
            let mut out = self.first[at as usize];
            // Arcs of even number lead towards the sink; flow that came in goes out through one of them.
            while out != NONE && (out % 2 == 1 || self.spare[out as usize ^ 1] == 0) {
                self.visits += 1;
                out = self.next[out as usize];
            }
            if out == NONE {
                return;
            }
            self.spare[out as usize ^ 1] -= 1;
            self.spare[out as usize] += 1;
            at = self.head[out as usize];
        }
    }
}
