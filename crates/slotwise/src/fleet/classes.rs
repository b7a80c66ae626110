//! Interned attribute sets: pools that have the same attributes and NUMA node are of one class, on whatever host.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashTable;

use super::journal::Journal;
use super::rows::MAX_CLASSES;
use crate::error::Result;
use crate::limits;
use crate::pool::Pool;
use crate::snapshot::invalid;

/// What the pools of a class have in common.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// An empty pool with the class's attributes, so that a request can be asked whether it may use it.
    pub(super) pool: Pool,
    /// How many pools and reservations are of this class.
    uses: u64,
}

/// All classes that any host has.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    list: Vec<Option<Class>>,
    index: HashTable<u32>,
    /// Ids that are free again; the lowest is given out next.
    free: BTreeSet<u32>,
    /// The classes that came to be, in that order.
    births: Journal,
    bytes: usize,
}

impl Classes {
    /// One past the highest id.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn get(&self, class: u32) -> Option<&Class> {
        self.list.get(class as usize)?.as_ref()
    }

    /// The class's pool; all ids in rows are those of classes that are there.
    pub(super) fn pool(&self, class: u32) -> &Pool {
        match self.get(class) {
            Some(class) => &class.pool,
            None => unreachable!("a row names a class that is not there"),
        }
    }

    /// The classes that came to be lately.
    pub(super) fn births(&self) -> &Journal {
        &self.births
    }

    /// How many pools and reservations are of a class.
    pub(super) fn uses(&self, class: u32) -> u64 {
        self.get(class).map_or(0, |class| class.uses)
    }

    /// The class of a pool, if any host has it.
    pub(super) fn find(&self, pool: &Pool) -> Option<u32> {
        let same = |&id: &u32| is_of(self.pool(id), pool);
        self.index.find(hash(pool), same).copied()
    }

    /// The class of a pool, made if need be; it is used once more then.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::LimitExceeded`] when there are too many classes.
    pub(super) fn acquire(&mut self, pool: &Pool) -> Result<u32> {
        let id = match self.find(pool) {
            Some(id) => id,
            None => {
                let id = match self.free.pop_first() {
                    Some(id) => id,
                    None => {
                        limits::check("number of different pools", self.list.len() + 1, MAX_CLASSES)?;
                        self.list.push(None);
                        (self.list.len() - 1) as u32
                    }
                };
                let pool = Pool { provider: None, count: 0, devices: Vec::new(), ..pool.clone() };
                self.bytes += weight(&pool);
                self.index.insert_unique(hash(&pool), id, |&other| match &self.list[other as usize] {
                    Some(class) => hash(&class.pool),
                    None => 0,
                });
                self.list[id as usize] = Some(Class { pool, uses: 0 });
                self.births.push(id, self.list.len());
                id
            }
        };
        self.retain(id);
        Ok(id)
    }

    /// Counts one more use of a class.
    pub(super) fn retain(&mut self, id: u32) {
        if let Some(Some(class)) = self.list.get_mut(id as usize) {
            class.uses += 1;
        }
    }

    /// Takes over a class of a snapshot, with the number of its uses, whose id is the next one.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidSnapshot`] when it is there already, or of no use.
    pub(super) fn restore(&mut self, class: Option<(Pool, u64)>) -> Result<()> {
        limits::check("number of different pools", self.list.len() + 1, MAX_CLASSES)?;
        let id = self.list.len() as u32;
        match &class {
            None => drop(self.free.insert(id)),
            Some((_, 0)) => return Err(invalid("nothing is of a class of pools")),
            Some((pool, _)) if self.find(pool).is_some() => {
                return Err(invalid("two classes of pools are the same"));
            }
            Some((pool, _)) => {
                self.bytes += weight(pool);
                self.index.insert_unique(hash(pool), id, |&other| match &self.list[other as usize] {
                    Some(class) => hash(&class.pool),
                    None => 0,
                });
            }
        }
        self.list.push(class.map(|(pool, uses)| Class { pool, uses }));
        Ok(())
    }

    /// Counts one use less; a class that is not used is forgotten.
    pub(super) fn release(&mut self, id: u32) {
        let Some(entry) = self.list.get_mut(id as usize) else { return };
        let Some(class) = entry else { return };
        class.uses -= 1;
        if class.uses == 0 {
            let pool = &class.pool;
            self.bytes -= weight(pool);
            if let Ok(found) = self.index.find_entry(hash(pool), |&other| other == id) {
                found.remove();
            }
            *entry = None;
            self.free.insert(id);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
            + self.list.capacity() * size_of::<Option<Class>>()
            + self.index.capacity() * 5
            + self.free.len() * 8
            + self.births.bytes()
    }
}

fn is_of(class: &Pool, pool: &Pool) -> bool {
    class.numa_node == pool.numa_node && class.attributes == pool.attributes
}

fn hash(pool: &Pool) -> u64 {
    let mut hasher = DefaultHasher::new();
    pool.attributes.hash(&mut hasher);
    pool.numa_node.hash(&mut hasher);
    hasher.finish()
}

/// About how many bytes the attributes take: two texts and their place in a list, which has some room in reserve.
fn weight(pool: &Pool) -> usize {
    let entry = |(key, text): (&str, Option<&str>)| key.len() + text.map_or(0, str::len) + 64;
    pool.attributes.iter().map(entry).sum::<usize>() + 64
}
