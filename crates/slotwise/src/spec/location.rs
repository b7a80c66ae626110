//! Where a rule's devices are: anywhere, by an address with wildcards, by a pattern, or by a netdev name.

use std::fmt;

use serde_json::Value;

use super::pattern::{AddressPattern, Bits, FIELDS, FieldPattern, numbers};
use crate::address::{PciAddress, check_range, clip, parse_hex};
use crate::device::Device;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Where a rule's devices are.
#[derive(Clone, Debug)]
pub(super) enum Location {
    Anywhere,
    Glob(AddressGlob),
    Pattern(AddressPattern),
    Devname(String),
}

/// Why a device is not where a rule says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Elsewhere<'a> {
    Glob(AddressGlob),
    Field(&'a FieldPattern, u32),
    Unpinned(&'a str),
    Pinned(&'a str, PciAddress),
}

impl Location {
    /// Reads the value under `address`; the error's path is relative to it.
    pub(super) fn from_address(value: &Value) -> Result<Self> {
        match value {
            // Source: Nova takes an empty address for one that is not given.
            Value::Null => Ok(Location::Anywhere),
            Value::String(text) if text.is_empty() => Ok(Location::Anywhere),
            Value::Object(object) if object.is_empty() => Ok(Location::Anywhere),
            Value::String(text) => AddressGlob::parse(text).map(Location::Glob),
            Value::Object(object) => AddressPattern::parse(object).map(Location::Pattern),
            _ => Err(Error::new(ErrorKind::InvalidSpec, "an address is a text or an object").with_help(
                "write a text such as \"*:0a:00.*\", or patterns such as {\"bus\": \"0a\", \"function\": \"[0-3]\"}",
            )),
        }
    }

    /// The one address this is about, given the address a netdev name is pinned to.
    pub(super) fn single(&self, pin: Option<PciAddress>) -> Option<PciAddress> {
        match self {
            Location::Anywhere => None,
            Location::Glob(glob) => glob.single(),
            Location::Pattern(pattern) => pattern.single,
            Location::Devname(_) => pin,
        }
    }

    /// Whether the device is there: at the address, or a virtual function of the one address that is given.
    ///
    /// Source: Nova covers the VFs of a rule's address when that address is a physical function. Only physical
    /// functions have devices that name them as parent, so that the parent link alone decides.
    pub(super) fn check(&self, pin: Option<PciAddress>, device: &Device) -> Result<(), Elsewhere<'_>> {
        let single = self.single(pin);
        if single.is_some() && (single == Some(device.address) || single == device.parent_addr) {
            return Ok(());
        }
        match (self, pin) {
            (Location::Anywhere, _) => Ok(()),
            (Location::Glob(glob), _) if glob.matches(device.address) => Ok(()),
            (Location::Glob(glob), _) => Err(Elsewhere::Glob(*glob)),
            (Location::Pattern(pattern), _) => match pattern.mismatch(device.address) {
                None => Ok(()),
                Some((field, number)) => Err(Elsewhere::Field(field, number)),
            },
            (Location::Devname(name), None) => Err(Elsewhere::Unpinned(name)),
            (Location::Devname(name), Some(address)) => Err(Elsewhere::Pinned(name, address)),
        }
    }

    /// Whether every device that is at `other` is here too. `false` where that cannot be told simply.
    pub(super) fn covers(
        &self,
        pin: Option<PciAddress>,
        other: &Location,
        other_pin: Option<PciAddress>,
    ) -> bool {
        if let (Location::Devname(mine), Location::Devname(theirs)) = (self, other) {
            return mine == theirs;
        }
        if self.is_everything() {
            return true;
        }
        match (self.single(pin), other.single(other_pin)) {
            (Some(mine), Some(theirs)) => return mine == theirs,
            // The virtual functions of a single address may be anywhere.
            (None, Some(_)) => return false,
            _ => {}
        }
        let (Some(mine), Some(theirs)) = (self.sets(), other.sets()) else { return false };
        let domains = match (&mine.domain, &theirs.domain) {
            (Domains::All, _) => true,
            (Domains::One(a), Domains::One(b)) => a == b,
            (Domains::Matching(pattern), Domains::One(domain)) => pattern.matches(*domain),
            (Domains::Matching(a), Domains::Matching(b)) => a.text == b.text,
            _ => false,
        };
        domains && mine.rest.iter().zip(&theirs.rest).all(|(mine, theirs)| mine.contains_all(theirs))
    }

    fn is_everything(&self) -> bool {
        match self {
            Location::Anywhere => true,
            Location::Glob(glob) => glob.fields.iter().all(Option::is_none),
            Location::Pattern(pattern) => pattern.fields.iter().all(FieldPattern::matches_all),
            Location::Devname(_) => false,
        }
    }

    fn sets(&self) -> Option<Sets<'_>> {
        let domain = match self {
            Location::Anywhere => Domains::All,
            Location::Glob(glob) => glob.fields[0].map_or(Domains::All, Domains::One),
            Location::Pattern(pattern) => match pattern.field("domain") {
                Some(field) if !field.matches_all() => Domains::Matching(field),
                _ => Domains::All,
            },
            Location::Devname(_) => return None,
        };
        let rest = [1, 2, 3].map(|i| match self {
            Location::Glob(AddressGlob { fields }) if let Some(value) = fields[i] => {
                let mut bits = Bits::default();
                bits.set(value);
                bits
            }
            Location::Pattern(pattern) if let Some(field) = pattern.field(FIELDS[i].name) => field.bits,
            _ => FIELDS[i].all(),
        });
        Some(Sets { domain, rest })
    }
}

