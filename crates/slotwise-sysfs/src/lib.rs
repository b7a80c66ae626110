//! Reads the PCI functions of a Linux machine from sysfs: the only part of slotwise that looks at a machine.
//!
//! It reads and never writes, needs no root (but for serial numbers, which the kernel shows to root only), and opens
//! only the files that are asked for ([`Attributes`]). The root of sysfs is a parameter.
//!
//! ```no_run
//! use slotwise_sysfs::Sysfs;
//! let discovery = Sysfs::default().discover()?;
//! for function in &discovery.functions {
//!     println!("{} {:?} on NUMA node {:?}", function.address, function.netdevs, function.numa_node);
//! }
//! let devices = discovery.devices(); // what slotwise::Tracker::sync takes
//! # Ok::<(), slotwise_sysfs::DiscoverError>(())
//! ```
//!
//! # What is unknown stays unknown
//!
//! A file that is not there means that the machine does not say: the value is absent, never 0. A file that is there
//! but cannot be read or understood gives a [`Warning`] with its path and leaves the value absent, too. A function is
//! left out, with a warning, where listing it would tell a lie: without vendor or product id, or as a VF whose PF is
//! not listed. [`Sysfs::strict`] makes every warning an error. A function that is unplugged while it is read is
//! gone, which is no error and gives no warning.

mod attributes;
mod children;
mod events;
mod facts;
mod files;
mod function;
mod machine;
mod names;
mod nova;
mod numa;
mod parse;
mod reader;
#[cfg(feature = "testing")]
pub mod testing;
mod vpd;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use slotwise::{Device, NumaTopology, PciAddress};

use crate::machine::Machine;

pub use attributes::{Attribute, Attributes};
pub use facts::{Facts, FactsFormat};
pub use function::Function;
pub use names::PciNames;
pub use watch::{FunctionChange, Watch};

/// A sysfs to read: where it is, what to read of it, and how strictly.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sysfs {
    root: PathBuf,
    attributes: Attributes,
    strict: bool,
}

impl Sysfs {
    /// The sysfs mounted (or copied) at `root`, read with the default attributes and not strictly.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Sysfs { root: root.into(), attributes: Attributes::default(), strict: false }
    }

    /// Reads these attributes, and no others.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Makes every warning an error.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// The root of this sysfs.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads every PCI function of the machine.
    ///
    /// A kernel without a PCI bus has none, which is no error.
    ///
    /// # Errors
    ///
    /// [`DiscoverError::Root`] when the root is no sysfs, cannot be read, or lists more functions than the engine
    /// takes ([`slotwise::limits::MAX_DEVICES`]); [`DiscoverError::Strict`] in place of warnings.
    pub fn discover(&self) -> Result<Discovery, DiscoverError> {
        let mut machine = Machine::new(&self.root, self.attributes);
        machine.read_all().map_err(DiscoverError::Root)?;
        self.checked(machine.discovery())
    }

    /// Reads one function (and of a VF the PF, too), without looking at the others; `None` when it is not there.
    ///
    /// What follows from other functions, such as the members of its IOMMU group, is left out.
    ///
    /// ```no_run
    /// # use slotwise_sysfs::Sysfs;
    /// if let Some(function) = Sysfs::default().function("0000:3b:00.2".parse()?)? {
    ///     println!("{:04x}:{:04x}", function.vendor_id, function.product_id);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Sysfs::discover`].
    pub fn function(&self, address: PciAddress) -> Result<Option<Function>, DiscoverError> {
        let mut machine = Machine::new(&self.root, self.attributes - Attributes::IOMMU_GROUP_MEMBERS);
        machine.read_alone(address).map_err(DiscoverError::Root)?;
        let found = Discovery {
            functions: machine.function(address).into_iter().collect(),
            warnings: machine.warnings(),
        };
        Ok(self.checked(found)?.functions.pop())
    }

    /// The discovery, or its warnings as an error where they are to be one.
    fn checked(&self, discovery: Discovery) -> Result<Discovery, DiscoverError> {
        if self.strict && !discovery.warnings.is_empty() {
            return Err(DiscoverError::Strict(discovery.warnings));
        }
        Ok(discovery)
    }

    /// The NUMA nodes with the sockets they are on, from `devices/system/node` and the topology of the CPUs.
    ///
    /// `None` when the machine does not tell its nodes; a socket that it does not tell is `None` in its cell.
    #[must_use]
    pub fn numa_topology(&self) -> Option<NumaTopology> {
        use std::os::fd::AsFd;
        let root = files::open_dir(rustix::fs::CWD, &self.root).ok()?;
        numa::topology(root.as_fd())
    }
}

