//! The frame of snapshots: versioned, checksummed bytes around a state as plain data.
//!
//! Layout, all numbers little-endian: magic `SLOTWISE` (8), format version (u16), codec (u8, 1 = bincode in its legacy
//! fixed-width configuration), what it is a snapshot of (u8), length of the payload (u64), CRC-32 of all before and of
//! the payload (u32), payload. This is the only module that knows bincode: its last release is 2.0.1, and the maintained
//! `wincode` reads the same bytes.

use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"SLOTWISE";
pub(crate) const VERSION: u16 = 1;
const CODEC_BINCODE_LEGACY: u8 = 1;
const HEADER: usize = 24;

/// Nothing counts its changes this far; from here on there would be an end to counting.
pub(crate) const MAX_COUNT: u64 = 1 << 63;

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A tracker.
    Tracker = 0,
    /// A fleet.
    Fleet = 1,
}

/// Appends to a vector.
struct Bytes(Vec<u8>);

impl Writer for Bytes {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Writes a state.
pub(crate) fn write<T: Serialize>(kind: Kind, state: &T) -> Vec<u8> {
    Frame::new(kind, &[], state).finish()
}

/// A snapshot that is being written: columns of bytes first, then the rest of the state.
///
/// A column is what bincode makes of a field of bytes, so that one structure reads them and the rest. It is written
/// where it belongs, and its checksum is taken while the bytes are still near.
pub(crate) struct Frame {
    bytes: Vec<u8>,
    hasher: crc32fast::Hasher,
    /// Up to where the bytes are in the checksum.
    hashed: usize,
    /// The rest of the state.
    state: Vec<u8>,
}

impl Frame {
    /// Begins a snapshot of a state after columns of so many bytes, which are to be [put](Frame::column) in their order.
    pub(crate) fn new<T: Serialize>(kind: Kind, columns: &[usize], state: &T) -> Self {
        let mut rest = Bytes(Vec::new());
        bincode::serde::encode_into_writer(state, &mut rest, bincode::config::legacy())
            .unwrap_or_else(|error| unreachable!("the stored form is plain data: {error}"));
        let payload = columns.iter().map(|len| 8 + len).sum::<usize>() + rest.0.len();
        let mut bytes = Vec::with_capacity(HEADER + payload);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[CODEC_BINCODE_LEGACY, kind as u8]);
        bytes.extend_from_slice(&(payload as u64).to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes);
        bytes.resize(HEADER, 0);
        Frame { bytes, hasher, hashed: HEADER, state: rest.0 }
    }

    /// Begins the next column, of so many bytes.
    pub(crate) fn column(&mut self, len: usize) {
        self.bytes.extend_from_slice(&(len as u64).to_le_bytes());
    }

    /// Appends bytes to the column.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        for some in bytes.chunks(Self::AT_ONCE) {
            self.bytes.extend_from_slice(some);
            self.catch_up(Self::AT_ONCE);
        }
    }

    /// Appends numbers of `N` bytes, as [`u32::to_le_bytes`] gives them, to the column.
    pub(crate) fn put_numbers<T: Copy, const N: usize>(&mut self, numbers: &[T], bytes: fn(T) -> [u8; N]) {
        for some in numbers.chunks(Self::AT_ONCE / N) {
            let start = self.bytes.len();
            self.bytes.resize(start + some.len() * N, 0);
            let places = self.bytes[start..].as_chunks_mut::<N>().0;
            places.iter_mut().zip(some).for_each(|(place, number)| *place = bytes(*number));
            self.catch_up(Self::AT_ONCE);
        }
    }

    /// So many bytes stay near.
    const AT_ONCE: usize = 1 << 14;

    /// Takes the checksum of what was written since, if it is so much.
    fn catch_up(&mut self, least: usize) {
        if self.bytes.len() - self.hashed >= least {
            self.hasher.update(&self.bytes[self.hashed..]);
            self.hashed = self.bytes.len();
        }
    }

    /// Writes the rest.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&self.state);
        self.catch_up(0);
        self.bytes[20..HEADER].copy_from_slice(&self.hasher.finalize().to_le_bytes());
        self.bytes
    }
}

/// A column of numbers of 32 bits, read where it is.
#[derive(Clone, Copy)]
pub(crate) struct Numbers<'a>(&'a [[u8; 4]]);

impl<'a> Numbers<'a> {
    /// The numbers of a column.
    pub(crate) fn new(column: &'a [u8]) -> Result<Self> {
        match column.as_chunks() {
            (numbers, []) => Ok(Numbers(numbers)),
            _ => Err(invalid("a column is cut off")),
        }
    }

    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(self) -> impl DoubleEndedIterator<Item = u32> + ExactSizeIterator + 'a {
        self.0.iter().map(|number| u32::from_le_bytes(*number))
    }
}

/// Reads a state that [`write`] wrote; no part of it may claim more than `LIMIT` bytes.
///
/// # Errors
///
/// [`ErrorKind::UnsupportedVersion`], or [`ErrorKind::InvalidSnapshot`] when the bytes are truncated or altered.
pub(crate) fn read<'a, T: Deserialize<'a>, const LIMIT: usize>(kind: Kind, bytes: &'a [u8]) -> Result<T> {
    let (header, payload) =
        bytes.split_at_checked(HEADER).ok_or_else(|| invalid("the snapshot is shorter than its header"))?;
    if !header.starts_with(MAGIC) {
        return Err(invalid("the bytes do not begin as a snapshot does"));
    }
    let version = u16::from_le_bytes([header[8], header[9]]);
    if version != VERSION || header[10] != CODEC_BINCODE_LEGACY || header[11] > Kind::Fleet as u8 {
        return Err(Error::new(
            ErrorKind::UnsupportedVersion,
            format!(
                "snapshot version {version} with codec {} is not read by slotwise {}",
                header[10],
                crate::VERSION
            ),
        )
        .with_help("read it with the version of slotwise that wrote it, and hand it over as JSON"));
    }
    let length = u64::from_le_bytes(header[12..20].try_into().unwrap_or_default());
    if length != payload.len() as u64 {
        return Err(invalid(&format!("the header says {length} bytes, but {} follow", payload.len())));
    }
    if u32::from_le_bytes(header[20..24].try_into().unwrap_or_default()) != checksum(&header[..20], payload) {
        return Err(invalid("the checksum does not match the content"));
    }
    if header[11] != kind as u8 {
        return Err(invalid(match kind {
            Kind::Tracker => "the snapshot is not one of a tracker",
            Kind::Fleet => "the snapshot is not one of a fleet",
        }));
    }
    let config = bincode::config::legacy().with_limit::<LIMIT>();
    let (state, read) = bincode::serde::borrow_decode_from_slice::<T, _>(payload, config)
        .map_err(|error| invalid(&format!("the content cannot be decoded: {error}")))?;
    if read != payload.len() {
        return Err(invalid("bytes follow after the content"));
    }
    Ok(state)
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

/// A snapshot that is not what it says.
pub(crate) fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidSnapshot, message)
        .with_help("hand over the bytes as they were written, or sync anew")
}
