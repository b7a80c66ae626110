//! The pools of each host, packed: one number of 32 bits for a pool, its class and its count.

use std::collections::BTreeMap;

use super::memory::{push, tight};
use crate::error::Result;
use crate::limits;
use crate::snapshot::{Numbers, invalid};

/// Counts from here on do not fit beside the class and are kept in a table of their own.
const LARGE: u32 = 255;

/// The most classes, so that a class fits beside a count.
pub(super) const MAX_CLASSES: usize = 1 << 24;

/// A pool of a host: what its devices are, and how many are free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slot {
    pub(super) class: u32,
    pub(super) count: u32,
}

/// Where the row of a host stands.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// Rows take an even number of lanes, so that a row that grows by one often stays in place.
    fn room(self) -> u32 {
        self.len.next_multiple_of(2)
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// What is seen of rows while they are read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of each class whether it is rare, if it is there, and how often it occurs.
    classes: Vec<(Option<bool>, u32)>,
    /// Hosts come in a few models: at the place that its classes give, the model that was seen there last.
    models: Vec<Model>,
    /// The hosts that have a rare class, with the class.
    pub(super) rare: Vec<(u32, u32)>,
}

/// Rows of the same classes.
#[derive(Clone, Debug, Default)]
struct Model {
    /// The lanes of such a row, without counts.
    lanes: Vec<u32>,
    /// How many of them were seen since it was last settled.
    rows: u32,
    rare: bool,
}

impl Model {
    /// Whether a row has these classes.
    fn is_of(&self, row: &[u32]) -> bool {
        let differs = || self.lanes.iter().zip(row).fold(0, |differs, (own, lane)| differs | (own ^ lane));
        self.lanes.len() == row.len() && differs() <= LARGE
    }
}

impl Tally {
    /// A power of two.
    const MODELS: usize = 1 << 10;

    /// Of each class that is there whether it is rare.
    fn new(classes: &[Option<bool>]) -> Self {
        let classes = classes.iter().map(|class| (*class, 0)).collect();
        Tally { classes, models: vec![Model::default(); Self::MODELS], ..Tally::default() }
    }

    /// How often each class occurs.
    pub(super) fn uses(&mut self) -> impl Iterator<Item = u64> {
        (0..Self::MODELS).for_each(|model| self.settle(model));
        self.classes.iter().map(|(_, uses)| u64::from(*uses))
    }

    /// Looks at a row, and returns how many of its counts are large.
    fn count(&mut self, host: u32, row: &[u32]) -> Result<usize> {
        let (Some(first), Some(last)) = (row.first(), row.last()) else { return Ok(0) };
        // Its middle tells models apart whose ends are alike.
        let place = [*first, *last, row[row.len() / 2]]
            .iter()
            .fold(row.len() as u32, |place, lane| (place ^ (lane >> 8)).wrapping_mul(0x9e37_79b1));
        let place = (place >> (u32::BITS - Self::MODELS.ilog2())) as usize;
        if !self.models[place].is_of(row) {
            self.settle(place);
            self.learn(place, row)?;
        }
        let model = &mut self.models[place];
        model.rows += 1;
        if model.rare {
            let is_rare = |class: &u32| self.classes[*class as usize].0 == Some(true);
            let of_row = row.iter().map(|lane| lane >> 8).filter(is_rare);
            self.rare.extend(of_row.map(|class| (host, class)));
        }
        Ok(row.iter().filter(|lane| *lane & LARGE == LARGE).count())
    }

    /// Counts the rows of a model.
    fn settle(&mut self, place: usize) {
        let model = &mut self.models[place];
        let rows = std::mem::take(&mut model.rows);
        model.lanes.iter().for_each(|lane| self.classes[(lane >> 8) as usize].1 += rows);
    }

    /// Puts the model of a row in place of another, which is settled.
    fn learn(&mut self, place: usize, row: &[u32]) -> Result<()> {
        let model = &mut self.models[place];
        model.lanes.clear();
        model.rare = false;
        for lane in row {
            let Some(&(Some(rare), _)) = self.classes.get((lane >> 8) as usize) else {
                model.lanes.clear();
                return Err(invalid("a pool is of a class that is not there"));
            };
            model.rare |= rare;
            model.lanes.push(lane & !LARGE);
        }
        Ok(())
    }
}

