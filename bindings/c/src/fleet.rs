//! Many hosts' pools in one index.

use std::collections::BTreeMap;
use std::ffi::c_char;

use slotwise::{Batch, Demand, FilterOptions, Fleet, HostDelta, NumaTopology, Placed, RankOptions};

use crate::error::slotwise_error;
use crate::ffi;
use crate::outcome::set_fit;
use crate::policy::{self, slotwise_policy};
use crate::pools::slotwise_pools;
use crate::text::{slotwise_bytes, slotwise_string};
use crate::workload::slotwise_workload;

/// Many hosts' pools in one index, for a scheduler that asks thousands of times a second.
///
/// A host has a name, and a small number (its id) that stays the same until it is removed. A set of hosts is a bitmap:
/// host `id` is bit `id % 8`, the lowest first, of byte `id / 8`; zeros at its end are left out.
///
/// Owned by the caller; free it with slotwise_fleet_free(). Any number of threads may ask it at the same time (functions
/// that take it as const); a function that changes it needs it for itself, so that threads that ask while another
/// changes share a lock for readers and writers.
pub struct slotwise_fleet {
    inner: Fleet,
}

/// Makes a fleet without hosts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_new(
    made: *mut *mut slotwise_fleet,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            ffi::out(made, "made")?.set_handle(slotwise_fleet { inner: Fleet::new() });
            Ok(())
        })
    }
}

/// Frees a fleet; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_free(fleet: *mut slotwise_fleet) {
    // SAFETY: NULL, or a fleet that the caller gives up.
    unsafe { ffi::free(fleet) };
}

/// Inserts a host, or replaces what is known of it; `host` is its name, UTF-8, and `pools` and `numa_topology` are as in
/// slotwise_pools_parse().
///
/// Text that the host was last read from is recognised and not read again. `version` may be NULL: then it counts on from
/// the one that is there. `update` gets `{"id", "version", "outcome"}`, the outcome being `inserted`, `updated` or `unchanged`.
///
/// Fails with SLOTWISE_ERROR_CONFLICT for a version that is older than the one that is there, and as slotwise_pools_parse().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_put(
    fleet: *mut slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    pools: *const c_char,
    pools_len: usize,
    numa_topology: *const c_char,
    numa_topology_len: usize,
    version: *const u64,
    update: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let update = ffi::out(update, "update")?;
            let (host, pools) = (ffi::text(host, host_len, "host")?, ffi::text(pools, pools_len, "pools")?);
            let topology: Option<NumaTopology> =
                ffi::optional_document(numa_topology, numa_topology_len, "numa_topology")?;
            let version = version.as_ref().copied();
            update.set_document(&fleet.inner.put_json(host, pools, topology.as_ref(), version)?);
            Ok(())
        })
    }
}

/// Inserts or replaces many hosts: `lines` has one JSON document per line, `{"host", "pools"}` and where wanted
/// `numa_topology`, `version` and `tags`.
///
/// All lines are taken over or none; a fleet that has hosts already is copied for that. `loaded` gets `{"inserted", "updated",
/// "unchanged"}`. Fails as slotwise_fleet_put(), with a path such as `lines[17].pools`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_load(
    fleet: *mut slotwise_fleet,
    lines: *const c_char,
    lines_len: usize,
    loaded: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let loaded = ffi::out(loaded, "loaded")?;
            loaded.set_document(&fleet.inner.load(ffi::text(lines, lines_len, "lines")?)?);
            Ok(())
        })
    }
}

/// Applies what changed on a host; `host` is its name, UTF-8.
///
/// `delta` is a JSON object `{"base", "version", "removed", "pools", "released"}`; `update` is as in slotwise_fleet_put().
///
/// Fails with SLOTWISE_ERROR_CONFLICT when the delta does not follow on the version that is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_apply(
    fleet: *mut slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    delta: *const c_char,
    delta_len: usize,
    update: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let update = ffi::out(update, "update")?;
            let host = ffi::text(host, host_len, "host")?;
            let delta: HostDelta = ffi::document(delta, delta_len, "delta")?;
            update.set_document(&fleet.inner.apply(host, &delta)?);
            Ok(())
        })
    }
}

