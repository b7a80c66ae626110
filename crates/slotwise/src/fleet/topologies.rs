//! The NUMA topologies of hosts, each kept once: hosts are of few kinds.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::memory::push;
use crate::error::Result;
use crate::numa::NumaTopology;
use crate::snapshot::invalid;

/// Which topology each host has.
#[derive(Clone, Debug, Default)]
pub(super) struct Topologies {
    /// 0 for a host without, else one more than a place in `list`.
    of_host: Vec<u32>,
    /// Each with the number of its hosts.
    list: Vec<(Arc<NumaTopology>, u32)>,
    index: HashMap<Arc<NumaTopology>, u32>,
    free: BTreeSet<u32>,
}

impl Topologies {
    /// Makes room for a host without, whose id is the next one.
    pub(super) fn add(&mut self) {
        push(&mut self.of_host, 0);
    }

    pub(super) fn get(&self, host: u32) -> Option<&NumaTopology> {
        let place = self.number(host).checked_sub(1)?;
        self.list.get(place as usize).map(|(topology, _)| &**topology)
    }

    /// A number that two hosts share if their topology is the same.
    pub(super) fn number(&self, host: u32) -> u32 {
        self.of_host[host as usize]
    }

    pub(super) fn set(&mut self, host: u32, topology: Option<&NumaTopology>) {
        let old = std::mem::take(&mut self.of_host[host as usize]);
        if let Some(topology) = topology {
            self.of_host[host as usize] = 1 + self.acquire(topology);
        }
        if let Some(place) = old.checked_sub(1) {
            let (topology, hosts) = &mut self.list[place as usize];
            *hosts -= 1;
            if *hosts == 0 {
                self.index.remove(topology);
                self.free.insert(place);
            }
        }
    }

    fn acquire(&mut self, topology: &NumaTopology) -> u32 {
        if let Some(&place) = self.index.get(topology) {
            self.list[place as usize].1 += 1;
            return place;
        }
        let topology = Arc::new(topology.clone());
        let place = match self.free.pop_first() {
            Some(place) => {
                self.list[place as usize] = (Arc::clone(&topology), 1);
                place
            }
            None => {
                self.list.push((Arc::clone(&topology), 1));
                (self.list.len() - 1) as u32
            }
        };
        self.index.insert(topology, place);
        place
    }

    /// The number of each host, and the topologies by one less than that, as if they had been set in the order of ids.
    pub(super) fn in_order(&self) -> (Vec<u32>, Vec<&NumaTopology>) {
        let mut new: Vec<u32> = vec![0; self.list.len() + 1];
        let mut list = Vec::new();
        let mut numbers = Vec::with_capacity(self.of_host.len());
        for &number in &self.of_host {
            let place = &mut new[number as usize];
            if number > 0 && *place == 0 {
                list.push(&*self.list[number as usize - 1].0);
                *place = list.len() as u32;
            }
            numbers.push(*place);
        }
        (numbers, list)
    }

    /// Takes over what [`Topologies::in_order`] gave.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidSnapshot`] when it contradicts itself.
    pub(super) fn restore(of_host: Vec<u32>, list: Vec<NumaTopology>) -> Result<Self> {
        let mut hosts = vec![0_u32; list.len() + 1];
        for &number in &of_host {
            *hosts.get_mut(number as usize).ok_or_else(|| invalid("a NUMA topology is missing"))? += 1;
        }
        let list: Vec<(Arc<NumaTopology>, u32)> =
            list.into_iter().map(Arc::new).zip(hosts.split_off(1)).collect();
        let index: HashMap<_, _> = list.iter().map(|(topology, _)| Arc::clone(topology)).zip(0..).collect();
        if index.len() != list.len() || list.iter().any(|(_, hosts)| *hosts == 0) {
            return Err(invalid("a NUMA topology is there twice, or of no host"));
        }
        Ok(Topologies { of_host, list, index, free: BTreeSet::new() })
    }

    pub(super) fn bytes(&self) -> usize {
        let cells: usize = self.list.iter().map(|(topology, _)| topology.cells().len() * 12 + 96).sum();
        self.of_host.capacity() * 4 + cells
    }
}
