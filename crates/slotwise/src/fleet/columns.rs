//! The loops over columns of bytes, written so that the compiler turns them into vector code on any CPU.

/// For each place, whether every column has at least its bound there: one bit per place.
pub(super) fn at_least(columns: &[&[u8]], bounds: &[u8]) -> Vec<u64> {
    match (columns, bounds) {
        (&[a], &[x]) => scan([a], [x]),
        (&[a, b, c], &[x, y, z]) => scan([a, b, c], [x, y, z]),
        _ => {
            let len = columns.first().map_or(0, |column| column.len());
            let mut words = vec![u64::MAX; len.div_ceil(64)];
            for (column, &bound) in columns.iter().zip(bounds) {
                words.iter_mut().zip(scan([column], [bound])).for_each(|(word, other)| *word &= other);
            }
            words
        }
    }
}

/// The same for a known number of columns of the same length.
fn scan<const N: usize>(columns: [&[u8]; N], bounds: [u8; N]) -> Vec<u64> {
    let len = columns[0].len();
    let mut words = Vec::with_capacity(len.div_ceil(64));
    let whole = columns.map(|column| column.as_chunks::<64>().0);
    for block in 0..whole[0].len() {
        words.push(pack(&compare(whole.map(|blocks| &blocks[block]), bounds)));
    }
    if !len.is_multiple_of(64) {
        let mut last = [[0; 64]; N];
        for (last, column) in last.iter_mut().zip(columns) {
            let rest = &column[len - len % 64..];
            last[..rest.len()].copy_from_slice(rest);
        }
        let word = pack(&compare(last.each_ref(), bounds));
        words.push(word & ((1 << (len % 64)) - 1));
    }
    words
}

/// For each of 64 places 1 if every column has its bound there, else 0.
#[inline(always)]
fn compare<const N: usize>(columns: [&[u8; 64]; N], bounds: [u8; N]) -> [u8; 64] {
    let mut all = [1; 64];
    for (column, bound) in columns.into_iter().zip(bounds) {
        for (all, &count) in all.iter_mut().zip(column) {
            *all &= u8::from(count >= bound);
        }
    }
    all
}

/// Packs 64 bytes that are 0 or 1 into 64 bits.
#[inline(always)]
fn pack(bytes: &[u8; 64]) -> u64 {
    let mut word = 0;
    for (i, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // The product brings the lowest bit of byte `k` to bit `56 + k`.
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= bits << (8 * i);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_place() {
        for len in [0, 1, 63, 64, 65, 200, 1000] {
            let column =
                |salt: usize| -> Vec<u8> { (0..len).map(|i| ((i * 37 + salt * 91) % 256) as u8).collect() };
            for count in 1..8 {
                let columns: Vec<Vec<u8>> = (0..count).map(column).collect();
                let bounds: Vec<u8> = (0..count).map(|i| [0, 3, 255, 100, 1, 7, 20][i]).collect();
                let slices: Vec<&[u8]> = columns.iter().map(Vec::as_slice).collect();
                let words = at_least(&slices, &bounds);
                assert_eq!(words.len(), len.div_ceil(64));
                for place in 0..words.len() * 64 {
                    let expected = place < len
                        && columns.iter().zip(&bounds).all(|(column, &bound)| column[place] >= bound);
                    assert_eq!(words[place / 64] >> (place % 64) & 1 == 1, expected, "{len} {count} {place}");
                }
            }
        }
    }
}