/// Removes a host with all that is reserved on it; `host` is its name, UTF-8.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_remove(
    fleet: *mut slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            fleet.inner.remove(ffi::text(host, host_len, "host")?)?;
            Ok(())
        })
    }
}

/// Gives the host named `host` its `tags`, a JSON object of texts, in place of those it had; `changed` says whether that
/// changed anything.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_set_tags(
    fleet: *mut slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    tags: *const c_char,
    tags_len: usize,
    changed: *mut bool,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let changed = ffi::out(changed, "changed")?;
            let host = ffi::text(host, host_len, "host")?;
            changed.set(fleet.inner.set_tags(host, &ffi::document(tags, tags_len, "tags")?)?);
            Ok(())
        })
    }
}

/// Gives the tags of the host named `host`, UTF-8, as a JSON object.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_tags(
    fleet: *const slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    tags: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let tags = ffi::out(tags, "tags")?;
            tags.set_document(&fleet.inner.tags(ffi::text(host, host_len, "host")?)?);
            Ok(())
        })
    }
}

/// Gives the id and the version of the host named `host`, UTF-8.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_id(
    fleet: *const slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    id: *mut u32,
    version: *mut u64,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let (id, version) = (ffi::out(id, "id")?, ffi::out(version, "version")?);
            let host = ffi::text(host, host_len, "host")?;
            let found = (fleet.inner.id(host)?, fleet.inner.version(host)?);
            id.set(found.0);
            version.set(found.1);
            Ok(())
        })
    }
}

/// Gives the pools of the host named `host`, UTF-8, less what is reserved on it.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_HOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_pools(
    fleet: *const slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    pools: *mut *mut slotwise_pools,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let pools = ffi::out(pools, "pools")?;
            pools
                .set_handle(slotwise_pools { inner: fleet.inner.pools(ffi::text(host, host_len, "host")?)? });
            Ok(())
        })
    }
}

/// Gives the ids of all hosts as a bitmap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_hosts(
    fleet: *const slotwise_fleet,
    hosts: *mut slotwise_bytes,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            ffi::out(hosts, "hosts")?.set(fleet.inner.hosts().to_bytes().into());
            Ok(())
        })
    }
}

/// Gives the names of the hosts of the bitmap `hosts`, or of all if it is left out, in the order of their ids: a JSON array.
///
/// Ids without a host are passed over.
///
/// Fails with SLOTWISE_ERROR_LIMIT_EXCEEDED for a bitmap of over 2^32 bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_names(
    fleet: *const slotwise_fleet,
    hosts: *const u8,
    hosts_len: usize,
    names: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let names = ffi::out(names, "names")?;
            let hosts = ffi::optional_hosts(hosts, hosts_len, "hosts")?;
            let hosts = hosts.as_ref().unwrap_or(fleet.inner.hosts());
            names.set_document(&fleet.inner.names(hosts).collect::<Vec<_>>());
            Ok(())
        })
    }
}

/// Says whether and how a workload fits the host named `host`, UTF-8; nothing is held.
///
/// `outcome` gets a slotwise_outcome, and `fit` the answer as JSON, both as in slotwise_pools_fit(); `fit` may be NULL.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_HOST, and as slotwise_pools_fit().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_fit(
    fleet: *const slotwise_fleet,
    host: *const c_char,
    host_len: usize,
    workload: *const slotwise_workload,
    outcome: *mut u32,
    fit: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let (outcome, fit) = (ffi::out(outcome, "outcome")?, ffi::optional_out(fit));
            let (host, workload) = (ffi::text(host, host_len, "host")?, ffi::shared(workload, "workload")?);
            set_fit(&fleet.inner.fit(host, &workload.inner)?, outcome, fit);
            Ok(())
        })
    }
}

