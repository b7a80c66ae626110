//! Policies: the operator's own rules as WebAssembly components, asked from C.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use slotwise::log::{Level, Line};
use slotwise::policy::{self, DeviceTable, HostTable, QueryDocument};
use slotwise_sandbox::{LogLevel, LogLine, Policy, PolicyOptions, scope_names};

use crate::apart::{Apart, apart};
use crate::error::slotwise_error;
use crate::ffi;
use crate::settings;
use crate::text::slotwise_string;

/// A placement policy: a WebAssembly component that is run under limits and without trust.
///
/// Owned by the caller; free it with slotwise_policy_free(). Any number of threads may ask it at the same time. It keeps one
/// thread of its own, which ends with it, and starts another one in a process that was forked. Each call that loads, asks or
/// frees it does so in a thread that ends with the call, some 20 microseconds, so that nothing of it stays in the caller's.
pub struct slotwise_policy {
    inner: Apart,
}

/// Reads, compiles and configures the policy in the file `path`.
///
/// `configuration` is handed to the policy as it is, and may be left out. `options` is a JSON object, which may be left out as
/// every key in it: `{"name": "tenants", "limits": {"time_ms": 200, "fuel": null, "memory": 67108864, "table": 20000, "stack":
/// 524288, "result": 16777216, "instances": 8}, "on_failure": "closed" | "open" | {"drop_after": 3}, "keep_instances": false,
/// "cache": "/var/cache/slotwise"}`. The cache of compiled code must be private to this user.
///
/// Lines of the policy's log, and one line for each kind of its failures, go to the function of slotwise_log_set(), which is
/// then called in a thread of the library while the caller's waits.
///
/// Fails with SLOTWISE_ERROR_INVALID_POLICY for a component that is no policy, imports anything but its log, does not fit its
/// limits or refuses its configuration, and for a cache that others could write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_policy_load(
    path: *const c_char,
    path_len: usize,
    configuration: *const u8,
    configuration_len: usize,
    options: *const c_char,
    options_len: usize,
    policy: *mut *mut slotwise_policy,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let policy = ffi::out(policy, "policy")?;
            let path = ffi::text(path, path_len, "path")?;
            let configuration = ffi::optional_bytes(configuration, configuration_len, "configuration")?;
            let options = ffi::optional_text(options, options_len, "options")?.unwrap_or("{}");
            let options = PolicyOptions {
                configuration: configuration.unwrap_or_default().to_vec(),
                log: Some(Arc::new(log)),
                ..PolicyOptions::from_json(options)?
            };
            let loaded =
                apart(|| Policy::load(path, options).map_err(|error| error.at_load(Path::new(path))))?;
            policy.set_handle(slotwise_policy { inner: Apart::new(loaded) });
            Ok(())
        })
    }
}

/// Frees a policy; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_policy_free(policy: *mut slotwise_policy) {
    // SAFETY: NULL, or a policy that the caller gives up.
    unsafe { ffi::free(policy) };
}

/// Asks which hosts may take a workload.
///
/// `query` is a JSON object `{"workload": {...}, "facts": {"project_id": "p"}}`, which may be left out as both of its keys.
/// `hosts` is a JSON array of `{"name", "attributes", "pools"}`, of which only the name is needed. `verdicts` gets a JSON array
/// with null for each host that passes, else the reason why not.
///
/// Fails with SLOTWISE_ERROR_POLICY_FAILED when the policy fails and is to fail closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_policy_filter(
    policy: *const slotwise_policy,
    query: *const c_char,
    query_len: usize,
    hosts: *const c_char,
    hosts_len: usize,
    verdicts: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (policy, out) = (ffi::shared(policy, "policy")?, ffi::out(verdicts, "verdicts")?);
            let query =
                QueryDocument::from_json(ffi::optional_text(query, query_len, "query")?.unwrap_or("{}"))?;
            let hosts = HostTable::from_json(ffi::text(hosts, hosts_len, "hosts")?)?;
            let verdicts = policy::filter(&[&policy.inner], &query.as_query(), &hosts)?;
            let reasons: Vec<Option<&str>> = (0..hosts.len()).map(|host| verdicts.reason(host)).collect();
            out.set_document(&reasons);
            Ok(())
        })
    }
}

/// Asks how well each host suits a workload.
///
/// `query` and `hosts` are JSON documents as for slotwise_policy_filter(). `scores` gets a JSON array with a number for each
/// host, more is better.
///
/// Fails with SLOTWISE_ERROR_POLICY_FAILED where the policy fails and is to fail closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_policy_score(
    policy: *const slotwise_policy,
    query: *const c_char,
    query_len: usize,
    hosts: *const c_char,
    hosts_len: usize,
    scores: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (policy, scores) = (ffi::shared(policy, "policy")?, ffi::out(scores, "scores")?);
            let query =
                QueryDocument::from_json(ffi::optional_text(query, query_len, "query")?.unwrap_or("{}"))?;
            let hosts = HostTable::from_json(ffi::text(hosts, hosts_len, "hosts")?)?;
            scores.set_document(&policy::score(&policy.inner, &query.as_query(), &hosts)?);
            Ok(())
        })
    }
}

/// Asks how gladly each free device of one host is given away; `query` as for slotwise_policy_filter().
///
/// `devices` is a JSON array of devices, as slotwise_tracker_sync() takes it. `preferences` gets a JSON array with a number for
/// each, of which the highest is taken first.
///
/// Fails with SLOTWISE_ERROR_POLICY_FAILED where the policy fails and is to fail closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_policy_prefer(
    policy: *const slotwise_policy,
    query: *const c_char,
    query_len: usize,
    devices: *const c_char,
    devices_len: usize,
    preferences: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (policy, out) = (ffi::shared(policy, "policy")?, ffi::out(preferences, "preferences")?);
            let query =
                QueryDocument::from_json(ffi::optional_text(query, query_len, "query")?.unwrap_or("{}"))?;
            let devices = DeviceTable::from_json("", ffi::text(devices, devices_len, "devices")?)?;
            out.set_document(&policy::prefer(&policy.inner, &query.as_query(), &devices)?);
            Ok(())
        })
    }
}

/// Describes a policy: `{"name", "scope": ["filter", ...], "limits": {...}, "counters": {"calls", "failed", "failures",
/// "dropped", "log_lines", "log_lines_lost"}}`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_policy_describe(
    policy: *const slotwise_policy,
    description: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (policy, description) =
                (ffi::shared(policy, "policy")?, ffi::out(description, "description")?);
            description.set_document(&json!({
                "name": policy.inner.name(),
                "scope": scope_names(policy.inner.scope()),
                "limits": policy.inner.limits(),
                "counters": policy.inner.counters(),
            }));
            Ok(())
        })
    }
}

/// The argument `policies` as the engine takes it.
///
/// # Safety
///
/// As [`ffi::all_shared`].
pub(crate) unsafe fn all<'a>(
    policies: *const *mut slotwise_policy,
    len: usize,
) -> slotwise::Result<Vec<&'a dyn policy::Policy>> {
    // SAFETY: the caller vouches for the same.
    let policies = unsafe { ffi::all_shared(policies, len, "policies") }?;
    Ok(policies.into_iter().map(|policy| &policy.inner as _).collect())
}

/// Hands a policy's line to the caller's log function.
fn log(line: &LogLine) {
    let level = match line.level {
        LogLevel::Error => Level::Error,
        LogLevel::Warning => Level::Warning,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    let text = format!("policy {}: {}", line.policy, line.text);
    settings::write(&Line { level, text }, "slotwise_policy");
}
