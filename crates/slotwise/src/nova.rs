//! Strategy `nova`: one request after the other, as OpenStack Nova 34 does, with its wrong answers.
//!
//! Source: `nova/pci/stats.py`, `_filter_pools` with `_apply_request` (a scheduler's fit) and `consume_requests` (a
//! compute node's claim). Only the verdict, the devices and their order are reproduced.

use crate::filter::{Nearness, Prepared};
use crate::fit::{Pick, Step};
use crate::numa::NumaPolicy;
use crate::pool::{Pool, Pools};
use crate::report;
use crate::request::Workload;
use crate::solve::Decision;
use crate::stock::Families;

/// Nova's order of the steps: NUMA comes second.
pub(crate) const NOVA_STEPS: &[Step] = &[
    Step::Attributes,
    Step::Numa,
    Step::PhysicalFunctions,
    Step::Vdpa,
    Step::RemoteManaged,
    Step::Placement,
    Step::LiveMigratable,
];

/// Whether an assignment is only looked for, or devices are really taken.
///
/// Nova's scheduler does not see that a PF and its VFs exclude each other; its compute node does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A scheduler asks whether it could be done.
    Fit,
    /// A compute node takes the devices.
    Claim,
}

/// Whether a scheduler's fit finds an assignment, without the choice or the reason.
pub(crate) fn serves(pools: &Pools, workload: &Workload) -> bool {
    let list = &pools.list;
    let families = Families::none(list.len());
    let mut counts: Vec<u32> = list.iter().map(|pool| pool.count).collect();
    workload.requests.iter().all(|request| {
        let prepared = Prepared::new(pools, workload, request, 0, workload.cells());
        serve(&prepared, list, &mut counts, &families, Purpose::Fit).is_some()
    })
}

/// Serves one request after the other; the first that cannot be served decides.
pub(crate) fn nova(pools: &Pools, workload: &Workload, purpose: Purpose) -> Decision {
    let list = &pools.list;
    let prepared: Vec<_> =
        workload.requests.iter().map(|r| Prepared::new(pools, workload, r, 0, workload.cells())).collect();
    let families = Families::new(list);
    let mut counts: Vec<u32> = list.iter().map(|pool| pool.count).collect();
    let mut picks = Vec::with_capacity(prepared.len());
    for (i, request) in prepared.iter().enumerate() {
        let Some(taken) = serve(request, list, &mut counts, &families, purpose) else {
            let usable = usable(request, list, &counts);
            let reports = prepared.iter().enumerate().map(|(n, p)| p.report(n, list, NOVA_STEPS)).collect();
            return Decision::NoFit(report::with_reports(&prepared, &[], &[], vec![i], usable, reports));
        };
        picks.push(taken);
    }
    Decision::Fits(pools.assignment(workload, picks))
}

fn serve(
    request: &Prepared<'_>,
    pools: &[Pool],
    counts: &mut [u32],
    families: &Families,
    purpose: Purpose,
) -> Option<Vec<Pick>> {
    let order = filter(request, pools, counts)?;
    let mut picks = Vec::new();
    if request.providers.is_empty() {
        let mut need = request.count;
        for pool in order {
            if need == 0 {
                break;
            }
            let count = need.min(counts[pool]);
            // The chain leaves only pools that have devices. One that is empty now was excluded by what this request
            // took just before; Nova's claim breaks off with an IndexError there.
            if count == 0 {
                return None;
            }
            need -= count;
            take(families, counts, pool, count, purpose);
            picks.push(Pick { pool, count });
        }
        return Some(picks);
    }
    // Nova refuses to go on when a provider is split over several pools: a scheduler looks at all pools (case W08), a
    // compute node at the filtered ones.
    let split = |pools_at: &mut dyn Iterator<Item = usize>| {
        let mut seen = std::collections::BTreeSet::new();
        pools_at.filter_map(|i| pools[i].provider.as_deref()).any(|provider| !seen.insert(provider))
    };
    let is_split = match purpose {
        // A pool that was empty from the start is still there; one that this fit emptied is gone.
        Purpose::Fit => split(&mut (0..pools.len()).filter(|&i| counts[i] > 0 || pools[i].count == 0)),
        Purpose::Claim => split(&mut order.iter().copied()),
    };
    if is_split {
        return None;
    }
    for pool in order {
        let wanted = wanted_from(request, &pools[pool]);
        if wanted > counts[pool] {
            return None;
        }
        if wanted > 0 {
            take(families, counts, pool, wanted, purpose);
            picks.push(Pick { pool, count: wanted });
        }
    }
    Some(picks)
}

