//! Compiled code on disk, in a directory that is private to this user.
//!
//! Code from the cache is run as it is: whoever can write there can run anything in this process. So every entry is
//! opened once, below a directory that is held open, without following a link; both must belong to this user and be
//! writable by nobody else; and what is checked are the opened file and the bytes read from it, not a path that could
//! mean something else a moment later. An entry that does not pass is not loaded: the component is compiled again, and
//! the entry replaced. A directory that does not pass is an error, because the operator named it.

use std::fmt::Write as _;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::error::{Error, Result};
use crate::runtime::Code;

const MAGIC: &[u8; 16] = b"slotwise code 1\n";
const HEADER: usize = MAGIC.len() + 32 + 8 + 4;

/// The largest entry that is read, in bytes.
const MAX_ENTRY: u64 = 1 << 30;

/// How many entries are kept; the oldest go.
const MAX_ENTRIES: usize = 256;

/// What marks a file name as an entry, so that nothing else in the directory is ever removed.
const SUFFIX: &str = ".slotwise-code";

/// A private directory of compiled code.
#[derive(Debug)]
pub(crate) struct Cache {
    directory: OwnedFd,
}

impl Cache {
    /// Opens the directory, which is made (for this user alone) if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let unreadable =
            |error: rustix::io::Errno| Error::CacheUnreadable { path: path.to_owned(), source: error.into() };
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(unreadable(error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => Error::CacheNotPrivate {
                path: path.to_owned(),
                reason: "it is a link or a file, and no directory".to_owned(),
            },
            error => unreadable(error),
        })?;
        let stat = rustix::fs::fstat(&directory).map_err(unreadable)?;
        match others(&stat) {
            None => Ok(Cache { directory }),
            Some(reason) => Err(Error::CacheNotPrivate { path: path.to_owned(), reason }),
        }
    }

    /// The compiled component of these bytes; if it is not in the cache, it is compiled and put there.
    ///
    /// That an entry cannot be written (a full disk) is no error: the next start compiles again.
    pub(crate) fn code(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        compile: impl FnOnce(&wasmtime::Engine, &[u8]) -> Result<Component>,
    ) -> Result<Code> {
        let key = key(engine, bytes);
        let name = name(&key);
        if let Some(component) = self.read(&name, &key).and_then(|entry| load(engine, &entry[HEADER..])) {
            return Ok(Code { component, from_cache: true, not_kept: None });
        }
        let component = compile(engine, bytes)?;
        let mut not_kept = None;
        if let Ok(code) = component.serialize() {
            not_kept = self.write(&name, &key, &code).err();
            let _ = self.prune();
        }
        Ok(Code { component, from_cache: false, not_kept })
    }

    /// An entry that is there, ours alone, and whole; behind its header is the code.
    fn read(&self, name: &str, key: &[u8; 32]) -> Option<Vec<u8>> {
        // Without NONBLOCK a pipe under the entry's name would hold the call for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::empty()).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || stat.st_nlink != 1 || others(&stat).is_some() {
            return None;
        }
        let length = u64::try_from(stat.st_size).ok().filter(|&length| length <= MAX_ENTRY)?;
        let length = usize::try_from(length).ok()?;
        let mut entry = Vec::with_capacity(length);
        // Into memory that nobody cleared first, and in one go. An entry that ends early is not whole.
        while entry.len() < length && rustix::io::read(&file, spare_capacity(&mut entry)).ok()? > 0 {}
        let (header, code) = entry.split_at_checked(HEADER)?;
        (header == self::header(key, code)).then_some(entry)
    }

    /// Writes an entry under another name and moves it to its own, so that nobody sees half of one.
    fn write(&self, name: &str, key: &[u8; 32], code: &[u8]) -> std::io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Processes of several containers may have the same id, and one that died halfway may have left a name.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = format!(".{}-{now}-{count}{SUFFIX}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&self.directory, &own, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file
            .write_all(&header(key, code))
            .and_then(|()| file.write_all(code))
            .and_then(|()| Ok(rustix::fs::renameat(&self.directory, &own, &self.directory, name)?));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&self.directory, &own, AtFlags::empty());
        }
        written
    }

    /// Removes the oldest entries where there are too many, such as those of earlier versions.
    ///
    /// Others may do the same at the same time: what is gone already is passed over.
    fn prune(&self) -> std::io::Result<()> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.directory)? {
            let name = entry?.file_name().to_owned();
            if !name.to_bytes().ends_with(SUFFIX.as_bytes()) {
                continue;
            }
            if let Ok(stat) = rustix::fs::statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                entries.push((stat.st_mtime, name));
            }
        }
        entries.sort();
        for (_, name) in entries.iter().take(entries.len().saturating_sub(MAX_ENTRIES)) {
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        }
        Ok(())
    }
}

/// Turns code into a component again; `None` when it is not of this version, machine and configuration.
#[allow(unsafe_code, reason = "the one way to load compiled code; why it is sound is said beside it")]
fn load(engine: &wasmtime::Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: wasmtime asks that the bytes are what `Component::serialize` gave, unchanged. They were read into memory
    // of our own from a file that only this user can have written, in a directory that only this user can have put it
    // into, and length and checksum show that it is whole. Who can act as this user can change this process anyway.
    // wasmtime itself refuses code of another version or configuration.
    unsafe { Component::deserialize(engine, code) }.ok()
}

/// What the code depends on: the component, and all of the compiler's version, settings and target.
fn key(engine: &wasmtime::Engine, bytes: &[u8]) -> [u8; 32] {
    struct Hashed(Sha256);
    impl Hasher for Hashed {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut hashed = Hashed(Sha256::new_with_prefix(MAGIC));
    engine.precompile_compatibility_hash().hash(&mut hashed);
    hashed.0.update(bytes);
    hashed.0.finalize().into()
}

fn name(key: &[u8; 32]) -> String {
    let mut name = String::with_capacity(64 + SUFFIX.len());
    for byte in key {
        // Writing to a String cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name + SUFFIX
}

/// What stands before the code: the key, its length, and a checksum against a disk that lost some of it.
fn header(key: &[u8; 32], code: &[u8]) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let (magic, rest) = header.split_at_mut(MAGIC.len());
    let (for_key, rest) = rest.split_at_mut(key.len());
    let (length, checksum) = rest.split_at_mut(8);
    magic.copy_from_slice(MAGIC);
    for_key.copy_from_slice(key);
    length.copy_from_slice(&(code.len() as u64).to_le_bytes());
    checksum.copy_from_slice(&crc32fast::hash(code).to_le_bytes());
    header
}

/// Who else could write what this describes; an access list shows up in the bits of the group.
fn others(stat: &Stat) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    if stat.st_uid != user {
        return Some(format!("it belongs to user {}, and this is user {user}", stat.st_uid));
    }
    match Mode::from_raw_mode(stat.st_mode).intersection(Mode::WGRP | Mode::WOTH) {
        Mode::WGRP => Some("its group may write to it".to_owned()),
        bits if bits.is_empty() => None,
        _ => Some("everybody may write to it".to_owned()),
    }
}
