//! The tracker: one host's devices, claims and changes.

use std::ffi::c_char;

use slotwise::{Assignment, BindingQuery, Change, Claim, Device, ExtraInfo, Fit, Tracker, log};

use crate::error::slotwise_error;
use crate::ffi;
use crate::outcome::set_fit;
use crate::policy::{self, slotwise_policy};
use crate::settings::log_line;
use crate::specs::slotwise_specs;
use crate::text::{slotwise_bytes, slotwise_string};
use crate::workload::slotwise_workload;

/// One host's truth: its devices, who holds them, and what is not yet written to the caller's database.
///
/// Owned by the caller; free it with slotwise_tracker_free(). Any number of threads may use it in functions that take
/// it as const; a function that changes it needs it for itself. A call that fails leaves it exactly as it was.
pub struct slotwise_tracker {
    inner: Tracker,
}

/// Makes a tracker without devices, with a copy of these rules.
///
/// `options` is a JSON object of which every key, or the whole, may be left out: `{"numa_topology": {"cells": [{"id": 0,
/// "socket": 0}, ...]}, "pool_keys": ["rack"], "allow_missing_parents": false, "device_groups": [{"name": "pair", "devices":
/// ["0000:17:00.0", ...]}]}`. The keys are extra info that splits pools; groups are handed out as a whole.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ARGUMENT for options that contradict themselves, or
/// SLOTWISE_ERROR_LIMIT_EXCEEDED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_new(
    specs: *const slotwise_specs,
    options: *const c_char,
    options_len: usize,
    tracker: *mut *mut slotwise_tracker,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (specs, tracker) = (ffi::shared(specs, "specs")?, ffi::out(tracker, "tracker")?);
            let options = ffi::optional_document(options, options_len, "options")?.unwrap_or_default();
            tracker.set_handle(slotwise_tracker { inner: Tracker::new(specs.inner.clone(), options)? });
            Ok(())
        })
    }
}

/// Makes a tracker that takes up from the rows of the caller's database, which count as written.
///
/// `options` are those of slotwise_tracker_new(). `rows` is a JSON array of objects in the form that
/// slotwise_tracker_devices() gives.
///
/// Fails as slotwise_tracker_new() does, and with SLOTWISE_ERROR_DUPLICATE_DEVICE, SLOTWISE_ERROR_INVALID_DEVICE for a row whose
/// status and owner contradict each other, or SLOTWISE_ERROR_INVALID_STATE where a PF and one of its VFs are both held; with the
/// row as place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_load(
    specs: *const slotwise_specs,
    options: *const c_char,
    options_len: usize,
    rows: *const c_char,
    rows_len: usize,
    tracker: *mut *mut slotwise_tracker,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (specs, tracker) = (ffi::shared(specs, "specs")?, ffi::out(tracker, "tracker")?);
            let options = ffi::optional_document(options, options_len, "options")?.unwrap_or_default();
            let rows = ffi::document(rows, rows_len, "rows")?;
            tracker
                .set_handle(slotwise_tracker { inner: Tracker::load(specs.inner.clone(), options, rows)? });
            Ok(())
        })
    }
}

/// Frees a tracker; NULL is nothing to free. To free the devices of an owner, see slotwise_tracker_free_owner().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_free(tracker: *mut slotwise_tracker) {
    // SAFETY: NULL, or a tracker that the caller gives up.
    unsafe { ffi::free(tracker) };
}

/// Takes over what the host has now: `devices` is a JSON array of all its devices, assignable or not.
///
/// Gives `{"added", "updated", "removed", "deferred"}`. The same devices again change nothing.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ADDRESS, SLOTWISE_ERROR_INVALID_DEVICE,
/// SLOTWISE_ERROR_DUPLICATE_DEVICE, SLOTWISE_ERROR_MISSING_PARENT, SLOTWISE_ERROR_PARENT_CYCLE, SLOTWISE_ERROR_INVALID_SPEC for a
/// rule that this host contradicts, or SLOTWISE_ERROR_LIMIT_EXCEEDED; nothing is taken over then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_sync(
    tracker: *mut slotwise_tracker,
    devices: *const c_char,
    devices_len: usize,
    report: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, report) = (ffi::exclusive(tracker, "tracker")?, ffi::out(report, "report")?);
            let devices: Vec<Device> = ffi::document(devices, devices_len, "devices")?;
            let done = tracker.inner.sync(devices)?;
            log_line!(log::synced(&done));
            report.set_document(&done);
            Ok(())
        })
    }
}

