//! The names of vendors and products, from the system's `pci.ids`.

use std::collections::HashMap;
use std::fs;

use slotwise::{Device, Result};

/// The names in a `pci.ids` file.
///
/// The format is that of the PCI ID Repository: a vendor's line starts with four hexadecimal digits, its products follow
/// with a tab before theirs, and two tabs start a subsystem, which is not read here.
///
/// ```
/// use slotwise_sysfs::PciNames;
///
/// let names = PciNames::parse("15b3  Mellanox Technologies\n\t101e  ConnectX Family mlx5Gen Virtual Function\n");
/// assert_eq!(names.vendor(0x15b3), Some("Mellanox Technologies"));
/// assert_eq!(names.product(0x15b3, 0x101e), Some("ConnectX Family mlx5Gen Virtual Function"));
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PciNames {
    vendors: HashMap<u16, String>,
    products: HashMap<(u16, u16), String>,
}

impl PciNames {
    /// Where the systems keep the file; the first that can be read is taken.
    pub const PATHS: &'static [&'static str] = &[
        "/var/lib/pciutils/pci.ids",
        "/usr/share/misc/pci.ids",
        "/usr/share/hwdata/pci.ids",
        "/usr/share/pci.ids",
    ];

    /// The names of the system's own file; `None` when it has none that can be read.
    #[must_use]
    pub fn system() -> Option<Self> {
        let bytes = Self::PATHS.iter().find_map(|path| fs::read(path).ok())?;
        Some(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// The names in the text of such a file. A line that is not of its form names nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut names = PciNames::default();
        let mut vendor = None;
        for line in text.lines() {
            if let Some(product) = line.strip_prefix('\t') {
                if let (Some(vendor), Some((id, name))) = (vendor, entry(product)) {
                    names.products.insert((vendor, id), name);
                }
            } else if !line.is_empty() && !line.starts_with('#') {
                // The list of classes behind the vendors has lines of another form, whose sub-lines are nobody's.
                vendor = entry(line).map(|(id, name)| {
                    names.vendors.insert(id, name);
                    id
                });
            }
        }
        names
    }

    /// The name of a vendor.
    #[must_use]
    pub fn vendor(&self, vendor: u16) -> Option<&str> {
        self.vendors.get(&vendor).map(String::as_str)
    }

    /// The name of a vendor's product.
    #[must_use]
    pub fn product(&self, vendor: u16, product: u16) -> Option<&str> {
        self.products.get(&(vendor, product)).map(String::as_str)
    }

    /// Puts the names into the extra info of a device, as `vendor_name` and `product_name`.
    ///
    /// # Errors
    ///
    /// [`slotwise::ErrorKind::LimitExceeded`] when the device has no room for them.
    pub fn annotate(&self, device: &mut Device) -> Result<()> {
        let id = |text: &str| u16::from_str_radix(text, 16).ok();
        let Some(vendor) = id(&device.vendor_id) else { return Ok(()) };
        let product = id(&device.product_id).and_then(|product| self.product(vendor, product));
        for (key, name) in [("vendor_name", self.vendor(vendor)), ("product_name", product)] {
            if let Some(name) = name {
                device.extra_info.insert(key, Some(name.to_owned()))?;
            }
        }
        Ok(())
    }
}

/// Four hexadecimal digits, two spaces, a name.
fn entry(line: &str) -> Option<(u16, String)> {
    let (id, name) = line.split_once("  ")?;
    let sound = id.len() == 4 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u16::from_str_radix(id, 16).ok().filter(|_| sound)?, name.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_products_and_nothing_else() {
        let names = PciNames::parse(
            "# comment\n\n15b3  Mellanox Technologies\n\t1017  MT27800 Family [ConnectX-5]\n\t\t15b3 0006  A card\n\
             zzzz  nobody\n\t0001  nothing\n8086  Intel Corporation\n\t1017  other\nC 02  Network controller\n\t00  \
             Ethernet controller\n\t1234  not a product\n",
        );
        assert_eq!(names.vendor(0x15b3), Some("Mellanox Technologies"));
        assert_eq!(names.product(0x15b3, 0x1017), Some("MT27800 Family [ConnectX-5]"));
        assert_eq!(names.product(0x8086, 0x1017), Some("other"));
        assert_eq!((names.vendors.len(), names.products.len()), (2, 2), "{names:?}");
    }
}