/// A location as a set of values per field.
struct Sets<'a> {
    domain: Domains<'a>,
    /// Buses, slots and functions.
    rest: [Bits; 3],
}

enum Domains<'a> {
    All,
    One(u32),
    Matching(&'a FieldPattern),
}

impl fmt::Display for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Elsewhere::Glob(glob) => write!(f, "is outside {glob}"),
            Elsewhere::Field(pattern, number) => {
                let field = pattern.field;
                write!(
                    f,
                    "{} {} does not match the pattern {}",
                    field.name,
                    field.text(*number),
                    clip(&pattern.text)
                )
            }
            Elsewhere::Unpinned(name) => {
                write!(f, "no function of this host had the netdev name {}", clip(name))
            }
            Elsewhere::Pinned(name, address) => {
                write!(f, "is neither {address}, which had the netdev name {}, nor a VF of it", clip(name))
            }
        }
    }
}

/// An address of which any field may be left open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AddressGlob {
    /// Domain, bus, slot, function; `None` matches anything.
    fields: [Option<u32>; 4],
}

impl AddressGlob {
    /// Reads `[[[domain:]bus:]slot][.function]`, each a hexadecimal number, `*` or blank.
    ///
    /// Source: Nova's address globs. Fields that are left off in front are open, so `3b:00.1` means any domain.
    /// Nova stops at 16-bit domains; here they may have 32 bits.
    fn parse(text: &str) -> Result<Self> {
        let malformed = || {
            Error::new(ErrorKind::InvalidSpec, format!("{:?} is not an address with wildcards", clip(text)))
                .with_help(
                    "write domain:bus:slot.function, each a hexadecimal number or *, such as *:0a:00.*",
                )
        };
        let (front, function) = text.split_once('.').unwrap_or((text, ""));
        let mut parts = [""; 4];
        parts[3] = function;
        let given = front.split(':').count();
        let open = 3_usize.checked_sub(given).ok_or_else(malformed)?;
        for (part, digits) in parts[open..3].iter_mut().zip(front.split(':')) {
            *part = digits;
        }
        let maxima = [
            u32::MAX,
            u32::from(u8::MAX),
            u32::from(PciAddress::MAX_SLOT),
            u32::from(PciAddress::MAX_FUNCTION),
        ];
        let mut fields = [None; 4];
        for (i, field) in fields.iter_mut().enumerate() {
            *field = match parts[i].trim() {
                "" | "*" => None,
                digits => {
                    let value = parse_number(digits).ok_or_else(malformed)?;
                    check_range(FIELDS[i].name, value, maxima[i])
                        .map_err(|error| {
                            Error::new(ErrorKind::InvalidSpec, error.message())
                                .with_help(error.help().unwrap_or_default())
                        })
                        .map(Some)?
                }
            };
        }
        Ok(AddressGlob { fields })
    }

    fn matches(&self, address: PciAddress) -> bool {
        self.fields
            .iter()
            .zip(numbers(address))
            .all(|(field, number)| field.is_none_or(|value| value == number))
    }

    fn single(&self) -> Option<PciAddress> {
        let [Some(domain), Some(bus), Some(slot), Some(function)] = self.fields else { return None };
        let byte = |value| u8::try_from(value).ok();
        PciAddress::new(domain, byte(bus)?, byte(slot)?, byte(function)?).ok()
    }
}

impl fmt::Display for AddressGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((field, value), mark) in FIELDS.iter().zip(self.fields).zip(["", ":", ":", "."]) {
            f.write_str(mark)?;
            match value {
                Some(value) => f.write_str(&field.text(value))?,
                None => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

/// Reads a hexadecimal number, with or without `0x` in front, as Python's `int(text, 16)` does.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    parse_hex(digits)
}

/// Reads the value under `devname`.
pub(super) fn devname(value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(name) if !name.is_empty() => {
            limits::check("length", name.len(), limits::MAX_TEXT_BYTES)?;
            Ok(Some(name.clone()))
        }
        _ => Err(Error::new(ErrorKind::InvalidSpec, "a devname is the name of a network device")
            .with_help("write a name such as \"ens1f0\", or leave devname out")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: std::result::Result<&str, &str>) {
        match (AddressGlob::parse(text), expect) {
            (Ok(glob), Ok(canonical)) => assert_eq!(glob.to_string(), canonical),
            (Err(error), Err(part)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidSpec);
                assert!(error.message().contains(part), "{error}");
            }
            (got, _) => panic!("{text:?} gave {got:?}"),
        }
    }