/// Replaces the rules by a copy of these; with `dry_run` only says what that would change.
///
/// Gives `{"added", "retagged", "removed", "held"}`.
///
/// Fails with SLOTWISE_ERROR_INVALID_SPEC for a rule that this host contradicts; nothing is replaced then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_replace_specs(
    tracker: *mut slotwise_tracker,
    specs: *const slotwise_specs,
    dry_run: bool,
    diff: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, diff) = (ffi::exclusive(tracker, "tracker")?, ffi::out(diff, "diff")?);
            let specs = ffi::shared(specs, "specs")?;
            let done = tracker.inner.replace_specs(specs.inner.clone(), dry_run)?;
            if !dry_run {
                log_line!(log::respecified(&done));
            }
            diff.set_document(&done);
            Ok(())
        })
    }
}

/// Gives the free devices, pooled: a JSON array that slotwise_pools_parse() reads.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_pools(
    tracker: *const slotwise_tracker,
    pools: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, pools) = (ffi::shared(tracker, "tracker")?, ffi::out(pools, "pools")?);
            pools.set_document(tracker.inner.pools().as_slice());
            Ok(())
        })
    }
}

/// Groups and counts the assignable devices, free or held, by `keys`: a JSON array of names of fields, tags or extra info.
///
/// Gives a JSON array of `{"values", "total", "free", "devices"}`, ordered by the values.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON where `keys` is something else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_group_by(
    tracker: *const slotwise_tracker,
    keys: *const c_char,
    keys_len: usize,
    groups: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, groups) = (ffi::shared(tracker, "tracker")?, ffi::out(groups, "groups")?);
            let keys: Vec<String> = ffi::document(keys, keys_len, "keys")?;
            groups.set_document(&tracker.inner.group_by(&keys));
            Ok(())
        })
    }
}

/// Gives the assignable devices, ordered by address: a JSON array of devices with `status`, `owner`, `request_id` and
/// `requester_id`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_devices(
    tracker: *const slotwise_tracker,
    devices: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, devices) = (ffi::shared(tracker, "tracker")?, ffi::out(devices, "devices")?);
            devices.set_document(&tracker.inner.devices());
            Ok(())
        })
    }
}

/// Says why the device of that `address`, such as `0000:3b:00.1`, is or is not assignable; the answer is that of
/// slotwise_specs_explain().
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_DEVICE where the host has none of that address, or SLOTWISE_ERROR_INVALID_ADDRESS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_explain(
    tracker: *const slotwise_tracker,
    address: *const c_char,
    address_len: usize,
    explanation: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, explanation) =
                (ffi::shared(tracker, "tracker")?, ffi::out(explanation, "explanation")?);
            let address = ffi::address(address, address_len, "address")?;
            explanation.set_document(&tracker.inner.explain(address)?);
            Ok(())
        })
    }
}

/// Says whether and how the workload fits, without claiming anything.
///
/// Writes a slotwise_outcome to `outcome`. With `fit` NULL that is all, and nothing is allocated at this boundary; otherwise
/// `fit` gets the whole answer as JSON, as in slotwise_pools_fit().
///
/// Fails with SLOTWISE_ERROR_INVALID_REQUEST for a workload that names an attribute which no device of this host has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_fit(
    tracker: *const slotwise_tracker,
    workload: *const slotwise_workload,
    outcome: *mut u32,
    fit: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, workload) = (ffi::shared(tracker, "tracker")?, ffi::shared(workload, "workload")?);
            let (outcome, fit) = (ffi::out(outcome, "outcome")?, ffi::optional_out(fit));
            set_fit(&tracker.inner.fit(&workload.inner)?, outcome, fit);
            Ok(())
        })
    }
}