/// Says which hosts fit a workload.
///
/// `options` may be left out: `{"hosts": [{"host", "numa_cells", "mappings"}], "limit", "facts"}`. `among` is a bitmap of the hosts
/// that are asked; all if it is left out. `policies` are asked about the hosts that fit; none if it is left out.
///
/// `hosts` gets the bitmap of those that fit. `undecided` may be NULL; it gets that of those for which the search budget ran
/// out.
/// `answer` may be NULL; it gets all of it as JSON, with lists of ids, and in `refused` the reasons of the policies.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_UNKNOWN_HOST for an option that names one, SLOTWISE_ERROR_INVALID_REQUEST
/// for a mapping that does not go with the workload, SLOTWISE_ERROR_LIMIT_EXCEEDED, or SLOTWISE_ERROR_POLICY_FAILED where a policy
/// fails and is to fail closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_filter(
    fleet: *const slotwise_fleet,
    workload: *const slotwise_workload,
    options: *const c_char,
    options_len: usize,
    among: *const u8,
    among_len: usize,
    policies: *const *mut slotwise_policy,
    policies_len: usize,
    hosts: *mut slotwise_bytes,
    undecided: *mut slotwise_bytes,
    answer: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let hosts = ffi::out(hosts, "hosts")?;
            let (undecided, answer) = (ffi::optional_out(undecided), ffi::optional_out(answer));
            let workload = ffi::shared(workload, "workload")?;
            let options: Option<FilterOptions> = ffi::optional_document(options, options_len, "options")?;
            let mut options = options.unwrap_or_default();
            if let Some(among) = ffi::optional_hosts(among, among_len, "among")? {
                options.among = Some(among);
            }
            let policies = policy::all(policies, policies_len)?;
            let found = fleet.inner.filter(&workload.inner, &options, &policies)?;
            hosts.set(found.hosts.to_bytes().into());
            if let Some(undecided) = undecided {
                undecided.set(found.undecided.to_bytes().into());
            }
            if let Some(answer) = answer {
                answer.set_document(&found);
            }
            Ok(())
        })
    }
}

/// Ranks the hosts that fit a workload, the best first.
///
/// `options` may be left out: `{"filter": {...}, "weighers": [{"kind": "fewest_free", "multiplier": 1.0}], "policy_multiplier", "limit"}`,
/// the filter being the options of slotwise_fleet_filter() with `among` as a list of ids; kinds are `fewest_free`, `best_fit` and
/// `fragmentation`. `policies` as there; those that score are weighers too, after the others.
///
/// `ids` and `scores` get the ids and totals as far as there is room, `count` how many there are. `ranking` may be NULL; it gets
/// all of it as JSON, with the weights of each weigher.
///
/// Fails as slotwise_fleet_filter() does, and with SLOTWISE_ERROR_INVALID_ARGUMENT for a multiplier that is no finite number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_rank(
    fleet: *const slotwise_fleet,
    workload: *const slotwise_workload,
    options: *const c_char,
    options_len: usize,
    policies: *const *mut slotwise_policy,
    policies_len: usize,
    ids: *mut u32,
    ids_len: usize,
    scores: *mut f64,
    scores_len: usize,
    count: *mut usize,
    ranking: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let (ids, scores) = (ffi::room(ids, ids_len, "ids")?, ffi::room(scores, scores_len, "scores")?);
            let (count, ranking) = (ffi::out(count, "count")?, ffi::optional_out(ranking));
            let workload = ffi::shared(workload, "workload")?;
            let options: Option<RankOptions> = ffi::optional_document(options, options_len, "options")?;
            let policies = policy::all(policies, policies_len)?;
            let found = fleet.inner.rank(&workload.inner, &options.unwrap_or_default(), &policies)?;
            ids.set(&found.hosts);
            scores.set(&found.scores);
            count.set(found.hosts.len());
            if let Some(ranking) = ranking {
                ranking.set_document(&found);
            }
            Ok(())
        })
    }
}