/// The rows of all hosts.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    lanes: Vec<u32>,
    spans: Vec<Span>,
    /// Room that is free again: its size, and where it starts.
    gaps: BTreeMap<u32, Vec<u32>>,
    /// How many lanes the gaps have together.
    unused: usize,
    large: BTreeMap<(u32, u32), u32>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Makes room for a host without pools, whose id is the next one.
    pub(super) fn add(&mut self) {
        push(&mut self.spans, Span::default());
    }

    pub(super) fn slots(&self, host: u32) -> impl ExactSizeIterator<Item = Slot> + Clone + '_ {
        self.lanes(host).iter().enumerate().map(move |(slot, &lane)| self.unpack(host, slot, lane))
    }

    fn unpack(&self, host: u32, slot: usize, lane: u32) -> Slot {
        let (class, count) = (lane >> 8, lane & LARGE);
        let count = match count {
            LARGE => self.large.get(&(host, slot as u32)).copied().unwrap_or(LARGE),
            count => count,
        };
        Slot { class, count }
    }

    /// The row as it is packed: a class in the upper 24 bits, the count up to 255 in the lower 8.
    pub(super) fn lanes(&self, host: u32) -> &[u32] {
        &self.lanes[self.spans[host as usize].range()]
    }

    /// Copies the rows of some hosts, one after the other, and notes where each ends.
    pub(super) fn gather(&self, hosts: &[u32], lanes: &mut Vec<u32>, ends: &mut Vec<usize>) {
        lanes.clear();
        ends.clear();
        let rows: Vec<&[u32]> = hosts.iter().map(|&host| self.lanes(host)).collect();
        // They lie far apart: their first and last lanes are looked at in vain, so that the waits for memory overlap.
        for row in &rows {
            std::hint::black_box((row.first().copied(), row.last().copied()));
        }
        for row in rows {
            lanes.extend_from_slice(row);
            ends.push(lanes.len());
        }
    }

    /// Whether any count of any host is over 254.
    pub(super) fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Sets the count of one pool.
    pub(super) fn set_count(&mut self, host: u32, slot: usize, count: u32) {
        let at = self.spans[host as usize].start as usize + slot;
        let lane = &mut self.lanes[at];
        if *lane & LARGE == LARGE {
            self.large.remove(&(host, slot as u32));
        }
        *lane = (*lane & !LARGE) | count.min(LARGE);
        if count >= LARGE {
            self.large.insert((host, slot as u32), count);
        }
    }

    /// Replaces the row of a host.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::LimitExceeded`] when all rows together are too long; nothing is changed then.
    pub(super) fn set(&mut self, host: u32, slots: &[Slot]) -> Result<()> {
        let old = self.spans[host as usize];
        let new = Span { start: old.start, len: slots.len() as u32 };
        let start = match new.room() == old.room() {
            true => old.start,
            false => {
                let start = self.allocate(new.room())?;
                self.free(old);
                start
            }
        };
        self.forget_large(host, old);
        self.spans[host as usize] = Span { start, ..new };
        let start = start as usize;
        for (slot, &Slot { class, count }) in slots.iter().enumerate() {
            self.lanes[start + slot] = (class << 8) | count.min(LARGE);
            if count >= LARGE {
                self.large.insert((host, slot as u32), count);
            }
        }
        if self.unused > self.lanes.len() / 2 && self.unused > 1 << 12 {
            self.compact();
        }
        Ok(())
    }

    fn allocate(&mut self, room: u32) -> Result<u32> {
        if room == 0 {
            return Ok(0);
        }
        if let Some(starts) = self.gaps.get_mut(&room)
            && let Some(start) = starts.pop()
        {
            if starts.is_empty() {
                self.gaps.remove(&room);
            }
            self.unused -= room as usize;
            return Ok(start);
        }
        let start = self.lanes.len();
        limits::check("number of pools of all hosts", start + room as usize, u32::MAX as usize)?;
        tight(&mut self.lanes, room as usize);
        self.lanes.resize(start + room as usize, 0);
        Ok(start as u32)
    }

    /// Gives the room of a row back.
    fn free(&mut self, span: Span) {
        if span.len == 0 {
            return;
        }
        self.gaps.entry(span.room()).or_default().push(span.start);
        self.unused += span.room() as usize;
    }

    fn forget_large(&mut self, host: u32, span: Span) {
        if !self.large.is_empty() {
            for slot in 0..span.len {
                self.large.remove(&(host, slot));
            }
        }
    }

    /// Writes all rows anew, one after the other.
    fn compact(&mut self) {
        let mut lanes = Vec::with_capacity(self.lanes.len() - self.unused);
        for span in &mut self.spans {
            let start = lanes.len() as u32;
            lanes.extend_from_slice(&self.lanes[span.range()]);
            lanes.resize(start as usize + span.room() as usize, 0);
            span.start = start;
        }
        self.lanes = lanes;
        self.gaps.clear();
        self.unused = 0;
    }

    /// Where each row ends among the pools of all hosts.
    pub(super) fn ends(&self) -> Vec<u32> {
        let mut end = 0;
        let ends = self.spans.iter().map(|span| {
            end += span.len;
            end
        });
        ends.collect()
    }

    /// All rows in the order of ids, those that follow on each other in memory as one.
    pub(super) fn runs(&self) -> impl Iterator<Item = &[u32]> {
        let mut spans = self.spans.iter().filter(|span| span.len > 0).peekable();
        std::iter::from_fn(move || {
            let mut run = spans.next()?.range();
            while let Some(next) = spans.next_if(|next| next.start as usize == run.end) {
                run.end = next.range().end;
            }
            Some(&self.lanes[run])
        })
    }

    /// The counts over 254: host, place in its row, count.
    pub(super) fn large(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        self.large.iter().map(|(&(host, slot), &count)| (host, slot, count))
    }

    /// Takes over the rows of a snapshot, given where each ends, and of each class its rank and whether it is rare.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidSnapshot`] when they contradict themselves.
    pub(super) fn restore(
        ends: Numbers<'_>,
        lanes: &[u8],
        large: &[(u32, u32, u32)],
        classes: &[Option<bool>],
    ) -> Result<(Self, Tally)> {
        let total = ends.iter().next_back().map_or(0, |end| end as usize);
        if !ends.iter().is_sorted() || total.checked_mul(4) != Some(lanes.len()) {
            return Err(invalid("the rows of hosts are out of bounds"));
        }
        let starts = std::iter::once(0).chain(ends.iter());
        let room = total + ends.iter().zip(starts).filter(|(end, start)| (end - start) % 2 == 1).count();
        limits::check("number of pools of all hosts", room, u32::MAX as usize)?;
        let mut rows = Rows {
            lanes: Vec::with_capacity(room),
            spans: Vec::with_capacity(ends.len()),
            ..Rows::default()
        };
        let mut tally = Tally::new(classes);
        let mut start = 0;
        let mut with_large = 0;
        for (host, end) in (0..).zip(ends.iter()) {
            let span = Span { start: rows.lanes.len() as u32, len: end - start };
            let row = lanes[start as usize * 4..end as usize * 4].as_chunks::<4>().0;
            rows.lanes.extend(row.iter().map(|lane| u32::from_le_bytes(*lane)));
            with_large += tally.count(host, &rows.lanes[span.range()])?;
            if span.len % 2 == 1 {
                rows.lanes.push(0);
            }
            rows.spans.push(span);
            start = end;
        }
        for &(host, slot, count) in large {
            let row = rows.spans.get(host as usize).map(|span| &rows.lanes[span.range()]);
            let lane = row.and_then(|row| row.get(slot as usize));
            let marked = lane.is_some_and(|lane| lane & LARGE == LARGE) && count >= LARGE;
            if !marked || rows.large.insert((host, slot), count).is_some() {
                return Err(invalid("a large count is out of place"));
            }
        }
        if with_large != large.len() {
            return Err(invalid("a large count is missing"));
        }
        Ok((rows, tally))
    }

    pub(super) fn bytes(&self) -> usize {
        let gaps: usize = self.gaps.values().map(|starts| starts.capacity() * 4 + 32).sum();
        self.lanes.capacity() * 4 + self.spans.capacity() * 8 + gaps + self.large.len() * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(rows: &Rows, host: u32) -> Vec<(u32, u32)> {
        rows.slots(host).map(|slot| (slot.class, slot.count)).collect()
    }

    #[test]
    fn rows_change_their_length_and_keep_large_counts() {
        let mut rows = Rows::default();
        let mut model: Vec<Vec<(u32, u32)>> = Vec::new();
        let mut seed = 7_u32;
        let mut next = |bound: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % bound
        };
        for _ in 0..50 {
            rows.add();
            model.push(Vec::new());
        }
        for step in 0..20_000 {
            let host = next(50);
            let of_model = &mut model[host as usize];
            if next(2) == 0 && !of_model.is_empty() {
                let slot = next(of_model.len() as u32);
                let count = [0, 3, 254, 255, 256, u32::MAX][next(6) as usize];
                rows.set_count(host, slot as usize, count);
                of_model[slot as usize].1 = count;
            } else {
                let len = next(40);
                *of_model = (0..len).map(|_| (next(9), [0, 1, 254, 255, 70_000][next(5) as usize])).collect();
                let slots: Vec<Slot> = of_model.iter().map(|&(class, count)| Slot { class, count }).collect();
                rows.set(host, &slots).expect("far from the limit");
            }
            if step % 100 == 0 {
                (0..50).for_each(|host| assert_eq!(row(&rows, host), model[host as usize]));
            }
        }
        (0..50).for_each(|host| assert_eq!(row(&rows, host), model[host as usize]));
    }
}
