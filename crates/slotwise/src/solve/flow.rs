//! Maximum flow between demands and the devices that can serve them.

use std::collections::VecDeque;

/// A bipartite transport problem: what each left node needs, what each right node has, and how much may pass from one to
/// the other.
#[derive(Clone, Debug)]
pub(super) struct Network {
    need: Vec<u64>,
    room: Vec<u64>,
    edges: Vec<Edge>,
    /// The edges of each left node.
    of_left: Vec<Vec<usize>>,
    /// The edges of each right node.
    of_right: Vec<Vec<usize>>,
}

#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) left: usize,
    pub(super) right: usize,
    capacity: u64,
    pub(super) flow: u64,
}

impl Network {
    pub(super) fn new(need: Vec<u64>, room: Vec<u64>) -> Self {
        let (of_left, of_right) = (vec![Vec::new(); need.len()], vec![Vec::new(); room.len()]);
        Network { need, room, edges: Vec::new(), of_left, of_right }
    }

    /// Lets up to `capacity` pass from `right` to `left`.
    pub(super) fn connect(&mut self, left: usize, right: usize, capacity: u64) {
        if capacity > 0 {
            self.of_left[left].push(self.edges.len());
            self.of_right[right].push(self.edges.len());
            self.edges.push(Edge { left, right, capacity, flow: 0 });
        }
    }

    /// What passes where.
    pub(super) fn flows(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(|edge| edge.flow > 0)
    }

    fn push(&mut self, edge: usize, amount: u64) {
        let edge = &mut self.edges[edge];
        edge.flow += amount;
        self.need[edge.left] -= amount;
        self.room[edge.right] -= amount;
    }

    /// Makes these right nodes give all they have, as far as the left nodes have need of it; says whether all could.
    ///
    /// A later [`Network::satisfy`] reroutes but never takes away from a right node what it gives, so that afterwards
    /// both hold (the theorem of Mendelsohn and Dulmage).
    pub(super) fn exhaust(&mut self, rights: &[usize]) -> bool {
        // The same problem seen from the other side: the right nodes are in need, the left nodes have room.
        let mut mirror = Network::new(rights.iter().map(|&r| self.room[r]).collect(), self.need.clone());
        let mut original = Vec::new();
        for (at, &right) in rights.iter().enumerate() {
            for &edge in &self.of_right[right] {
                mirror.connect(at, self.edges[edge].left, self.edges[edge].capacity);
                original.push(edge);
            }
        }
        let complete = mirror.satisfy();
        for (edge, mirrored) in original.into_iter().zip(&mirror.edges) {
            self.push(edge, mirrored.flow);
        }
        complete
    }

    /// Serves every need, and says whether that was possible (Ford and Fulkerson, shortest way first).
    pub(super) fn satisfy(&mut self) -> bool {
        for edge in 0..self.edges.len() {
            let Edge { left, right, capacity, flow } = self.edges[edge];
            let amount = self.need[left].min(self.room[right]).min(capacity - flow);
            if amount > 0 {
                self.push(edge, amount);
            }
        }
        (0..self.need.len()).all(|left| self.satisfy_one(left))
    }

    fn satisfy_one(&mut self, start: usize) -> bool {
        while self.need[start] > 0 {
            // For each left node reached: the edge to a right node, and the edge from there back to this one.
            let mut reached: Vec<Option<(usize, usize)>> = vec![None; self.need.len()];
            let mut seen = vec![false; self.room.len()];
            let mut queue = VecDeque::from([start]);
            let mut last = None;
            'search: while let Some(left) = queue.pop_front() {
                for &out in &self.of_left[left] {
                    let Edge { right, capacity, flow, .. } = self.edges[out];
                    if flow == capacity || std::mem::replace(&mut seen[right], true) {
                        continue;
                    }
                    if self.room[right] > 0 {
                        last = Some(out);
                        break 'search;
                    }
                    for &back in &self.of_right[right] {
                        let other = self.edges[back].left;
                        if self.edges[back].flow > 0 && other != start && reached[other].is_none() {
                            reached[other] = Some((out, back));
                            queue.push_back(other);
                        }
                    }
                }
            }
            let Some(last) = last else { return false };
            let way = |from: usize| {
                std::iter::successors(Some(from), |&left| {
                    reached[left].filter(|_| left != start).map(|(out, _)| self.edges[out].left)
                })
            };
            let spare = |edge: &Edge| edge.capacity - edge.flow;
            let end = &self.edges[last];
            let mut amount = self.need[start].min(self.room[end.right]).min(spare(end));
            let steps: Vec<(usize, usize)> =
                way(end.left).filter(|&left| left != start).filter_map(|left| reached[left]).collect();
            for &(out, back) in &steps {
                amount = amount.min(spare(&self.edges[out])).min(self.edges[back].flow);
            }
            self.room[end.right] -= amount;
            self.need[start] -= amount;
            self.edges[last].flow += amount;
            for (out, back) in steps {
                self.edges[out].flow += amount;
                self.edges[back].flow -= amount;
            }
        }
        true
    }
}
