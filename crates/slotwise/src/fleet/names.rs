//! The names of hosts: one text for all of them, and an index from name to id.

use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::memory::{push, tight};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;

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
        self.index.find(hash(name), |&id| self.get(id) == name).copied()
    }

    /// The name of an id; empty if there is no such host.
    pub(super) fn get(&self, id: u32) -> &str {
        self.spans.get(id as usize).map_or("", |span| &self.text[span.range()])
    }

    /// Names the host `id`, which had no name and is at most one past the last; no other has this name.
    pub(super) fn set(&mut self, id: u32, name: &str) -> Result<()> {
        limits::check("length of all names", self.text.len() + name.len(), u32::MAX as usize)?;
        self.set_if_new(id, name);
        Ok(())
    }

    /// As [`Names::set`], if no other host has the name and all names are known to be short enough.
    pub(super) fn set_if_new(&mut self, id: u32, name: &str) -> bool {
        let (spans, text) = (&self.spans, &self.text);
        let of = |id: u32| &text[spans[id as usize].range()];
        let entry = self.index.entry(hash(name), |&other| of(other) == name, |&other| hash(of(other)));
        let Entry::Vacant(entry) = entry else { return false };
        entry.insert(id);
        let span = Span { start: self.text.len() as u32, len: name.len() as u32 };
        if self.text.capacity() - self.text.len() < name.len() {
            self.text.reserve_exact(name.len().max(self.text.len() / 16 + 64));
        }
        self.text.push_str(name);
        match self.spans.get_mut(id as usize) {
            Some(place) => *place = span,
            None => push(&mut self.spans, span),
        }
        true
    }

    /// Gives the next id no name.
    pub(super) fn skip(&mut self, id: u32) {
        if self.spans.len() == id as usize {
            push(&mut self.spans, Span::default());
        }
    }

    /// How many bytes all names have.
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn remove(&mut self, id: u32) {
        if let Ok(found) = self.index.find_entry(hash(self.get(id)), |&other| other == id) {
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
        self.index.reserve(hosts, |&id| hash(&text[spans[id as usize].range()]));
    }

    pub(super) fn bytes(&self) -> usize {
        // A table keeps an id and a byte of control for each place.
        self.text.capacity() + self.spans.capacity() * 8 + self.index.allocation_size()
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
