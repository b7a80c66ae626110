//! The names of hosts: one text for all of them, and an index from name to id.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::memory::{push, tight};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::snapshot::{Numbers, invalid};

/// The longest name of a host, in bytes: a domain name has at most 253, and Nova's node name comes beside it.
pub(super) const MAX_NAME: usize = 1024;

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// The names of all hosts, by id; an id without a host has an empty name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    text: String,
    spans: Vec<Span>,
    index: HashTable<u32>,
    /// How many bytes of the text belong to no host.
    unused: usize,
}

impl Names {
    /// Checks a name that a caller gave.
    pub(super) fn check(name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "a host needs a name")
                .with_help("give the name by which you know the host")
                .inside("host"));
        }
        limits::check("length of a host's name", name.len(), MAX_NAME).map_err(|e| e.inside("host"))
    }

    pub(super) fn id(&self, name: &str) -> Option<u32> {
        self.index.find(hash(name.as_bytes()), |&id| self.get(id) == name).copied()
    }

    /// The name of an id; empty if there is no such host.
    pub(super) fn get(&self, id: u32) -> &str {
        self.spans.get(id as usize).map_or("", |span| &self.text[span.range()])
    }

    /// The ids without a host.
    pub(super) fn without(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.spans).filter(|(_, span)| span.len == 0).map(|(id, _)| id)
    }

    /// Names the host `id`, which had no name and is at most one past the last; no other has this name.
    pub(super) fn set(&mut self, id: u32, name: &str) -> Result<()> {
        limits::check("length of all names", self.text.len() + name.len(), u32::MAX as usize)?;
        let (spans, text) = (&self.spans, &self.text);
        let of = |id: u32| &text.as_bytes()[spans[id as usize].range()];
        self.index.insert_unique(hash(name.as_bytes()), id, |&other| hash(of(other)));
        let span = Span { start: self.text.len() as u32, len: name.len() as u32 };
        if self.text.capacity() - self.text.len() < name.len() {
            self.text.reserve_exact(name.len().max(self.text.len() / 16 + 64));
        }
        self.text.push_str(name);
        match self.spans.get_mut(id as usize) {
            Some(place) => *place = span,
            None => push(&mut self.spans, span),
        }
        Ok(())
    }

    /// So many names are put into the index at once.
    const AT_ONCE: usize = 128;

    /// Takes over the names of a snapshot: one text, and where in it the name of each id ends.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidSnapshot`] when they contradict themselves.
    pub(super) fn restore(text: &str, ends: Numbers<'_>) -> Result<Self> {
        limits::check("length of all names", text.len(), u32::MAX as usize)?;
        let mut names = Names { text: text.to_owned(), ..Names::default() };
        names.spans.reserve_exact(ends.len());
        let is_ascii = text.is_ascii();
        let is_boundary = |end: usize| if is_ascii { end <= text.len() } else { text.is_char_boundary(end) };
        let mut start = 0;
        for end in ends.iter() {
            if end < start || !is_boundary(end as usize) {
                return Err(invalid("a name is out of bounds"));
            }
            names.spans.push(Span { start, len: end - start });
            start = end;
        }
        if start as usize != text.len() {
            return Err(invalid("a name belongs to no host"));
        }
        names.index.reserve(ends.len(), |_| 0);
        let (spans, text) = (&names.spans, names.text.as_bytes());
        let of = |id: u32| &text[spans[id as usize].range()];
        let mut some = Vec::with_capacity(Self::AT_ONCE);
        let mut alike = Vec::new();
        for first in (0..ends.len()).step_by(Self::AT_ONCE) {
            some.clear();
            for id in first as u32..ends.len().min(first + Self::AT_ONCE) as u32 {
                let name = of(id);
                if name.len() > MAX_NAME {
                    return Err(invalid("a name is too long"));
                }
                if !name.is_empty() {
                    some.push((id, hash(name)));
                }
            }
            // Their places in the index are looked at in vain, then the names that may be the same by what the index tells,
            // so that the waits for memory overlap.
            alike.clear();
            for (_, hash) in &some {
                let found = names.index.find(*hash, |&other| {
                    alike.push(other);
                    // There are a few, unless names were chosen to collide.
                    alike.len() >= Self::AT_ONCE
                });
                std::hint::black_box(found);
            }
            for &other in &alike {
                std::hint::black_box(spans[other as usize]);
            }
            for &other in &alike {
                std::hint::black_box(of(other).first().copied());
            }
            for &(id, hash_of) in &some {
                let known = |&other: &u32| of(other) == of(id);
                match names.index.entry(hash_of, known, |&other| hash(of(other))) {
                    Entry::Vacant(entry) => drop(entry.insert(id)),
                    Entry::Occupied(_) => return Err(invalid("two hosts have the same name")),
                }
            }
        }
        Ok(names)
    }

    /// All names, one after the other in the order of ids, and where each ends.
    pub(super) fn stored(&self) -> (String, Vec<u32>) {
        let mut text = String::with_capacity(self.text.len() - self.unused);
        let mut ends = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            text.push_str(&self.text[span.range()]);
            ends.push(text.len() as u32);
        }
        (text, ends)
    }

    pub(super) fn remove(&mut self, id: u32) {
        if let Ok(found) = self.index.find_entry(hash(self.get(id).as_bytes()), |&other| other == id) {
            found.remove();
        }
        self.unused += self.spans[id as usize].len as usize;
        self.spans[id as usize] = Span::default();
        if self.unused > self.text.len() / 2 && self.unused > 1 << 12 {
            let mut text = String::with_capacity(self.text.len() - self.unused);
            for span in &mut self.spans {
                let start = text.len() as u32;
                text.push_str(&self.text[span.range()]);
                span.start = start;
            }
            self.text = text;
            self.unused = 0;
        }
    }

    /// Makes room for so many hosts more, with names of so many bytes together.
    pub(super) fn reserve(&mut self, hosts: usize, bytes: usize) {
        tight(&mut self.spans, hosts);
        self.text.reserve_exact(bytes);
        let (spans, text) = (&self.spans, &self.text);
        self.index.reserve(hosts, |&id| hash(&text.as_bytes()[spans[id as usize].range()]));
    }

    pub(super) fn bytes(&self) -> usize {
        // A table keeps an id and a byte of control for each place.
        self.text.capacity() + self.spans.capacity() * 8 + self.index.allocation_size()
    }
}

/// A quick hash of a name: eight bytes at a time are mixed in by a multiplication, whose upper half is folded back.
///
/// The names are those of the operator's own hosts; names that were chosen to collide make the index slow, not wrong.
fn hash(bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(MIX);
        product as u64 ^ (product >> 64) as u64
    };
    let start = fold(0, bytes.len() as u64);
    match bytes.last_chunk::<8>() {
        // The last eight bytes may have been seen in part: that costs less than to cut them.
        Some(last) => {
            let words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            fold(words.fold(start, fold), u64::from_le_bytes(*last))
        }
        None => fold(start, bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
    }
}
