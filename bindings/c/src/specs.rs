//! Device specs.

use std::ffi::c_char;

use serde_json::Value;
use slotwise::{Device, DeviceSpecs, json};

use crate::error::slotwise_error;
use crate::ffi;
use crate::settings::log_warnings;
use crate::text::slotwise_string;

/// The operator's rules: which devices may be handed out, and the tags they get. The first rule that matches decides.
///
/// Owned by the caller; free it with slotwise_specs_free(). It never changes: any number of threads may use it.
pub struct slotwise_specs {
    pub(crate) inner: DeviceSpecs,
}

/// The texts of a JSON array of which each item is a text to be parsed, or the object that the text would hold.
pub(crate) fn texts(items: Vec<Value>) -> Vec<String> {
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => text,
            item => json::to_string(&item),
        })
        .collect()
}

/// Parses rules: `entries` is a JSON array of which each item is a rule, a list of rules, or a text that holds either, as
/// the entries of Nova's `[pci]device_spec` do.
///
/// `report_in_placement` is Nova's option of that name: whether the rules may name resource classes and traits.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_SPEC or SLOTWISE_ERROR_LIMIT_EXCEEDED. The path counts rules
/// from 0 over all entries, as in `device_spec[2].address.bus`; line and column are those in the entry.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_specs_parse(
    entries: *const c_char,
    entries_len: usize,
    report_in_placement: bool,
    specs: *mut *mut slotwise_specs,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let specs = ffi::out(specs, "specs")?;
            let entries = texts(ffi::document(entries, entries_len, "entries")?);
            let inner = DeviceSpecs::parse(&entries, report_in_placement)?;
            log_warnings!(inner);
            specs.set_handle(slotwise_specs { inner });
            Ok(())
        })
    }
}

/// Frees rules; NULL is nothing to free. Trackers made from them are not touched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_specs_free(specs: *mut slotwise_specs) {
    // SAFETY: NULL, or rules that the caller gives up.
    unsafe { ffi::free(specs) };
}

/// Gives the rules in canonical form: a JSON array with one object per rule, in order.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_specs_list(
    specs: *const slotwise_specs,
    rules: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (specs, rules) = (ffi::shared(specs, "specs")?, ffi::out(rules, "rules")?);
            rules.set_document(&specs.inner.list());
            Ok(())
        })
    }
}

/// Gives what is allowed in the rules but probably not meant: a JSON array of sentences.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_specs_warnings(
    specs: *const slotwise_specs,
    warnings: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (specs, warnings) = (ffi::shared(specs, "specs")?, ffi::out(warnings, "warnings")?);
            warnings.set_document(&specs.inner.warnings());
            Ok(())
        })
    }
}

/// Says of one device whether it may be handed out and why: `device` is a JSON object; the answer is
/// `{"assignable", "rule", "tags", "rules": [{"rule", "matches", "reason"}]}`.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ADDRESS, SLOTWISE_ERROR_INVALID_DEVICE or
/// SLOTWISE_ERROR_LIMIT_EXCEEDED for a device that is not valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_specs_explain(
    specs: *const slotwise_specs,
    device: *const c_char,
    device_len: usize,
    explanation: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (specs, explanation) = (ffi::shared(specs, "specs")?, ffi::out(explanation, "explanation")?);
            let device: Device = ffi::document(device, device_len, "device")?;
            explanation.set_document(&specs.inner.explain(&device));
            Ok(())
        })
    }
}
