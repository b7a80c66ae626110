//! Reservations: what a scheduler has chosen and the host has not claimed yet.

use std::sync::Arc;

use serde::Serialize;

use super::Fleet;
use super::rows::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::{Assignment, Fit};
use crate::limits;
use crate::pool::Pools;
use crate::request::Workload;
use crate::stock::Families;

/// Devices of one host that are held for an owner, between the choice of the host and its claim.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Reservation {
    /// The host's id.
    pub host: u32,
    /// The time from which on it no longer holds, in the caller's unit.
    pub expires: u64,
    /// How many devices of what.
    #[serde(skip)]
    pub(super) takes: Vec<Take>,
}

impl Reservation {
    pub(super) fn bytes(&self) -> usize {
        self.takes.capacity() * size_of::<Take>() + size_of::<Self>()
    }
}

/// A number of devices of a class.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Take {
    pub(super) class: u32,
    pub(super) provider: Option<Arc<str>>,
    pub(super) count: u32,
}

/// What a host has free without its reservations, and whose they are.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The count of each pool as the host's owner knows it.
    pub(super) counts: Vec<u32>,
    /// The owners, in the order in which they reserved.
    pub(super) owners: Vec<String>,
}

impl Fleet {
    /// Reserves on a host what a workload needs, if it fits; then no other answer counts on these devices.
    ///
    /// The reservation ends with [`Fleet::release`], with the delta that brings the claim ([`crate::HostDelta::released`]),
    /// or with [`Fleet::expire`] at the time `expires`. The fleet has no clock: any number that grows with time will do.
    /// Until it ends, a state of the host in which the claim is seen already counts the devices twice.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownHost`], [`ErrorKind::AlreadyExists`] when the owner has a reservation already,
    /// [`ErrorKind::InvalidArgument`] for an empty owner, or as [`Pools::fit`].
    pub fn reserve(&mut self, owner: &str, host: &str, workload: &Workload, expires: u64) -> Result<Fit> {
        let id = self.id(host)?;
        self.check_reservation(owner)?;
        let pools = self.pools_of(id);
        let fit = pools.fit(workload)?;
        if let Fit::Fits(assignment) = &fit {
            self.hold(owner, id, &pools, assignment, expires);
        }
        Ok(fit)
    }

    /// Ends a reservation.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownOwner`] when the owner has none; it may have expired.
    pub fn release(&mut self, owner: &str) -> Result<Reservation> {
        let Some(reservation) = self.reservations.remove(owner) else {
            return Err(Error::new(
                ErrorKind::UnknownOwner,
                format!("{:?} has no reservation", crate::address::clip(owner)),
            )
            .with_help("it may have expired")
            .inside("owner"));
        };
        let id = reservation.host;
        if let Some(held) = self.held.get_mut(&id) {
            held.owners.retain(|other| other != owner);
        }
        self.settle(id);
        reservation.takes.iter().for_each(|take| self.classes.release(take.class));
        self.touch(id);
        Ok(reservation)
    }

    /// Ends all reservations that expire at `now` or before, and gives their owners in order.
    pub fn expire(&mut self, now: u64) -> Vec<String> {
        let over = self.reservations.iter().filter(|(_, reservation)| reservation.expires <= now);
        let over: Vec<String> = over.map(|(owner, _)| owner.clone()).collect();
        over.iter().for_each(|owner| drop(self.release(owner)));
        over
    }

    /// The reservations, by owner.
    pub fn reservations(&self) -> impl ExactSizeIterator<Item = (&str, &Reservation)> {
        self.reservations.iter().map(|(owner, reservation)| (owner.as_str(), reservation))
    }

    pub(super) fn check_reservation(&self, owner: &str) -> Result<()> {
        if owner.is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "a reservation needs an owner")
                .with_help("give the id of the workload")
                .inside("owner"));
        }
        limits::check("owner length", owner.len(), limits::MAX_TEXT_BYTES).map_err(|e| e.inside("owner"))?;
        if self.reservations.contains_key(owner) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("{:?} has a reservation already", crate::address::clip(owner)),
            )
            .with_help("release it first")
            .inside("owner"));
        }
        limits::check("number of reservations", self.reservations.len() + 1, limits::MAX_HOSTS)
    }

    /// Holds what an assignment on the host's pools uses.
    pub(super) fn hold(
        &mut self,
        owner: &str,
        id: u32,
        pools: &Pools,
        assignment: &Assignment,
        expires: u64,
    ) {
        let picks = assignment.all_picks();
        let mut takes: Vec<Take> = Vec::new();
        for pick in picks {
            let pool = &pools.list[pick.pool];
            let Some(class) = self.classes.find(pool) else { continue };
            let same = |take: &&mut Take| {
                take.class == class && take.provider.as_deref() == pool.provider.as_deref()
            };
            match takes.iter_mut().find(same) {
                Some(take) => take.count = take.count.saturating_add(pick.count),
                None => {
                    self.classes.retain(class);
                    let provider = pool.provider.as_deref().map(Arc::from);
                    takes.push(Take { class, provider, count: pick.count });
                }
            }
        }
        let counts = || self.rows.slots(id).map(|slot| slot.count).collect();
        let held = self.held.entry(id).or_insert_with(|| Held { counts: counts(), owners: Vec::new() });
        held.owners.push(owner.to_owned());
        self.reservations.insert(owner.to_owned(), Reservation { host: id, expires, takes });
        self.settle(id);
        self.touch(id);
    }

    /// Works out what a host has free: what its owner says, less what is reserved and what that excludes.
    pub(super) fn settle(&mut self, id: u32) {
        let Some(held) = self.held.get(&id) else { return };
        let families = Families::of(self.rows.slots(id).map(|slot| self.classes.pool(slot.class)));
        let mut counts = held.counts.clone();
        for owner in &held.owners {
            let takes = self.reservations.get(owner).map_or(&[][..], |reservation| &reservation.takes);
            for take in takes {
                // A state that shows the claim already may have fewer; then there is nothing more to hold.
                let mut missing = take.count;
                for slot in self.slots_of_class(id, take.class, take.provider.as_deref()) {
                    let count = missing.min(counts[slot]);
                    families.take(&mut counts, slot, count);
                    missing -= count;
                }
            }
        }
        if held.owners.is_empty() {
            self.held.remove(&id);
        }
        let old: Vec<Slot> = self.rows.slots(id).collect();
        for (slot, (old, count)) in old.into_iter().zip(counts).enumerate() {
            if old.count != count {
                self.rows.set_count(id, slot, count);
            }
        }
    }
}