/// Asks policies in which order they would give the free devices away, and makes the workload with that order as its
/// `prefer_devices`, to be fitted or claimed like any other.
///
/// What the first of `policies` that prefers finds equal is ordered by the next; if none prefers, the workload stays as it is. `facts`
/// may be left out: a JSON object of what policies are told about the workload beyond itself.
///
/// Fails with SLOTWISE_ERROR_POLICY_FAILED where a policy fails and is to fail closed, or SLOTWISE_ERROR_INVALID_REQUEST for a workload of
/// strategy `nova`, which knows no preference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_prefer(
    tracker: *const slotwise_tracker,
    workload: *const slotwise_workload,
    facts: *const c_char,
    facts_len: usize,
    policies: *const *mut slotwise_policy,
    policies_len: usize,
    ordered: *mut *mut slotwise_workload,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let tracker = ffi::shared(tracker, "tracker")?;
            let ordered = ffi::out(ordered, "ordered")?;
            let workload = ffi::shared(workload, "workload")?;
            let facts: Option<ExtraInfo> = ffi::optional_document(facts, facts_len, "facts")?;
            let policies = policy::all(policies, policies_len)?;
            let inner = tracker.inner.prefer(&workload.inner, &facts.unwrap_or_default(), &policies)?;
            ordered.set_handle(slotwise_workload { inner });
            Ok(())
        })
    }
}

/// Claims devices for `owner`: all that the workload asks for, or none.
///
/// The answer is that of slotwise_tracker_fit(); devices are claimed when `outcome` is SLOTWISE_OUTCOME_FITS, and the JSON
/// then names them. `fit` may be NULL.
///
/// Fails with SLOTWISE_ERROR_INVALID_ARGUMENT for an empty owner, and as slotwise_tracker_fit() does; nothing is claimed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_claim(
    tracker: *mut slotwise_tracker,
    owner: *const c_char,
    owner_len: usize,
    workload: *const slotwise_workload,
    outcome: *mut u32,
    fit: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, workload) =
                (ffi::exclusive(tracker, "tracker")?, ffi::shared(workload, "workload")?);
            let (outcome, fit) = (ffi::out(outcome, "outcome")?, ffi::optional_out(fit));
            let owner = ffi::text(owner, owner_len, "owner")?;
            let done = tracker.inner.claim(owner, &workload.inner)?;
            log_line!(log::claimed(owner, &done));
            set_fit(&done, outcome, fit);
            Ok(())
        })
    }
}

/// Claims for `owner` exactly the devices that slotwise_tracker_fit() found earlier, if they can still be had.
///
/// `assignment` is the JSON that slotwise_tracker_fit() gave for a workload that fits, as it is.
///
/// Fails with SLOTWISE_ERROR_CONFLICT where it no longer holds: fit again. Otherwise as slotwise_tracker_claim() does, and with
/// SLOTWISE_ERROR_INVALID_JSON; nothing is claimed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_claim_fit(
    tracker: *mut slotwise_tracker,
    owner: *const c_char,
    owner_len: usize,
    workload: *const slotwise_workload,
    assignment: *const c_char,
    assignment_len: usize,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, workload) =
                (ffi::exclusive(tracker, "tracker")?, ffi::shared(workload, "workload")?);
            let owner = ffi::text(owner, owner_len, "owner")?;
            let assignment: Assignment = ffi::document(assignment, assignment_len, "assignment")?;
            tracker.inner.claim_fit(owner, &workload.inner, &assignment)?;
            log_line!(log::claimed(owner, &Fit::Fits(assignment)));
            Ok(())
        })
    }
}

