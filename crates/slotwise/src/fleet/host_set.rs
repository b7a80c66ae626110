//! A set of hosts, one bit per id.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// A set of hosts by id, kept as one bit per host.
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
}

impl HostSet {
    /// The highest id and one: a set never takes more than 512 MiB.
    const BITS: u32 = 64;

    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        HostSet { words: Vec::new() }
    }

    /// An empty set with room for the ids below `bound`.
    pub(crate) fn with_room(bound: u32) -> Self {
        HostSet { words: vec![0; bound.div_ceil(Self::BITS) as usize] }
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
        HostSet { words }
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
        HostSet { words }
    }

    /// Reads a bitmap that [`HostSet::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] when it has more bits than there are ids.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > 1 << 29 {
            return Err(Error::new(ErrorKind::LimitExceeded, "a set of hosts has at most 4294967296 bits")
                .with_help("hand over as many bits as there are hosts"));
        }
        let word = |chunk: &[u8]| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(bytes)
        };
        Ok(HostSet { words: bytes.chunks(8).map(word).collect() })
    }

    /// Adds a host and says whether it was new.
    pub fn insert(&mut self, id: u32) -> bool {
        let (word, bit) = place(id);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        new
    }

    /// Removes a host and says whether it was there.
    pub fn remove(&mut self, id: u32) -> bool {
        let (word, bit) = place(id);
        match self.words.get_mut(word) {
            Some(word) if *word & bit != 0 => {
                *word &= !bit;
                true
            }
            _ => false,
        }
    }

    /// Whether a host is in the set.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        let (word, bit) = place(id);
        self.words.get(word).is_some_and(|word| word & bit != 0)
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
        self.words.iter().enumerate().flat_map(|(at, &word)| Bits { word, first: at as u32 * Self::BITS })
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
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The bitmap as bytes, without zeros at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.words.len() * 8);
        self.words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(used);
        bytes
    }

    /// Keeps only the hosts that `other` has too.
    pub fn intersect(&mut self, other: &HostSet) {
        self.words.truncate(other.words.len());
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Removes the hosts that `other` has.
    pub fn subtract(&mut self, other: &HostSet) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Removes these hosts.
    pub(crate) fn remove_all(&mut self, ids: &[u32]) {
        for &id in ids {
            self.remove(id);
        }
    }

    /// The highest id.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        let at = self.words.iter().rposition(|&word| word != 0)?;
        Some(at as u32 * Self::BITS + (Self::BITS - 1 - self.words[at].leading_zeros()))
    }

    /// Keeps only the ids below `bound`.
    pub fn keep_below(&mut self, bound: u32) {
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
        self.words.capacity() * 8
    }
}

fn place(id: u32) -> (usize, u64) {
    ((id / HostSet::BITS) as usize, 1 << (id % HostSet::BITS))
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
        let mut set = HostSet::new();
        ids.into_iter().for_each(|id| {
            set.insert(id);
        });
        set
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

    proptest! {
        #[test]
        fn it_is_a_set(a in prop::collection::btree_set(0_u32..300, 0..40), b in prop::collection::btree_set(0_u32..300, 0..40), cut in 0_usize..50) {
            let set = |ids: &BTreeSet<u32>| ids.iter().copied().collect::<HostSet>();
            let ids = |set: &HostSet| set.iter().collect::<BTreeSet<u32>>();
            let (mut both, mut rest, mut first) = (set(&a), set(&a), set(&a));
            both.intersect(&set(&b));
            rest.subtract(&set(&b));
            first.truncate(cut);
            prop_assert_eq!(ids(&both), &a & &b);
            prop_assert_eq!(ids(&rest), &a - &b);
            prop_assert_eq!(ids(&first), a.iter().copied().take(cut).collect::<BTreeSet<u32>>());
            let mut low = set(&a);
            low.keep_below(cut as u32 * 5);
            prop_assert_eq!(ids(&low), a.iter().copied().filter(|&id| id < cut as u32 * 5).collect::<BTreeSet<u32>>());
            prop_assert_eq!(set(&a).last(), a.last().copied());
            prop_assert_eq!(set(&a).len(), a.len());
            prop_assert_eq!(HostSet::from_bytes(&set(&a).to_bytes()).expect("a small bitmap"), set(&a));
            prop_assert_eq!(set(&a) == set(&b), a == b);
        }

        #[test]
        fn below_has_all_ids(bound in 0_u32..200) {
            prop_assert_eq!(HostSet::below(bound).ids(), (0..bound).collect::<Vec<u32>>());
        }
    }
}
