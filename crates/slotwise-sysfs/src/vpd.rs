//! Vital product data: the resource format of PCI Local Bus 3.0, appendix I (PCIe Base 6.28.1), as far as the serial
//! number goes.

/// The end tag, a small resource without data.
const END: u8 = 0x0f;
/// The large resource with the read-only fields (VPD-R).
const READ_ONLY: u8 = 0x90;

/// The serial number (keyword `SN`) in the contents of a `vpd` file; `None` when there is none.
///
/// # Errors
///
/// What is wrong, when the contents are not of the documented format or their checksum does not hold.
pub(crate) fn card_serial_number(vpd: &[u8]) -> Result<Option<String>, &'static str> {
    // A card without a programmed memory reads as all zeros or all ones; the kernel takes it for no data, too.
    if matches!(vpd.first(), None | Some(0x00 | 0xff)) {
        return Ok(None);
    }
    let mut at = 0;
    while let Some(&tag) = vpd.get(at) {
        let (len, header) = if tag & 0x80 != 0 {
            let len = vpd[at + 1..].first_chunk().ok_or("a resource is cut short")?;
            (usize::from(u16::from_le_bytes(*len)), 3)
        } else {
            if tag >> 3 == END {
                return Ok(None);
            }
            (usize::from(tag & 0x07), 1)
        };
        let data = vpd.get(at + header..at + header + len).ok_or("a resource is longer than the data")?;
        if tag == READ_ONLY {
            return serial_number_in(data, &vpd[..at + header]);
        }
        at += header + len;
    }
    Err("the end tag is missing")
}

/// The value of `SN` among the fields of the read-only resource, whose bytes follow those of `before`.
fn serial_number_in(fields: &[u8], before: &[u8]) -> Result<Option<String>, &'static str> {
    let (mut at, mut serial, mut checked) = (0, None, false);
    while at < fields.len() && !checked {
        let &[first, second, len] = fields[at..].first_chunk().ok_or("a field is cut short")?;
        let value =
            fields.get(at + 3..at + 3 + usize::from(len)).ok_or("a field is longer than its resource")?;
        match &[first, second] {
            b"SN" => serial = Some(value),
            b"RV" => {
                // All bytes from the first one of the data to the first one of this field add up to zero.
                let covered = fields.get(..at + 4).ok_or("the checksum is missing")?;
                let sum = before.iter().chain(covered).fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                if sum != 0 {
                    return Err("the checksum does not hold");
                }
                checked = true;
            }
            _ => {}
        }
        at += 3 + usize::from(len);
    }
    let Some(serial) = serial else { return Ok(None) };
    if !checked {
        return Err("the checksum is missing");
    }
    // The value is padded with spaces or zeros.
    let text = serial.trim_ascii().split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii_end();
    if !text.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Err("the serial number is not printable text");
    }
    Ok(Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The data of a card: an identifier, then the fields and a checksum that holds.
    fn vpd(fields: &[(&[u8; 2], &[u8])]) -> Vec<u8> {
        let mut data = vec![0x82, 4, 0];
        data.extend(b"card");
        let len: usize = fields.iter().map(|(_, value)| 3 + value.len()).sum::<usize>() + 4;
        data.push(READ_ONLY);
        data.extend((len as u16).to_le_bytes());
        for (keyword, value) in fields {
            data.extend_from_slice(*keyword);
            data.push(value.len() as u8);
            data.extend_from_slice(value);
        }
        data.extend(b"RV\x01");
        let sum = data.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        data.push(sum.wrapping_neg());
        data.push(END << 3);
        data
    }

    #[track_caller]
    fn check(data: &[u8], expect: Result<Option<&str>, &str>) {
        assert_eq!(card_serial_number(data).as_ref().map(Option::as_deref).map_err(|e| *e), expect);
    }

    #[test]
    fn reads_the_serial_number() {
        check(&vpd(&[(b"PN", b"MCX623106AN"), (b"SN", b"MT2042X00001")]), Ok(Some("MT2042X00001")));
        check(&vpd(&[(b"SN", b" MT20 42  \0\0"), (b"V0", b"\x01\x02")]), Ok(Some("MT20 42")));
        check(&vpd(&[(b"PN", b"MCX623106AN")]), Ok(None));
        check(&vpd(&[(b"SN", b"    ")]), Ok(None));
    }

    #[test]
    fn blank_or_endless_data() {
        check(b"", Ok(None));
        check(&[0xff; 64], Ok(None));
        check(&[0; 64], Ok(None));
        check(&[0x78], Ok(None));
        check(&[0x82, 1, 0, b'x'], Err("the end tag is missing"));
    }

    #[test]
    fn garbage_is_told_apart_from_absence() {
        let good = vpd(&[(b"SN", b"MT2042X00001")]);
        check(&good[..20], Err("a resource is longer than the data"));
        check(&good[..8], Err("a resource is cut short"));
        let mut flipped = good.clone();
        flipped[14] ^= 1;
        check(&flipped, Err("the checksum does not hold"));
        check(&vpd(&[(b"SN", b"\x80\x81")]), Err("the serial number is not printable text"));
        check(&[READ_ONLY, 4, 0, b'S', b'N', 1, b'x', 0x78], Err("the checksum is missing"));
        check(&[READ_ONLY, 4, 0, b'S', b'N', 9, b'x', 0x78], Err("a field is longer than its resource"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = card_serial_number(&data);
        }
    }

    #[test]
    fn a_cut_or_flipped_byte_never_yields_another_number() {
        let good = vpd(&[(b"PN", b"MCX623106AN"), (b"SN", b"MT2042X00001")]);
        let cuts = (0..good.len()).map(|cut| good[..cut].to_vec());
        let flips = (0..good.len() * 8).map(|bit| {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        });
        for data in cuts.chain(flips) {
            let number = card_serial_number(&data).ok().flatten();
            assert!(
                number.as_deref().is_none_or(|number| number == "MT2042X00001"),
                "{number:?} of {data:x?}"
            );
        }
    }
}