/// Claims devices for several workloads together: for all of them, or for none.
///
/// `claims` is a JSON array of `{"owner", "workload"}`. The answer is that of slotwise_tracker_fit(), spanning the requests of
/// all workloads in order; devices are claimed when `outcome` is SLOTWISE_OUTCOME_FITS. `fit` may be NULL.
///
/// If one of several workloads has strategy `nova`, they are only served one after the other, and a *no* is about the first for
/// which those before it left too little: it names that claim, and counts the requests of it alone.
///
/// Fails as slotwise_workload_parse() and slotwise_tracker_claim() do, with the index of the claim in the path, and with
/// SLOTWISE_ERROR_INVALID_REQUEST where one of several workloads leaves its NUMA cells to be chosen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_claim_all(
    tracker: *mut slotwise_tracker,
    claims: *const c_char,
    claims_len: usize,
    outcome: *mut u32,
    fit: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let tracker = ffi::exclusive(tracker, "tracker")?;
            let (outcome, fit) = (ffi::out(outcome, "outcome")?, ffi::optional_out(fit));
            let claims: Vec<Claim> = ffi::document(claims, claims_len, "claims")?;
            let done = tracker.inner.claim_all(&claims)?;
            log_line!(log::claimed_all(&claims, &done));
            set_fit(&done, outcome, fit);
            Ok(())
        })
    }
}

/// Turns the claims of `owner` into allocations, and gives the devices: a JSON array of addresses, ordered.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_OWNER where it holds nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_allocate(
    tracker: *mut slotwise_tracker,
    owner: *const c_char,
    owner_len: usize,
    addresses: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, addresses) =
                (ffi::exclusive(tracker, "tracker")?, ffi::out(addresses, "addresses")?);
            let owner = ffi::text(owner, owner_len, "owner")?;
            let done = tracker.inner.allocate(owner)?;
            log_line!(log::allocated(owner, &done));
            addresses.set_document(&done);
            Ok(())
        })
    }
}

/// Frees the devices of `owner`, and gives them: a JSON array of addresses, ordered; empty if it holds none.
///
/// `scope` is `all` (also when it is left out), `claims` or `allocations`.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON for another scope.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_free_owner(
    tracker: *mut slotwise_tracker,
    owner: *const c_char,
    owner_len: usize,
    scope: *const c_char,
    scope_len: usize,
    addresses: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, addresses) =
                (ffi::exclusive(tracker, "tracker")?, ffi::out(addresses, "addresses")?);
            let owner = ffi::text(owner, owner_len, "owner")?;
            let scope = ffi::optional_word(scope, scope_len, "scope")?.unwrap_or_default();
            let done = tracker.inner.free(owner, scope);
            log_line!(log::freed(owner, &done));
            addresses.set_document(&done);
            Ok(())
        })
    }
}

/// Frees one device of `owner`, by its `address` such as `0000:3b:00.1`.
///
/// Fails with SLOTWISE_ERROR_INVALID_ADDRESS, SLOTWISE_ERROR_UNKNOWN_DEVICE, SLOTWISE_ERROR_INVALID_STATE where it is not held, or
/// SLOTWISE_ERROR_WRONG_OWNER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_free_device(
    tracker: *mut slotwise_tracker,
    owner: *const c_char,
    owner_len: usize,
    address: *const c_char,
    address_len: usize,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let tracker = ffi::exclusive(tracker, "tracker")?;
            let owner = ffi::text(owner, owner_len, "owner")?;
            let address = ffi::address(address, address_len, "address")?;
            tracker.inner.free_device(owner, address)?;
            log_line!(log::freed(owner, &[address]));
            Ok(())
        })
    }
}

/// Frees the devices of all owners that are not in `owners`, a JSON array of texts, and gives those devices: a JSON array
/// of addresses, ordered.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON where `owners` is something else; nothing is freed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_retain_owners(
    tracker: *mut slotwise_tracker,
    owners: *const c_char,
    owners_len: usize,
    addresses: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, addresses) =
                (ffi::exclusive(tracker, "tracker")?, ffi::out(addresses, "addresses")?);
            let owners: Vec<String> = ffi::document(owners, owners_len, "owners")?;
            let done = tracker.inner.retain_owners(&owners);
            log_line!(log::retained(&done));
            addresses.set_document(&done);
            Ok(())
        })
    }
}

