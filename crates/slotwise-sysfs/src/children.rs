//! Devices of other buses that hang below PCI functions: vDPA devices and auxiliary devices.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;
use std::path::Path;

use slotwise::PciAddress;

use crate::Warning;
use crate::files::{Buffers, describe, is_absence, open_dir};
use crate::parse::canonical_address;

/// Which devices of another bus (`vdpa`, `auxiliary`) hang below which function, by their links on that bus.
///
/// Their names are of no fixed form, so that the directory of the function itself does not tell them.
#[derive(Debug)]
pub(crate) struct Children {
    /// Where they are listed, relative to the root of sysfs.
    path: &'static str,
    owners: BTreeMap<String, PciAddress>,
    names: BTreeMap<PciAddress, BTreeSet<String>>,
    /// What could not be read or understood when they were listed.
    pub(crate) warnings: Vec<Warning>,
}

impl Children {
    /// None yet of those that are listed at `path`.
    pub(crate) fn new(path: &'static str) -> Self {
        Children { path, owners: BTreeMap::new(), names: BTreeMap::new(), warnings: Vec::new() }
    }

    /// The sorted names of those below a function.
    pub(crate) fn of(&self, function: PciAddress) -> Vec<String> {
        self.names.get(&function).into_iter().flatten().cloned().collect()
    }

    /// Reads all of them anew.
    pub(crate) fn read_all(&mut self, buffers: &mut Buffers, root_dir: BorrowedFd<'_>, root: &Path) {
        *self = Children::new(self.path);
        let mut names = Vec::new();
        let listed = open_dir(root_dir, self.path)
            .and_then(|dir| buffers.list(&dir, |name, _| names.push(name.to_owned())).map(|()| dir));
        let dir = match listed {
            Ok(dir) => dir,
            Err(errno) if is_absence(errno) => return,
            Err(errno) => {
                let message = format!("cannot be read: {}", describe(errno));
                return self.warnings.push(Warning { path: root.join(self.path), message });
            }
        };
        names.sort_unstable();
        for name in names {
            match name.to_str() {
                // A link that is gone by now belongs to a device that is gone.
                Ok(text) => {
                    let target = buffers.link(&dir, text).ok();
                    self.note(text, target.and_then(owner));
                }
                Err(_) => {
                    let path = root.join(self.path).join(&*name.to_string_lossy());
                    self.warnings.push(Warning { path, message: "is not named in UTF-8".into() });
                }
            }
        }
    }

    /// Reads the one of that name anew; gives the functions that it was and is below.
    pub(crate) fn read_one(
        &mut self,
        buffers: &mut Buffers,
        root_dir: BorrowedFd<'_>,
        name: &str,
    ) -> impl Iterator<Item = PciAddress> {
        let target = buffers.link(root_dir, format!("{}/{name}", self.path)).ok();
        let now = target.and_then(owner);
        let before = self.note(name, now);
        before.into_iter().chain(now)
    }

    /// Notes whose it is now, and gives whose it was.
    fn note(&mut self, name: &str, owner: Option<PciAddress>) -> Option<PciAddress> {
        let before = self.owners.remove(name);
        if let Some(names) = before.and_then(|before| self.names.get_mut(&before)) {
            names.remove(name);
        }
        if let Some(owner) = owner {
            self.owners.insert(name.to_owned(), owner);
            self.names.entry(owner).or_default().insert(name.to_owned());
        }
        before
    }
}

/// The function that a link on the bus leads below; one that leads elsewhere is none of a function.
fn owner(target: &[u8]) -> Option<PciAddress> {
    String::from_utf8_lossy(target).rsplit('/').find_map(canonical_address)
}
