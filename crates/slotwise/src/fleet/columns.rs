//! Columns of counts, one byte per host, laid out so that the compiler makes vector code of the loops over them.
//!
//! A block of 128 bytes answers for 128 hosts. Host `8 b + j` of a block is byte `16 j + b`: comparing the `j`th sixteen
//! bytes with a bound gives bit `j` of sixteen bytes of the answer, so that the answer's bits need no gathering. That is
//! plain code, which becomes the baseline's own vector instructions on any platform but WebAssembly, where it is said in
//! its instructions.

/// So many hosts make a block.
pub(super) const BLOCK: usize = 128;

/// Where in its block a place has its byte.
pub(super) const fn within(place: usize) -> usize {
    place % 8 * 16 + place % BLOCK / 8
}

/// A count for each place, up to 255.
#[derive(Clone, Debug, Default)]
pub(super) struct Column(Vec<[u8; BLOCK]>);

impl Column {
    /// Makes room for so many places.
    pub(super) fn grow(&mut self, places: usize) {
        let blocks = places.div_ceil(BLOCK);
        if blocks > self.0.len() {
            let more = blocks - self.0.len();
            super::memory::tight(&mut self.0, more);
            self.0.resize(blocks, [0; BLOCK]);
        }
    }

    pub(super) fn set(&mut self, place: usize, count: u8) {
        self.0[place / BLOCK][within(place)] = count;
    }

    pub(super) fn get(&self, place: usize) -> u8 {
        self.0[place / BLOCK][within(place)]
    }

    /// The counts of a block of places, the first of them at [`within`] 0.
    pub(super) fn block(&mut self, block: usize) -> &mut [u8; BLOCK] {
        &mut self.0[block]
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * BLOCK
    }
}

/// For each place, whether every column has at least its bound there: one bit per place. The bounds are over 0, so that
/// places that were never set are not among them.
pub(super) fn at_least(columns: &[Column], bounds: &[u8]) -> Vec<u64> {
    let mut words: Vec<u64> = Vec::new();
    for first in (0..columns.len().min(bounds.len())).step_by(3) {
        // Three at a time; where there are fewer, the last is compared again.
        let last = columns.len().min(bounds.len()) - 1;
        let [a, b, c] = [first, (first + 1).min(last), (first + 2).min(last)];
        let bits = scan([&columns[a], &columns[b], &columns[c]], [bounds[a], bounds[b], bounds[c]]);
        let more = bits.as_flattened().as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        match first {
            0 => words = more.collect(),
            _ => words.iter_mut().zip(more).for_each(|(word, other)| *word &= other),
        }
    }
    words
}

/// The same for three columns, sixteen bytes for a block.
fn scan(columns: [&Column; 3], bounds: [u8; 3]) -> Vec<[u8; BLOCK / 8]> {
    let blocks = columns[0].0.len();
    let columns = columns.map(|column| &column.0[..blocks]);
    let mut bits = vec![[0; BLOCK / 8]; blocks];
    for (block, bits) in bits.iter_mut().enumerate() {
        *bits = compare(columns.map(|column| &column[block]), bounds);
    }
    bits
}

/// Compares one block. In this shape, and for three columns, the loops become comparisons of sixteen bytes at once;
/// others that say the same do not.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn compare(columns: [&[u8; BLOCK]; 3], bounds: [u8; 3]) -> [u8; BLOCK / 8] {
    let mut bits = [0_u8; BLOCK / 8];
    for j in 0..8 {
        for b in 0..16 {
            let mut enough = true;
            for n in 0..3 {
                enough &= columns[n][16 * j + b] >= bounds[n];
            }
            bits[b] |= u8::from(enough) << j;
        }
    }
    bits
}

/// The same where the compiler does not find it: for WebAssembly it leaves the loops as they are.
///
/// What is missing of each bound is put together before it is compared with nothing, since a host's instructions have no
/// comparison of unsigned bytes.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
fn compare(columns: [&[u8; BLOCK]; 3], bounds: [u8; 3]) -> [u8; BLOCK / 8] {
    use std::arch::wasm32::{
        i8x16_eq, u8x16_splat, u8x16_sub_sat, u64x2, u64x2_extract_lane, v128_and, v128_or,
    };
    let bounds = bounds.map(|bound| u8x16_splat(bound));
    let nothing = u8x16_splat(0);
    let mut bits = nothing;
    for j in 0..8 {
        let mut missing = nothing;
        for (column, bound) in columns.iter().zip(bounds) {
            let words = column.as_chunks::<8>().0;
            let [low, high] = [words[2 * j], words[2 * j + 1]].map(u64::from_le_bytes);
            missing = v128_or(missing, u8x16_sub_sat(bound, u64x2(low, high)));
        }
        bits = v128_or(bits, v128_and(i8x16_eq(missing, nothing), u8x16_splat(1 << j)));
    }
    let mut bytes = [0; BLOCK / 8];
    bytes[..8].copy_from_slice(&u64x2_extract_lane::<0>(bits).to_le_bytes());
    bytes[8..].copy_from_slice(&u64x2_extract_lane::<1>(bits).to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_place() {
        for len in [0_usize, 1, 63, 64, 65, 127, 128, 129, 200, 1000] {
            let count = |salt: usize, place: usize| ((place * 37 + salt * 91) % 256) as u8;
            for number in 1..8 {
                let mut columns = vec![Column::default(); number];
                for (salt, column) in columns.iter_mut().enumerate() {
                    column.grow(len / 2);
                    column.grow(len);
                    (0..len).for_each(|place| column.set(place, count(salt, place)));
                }
                let bounds: Vec<u8> = (0..number).map(|i| [1, 3, 255, 100, 1, 7, 20][i]).collect();
                let words = at_least(&columns, &bounds);
                assert!(words.len() * 64 >= len);
                for place in 0..words.len() * 64 {
                    let enough = |(salt, &bound): (usize, &u8)| count(salt, place) >= bound;
                    let expected = place < len && bounds.iter().enumerate().all(enough);
                    assert_eq!(
                        words[place / 64] >> (place % 64) & 1 == 1,
                        expected,
                        "{len} {number} {place}"
                    );
                }
            }
        }
    }
}
