//! Bounded reads of files, links and directories below an open directory.
//!
//! Everything of one function is read through one open directory. A function that is unplugged and plugged again
//! in the middle of a scan is another directory to the kernel: the old one answers *no such file*, so that the
//! facts of two devices are never mixed.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::str::FromStr;

use rustix::fs::{FileType, Mode, OFlags, RawDir};
use rustix::io::{Errno, Result};
use rustix::path::Arg;

/// The most that is read of one file: a PCI VPD area holds at most 32 KiB, any other attribute a page.
pub(crate) const MAX_FILE_BYTES: usize = slotwise::limits::MAX_TEXT_BYTES;

// A tree that somebody made up may hold pipes and terminals: opening one must neither block nor attach.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// The memory that all reads of a scan share.
pub(crate) struct Buffers {
    file: Vec<u8>,
    entries: Vec<MaybeUninit<u8>>,
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffers")
    }
}

impl Buffers {
    pub(crate) fn new() -> Self {
        // One byte more than the limit tells a file at the limit from one over it.
        Buffers { file: vec![0; MAX_FILE_BYTES + 1], entries: vec![MaybeUninit::uninit(); 32 << 10] }
    }

    /// The contents of a text attribute.
    ///
    /// The kernel makes the whole text at the first read, so that a second read, which might see a newer state, is
    /// neither needed nor wanted.
    pub(crate) fn text(&mut self, dir: impl AsFd, path: impl Arg) -> Result<&[u8]> {
        let file = rustix::fs::openat(dir, path, FLAGS, Mode::empty())?;
        let len = retry(|| rustix::io::read(&file, self.file.as_mut_slice()))?;
        self.within_limit(len)
    }

    /// The contents of a binary attribute, which the kernel hands out a page at a time.
    pub(crate) fn bytes(&mut self, dir: impl AsFd, path: impl Arg) -> Result<&[u8]> {
        let file = rustix::fs::openat(dir, path, FLAGS, Mode::empty())?;
        let mut len = 0;
        while len < self.file.len() {
            match retry(|| rustix::io::read(&file, &mut self.file[len..]))? {
                0 => break,
                read => len += read,
            }
        }
        self.within_limit(len)
    }

    fn within_limit(&self, len: usize) -> Result<&[u8]> {
        if len > MAX_FILE_BYTES { Err(Errno::FBIG) } else { Ok(&self.file[..len]) }
    }

    /// The target of a symbolic link.
    pub(crate) fn link(&mut self, dir: impl AsFd, path: impl Arg) -> Result<&[u8]> {
        let len = rustix::fs::readlinkat_raw(dir, path, self.file.as_mut_slice())?;
        Ok(&self.file[..len])
    }

    /// Calls `each` with the name and type of every entry but `.` and `..`, in no order.
    pub(crate) fn list(&mut self, dir: impl AsFd, mut each: impl FnMut(&CStr, FileType)) -> Result<()> {
        let mut entries = RawDir::new(dir, &mut self.entries);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                each(name, entry.file_type());
            }
        }
        Ok(())
    }

    /// The number that the file system gives each entry whose name means something.
    pub(crate) fn inodes<T: Ord>(
        &mut self,
        dir: impl AsFd,
        meaning: impl Fn(&str) -> Option<T>,
    ) -> Result<BTreeMap<T, u64>> {
        let mut found = BTreeMap::new();
        let mut entries = RawDir::new(dir, &mut self.entries);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            found.extend(entry.file_name().to_str().ok().and_then(&meaning).map(|key| (key, entry.ino())));
        }
        Ok(found)
    }

    /// The numbers N of the entries named `prefixN`, in no order; plain files do not count.
    pub(crate) fn numbered_entries(&mut self, dir: impl AsFd, prefix: &str) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        self.list(dir, |name, kind| {
            let number = name.to_str().ok().and_then(|name| numbered(name, prefix));
            found.extend(number.filter(|_| kind != FileType::RegularFile));
        })?;
        Ok(found)
    }
}

/// The N of a name `prefixN`, written without leading zeros.
fn numbered(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    decimal(digits).filter(|_| digits == "0" || !digits.starts_with('0'))
}

/// A number of decimal digits only.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Opens a directory for listing and for reads below it.
pub(crate) fn open_dir(at: impl AsFd, path: impl Arg) -> Result<OwnedFd> {
    rustix::fs::openat(at, path, FLAGS | OFlags::DIRECTORY, Mode::empty())
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Whether the error says that the file, or the device behind it, is not there (any more).
pub(crate) fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV | Errno::NXIO)
}

/// What the operating system says of the error, without its number.
pub(crate) fn describe(errno: Errno) -> String {
    if errno == Errno::FBIG {
        return format!("it is larger than {MAX_FILE_BYTES} bytes");
    }
    let text = std::io::Error::from(errno).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_strictly() {
        assert_eq!(decimal::<u16>("65535"), Some(65535));
        for bad in ["", "+1", "-1", " 1", "65536", "1e3"] {
            assert_eq!(decimal::<u16>(bad), None, "{bad}");
        }
        assert_eq!(numbered("virtfn10", "virtfn"), Some(10));
        assert_eq!(numbered("virtfn0", "virtfn"), Some(0));
        for bad in ["virtfn", "virtfn01", "virtfn1x", "xvirtfn1", "virtfn4294967296"] {
            assert_eq!(numbered(bad, "virtfn"), None, "{bad}");
        }
    }
}
