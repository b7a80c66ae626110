//! PCI addresses: `domain:bus:slot.function`, with 32-bit domains.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The place of one PCI function: domain, bus, slot and function.
///
/// Written as Linux writes it: `0000:3b:00.1`, and `10000:00:02.0` where a controller such as Intel VMD gives a
/// domain above `ffff`. Addresses order by domain, bus, slot, function.
///
/// ```
/// use slotwise::PciAddress;
/// let address: PciAddress = "10000:E1:00.3".parse()?;
/// assert_eq!((address.domain(), address.bus(), address.slot(), address.function()), (0x10000, 0xe1, 0, 3));
/// assert_eq!(address.to_string(), "10000:e1:00.3");
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    slot: u8,
    function: u8,
}

impl PciAddress {
    /// The largest slot (device) number on a bus.
    pub const MAX_SLOT: u8 = 0x1f;
    /// The largest function number in a slot.
    pub const MAX_FUNCTION: u8 = 0x7;

    /// Makes an address from its four numbers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidAddress`] when the slot is over 0x1f or the function over 7.
    pub fn new(domain: u32, bus: u8, slot: u8, function: u8) -> Result<Self> {
        check_range("slot", u32::from(slot), u32::from(Self::MAX_SLOT))?;
        check_range("function", u32::from(function), u32::from(Self::MAX_FUNCTION))?;
        Ok(PciAddress { domain, bus, slot, function })
    }

    /// The domain (segment), 16 bits on most machines, up to 32 on some.
    #[must_use]
    pub const fn domain(self) -> u32 {
        self.domain
    }

    /// The bus, 0 to 0xff.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.bus
    }

    /// The slot (device) on the bus, 0 to 0x1f.
    #[must_use]
    pub const fn slot(self) -> u8 {
        self.slot
    }

    /// The function in the slot, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PciAddress { domain, bus, slot, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    }
}

impl fmt::Debug for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PciAddress({self})")
    }
}

impl FromStr for PciAddress {
    type Err = Error;

    /// Reads `domain:bus:slot.function` in hexadecimal of either case; leading zeros may be left off.
    fn from_str(text: &str) -> Result<Self> {
        let malformed = || {
            Error::new(ErrorKind::InvalidAddress, format!("{:?} is not a PCI address", clip(text)))
                .with_help("write domain:bus:slot.function in hexadecimal, such as 0000:3b:00.1")
        };
        let (front, function) = text.split_once('.').ok_or_else(malformed)?;
        let mut fields = front.split(':');
        let (Some(domain), Some(bus), Some(slot), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(malformed());
        };
        let field = |name, digits: &str, max| {
            parse_hex(digits).ok_or_else(malformed).and_then(|v| check_range(name, v, max))
        };
        let domain = field("domain", domain, u32::MAX)?;
        let bus = field("bus", bus, u32::from(u8::MAX))?;
        let slot = field("slot", slot, u32::from(Self::MAX_SLOT))?;
        let function = field("function", function, u32::from(Self::MAX_FUNCTION))?;
        // The ranges were checked just above.
        Ok(PciAddress { domain, bus: bus as u8, slot: slot as u8, function: function as u8 })
    }
}

impl Serialize for PciAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PciAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|error| crate::json::carry(&error))
    }
}

/// Reads up to eight hexadecimal digits without sign, prefix or space.
pub(crate) fn parse_hex(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.len() <= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

pub(crate) fn check_range(name: &str, value: u32, max: u32) -> Result<u32> {
    if value <= max {
        return Ok(value);
    }
    Err(Error::new(ErrorKind::InvalidAddress, format!("{name} {value:x} is over the maximum {max:x}"))
        .with_help(format!("give a hexadecimal {name} from 0 to {max:x}")))
}

/// Cuts a text that goes into an error message, so that a hostile input does not come back in full.
pub(crate) fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: std::result::Result<&str, &str>) {
        match (text.parse::<PciAddress>(), expect) {
            (Ok(address), Ok(canonical)) => assert_eq!(address.to_string(), canonical),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, _) => panic!("{text:?} gave {got:?}"),
        }
    }

    #[test]
    fn parses_and_refuses() {
        check("0000:3b:00.1", Ok("0000:3b:00.1"));
        check("0:0:0.0", Ok("0000:00:00.0"));
        check("ffffffff:FF:1F.7", Ok("ffffffff:ff:1f.7"));
        check("0000:3b:20.1", Err("slot 20 is over the maximum 1f"));
        check("0000:3b:00.8", Err("function 8 is over the maximum 7"));
        check("0000:100:00.0", Err("bus 100 is over"));
        check("100000000:00:00.0", Err("not a PCI address"));
        for bad in
            ["", ".", "0000:00:00", "00:00.0", "0000:00:00.0 ", "+000:00:00.0", "0x00:00:00.0", "é:0:0.0"]
        {
            check(bad, Err("is not a PCI address"));
        }
    }
}
