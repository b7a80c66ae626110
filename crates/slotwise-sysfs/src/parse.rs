//! The forms in which the kernel writes numbers and names.

use slotwise::PciAddress;

use crate::files::decimal;

/// An address in exactly the form that the kernel names its devices by.
pub(crate) fn canonical_address(name: &str) -> Option<PciAddress> {
    let address: PciAddress = name.parse().ok()?;
    (address.to_string() == name).then_some(address)
}

/// A number of one to `most` (at most 8) hexadecimal digits, with or without `0x`.
pub(crate) fn hex(text: &str, most: usize) -> Option<u32> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let sound = digits.len() <= most && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    sound.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A hardware address of up to 32 bytes; `Some(None)` when it is not set.
pub(crate) fn mac_address(text: &str) -> Option<Option<String>> {
    if text.is_empty() {
        return Some(None);
    }
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| hex(byte, 2).filter(|_| byte.len() == 2).map(|byte| byte as u8)).collect();
    let bytes = bytes.filter(|bytes| bytes.len() <= 32)?;
    Some(bytes.iter().any(|byte| *byte != 0).then(|| text.to_ascii_lowercase()))
}

/// What a port name such as `pf0vf3` represents: `Some(Some(3))` for a VF of this host, `Some(None)` for something
/// else (a sub-function, or a VF of another host); `None` for a port of the function's own.
pub(crate) fn represented(port: &str) -> Option<Option<u32>> {
    let digits_end = |text: &str| text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (elsewhere, rest) = match port.strip_prefix('c') {
        Some(rest) => (true, &rest[digits_end(rest)..]),
        None => (false, port),
    };
    let rest = rest.strip_prefix("pf")?;
    let rest = &rest[digits_end(rest)..];
    if rest.starts_with("sf") {
        return Some(None);
    }
    let vf: u32 = decimal(rest.strip_prefix("vf")?)?;
    Some(Some(vf).filter(|_| !elsewhere))
}

/// The kind of a link by its number in the kernel's `include/uapi/linux/if_arp.h`; another number is left as it is.
pub(crate) fn link_type(number: u16) -> String {
    match number {
        1 => "ether".to_owned(),
        32 => "infiniband".to_owned(),
        other => other.to_string(),
    }
}

/// What is wrong with a text.
pub(crate) fn not(text: &str, expected: &str) -> String {
    format!("holds {:?}, which is not {expected}", clip(text))
}

/// Cuts a text that goes into a message.
pub(crate) fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_names_of_the_kernel() {
        for (port, expect) in [
            ("p0", None),
            ("pf0", None),
            ("pf0vf3", Some(Some(3))),
            ("pf1vf127", Some(Some(127))),
            ("c1pf0vf3", Some(None)),
            ("pf0sf88", Some(None)),
            ("c", None),
            ("pfvf", None),
            ("", None),
        ] {
            assert_eq!(represented(port), expect, "{port}");
        }
    }

    #[test]
    fn hexadecimal_numbers() {
        assert_eq!(hex("0x15b3", 4), Some(0x15b3));
        assert_eq!(hex("1018", 4), Some(0x1018));
        for bad in ["", "0x", "0x12345", "+123", "0x 12", "12g4", "0x0x12"] {
            assert_eq!(hex(bad, 4), None, "{bad}");
        }
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(mac_address("0C:42:a1:00:00:01"), Some(Some("0c:42:a1:00:00:01".into())));
        assert_eq!(mac_address("00:00:00:00:00:00"), Some(None));
        assert_eq!(mac_address(""), Some(None));
        for bad in ["0c:42:a1:0:0:1", "x", ":", "0c42a1000001"] {
            assert_eq!(mac_address(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_kernels_form_of_an_address() {
        assert!(canonical_address("10000:e1:00.3").is_some());
        for bad in ["0:0:0.0", "0000:3B:00.0", "0000:00:00", "vdpa0"] {
            assert_eq!(canonical_address(bad), None, "{bad}");
        }
    }
}