/// Explains a workload over the fleet: how many hosts fit, and what rules out the others; `options` and `policies` as in
/// slotwise_fleet_filter().
///
/// `explanation` gets a JSON object whose `message` is all of it as one sentence.
///
/// Fails as slotwise_fleet_filter() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_explain(
    fleet: *const slotwise_fleet,
    workload: *const slotwise_workload,
    options: *const c_char,
    options_len: usize,
    policies: *const *mut slotwise_policy,
    policies_len: usize,
    explanation: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let explanation = ffi::out(explanation, "explanation")?;
            let workload = ffi::shared(workload, "workload")?;
            let options: Option<FilterOptions> = ffi::optional_document(options, options_len, "options")?;
            let policies = policy::all(policies, policies_len)?;
            explanation.set_document(&fleet.inner.explain(
                &workload.inner,
                &options.unwrap_or_default(),
                &policies,
            )?);
            Ok(())
        })
    }
}

/// Finds a host for each item of a batch; each sees what the others take. Nothing is held.
///
/// `batch` is `{"items": [{"owner", "workload"}], "rules": [{"items": [0, 1], "distinct": "host"}], "mode": "joint"}`, and where wanted
/// `among`, `weighers`, `facts` and `budget`. `policies` as in slotwise_fleet_rank(). `placed` gets `{"outcome", "items", "impossible",
/// "sequence"}`.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ARGUMENT for items or rules that contradict each other,
/// SLOTWISE_ERROR_UNKNOWN_HOST, SLOTWISE_ERROR_LIMIT_EXCEEDED, or SLOTWISE_ERROR_POLICY_FAILED where a policy fails and is to fail
/// closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_place(
    fleet: *const slotwise_fleet,
    batch: *const c_char,
    batch_len: usize,
    policies: *const *mut slotwise_policy,
    policies_len: usize,
    placed: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let placed = ffi::out(placed, "placed")?;
            let batch: Batch = ffi::document(batch, batch_len, "batch")?;
            let policies = policy::all(policies, policies_len)?;
            placed.set_document(&fleet.inner.place(&batch, &policies)?);
            Ok(())
        })
    }
}

/// Reserves on a host what a workload needs, if it fits, until `expires`, a time in the caller's own unit.
///
/// `owner` names who asks and `host` the host, both UTF-8. `outcome` gets a slotwise_outcome; only with
/// SLOTWISE_OUTCOME_FITS anything is reserved. `fit` may be NULL; it gets the answer as JSON.
///
/// Fails with SLOTWISE_ERROR_ALREADY_EXISTS when the owner has a reservation already, or SLOTWISE_ERROR_UNKNOWN_HOST.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_reserve(
    fleet: *mut slotwise_fleet,
    owner: *const c_char,
    owner_len: usize,
    host: *const c_char,
    host_len: usize,
    workload: *const slotwise_workload,
    expires: u64,
    outcome: *mut u32,
    fit: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let (outcome, fit) = (ffi::out(outcome, "outcome")?, ffi::optional_out(fit));
            let (owner, host) = (ffi::text(owner, owner_len, "owner")?, ffi::text(host, host_len, "host")?);
            let workload = ffi::shared(workload, "workload")?;
            set_fit(&fleet.inner.reserve(owner, host, &workload.inner, expires)?, outcome, fit);
            Ok(())
        })
    }
}

/// Reserves what slotwise_fleet_place() found for a batch, all of it or nothing, until `expires`, a time in the caller's
/// own unit.
///
/// `batch` is what slotwise_fleet_place() was asked and `placed` its answer, both as JSON.
///
/// Fails with SLOTWISE_ERROR_CONFLICT when the fleet changed since, or a host's tags break a rule now, and with
/// SLOTWISE_ERROR_INVALID_ARGUMENT when `placed` is no answer to `batch`. Policies are not asked again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_reserve_placed(
    fleet: *mut slotwise_fleet,
    batch: *const c_char,
    batch_len: usize,
    placed: *const c_char,
    placed_len: usize,
    expires: u64,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let batch: Batch = ffi::document(batch, batch_len, "batch")?;
            let placed: Placed = ffi::document(placed, placed_len, "placed")?;
            fleet.inner.reserve_placed(&batch, &placed, expires)?;
            Ok(())
        })
    }
}

