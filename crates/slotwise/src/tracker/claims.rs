//! Claiming, allocating and freeing.

use std::collections::BTreeSet;

use super::entries::{Edit, Hold};
use super::{Claim, FreeScope, Tracker, unknown_device};
use crate::address::PciAddress;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::{Assignment, Fit};
use crate::limits;
use crate::nova::Purpose;
use crate::request::{Request, Strategy, Workload};
use crate::solve::{self, Budget};

impl Tracker {
    /// Claims devices for `owner`: all that the workload asks for, or none.
    ///
    /// An owner may claim more than once; claims add up.
    ///
    /// # Errors
    ///
    /// As [`Tracker::fit`], and [`ErrorKind::InvalidArgument`] for an empty owner; nothing is claimed then.
    pub fn claim(&mut self, owner: &str, workload: &Workload) -> Result<Fit> {
        self.claim_within(owner, workload, &Budget::of(&[workload]))
    }

    fn claim_within(&mut self, owner: &str, workload: &Workload, budget: &Budget) -> Result<Fit> {
        check_owner(owner)?;
        let fit = self.pools().decide_within(workload, Purpose::Claim, Some(self), budget)?;
        if let Fit::Fits(assignment) = &fit {
            self.hold_all(owner, &workload.requests, assignment);
        }
        Ok(fit)
    }

    /// Claims exactly the devices that [`Tracker::fit`] found earlier, if they can still be had.
    ///
    /// Whatever happened in between, the answer is either the claim that was announced or a conflict; two schedulers
    /// that were both told *yes* never both get the last device.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] when the assignment no longer holds: fit again. Otherwise as [`Tracker::claim`]. Nothing
    /// is claimed then.
    pub fn claim_fit(&mut self, owner: &str, workload: &Workload, assignment: &Assignment) -> Result<()> {
        check_owner(owner)?;
        workload.validate().map_err(|e| e.inside("workload"))?;
        solve::verify(self.pools(), workload, assignment, self).map_err(|fault| {
            Error::new(ErrorKind::Conflict, format!("the assignment no longer holds: {fault}"))
                .with_help("fit the workload again")
                .inside("assignment")
        })?;
        self.hold_all(owner, &workload.requests, assignment);
        Ok(())
    }

