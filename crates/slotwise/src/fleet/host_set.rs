//! A set of hosts, one bit per id; of few hosts among many, one bit for each that could be in it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// A set of hosts by id, kept as one bit per host.
///
/// An answer that few hosts could be in is kept as one bit for each of those, so that it costs nothing for the others.
///
/// In JSON it is the list of ids in ascending order. [`HostSet::to_bytes`] gives it as a bitmap: host `id` is bit
/// `id % 8` of byte `id / 8`, the lowest bit first (`numpy.unpackbits(…, bitorder="little")`).
///
/// ```
/// let mut hosts: slotwise::HostSet = [3, 9].into_iter().collect();
/// hosts.insert(0);
/// assert_eq!(hosts.ids(), [0, 3, 9]);
/// assert_eq!(hosts.to_bytes(), [0b1001, 0b10]);
/// ```
#[derive(Clone, Debug, Default, Serialize)]
#[serde(into = "Vec<u32>")]
pub struct HostSet {
    words: Vec<u64>,
    /// Where there is a list of ids in ascending order, bit `i` is for the `i`th of them.
    listed: Option<Arc<[u32]>>,
}

impl HostSet {
    /// The bits of a word.
    const BITS: u32 = 64;

    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        HostSet { words: Vec::new(), listed: None }
    }

    /// All ids below `bound`.
    #[must_use]
    pub fn below(bound: u32) -> Self {
        let mut words = vec![u64::MAX; bound.div_ceil(Self::BITS) as usize];
        if let Some(last) = words.last_mut()
            && !bound.is_multiple_of(Self::BITS)
        {
            *last >>= Self::BITS - bound % Self::BITS;
        }
        HostSet::from_words(words)
    }

    /// The set of these ids, in any order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for an id past [`limits::MAX_HOSTS`], because a bitmap would have to reach that far.
    pub fn from_ids(ids: &[u32]) -> Result<Self> {
        if let Some(id) = ids.iter().find(|&&id| id as usize >= limits::MAX_HOSTS) {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("there is no host with id {id}"))
                .with_help("give the ids that the fleet gave"));
        }
        Ok(ids.iter().copied().collect())
    }

    /// Takes over a bitmap; the words are those of [`HostSet::words`].
    #[must_use]
    pub fn from_words(words: Vec<u64>) -> Self {
        HostSet { words, listed: None }
    }

    /// Of ids in ascending order those whose bit is set.
    pub(crate) fn of_listed(ids: Arc<[u32]>, words: Vec<u64>) -> Self {
        HostSet { words, listed: Some(ids) }
    }

    /// Where the bit of an id stands; `None` if it has none, so that it is not in the set.
    fn bit(&self, id: u32) -> Option<u32> {
        match &self.listed {
            None => Some(id),
            Some(ids) => ids.binary_search(&id).ok().map(|at| at as u32),
        }
    }

    /// The id of which this bit is.
    fn of_bit(&self, bit: u32) -> u32 {
        self.listed.as_ref().map_or(bit, |ids| ids[bit as usize])
    }

    /// The bits that are set, in ascending order.
    fn bits(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| Bits { word, first: at as u32 * Self::BITS })
    }

    /// Keeps only the hosts of which this is so.
    fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        for at in 0..self.words.len() {
            for bit in (Bits { word: self.words[at], first: at as u32 * Self::BITS }) {
                if !keep(self.of_bit(bit)) {
                    self.words[at] &= !(1 << (bit % Self::BITS));
                }
            }
        }
    }

    /// Reads a bitmap that [`HostSet::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] when it has more bits than a fleet has hosts ([`limits::MAX_HOSTS`]).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        limits::check("number of bits", bytes.len().saturating_mul(8), limits::MAX_HOSTS)
            .map_err(|e| e.with_help("hand over as many bits as there are hosts"))?;
        let word = |chunk: &[u8]| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(bytes)
        };
        Ok(HostSet::from_words(bytes.chunks(8).map(word).collect()))
    }

    /// Adds a host and says whether it was new.
    pub fn insert(&mut self, id: u32) -> bool {
        let bit = match self.bit(id) {
            Some(bit) => bit,
            None => {
                *self = HostSet::from_words(self.words().into_owned());
                id
            }
        };
        let (word, bit) = place(bit);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Removes a host and says whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        let there = self.contains(id);
        if there && let Some((word, bit)) = self.bit(id).map(place) {
            self.words[word] &= !bit;
        }
        there
    }

    /// Whether a host is in the set.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        let has = |(word, bit): (usize, u64)| self.words.get(word).is_some_and(|word| word & bit != 0);
        self.bit(id).map(place).is_some_and(has)
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there is no host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// The ids, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits().map(|bit| self.of_bit(bit))
    }

    /// The ids, in ascending order, as a list.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        let mut ids = Vec::with_capacity(self.len());
        ids.extend(self.iter());
        ids
    }

    /// The bitmap in words of 64 bits; the lowest id is the lowest bit of the first.
    #[must_use]
    pub fn words(&self) -> Cow<'_, [u64]> {
        if self.listed.is_none() {
            return Cow::Borrowed(&self.words);
        }
        let mut words = vec![0; self.last().map_or(0, |last| place(last).0 + 1)];
        for (word, bit) in self.iter().map(place) {
            words[word] |= bit;
        }
        Cow::Owned(words)
    }

    /// The bitmap as bytes, without zeros at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let words = self.words();
        let mut bytes = vec![0; words.len() * 8];
        let places = bytes.as_chunks_mut::<8>().0;
        places.iter_mut().zip(&*words).for_each(|(place, word)| *place = word.to_le_bytes());
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used);
        bytes
    }

    /// Keeps only the hosts that `other` has too.
    pub fn intersect(&mut self, other: &HostSet) {
        match (&self.listed, &other.listed) {
            (None, None) => {
                self.words.truncate(other.words.len());
                self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
            }
            (None, Some(_)) if self.is_empty() => {}
            (None, Some(_)) => {
                let all = std::mem::replace(self, other.clone());
                self.retain(|id| all.contains(id));
            }
            (Some(_), _) => self.retain(|id| other.contains(id)),
        }
    }

    /// Removes the hosts that `other` has.
    pub fn subtract(&mut self, other: &HostSet) {
        match (&self.listed, &other.listed) {
            (None, None) => self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= !other),
            (None, Some(_)) => self.remove_all(other.iter()),
            (Some(_), _) if other.is_empty() => {}
            (Some(_), _) => self.retain(|id| !other.contains(id)),
        }
    }

    /// Removes these hosts.
    pub(crate) fn remove_all(&mut self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            self.remove(id);
        }
    }

    /// The highest id.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        let at = self.words.iter().rposition(|&word| word != 0)?;
        Some(self.of_bit(at as u32 * Self::BITS + (Self::BITS - 1 - self.words[at].leading_zeros())))
    }

    /// Keeps only the ids below `bound`.
    pub fn keep_below(&mut self, bound: u32) {
        let below = |ids: &Arc<[u32]>| ids.partition_point(|&id| id < bound) as u32;
        let bound = self.listed.as_ref().map_or(bound, below);
        self.words.truncate(bound.div_ceil(Self::BITS) as usize);
        if let Some(last) = self.words.get_mut((bound / Self::BITS) as usize) {
            *last &= (1 << (bound % Self::BITS)) - 1;
        }
    }

    /// Keeps only the first `count` hosts.
    pub fn truncate(&mut self, count: usize) {
        let mut left = count;
        for word in &mut self.words {
            let here = word.count_ones() as usize;
            while word.count_ones() as usize > left {
                *word &= !(1 << (Self::BITS - 1 - word.leading_zeros()));
            }
            left -= here.min(left);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.capacity() * 8 + self.listed.as_ref().map_or(0, |ids| ids.len() * 4)
    }
}