/// Gives the held devices that `query` selects, with the facts a network service configures them by.
///
/// `query` is a JSON object of which every key may be left out: `{"owner", "request_id", "requester_id"}`; those given must
/// all match. The answer is a JSON array in the order in which the devices were claimed.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON for another query.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_bindings(
    tracker: *const slotwise_tracker,
    query: *const c_char,
    query_len: usize,
    bindings: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, bindings) = (ffi::shared(tracker, "tracker")?, ffi::out(bindings, "bindings")?);
            let query: BindingQuery = ffi::document(query, query_len, "query")?;
            bindings.set_document(&tracker.inner.bindings(&query));
            Ok(())
        })
    }
}

/// Gives what must be written to the caller's database now: a JSON array of `{"address", "action", "fields"}`, ordered by
/// address. It stays the same until slotwise_tracker_written() or another change.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_changes(
    tracker: *const slotwise_tracker,
    changes: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, changes) = (ffi::shared(tracker, "tracker")?, ffi::out(changes, "changes")?);
            changes.set_document(&tracker.inner.changes());
            Ok(())
        })
    }
}

/// Notes that these `changes`, in the form slotwise_tracker_changes() gave them, have been written.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, or SLOTWISE_ERROR_UNKNOWN_DEVICE for an update of a row that this tracker does not know;
/// nothing is noted then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_written(
    tracker: *mut slotwise_tracker,
    changes: *const c_char,
    changes_len: usize,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let tracker = ffi::exclusive(tracker, "tracker")?;
            let changes: Vec<Change> = ffi::document(changes, changes_len, "changes")?;
            tracker.inner.written(&changes)?;
            Ok(())
        })
    }
}

/// Gives a number that grows with every call that changed anything.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_version(
    tracker: *const slotwise_tracker,
    version: *mut u64,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, version) = (ffi::shared(tracker, "tracker")?, ffi::out(version, "version")?);
            version.set(tracker.inner.version());
            Ok(())
        })
    }
}

/// Gives the whole state as versioned, checksummed bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_snapshot(
    tracker: *const slotwise_tracker,
    snapshot: *mut slotwise_bytes,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, snapshot) = (ffi::shared(tracker, "tracker")?, ffi::out(snapshot, "snapshot")?);
            snapshot.set(tracker.inner.snapshot().into());
            Ok(())
        })
    }
}

/// Makes a tracker from the bytes of `snapshot`, which slotwise_tracker_snapshot() gave.
///
/// Fails with SLOTWISE_ERROR_INVALID_SNAPSHOT for bytes that are truncated, altered or contradict themselves, with
/// SLOTWISE_ERROR_UNSUPPORTED_VERSION or SLOTWISE_ERROR_LIMIT_EXCEEDED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_restore(
    snapshot: *const u8,
    snapshot_len: usize,
    tracker: *mut *mut slotwise_tracker,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let tracker = ffi::out(tracker, "tracker")?;
            let snapshot = ffi::bytes(snapshot, snapshot_len, "snapshot")?;
            tracker.set_handle(slotwise_tracker { inner: Tracker::from_snapshot(snapshot)? });
            Ok(())
        })
    }
}

/// Gives the whole state as a JSON document.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_snapshot_json(
    tracker: *const slotwise_tracker,
    snapshot: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (tracker, snapshot) = (ffi::shared(tracker, "tracker")?, ffi::out(snapshot, "snapshot")?);
            snapshot.set(tracker.inner.snapshot_json().into());
            Ok(())
        })
    }
}

/// Makes a tracker from the document `snapshot`, which slotwise_tracker_snapshot_json() gave.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, and as slotwise_tracker_restore() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_tracker_restore_json(
    snapshot: *const c_char,
    snapshot_len: usize,
    tracker: *mut *mut slotwise_tracker,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let tracker = ffi::out(tracker, "tracker")?;
            let snapshot = ffi::text(snapshot, snapshot_len, "snapshot")?;
            tracker.set_handle(slotwise_tracker { inner: Tracker::from_snapshot_json(snapshot)? });
            Ok(())
        })
    }
}