    #[test]
    fn globs() {
        check("*:0a:00.*", Ok("*:0a:00.*"));
        check(":0a:00.", Ok("*:0a:00.*"));
        check("0000:0A:00.1", Ok("0000:0a:00.1"));
        check("0:a:0.1", Ok("0000:0a:00.1"));
        check("a:0.1", Ok("*:0a:00.1"));
        check("1f", Ok("*:*:1f.*"));
        check(".7", Ok("*:*:*.7"));
        check("", Ok("*:*:*.*"));
        check(" 0000 : 3b : 00 . 1 ", Ok("0000:3b:00.1"));
        check("0x0000:0x3b:0x00.0x1", Ok("0000:3b:00.1"));
        check("10000:3b:00.1", Ok("10000:3b:00.1"));
        check("ffffffff:*:*.*", Ok("ffffffff:*:*.*"));
        check("100000000:*:*.*", Err("is not an address"));
        check("0000:100:00.1", Err("bus 100 is over the maximum ff"));
        check("3b", Err("slot 3b is over the maximum 1f"));
        check("0000:3b:00.8", Err("function 8 is over the maximum 7"));
        for bad in ["0000:0000:3b:00.1", "0000:3b:00.1.2", "g", "*:*:*.*x", "-1", "+1", "0_1", "0x"] {
            check(bad, Err("is not an address"));
        }
    }

    #[track_caller]
    fn covers([mine, theirs]: [Value; 2], expect: bool) {
        let read = |value: &Value| Location::from_address(value).expect("a good address");
        assert_eq!(read(&mine).covers(None, &read(&theirs), None), expect, "{mine} over {theirs}");
    }

    #[test]
    fn one_location_covers_another() {
        covers([json!("*:3b:*.*"), json!("*:3b:00.*")], true);
        covers([json!("*:3b:00.*"), json!("*:3b:*.*")], false);
        covers([json!("0000:3b:00.1"), json!("0000:3b:00.1")], true);
        covers([json!("*"), json!("0000:3b:00.1")], true);
        // The VFs of 0000:3b:00.1 may be on bus 3c.
        covers([json!("*:3b:*.*"), json!("0000:3b:00.1")], false);
        covers([json!("0000:3b:00.1"), json!("*:3b:00.*")], false);
        covers([json!({"bus": "3."}), json!("*:3b:*.*")], true);
        covers([json!({"bus": "3[ab]"}), json!({"bus": "3b"})], true);
        covers([json!({"bus": "3b"}), json!({"bus": "3[ab]"})], false);
        covers([json!({"domain": "0.*"}), json!("0001:*:*.*")], true);
        covers([json!({"domain": "0.*"}), json!({"domain": "0.*", "bus": "01"})], true);
        covers([json!({"domain": "0.*"}), json!({"domain": "00.*"})], false);
        covers([json!({"domain": ".*"}), json!("10000:*:01.*")], true);
    }

    proptest! {
        #[test]
        fn a_glob_equals_comparing_field_by_field(
            fields in prop::array::uniform4(prop::option::of(0_u32..3)),
            numbers in prop::array::uniform4(0_u32..3),
        ) {
            let part = |value: Option<u32>| value.map_or("*".to_owned(), |value| format!("{value:x}"));
            let [domain, bus, slot, function] = fields.map(part);
            let glob = AddressGlob::parse(&format!("{domain}:{bus}:{slot}.{function}")).expect("a good glob");
            let [d, b, s, f] = numbers;
            let address: PciAddress = format!("{d:x}:{b:x}:{s:x}.{f:x}").parse().expect("a good address");
            let expect = fields.iter().zip(numbers).all(|(field, number)| field.is_none() || *field == Some(number));
            prop_assert_eq!(glob.matches(address), expect);
        }

        #[test]
        fn covering_means_that_every_address_is_covered(
            a in "([0-2*]:){0,2}[0-2*]?(\\.[0-2*])?", b in "([0-2*]:){0,2}[0-2*]?(\\.[0-2*])?",
            numbers in prop::array::uniform4(0_u32..3), parent in prop::option::of(prop::array::uniform4(0_u32..3)),
        ) {
            let address = |[d, b, s, f]: [u32; 4]| {
                format!("{d:x}:{b:x}:{s:x}.{f:x}").parse::<PciAddress>().expect("a good address")
            };
            let mut device = Device::new(address(numbers), "8086", "1572");
            device.parent_addr = parent.map(address);
            let a = Location::from_address(&json!(a)).expect("a good glob");
            let b = Location::from_address(&json!(b)).expect("a good glob");
            if a.covers(None, &b, None) && b.check(None, &device).is_ok() {
                prop_assert!(a.check(None, &device).is_ok());
            }
        }
    }
}
