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

/// Sixteen counts, as they are compared at once.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod sixteen {
    pub(super) type Sixteen = [u8; 16];

    pub(super) const fn of(bytes: [u8; 16]) -> Sixteen {
        bytes
    }

    pub(super) const fn bytes(sixteen: Sixteen) -> [u8; 16] {
        sixteen
    }
}

/// Sixteen counts, as they are compared at once: kept as vectors, since the compiler would load each in two halves.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod sixteen {
    use std::arch::wasm32::{u64x2, u64x2_extract_lane, v128};

    pub(super) type Sixteen = v128;

    pub(super) fn of(bytes: [u8; 16]) -> Sixteen {
        let bytes = u128::from_le_bytes(bytes);
        u64x2(bytes as u64, (bytes >> 64) as u64)
    }

    pub(super) fn bytes(sixteen: Sixteen) -> [u8; 16] {
        let [low, high] = [u64x2_extract_lane::<0>(sixteen), u64x2_extract_lane::<1>(sixteen)];
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }
}

use sixteen::Sixteen;

/// A count for each place, up to 255.
#[derive(Clone, Debug, Default)]
pub(super) struct Column(Vec<[Sixteen; 8]>);

impl Column {
    /// Makes room for so many places.
    pub(super) fn grow(&mut self, places: usize) {
        let blocks = places.div_ceil(BLOCK);
        if blocks > self.0.len() {
            let more = blocks - self.0.len();
            super::memory::tight(&mut self.0, more);
            self.0.resize(blocks, [sixteen::of([0; 16]); 8]);
        }
    }

    pub(super) fn set(&mut self, place: usize, count: u8) {
        let at = within(place);
        let sixteen = &mut self.0[place / BLOCK][at / 16];
        let mut bytes = sixteen::bytes(*sixteen);
        bytes[at % 16] = count;
        *sixteen = sixteen::of(bytes);
    }

    pub(super) fn get(&self, place: usize) -> u8 {
        let at = within(place);
        sixteen::bytes(self.0[place / BLOCK][at / 16])[at % 16]
    }

    /// Sets the counts of a block of places, each where it is [`within`].
    pub(super) fn set_block(&mut self, block: usize, counts: &[u8; BLOCK]) {
        let counts = counts.as_chunks().0.iter();
        self.0[block].iter_mut().zip(counts).for_each(|(sixteen, counts)| *sixteen = sixteen::of(*counts));
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
fn compare(columns: [&[Sixteen; 8]; 3], bounds: [u8; 3]) -> [u8; BLOCK / 8] {
    let mut bits = [0_u8; BLOCK / 8];
    for j in 0..8 {
        for b in 0..16 {
            let mut enough = true;
            for n in 0..3 {
                enough &= columns[n][j][b] >= bounds[n];
            }
            bits[b] |= u8::from(enough) << j;
        }
    }
    bits
}

/// The same where the compiler does not find it: for WebAssembly it leaves the loops as they are.
///
/// What is missing of each bound is put together before it is compared with nothing, since a host's instructions have no
/// comparison of unsigned bytes. A call for each block: inlined, every address would be a sum of its own, kept in memory.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(never)]
fn compare(columns: [&[Sixteen; 8]; 3], bounds: [u8; 3]) -> [u8; BLOCK / 8] {
    use std::arch::wasm32::{i8x16_eq, u8x16_splat, u8x16_sub_sat, v128_and, v128_or};
    let [a, b, c] = bounds.map(|bound| u8x16_splat(bound));
    let nothing = u8x16_splat(0);
    let bits = |j: usize| {
        let [a, b, c] = [
            u8x16_sub_sat(a, columns[0][j]),
            u8x16_sub_sat(b, columns[1][j]),
            u8x16_sub_sat(c, columns[2][j]),
        ];
        v128_and(i8x16_eq(v128_or(v128_or(a, b), c), nothing), u8x16_splat(1 << j))
    };
    // The compiler would leave this a loop.
    let [a, b] = [v128_or(bits(0), bits(1)), v128_or(bits(2), bits(3))];
    let [c, d] = [v128_or(bits(4), bits(5)), v128_or(bits(6), bits(7))];
    sixteen::bytes(v128_or(v128_or(a, b), v128_or(c, d)))
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