fn take(families: &Families, counts: &mut [u32], pool: usize, count: u32, purpose: Purpose) {
    match purpose {
        Purpose::Fit => counts[pool] -= count,
        Purpose::Claim => families.take(counts, pool, count),
    }
}

/// How many devices Placement chose from the provider of a pool.
fn wanted_from(request: &Prepared<'_>, pool: &Pool) -> u32 {
    let Some(provider) = pool.provider.as_deref() else { return 0 };
    u32::try_from(request.providers.iter().filter(|p| **p == provider).count()).unwrap_or(u32::MAX)
}

fn total(kept: &[usize], counts: &[u32]) -> u64 {
    kept.iter().map(|&i| u64::from(counts[i])).sum()
}

/// The pools that a request may use, in the order in which they are used; `None` if they have too few devices.
fn filter(request: &Prepared<'_>, pools: &[Pool], counts: &[u32]) -> Option<Vec<usize>> {
    let wanted = u64::from(request.count);
    let mut kept: Vec<usize> = (0..pools.len()).filter(|&i| counts[i] > 0).collect();
    for &step in NOVA_STEPS {
        match step {
            Step::Numa => kept = by_numa(request, pools, counts, kept),
            Step::Placement if !request.providers.is_empty() => {
                kept.retain(|&i| {
                    let wanted = wanted_from(request, &pools[i]);
                    wanted > 0 && counts[i] >= wanted
                });
            }
            step => kept.retain(|&i| request.keeps(step, &pools[i])),
        }
        // Nova looks at the sum after these steps only; an earlier shortage shows at the end as well.
        if matches!(step, Step::Attributes | Step::Numa | Step::PhysicalFunctions | Step::LiveMigratable)
            && total(&kept, counts) < wanted
        {
            return None;
        }
    }
    Some(kept)
}

/// Narrows the pools by the NUMA policy; near ones are taken before it is known whether they are usable (case W03).
fn by_numa(request: &Prepared<'_>, pools: &[Pool], counts: &[u32], kept: Vec<usize>) -> Vec<usize> {
    if !request.has_cells {
        return kept;
    }
    let wanted = u64::from(request.count);
    let within = |tiers: &[Nearness]| -> Vec<usize> {
        kept.iter().copied().filter(|&i| tiers.contains(&request.nearness(&pools[i]))).collect()
    };
    let local = within(&[Nearness::Local]);
    if request.policy == NumaPolicy::Required || total(&local, counts) >= wanted {
        return local;
    }
    if request.policy == NumaPolicy::Socket {
        // Where a socket is unknown, Nova finds nothing at all.
        return if request.knows_sockets() {
            within(&[Nearness::Local, Nearness::Socket])
        } else {
            Vec::new()
        };
    }
    let near = within(&[Nearness::Local, Nearness::Unknown]);
    if request.policy == NumaPolicy::Legacy || total(&near, counts) >= wanted {
        return near;
    }
    let mut all = kept;
    all.sort_by_key(|&i| !matches!(request.nearness(&pools[i]), Nearness::Local | Nearness::Unknown));
    all
}

fn usable(request: &Prepared<'_>, pools: &[Pool], counts: &[u32]) -> u64 {
    (0..pools.len())
        .filter(|&i| NOVA_STEPS.iter().all(|&step| request.keeps(step, &pools[i])))
        .map(|i| u64::from(counts[i]))
        .sum()
}