/// Ends the reservation of `owner`, UTF-8, and gives it: `{"host", "expires"}`.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_OWNER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_release(
    fleet: *mut slotwise_fleet,
    owner: *const c_char,
    owner_len: usize,
    reservation: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let reservation = ffi::out(reservation, "reservation")?;
            reservation.set_document(&fleet.inner.release(ffi::text(owner, owner_len, "owner")?)?);
            Ok(())
        })
    }
}

/// Ends all reservations that expire at `now` or before, and gives their owners in order: a JSON array.
///
/// Fails only as the conventions say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_expire(
    fleet: *mut slotwise_fleet,
    now: u64,
    owners: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let owners = ffi::out(owners, "owners")?;
            owners.set_document(&fleet.inner.expire(now));
            Ok(())
        })
    }
}

/// Gives the reservations: a JSON object of owner and `{"host", "expires"}`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_reservations(
    fleet: *const slotwise_fleet,
    reservations: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let reservations = ffi::out(reservations, "reservations")?;
            reservations.set_document(&fleet.inner.reservations().collect::<BTreeMap<_, _>>());
            Ok(())
        })
    }
}

/// Says what the fleet will be asked for, in place of what was declared before: `demand` is a JSON array of
/// `{"workload", "weight"}`.
///
/// Fails with SLOTWISE_ERROR_INVALID_ARGUMENT or SLOTWISE_ERROR_LIMIT_EXCEEDED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_declare_demand(
    fleet: *mut slotwise_fleet,
    demand: *const c_char,
    demand_len: usize,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            let demand: Vec<Demand> = ffi::document(demand, demand_len, "demand")?;
            fleet.inner.declare_demand(demand)?;
            Ok(())
        })
    }
}

/// Counts a workload that was asked for into the recent demand, which fades as more is counted.
///
/// Fails only as the conventions say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_observe_demand(
    fleet: *mut slotwise_fleet,
    workload: *const slotwise_workload,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::exclusive(fleet, "fleet")?;
            fleet.inner.observe_demand(&ffi::shared(workload, "workload")?.inner)?;
            Ok(())
        })
    }
}

/// Gives what the fleet expects to be asked for, what was declared first: a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_demand(
    fleet: *const slotwise_fleet,
    demand: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            let demand = ffi::out(demand, "demand")?;
            demand.set_document(&fleet.inner.demand().collect::<Vec<_>>());
            Ok(())
        })
    }
}

/// Gives a number that grows with every change of what any host has free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_sequence(
    fleet: *const slotwise_fleet,
    sequence: *mut u64,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            ffi::out(sequence, "sequence")?.set(fleet.inner.sequence());
            Ok(())
        })
    }
}

/// Gives how many bytes the fleet occupies: a JSON object by what they are for, with their `total`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_memory(
    fleet: *const slotwise_fleet,
    memory: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            ffi::out(memory, "memory")?.set_document(&fleet.inner.memory());
            Ok(())
        })
    }
}

/// Gives the whole state as versioned, checksummed bytes, reservations and demand included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_snapshot(
    fleet: *const slotwise_fleet,
    snapshot: *mut slotwise_bytes,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let fleet = ffi::shared(fleet, "fleet")?;
            ffi::out(snapshot, "snapshot")?.set(fleet.inner.snapshot().into());
            Ok(())
        })
    }
}

/// Makes a fleet of `snapshot`, the bytes that slotwise_fleet_snapshot() gave.
///
/// Fails with SLOTWISE_ERROR_INVALID_SNAPSHOT or SLOTWISE_ERROR_UNSUPPORTED_VERSION.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_fleet_restore(
    snapshot: *const u8,
    snapshot_len: usize,
    restored: *mut *mut slotwise_fleet,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let restored = ffi::out(restored, "restored")?;
            let bytes = ffi::bytes(snapshot, snapshot_len, "snapshot")?;
            restored.set_handle(slotwise_fleet { inner: Fleet::from_snapshot(bytes)? });
            Ok(())
        })
    }
}