    /// Claims devices for several workloads together: for all of them, or for none.
    ///
    /// Under strategy `exact` *no* means that no joint assignment exists. The answer spans the requests of all
    /// workloads, in order. The call has one search budget for all that it does, the largest of the workloads'.
    ///
    /// If one of several workloads has strategy `nova`, they are only served one after the other. *No* is then about the
    /// first for which those before it left too little: it names that claim, and counts the requests of it alone.
    ///
    /// # Errors
    ///
    /// As [`Tracker::claim`], with the workload's index as place; [`ErrorKind::LimitExceeded`] for more than
    /// [`limits::MAX_BATCH`] claims; [`ErrorKind::InvalidRequest`] when there are several
    /// workloads and one leaves its NUMA cells to be chosen.
    pub fn claim_all(&mut self, claims: &[Claim]) -> Result<Fit> {
        limits::check("number of claims", claims.len(), limits::MAX_BATCH).map_err(|e| e.inside("claims"))?;
        for (i, Claim { owner, workload }) in claims.iter().enumerate() {
            check_owner(owner).map_err(|e| e.inside(format!("claims[{i}]")))?;
            workload.validate().map_err(|e| e.inside(format!("claims[{i}].workload")))?;
            if workload.numa_cells_from.is_some() && claims.len() > 1 {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    "cells can be chosen for one workload at a time",
                )
                .with_help("give numa_cells, or claim this workload on its own")
                .inside(format!("claims[{i}].workload.numa_cells_from")));
            }
        }
        let workloads: Vec<&Workload> = claims.iter().map(|claim| &claim.workload).collect();
        let budget = Budget::of(&workloads);
        // One after the other is what usually works, and gives each the devices that it would get alone.
        let mut attempt = self.clone();
        let mut all = Assignment::default();
        let mut failed = None;
        for (i, Claim { owner, workload }) in claims.iter().enumerate() {
            // One that takes long leaves something to those that follow, and to what is tried for all of them together.
            let steps = if claims.len() > 1 { budget.most() } else { budget.left() };
            let claimed = budget.share(steps, || attempt.claim_within(owner, workload, &budget));
            match claimed.map_err(|e| e.inside(format!("claims[{i}]")))? {
                Fit::Fits(assignment) => {
                    all.requests.extend(assignment.requests);
                    all.numa_cells = assignment.numa_cells;
                    all.cut_short |= assignment.cut_short;
                }
                other => {
                    failed = Some((i, other));
                    break;
                }
            }
        }
        let Some((at, mut failed)) = failed else {
            *self = attempt;
            return Ok(Fit::Fits(all));
        };
        if claims.len() == 1 {
            return Ok(failed);
        }
        if claims.iter().any(|claim| claim.workload.strategy == Strategy::Nova) {
            if let Fit::NoFit(no) = &mut failed {
                no.message = format!("claims[{at}], after those before it, {}", no.message);
            }
            return Ok(failed);
        }
        let fit = solve::joint(self.pools(), &workloads, Some(self), &budget)?;
        if let Fit::Fits(assignment) = &fit {
            let mut rest = assignment.requests.as_slice();
            for Claim { owner, workload } in claims {
                let (own, others) = rest.split_at(workload.requests.len().min(rest.len()));
                rest = others;
                let own = Assignment { requests: own.to_vec(), ..Assignment::default() };
                self.hold_all(owner, &workload.requests, &own);
            }
        }
        Ok(fit)
    }

    /// Holds all devices of an assignment.
    fn hold_all(&mut self, owner: &str, requests: &[Request], assignment: &Assignment) {
        let mut edits = Vec::new();
        for (request, taken) in requests.iter().zip(&assignment.requests) {
            for &address in taken.devices.iter().chain(&taken.companions) {
                let hold = Hold {
                    owner: owner.to_owned(),
                    request_id: request.request_id.clone(),
                    requester_id: request.requester_id.clone(),
                    allocated: false,
                    claim: self.next_claim,
                };
                self.next_claim += 1;
                edits.push((address, Edit::Hold(hold)));
            }
        }
        self.version += u64::from(!edits.is_empty());
        self.edit(edits);
    }

    /// Turns the owner's claims into allocations and returns the devices, ordered by address.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownOwner`] when the owner holds nothing.
    pub fn allocate(&mut self, owner: &str) -> Result<Vec<PciAddress>> {
        let held = self.owners.get(owner).ok_or_else(|| unknown_owner(owner))?;
        let claimed: Vec<PciAddress> =
            held.iter().copied().filter(|a| self.held(*a).is_some_and(|hold| !hold.allocated)).collect();
        self.version += u64::from(!claimed.is_empty());
        self.edit(claimed.iter().map(|&address| (address, Edit::Allocate)).collect());
        Ok(claimed)
    }

    /// Frees the owner's devices and returns them, ordered by address; empty if it holds none.
    pub fn free(&mut self, owner: &str, scope: FreeScope) -> Vec<PciAddress> {
        let Some(held) = self.owners.get(owner) else { return Vec::new() };
        let within = |hold: &Hold| match scope {
            FreeScope::All => true,
            FreeScope::Claims => !hold.allocated,
            FreeScope::Allocations => hold.allocated,
        };
        let mut freed: Vec<PciAddress> =
            held.iter().copied().filter(|a| self.held(*a).is_some_and(within)).collect();
        // Allocations first, as Nova does; this shows in the order in which the devices are handed out again.
        freed.sort_by_key(|a| self.held(*a).is_some_and(|hold| !hold.allocated));
        self.free_all(freed)
    }

    /// Frees one device of the owner.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownDevice`], [`ErrorKind::InvalidState`] when it is not held, [`ErrorKind::WrongOwner`].
    pub fn free_device(&mut self, owner: &str, address: PciAddress) -> Result<()> {
        let entry = self.entries.get(&address).ok_or_else(|| unknown_device(address))?;
        let hold = entry.hold.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::InvalidState, format!("device {address} is not held")).inside("address")
        })?;
        if hold.owner != owner {
            return Err(Error::new(
                ErrorKind::WrongOwner,
                format!(
                    "device {address} is held for {:?}, not for {:?}",
                    hold.owner,
                    crate::address::clip(owner)
                ),
            )
            .inside("owner"));
        }
        self.free_all(vec![address]);
        Ok(())
    }

    /// Frees the devices of all owners that are not among `owners`, and returns them, ordered by address.
    pub fn retain_owners<S: AsRef<str>>(&mut self, owners: &[S]) -> Vec<PciAddress> {
        let keep: BTreeSet<&str> = owners.iter().map(AsRef::as_ref).collect();
        let mut freed: Vec<PciAddress> = self
            .owners
            .iter()
            .filter(|(owner, _)| !keep.contains(owner.as_str()))
            .flat_map(|(_, held)| held.iter().copied())
            .collect();
        // Claims first, each in the order in which they were made, as Nova does.
        freed.sort_by_key(|a| self.held(*a).map(|hold| (hold.allocated, hold.claim)));
        self.free_all(freed)
    }

    /// Frees held devices in this order and returns them ordered by address.
    fn free_all(&mut self, mut freed: Vec<PciAddress>) -> Vec<PciAddress> {
        self.version += u64::from(!freed.is_empty());
        self.edit(freed.iter().map(|&address| (address, Edit::Free)).collect());
        freed.sort_unstable();
        freed
    }
}

fn check_owner(owner: &str) -> Result<()> {
    if owner.is_empty() {
        return Err(Error::new(ErrorKind::InvalidArgument, "a claim needs an owner")
            .with_help("give the id of the workload")
            .inside("owner"));
    }
    limits::check("owner length", owner.len(), limits::MAX_TEXT_BYTES).map_err(|e| e.inside("owner"))
}

fn unknown_owner(owner: &str) -> Error {
    Error::new(ErrorKind::UnknownOwner, format!("{:?} holds no device", crate::address::clip(owner)))
        .inside("owner")
}
