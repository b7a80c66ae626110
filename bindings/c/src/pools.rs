//! Pools of one host, as a scheduler sees them.

use std::ffi::c_char;

use slotwise::{Assignment, Pools};

use crate::error::slotwise_error;
use crate::ffi;
use crate::outcome::set_fit;
use crate::text::slotwise_string;
use crate::workload::slotwise_workload;

/// The free devices of one host, grouped so that those in a pool are interchangeable.
///
/// Owned by the caller; free it with slotwise_pools_free(). Any number of threads may use it in functions that take it
/// as const; a function that changes it needs it for itself.
pub struct slotwise_pools {
    pub(crate) inner: Pools,
}

/// Parses a host's `pools` in the form that Nova keeps them: a JSON array of `{"vendor_id", "product_id", "numa_node",
/// "tags", "count"}`, one such object, a versioned PciDevicePoolList, or null.
///
/// `numa_topology` is a JSON object `{"cells": [{"id": 0, "socket": 0}, ...]}`, which the NUMA policy `socket` needs; it
/// may be left out.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_POOL or SLOTWISE_ERROR_LIMIT_EXCEEDED, with the place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_pools_parse(
    pools: *const c_char,
    pools_len: usize,
    numa_topology: *const c_char,
    numa_topology_len: usize,
    parsed: *mut *mut slotwise_pools,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let parsed = ffi::out(parsed, "parsed")?;
            let pools = ffi::text(pools, pools_len, "pools")?;
            let topology = ffi::optional_document(numa_topology, numa_topology_len, "numa_topology")?;
            parsed.set_handle(slotwise_pools { inner: Pools::from_json(pools, topology)? });
            Ok(())
        })
    }
}

/// Frees pools; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_pools_free(pools: *mut slotwise_pools) {
    // SAFETY: NULL, or pools that the caller gives up.
    unsafe { ffi::free(pools) };
}

/// Says whether the workload fits these pools, without taking anything.
///
/// Writes a slotwise_outcome to `outcome`. With `fit` NULL that is all, and nothing is allocated at this boundary: a
/// scheduler asks thousands of hosts this way. Otherwise `fit` gets the whole answer as JSON: `{"outcome": "fits",
/// "requests": [...]}` with the pools to take from, and `"cut_short": true` where the search budget ran out before anything
/// better was ruled out; or `"no_fit"` with the reasons, or `"undecided"`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_pools_fit(
    pools: *const slotwise_pools,
    workload: *const slotwise_workload,
    outcome: *mut u32,
    fit: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (pools, workload) = (ffi::shared(pools, "pools")?, ffi::shared(workload, "workload")?);
            let (outcome, fit) = (ffi::out(outcome, "outcome")?, ffi::optional_out(fit));
            set_fit(&pools.inner.fit(&workload.inner)?, outcome, fit);
            Ok(())
        })
    }
}

/// Takes what an assignment uses, so that the next workload sees what is left, and gives the pools as JSON.
///
/// `assignment` is the JSON that slotwise_pools_fit() gave for a workload that fits, as it is.
///
/// Fails with SLOTWISE_ERROR_INVALID_STATE where the pools do not hold what the assignment uses, and with
/// SLOTWISE_ERROR_INVALID_JSON; nothing is taken then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_pools_consume(
    pools: *mut slotwise_pools,
    assignment: *const c_char,
    assignment_len: usize,
    list: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (pools, list) = (ffi::exclusive(pools, "pools")?, ffi::out(list, "list")?);
            let assignment: Assignment = ffi::document(assignment, assignment_len, "assignment")?;
            pools.inner.consume(&assignment)?;
            list.set_document(pools.inner.as_slice());
            Ok(())
        })
    }
}

/// Gives the pools in their stable order: a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_pools_list(
    pools: *const slotwise_pools,
    list: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (pools, list) = (ffi::shared(pools, "pools")?, ffi::out(list, "list")?);
            list.set_document(pools.inner.as_slice());
            Ok(())
        })
    }
}

/// Groups and counts the free devices by the values of `keys`, a JSON array of attribute or tag names.
///
/// Gives a JSON array of `{"values", "total", "free", "devices"}`, ordered by the values.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON where `keys` is something else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_pools_group_by(
    pools: *const slotwise_pools,
    keys: *const c_char,
    keys_len: usize,
    groups: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (pools, groups) = (ffi::shared(pools, "pools")?, ffi::out(groups, "groups")?);
            let keys: Vec<String> = ffi::document(keys, keys_len, "keys")?;
            groups.set_document(&pools.inner.group_by(&keys));
            Ok(())
        })
    }
}
