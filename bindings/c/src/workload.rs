//! Workloads: parsed once, asked of many hosts.

use std::ffi::c_char;

use slotwise::Workload;

use crate::error::slotwise_error;
use crate::ffi;

/// What one workload asks of one host; parsed once, so that many hosts can be asked without parsing again.
///
/// Owned by the caller; free it with slotwise_workload_free(). It never changes: any number of threads may use it.
pub struct slotwise_workload {
    pub(crate) inner: Workload,
}

/// Parses a `workload`: a JSON object `{"requests": [...], "numa_cells": [0], "numa_cells_from", "constraints", "prefer":
/// "stable", "spread_over", "prefer_devices", "provider_mapping", "strategy": "exact", "budget": 100000}`, of which only
/// `requests` is needed. The budget counts search steps.
///
/// Each request is `{"count": 1, "alternatives": [{"vendor_id": "15b3", ...}, ...], "numa_policy": "legacy", "otherwise", "isolate":
/// false, "same", "distinct", "prefer_same", "request_id", "requester_id", "alias_name"}`, of which only `alternatives` is needed;
/// a device must match all entries of at least one. docs/allocation.md says what each key asks for.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_REQUEST or SLOTWISE_ERROR_LIMIT_EXCEEDED, with a path such as
/// `workload.requests[0].count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_workload_parse(
    workload: *const c_char,
    workload_len: usize,
    parsed: *mut *mut slotwise_workload,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let parsed = ffi::out(parsed, "parsed")?;
            let inner = ffi::document(workload, workload_len, "workload")?;
            parsed.set_handle(slotwise_workload { inner });
            Ok(())
        })
    }
}

/// Frees a workload; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_workload_free(workload: *mut slotwise_workload) {
    // SAFETY: NULL, or a workload that the caller gives up.
    unsafe { ffi::free(workload) };
}
