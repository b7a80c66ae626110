//! What is kept between calls because the same is asked again: maps by content, emptied when they are full.
//!
//! Their locks are held for as long as it takes to look into a map, never while Python code could run.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxBuildHasher;

pub(crate) type Map<K, V> = HashMap<K, V, FxBuildHasher>;

/// Nothing that is done under these locks can panic half-way.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts an entry into a map of at most so many; returns what is forgotten for it, to be dropped where that may run code.
pub(crate) fn keep<K: Eq + Hash, V>(
    mutex: &Mutex<Map<K, V>>,
    most: usize,
    key: K,
    value: V,
) -> (Map<K, V>, Option<V>) {
    let mut map = lock(mutex);
    let forgotten = if map.len() >= most { std::mem::take(&mut *map) } else { Map::default() };
    (forgotten, map.insert(key, value))
}

/// The content of objects as bytes: equal if and only if the contents are.
#[derive(Default)]
pub(crate) struct Content(pub(crate) Vec<u8>);

impl Content {
    pub(crate) fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.0.push(0) };
        self.0.push(1);
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_ne_bytes());
    }
}
