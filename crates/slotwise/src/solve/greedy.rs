//! The quick way: one request after the other, each from the first pools in its order.

use super::budget::{Budget, Exhausted};
use crate::filter::Prepared;
use crate::fit::{Assignment, Pick};
use crate::pool::Pools;
use crate::request::Workload;
use crate::stock::Families;

/// What serving one after the other has shown.
pub(super) enum Greedy {
    Fits(Assignment),
    /// This request could not be served even alone; there are too few devices for it.
    Lacks(usize),
    /// It got stuck, which shows nothing.
    Stuck,
}

/// Serves one request after the other.
pub(super) fn greedy(pools: &Pools, workload: &Workload, budget: &Budget) -> Result<Greedy, Exhausted> {
    let list = &pools.list;
    let families = Families::new(list);
    let mut counts: Vec<u32> = list.iter().map(|pool| pool.count).collect();
    let mut picks = Vec::with_capacity(workload.requests.len());
    let mut stuck = false;
    for (r, request) in workload.requests.iter().enumerate() {
        let prepared = Prepared::new(pools, workload, request, 0, workload.cells());
        budget.work(list.len() as u64 * prepared.looks())?;
        let mut allowed: Vec<usize> =
            (0..list.len()).filter(|&i| list[i].count > 0 && prepared.allows(&list[i])).collect();
        let free = allowed.iter().map(|&i| u64::from(list[i].count)).sum::<u64>();
        if free < u64::from(prepared.count) {
            return Ok(Greedy::Lacks(r));
        }
        if stuck {
            continue;
        }
        allowed.retain(|&i| counts[i] > 0);
        match serve(&prepared, pools, &families, &mut counts, &allowed) {
            Some(taken) => picks.push(taken),
            // A request that follows may lack devices, which is the plainer reason.
            None => stuck = true,
        }
    }
    Ok(if stuck { Greedy::Stuck } else { Greedy::Fits(pools.assignment(workload, picks)) })
}

fn serve(
    request: &Prepared<'_>,
    pools: &Pools,
    families: &Families,
    counts: &mut [u32],
    allowed: &[usize],
) -> Option<Vec<Pick>> {
    let list = &pools.list;
    let mut missing = request.count;
    let mut wanted = request.providers.clone();
    let mut taken = Vec::new();
    for pool in request.order(list, counts, allowed) {
        if missing == 0 {
            break;
        }
        let here = |provider: &&str| list[pool].provider.as_deref() == Some(*provider);
        let need = match request.providers.is_empty() {
            true => missing,
            false => wanted.iter().filter(|p| here(p)).count() as u32,
        };
        let count = need.min(counts[pool]);
        if count > 0 {
            let mut served = 0..count;
            wanted.retain(|provider| !here(provider) || served.next().is_none());
            missing = missing.saturating_sub(count);
            families.take(counts, pool, count);
            taken.push(Pick { pool, count });
        }
    }
    (missing == 0 && wanted.is_empty()).then_some(taken)
}