impl Default for Sysfs {
    /// The running kernel's, at `/sys`.
    fn default() -> Self {
        Sysfs::new("/sys")
    }
}

/// What a machine was found to have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Discovery {
    /// Its PCI functions, ordered by address, each address once. The PF of every VF is among them.
    pub functions: Vec<Function>,
    /// What could not be read or understood; in the same order each time.
    pub warnings: Vec<Warning>,
}

impl Discovery {
    /// The functions as the engine takes them.
    #[must_use]
    pub fn devices(&self) -> Vec<Device> {
        self.functions.iter().map(Device::from).collect()
    }

    /// The function of that address.
    #[must_use]
    pub fn function(&self, address: PciAddress) -> Option<&Function> {
        let found = self.functions.binary_search_by_key(&address, |function| function.address);
        found.ok().map(|index| &self.functions[index])
    }

    /// The functions of each IOMMU group (when [`Attributes::IOMMU_GROUP`] was read), ordered.
    #[must_use]
    pub fn iommu_groups(&self) -> BTreeMap<u32, Vec<PciAddress>> {
        let mut groups: BTreeMap<u32, Vec<PciAddress>> = BTreeMap::new();
        for function in &self.functions {
            if let Some(group) = function.iommu_group {
                groups.entry(group).or_default().push(function.address);
            }
        }
        groups
    }
}

/// One thing that could not be read or understood.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Warning {
    /// The file, below the root as it was given.
    pub path: PathBuf,
    /// What is wrong with it; reads on after the path, such as `holds "x", which is not a number`.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.message)
    }
}

/// Why a machine could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DiscoverError {
    /// The root is no sysfs, or the list of functions cannot be read.
    Root(Warning),
    /// There were warnings, and the reading was strict. Never empty.
    Strict(Vec<Warning>),
}

impl DiscoverError {
    /// Everything that was wrong; never empty.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        match self {
            DiscoverError::Root(warning) => std::slice::from_ref(warning),
            DiscoverError::Strict(warnings) => warnings,
        }
    }
}

impl fmt::Display for DiscoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let warnings = self.warnings();
        if let Some(first) = warnings.first() {
            write!(f, "{first}")?;
        }
        match warnings.len() {
            0 | 1 => Ok(()),
            more => write!(f, " (and {} more)", more - 1),
        }
    }
}

impl std::error::Error for DiscoverError {}

impl From<DiscoverError> for slotwise::Error {
    /// An error of the kind `invalid_argument` for the root and `invalid_device` for a strict reading; the place is
    /// the path of the (first) file.
    fn from(error: DiscoverError) -> Self {
        let (kind, help) = match &error {
            DiscoverError::Root(_) => (
                slotwise::ErrorKind::InvalidArgument,
                "name the directory where sysfs is mounted, such as /sys",
            ),
            DiscoverError::Strict(_) => {
                (slotwise::ErrorKind::InvalidDevice, "read without strict to leave such values unknown")
            }
        };
        let (place, message) = match error.warnings() {
            [] => (String::new(), String::new()),
            [first, rest @ ..] => {
                let more =
                    if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
                (first.path.display().to_string(), format!("a file of sysfs {}{more}", first.message))
            }
        };
        slotwise::Error::new(kind, message).with_help(help).inside(place)
    }
}
