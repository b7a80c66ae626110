//! Which hosts have a rare class, so that what few hosts can serve is found without looking at the others.

use super::classes::Classes;
use super::memory::push;
use super::rows::Rows;

/// For each class the hosts that have it, or had it lately; none for a class that is too common to list.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    list: Vec<List>,
}

#[derive(Clone, Debug, Default)]
struct List {
    hosts: Vec<u32>,
    common: bool,
}

impl Lists {
    /// Up to so many hosts a class is listed, however few hosts there are.
    const ALWAYS: usize = 4096;

    /// And up to this part of all hosts.
    const PART: usize = 64;

    /// The hosts that may have a class, in no order and some perhaps twice; `None` if it is not listed.
    pub(super) fn get(&self, class: u32) -> Option<&Vec<u32>> {
        self.list.get(class as usize).filter(|list| !list.common).map(|list| &list.hosts)
    }

    /// Notes that a host has a class.
    pub(super) fn add(&mut self, class: u32, host: u32, classes: &Classes, rows: &Rows) {
        let at = class as usize;
        while self.list.len() <= at {
            push(&mut self.list, List::default());
        }
        let list = &mut self.list[at];
        if list.common {
            return;
        }
        push(&mut list.hosts, host);
        // Hosts that lost the class are dropped when they are as many as those that have it.
        if list.hosts.len() > 2 * classes.uses(class) as usize + 64 {
            list.hosts.sort_unstable();
            list.hosts.dedup();
            list.hosts.retain(|&host| rows.lanes(host).iter().any(|lane| lane >> 8 == class));
            list.hosts.shrink_to(list.hosts.len() * 2);
        }
        if !Self::is_rare(list.hosts.len() as u64, rows.len()) {
            *list = List { hosts: Vec::new(), common: true };
        }
    }

    /// Whether a class that is used so often is listed, among so many hosts.
    pub(super) fn is_rare(uses: u64, hosts: usize) -> bool {
        uses as usize <= Self::ALWAYS.max(hosts / Self::PART)
    }

    /// The lists of a snapshot: for each class whether it is listed, and the hosts of those that are, each with the class.
    pub(super) fn restore(rare: impl Iterator<Item = bool>, hosts: &[(u32, u32)]) -> Self {
        let mut list: Vec<List> = rare.map(|rare| List { hosts: Vec::new(), common: !rare }).collect();
        for &(host, class) in hosts {
            push(&mut list[class as usize].hosts, host);
        }
        Lists { list }
    }

    /// Begins anew for a class that is new under this id.
    pub(super) fn born(&mut self, class: u32) {
        if let Some(list) = self.list.get_mut(class as usize) {
            *list = List::default();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.list.capacity() * size_of::<List>()
            + self.list.iter().map(|list| list.hosts.capacity() * 4).sum::<usize>()
    }
}