fn place(bit: u32) -> (usize, u64) {
    ((bit / HostSet::BITS) as usize, 1 << (bit % HostSet::BITS))
}

struct Bits {
    word: u64,
    first: u32,
}

impl Iterator for Bits {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros();
        self.word &= self.word - 1;
        Some(self.first + bit)
    }
}

impl PartialEq for HostSet {
    /// Equal when they have the same hosts.
    fn eq(&self, other: &Self) -> bool {
        if self.listed.is_some() || other.listed.is_some() {
            return self.iter().eq(other.iter());
        }
        let common = self.words.len().min(other.words.len());
        let empty = |words: &[u64]| words.iter().all(|&word| word == 0);
        self.words[..common] == other.words[..common]
            && empty(&self.words[common..])
            && empty(&other.words[common..])
    }
}

impl Eq for HostSet {}

impl FromIterator<u32> for HostSet {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut words = Vec::new();
        for (word, bit) in ids.into_iter().map(place) {
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= bit;
        }
        HostSet::from_words(words)
    }
}

impl<'de> Deserialize<'de> for HostSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        HostSet::from_ids(&Vec::deserialize(deserializer)?).map_err(|error| crate::json::carry(&error))
    }
}

impl From<HostSet> for Vec<u32> {
    fn from(set: HostSet) -> Self {
        set.ids()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    type Ids = BTreeSet<u32>;

    /// A set of these ids, and the same with bits for them and others only.
    fn both_forms(ids: &Ids, others: &Ids) -> [HostSet; 2] {
        let list: Arc<[u32]> = (ids | others).into_iter().collect();
        let mut words = vec![0; list.len().div_ceil(64)];
        for (word, bit) in (0..).zip(&*list).filter(|(_, id)| ids.contains(id)).map(|(at, _)| place(at)) {
            words[word] |= bit;
        }
        [ids.iter().copied().collect(), HostSet::of_listed(list, words)]
    }

    proptest! {
        #[test]
        fn it_is_a_set(
            a in prop::collection::btree_set(0_u32..300, 0..40),
            b in prop::collection::btree_set(0_u32..300, 0..40),
            others in prop::collection::btree_set(0_u32..300, 0..90),
            cut in 0_usize..50,
        ) {
            let ids = |set: &HostSet| set.iter().collect::<Ids>();
            let [dense, _] = both_forms(&a, &others);
            for set in both_forms(&a, &others) {
                for other in both_forms(&b, &others) {
                    let [mut both, mut rest, mut more, mut less] = [(); 4].map(|()| set.clone());
                    both.intersect(&other);
                    rest.subtract(&other);
                    let new = other.iter().filter(|&id| more.insert(id)).count();
                    let gone = other.iter().filter(|&id| less.remove(id)).count();
                    prop_assert_eq!(ids(&both), &a & &b);
                    prop_assert_eq!(ids(&rest), &a - &b);
                    prop_assert_eq!((ids(&more), new), (&a | &b, (&b - &a).len()));
                    prop_assert_eq!((ids(&less), gone), (&a - &b, (&a & &b).len()));
                    prop_assert_eq!(set == other, a == b);
                }
                let [mut first, mut low] = [set.clone(), set.clone()];
                first.truncate(cut);
                prop_assert_eq!(ids(&first), a.iter().copied().take(cut).collect::<Ids>());
                low.keep_below(cut as u32 * 5);
                prop_assert_eq!(ids(&low), a.iter().copied().filter(|&id| id < cut as u32 * 5).collect::<Ids>());
                prop_assert!((0..310).all(|id| set.contains(id) == a.contains(&id)));
                prop_assert_eq!(set.last(), a.last().copied());
                prop_assert_eq!((set.len(), set.is_empty()), (a.len(), a.is_empty()));
                prop_assert_eq!(set.ids(), dense.ids());
                prop_assert_eq!(set.to_bytes(), dense.to_bytes());
                prop_assert_eq!(&HostSet::from_words(set.words().into_owned()), &dense);
                prop_assert_eq!(HostSet::from_bytes(&set.to_bytes()).expect("a small bitmap"), set);
            }
        }

        #[test]
        fn below_has_all_ids(bound in 0_u32..200) {
            prop_assert_eq!(HostSet::below(bound).ids(), (0..bound).collect::<Vec<u32>>());
        }
    }
}
