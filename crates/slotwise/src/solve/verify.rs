//! Whether an assignment that was found earlier still holds.

use std::collections::{BTreeMap, BTreeSet};

use super::bins::{Attributes, DEVICE_GROUP};
use crate::address::PciAddress;
use crate::filter::Prepared;
use crate::fit::Assignment;
use crate::pool::{Pool, Pools};
use crate::request::{Relation, Workload};
use crate::stock::Families;

/// Says what is wrong with an assignment on the pools as they are now, if anything is.
pub(crate) fn verify(
    pools: &Pools,
    workload: &Workload,
    assignment: &Assignment,
    attributes: &dyn Attributes,
) -> Result<(), String> {
    if assignment.requests.len() != workload.requests.len() {
        return Err(format!(
            "it serves {} of {} requests",
            assignment.requests.len(),
            workload.requests.len()
        ));
    }
    let cells = match (&workload.numa_cells_from, &assignment.numa_cells) {
        (Some(choice), Some(cells)) => {
            let distinct: BTreeSet<&u32> = cells.iter().filter(|cell| choice.from.contains(cell)).collect();
            if cells.len() != choice.count || distinct.len() != choice.count {
                return Err("its NUMA cells are none of those to choose from".to_owned());
            }
            cells.as_slice()
        }
        (Some(_), None) => return Err("it does not say which NUMA cells the guest gets".to_owned()),
        (None, _) => workload.cells(),
    };
    let free: BTreeMap<PciAddress, usize> = pools
        .list
        .iter()
        .enumerate()
        .flat_map(|(p, pool)| pool.devices.iter().map(move |device| (*device, p)))
        .collect();
    let mut used: BTreeMap<PciAddress, usize> = BTreeMap::new();
    let mut take = |device: PciAddress| match free.get(&device) {
        None => Err(format!("device {device} is not free")),
        Some(&pool) if used.insert(device, pool).is_none() => Ok(&pools.list[pool]),
        Some(_) => Err(format!("device {device} is given twice")),
    };
    let mut prepared = Vec::with_capacity(workload.requests.len());
    for (r, (request, given)) in workload.requests.iter().zip(&assignment.requests).enumerate() {
        if given.option > request.otherwise.len() {
            return Err(format!("request {r} has no option {}", given.option));
        }
        let wants = Prepared::new(pools, workload, request, given.option, cells);
        let mut providers = Vec::new();
        for &device in &given.devices {
            let pool: &Pool = take(device)?;
            if !wants.allows(pool) {
                return Err(format!("device {device} is not what request {r} asks for"));
            }
            providers.extend(pool.provider.as_deref());
        }
        let mut wanted = wants.providers.clone();
        providers.sort_unstable();
        wanted.sort_unstable();
        let served = match wanted.is_empty() {
            true => given.devices.len() == wants.count as usize,
            false => providers == wanted,
        };
        if !served {
            return Err(format!("request {r} gets {} devices, or from other providers", given.devices.len()));
        }
        prepared.push(wants);
    }
    let constraints = workload.all_constraints();
    let value = |device: PciAddress, pool: &Pool, key: &str| {
        pool.value(key).or_else(|| attributes.value(device, key))
    };
    // What comes along is of these groups, too.
    let served = assignment.requests.iter().flat_map(|given| &given.devices);
    let taken: BTreeSet<&str> = served.filter_map(|device| group(&pools.list[*free.get(device)?])).collect();
    for given in &assignment.requests {
        for &device in &given.companions {
            let pool = take(device)?;
            if !group(pool).is_some_and(|name| taken.contains(name)) {
                return Err(format!("device {device} comes along, but is in no group that is taken"));
            }
            let could_serve = |r: usize| {
                let mut own = constraints.iter().filter(|constraint| constraint.requests.contains(&r));
                prepared[r].allows(pool)
                    && own.all(|constraint| value(device, pool, &constraint.key).is_some())
            };
            if (0..prepared.len()).any(could_serve) {
                return Err(format!("device {device} could serve a request but only comes along"));
            }
        }
    }
    exclusion(pools, &used)?;
    groups(pools, &used, &taken)?;
    for constraint in &constraints {
        let devices = constraint.requests.iter().flat_map(|&r| &assignment.requests[r].devices);
        let mut seen = BTreeSet::new();
        for &device in devices {
            let Some(value) = value(device, &pools.list[used[&device]], &constraint.key) else {
                return Err(format!("device {device} has no attribute {:?}", constraint.key));
            };
            let first = seen.is_empty();
            let new = seen.insert(value);
            let holds = match constraint.relation {
                Relation::Same => first || !new,
                Relation::Distinct => new,
            };
            if !holds {
                return Err(format!("device {device} breaks the constraint on {:?}", constraint.key));
            }
        }
    }
    Ok(())
}

/// A card gives its PF or its VFs.
fn exclusion(pools: &Pools, used: &BTreeMap<PciAddress, usize>) -> Result<(), String> {
    let families = Families::new(&pools.list);
    let taken: BTreeSet<usize> = used.values().copied().collect();
    let is_taken = |pool: usize| taken.contains(&pool);
    match (0..families.len()).any(|card| families.holds_for_both(card, is_taken)) {
        true => Err("it takes a physical function and one of its virtual functions".to_owned()),
        false => Ok(()),
    }
}

/// The static group of a pool's devices.
fn group(pool: &Pool) -> Option<&str> {
    pool.attributes.text(DEVICE_GROUP)
}

/// A static group is taken as a whole.
fn groups(pools: &Pools, used: &BTreeMap<PciAddress, usize>, taken: &BTreeSet<&str>) -> Result<(), String> {
    for pool in &pools.list {
        let Some(name) = group(pool).filter(|name| taken.contains(name)) else { continue };
        if let Some(left) = pool.devices.iter().find(|device| !used.contains_key(device)) {
            return Err(format!("it leaves device {left} of group {name:?}"));
        }
    }
    Ok(())
}
