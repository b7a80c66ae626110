//! A set of small numbers.

/// Numbers from 0 up to a size that is fixed when the set is made.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn none(size: usize) -> Self {
        Bits(vec![0; size.div_ceil(64)])
    }

    pub(super) fn all(size: usize) -> Self {
        let mut words = vec![u64::MAX; size.div_ceil(64)];
        if let (Some(last), 1..) = (words.last_mut(), size % 64) {
            *last = (1 << (size % 64)) - 1;
        }
        Bits(words)
    }

    pub(super) fn contains(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    pub(super) fn insert(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    pub(super) fn add(&mut self, other: &Bits) {
        for (own, word) in self.0.iter_mut().zip(&other.0) {
            *own |= word;
        }
    }

    pub(super) fn keep(&mut self, other: &Bits) {
        for (own, word) in self.0.iter_mut().zip(&other.0) {
            *own &= word;
        }
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(usize) -> bool) {
        let gone: Vec<usize> = self.iter().filter(|&at| !is_kept(at)).collect();
        gone.into_iter().for_each(|at| self.remove(at));
    }

    pub(super) fn has_all_of(&self, other: &Bits) -> bool {
        self.0.iter().zip(&other.0).all(|(own, word)| word & !own == 0)
    }

    /// Whether it has all that the other has among these.
    pub(super) fn has_all_of_those(&self, other: &Bits, among: &Bits) -> bool {
        let words = self.0.iter().zip(&other.0).zip(&among.0);
        words.into_iter().all(|((own, word), among)| word & among & !own == 0)
    }

    pub(super) fn is_disjoint(&self, other: &Bits) -> bool {
        self.0.iter().zip(&other.0).all(|(own, word)| own & word == 0)
    }

    /// The numbers in the set, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(w, &word)| {
            let rest = |word: &u64| Some(word & (word - 1)).filter(|&rest| rest != 0);
            std::iter::successors(Some(word).filter(|&word| word != 0), rest)
                .map(move |word| w * 64 + word.trailing_zeros() as usize)
        })
    }
}
