//! Aliases.

use std::ffi::c_char;

use slotwise::Aliases;

use crate::error::slotwise_error;
use crate::ffi;
use crate::settings::log_warnings;
use crate::specs::texts;
use crate::text::slotwise_string;

/// The operator's names for kinds of devices.
///
/// Owned by the caller; free it with slotwise_aliases_free(). Any number of threads may use it in functions that take
/// it as const; a function that changes it needs it for itself.
pub struct slotwise_aliases {
    pub(crate) inner: Aliases,
}

/// Parses aliases: `lines` is a JSON array of which each item is an alias line, or a text that holds one, as the entries of
/// Nova's `[pci]alias` do. Lines of one name are alternatives.
///
/// `pci_in_placement` is Nova's option of that name: whether aliases may name resource classes and traits.
///
/// Fails with SLOTWISE_ERROR_INVALID_JSON, SLOTWISE_ERROR_INVALID_ALIAS or SLOTWISE_ERROR_LIMIT_EXCEEDED. The path counts lines
/// from 0, as in `alias[1].vendor_id`; line and column are those in that text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_parse(
    lines: *const c_char,
    lines_len: usize,
    pci_in_placement: bool,
    aliases: *mut *mut slotwise_aliases,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let aliases = ffi::out(aliases, "aliases")?;
            let lines = texts(ffi::document(lines, lines_len, "lines")?);
            let inner = Aliases::parse(&lines, pci_in_placement)?;
            log_warnings!(inner);
            aliases.set_handle(slotwise_aliases { inner });
            Ok(())
        })
    }
}

/// Frees aliases; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_free(aliases: *mut slotwise_aliases) {
    // SAFETY: NULL, or aliases that the caller gives up.
    unsafe { ffi::free(aliases) };
}

/// Adds the alias that these `lines` define, all of one new name, and gives it as a JSON object.
///
/// Fails with SLOTWISE_ERROR_ALREADY_EXISTS where there is one of that name, with SLOTWISE_ERROR_INVALID_ALIAS where the lines
/// are of several names or there is none, and as slotwise_aliases_parse() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_create(
    aliases: *mut slotwise_aliases,
    lines: *const c_char,
    lines_len: usize,
    alias: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (aliases, alias) = (ffi::exclusive(aliases, "aliases")?, ffi::out(alias, "alias")?);
            let lines = texts(ffi::document(lines, lines_len, "lines")?);
            alias.set_document(aliases.inner.create(&lines)?);
            Ok(())
        })
    }
}

/// Replaces the alias of the name that these `lines` bear, and gives it as a JSON object.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_ALIAS where there is none, with SLOTWISE_ERROR_INVALID_ALIAS where the lines are of several
/// names or there is none, and as slotwise_aliases_parse() does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_update(
    aliases: *mut slotwise_aliases,
    lines: *const c_char,
    lines_len: usize,
    alias: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (aliases, alias) = (ffi::exclusive(aliases, "aliases")?, ffi::out(alias, "alias")?);
            let lines = texts(ffi::document(lines, lines_len, "lines")?);
            alias.set_document(aliases.inner.update(&lines)?);
            Ok(())
        })
    }
}

/// Removes the alias of that `name`, and gives what it was as a JSON object.
///
/// Fails with SLOTWISE_ERROR_UNKNOWN_ALIAS where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_delete(
    aliases: *mut slotwise_aliases,
    name: *const c_char,
    name_len: usize,
    alias: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (aliases, alias) = (ffi::exclusive(aliases, "aliases")?, ffi::out(alias, "alias")?);
            let name = ffi::text(name, name_len, "name")?;
            alias.set_document(&aliases.inner.delete(name)?);
            Ok(())
        })
    }
}

/// Gives all aliases in the order they were defined: a JSON array of `{"name", "numa_policy", "alternatives"}`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_list(
    aliases: *const slotwise_aliases,
    list: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (aliases, list) = (ffi::shared(aliases, "aliases")?, ffi::out(list, "list")?);
            list.set_document(aliases.inner.list());
            Ok(())
        })
    }
}

/// Gives what is allowed in the aliases but probably not meant: a JSON array of sentences.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_warnings(
    aliases: *const slotwise_aliases,
    warnings: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (aliases, warnings) = (ffi::shared(aliases, "aliases")?, ffi::out(warnings, "warnings")?);
            warnings.set_document(&aliases.inner.warnings());
            Ok(())
        })
    }
}

/// Turns the flavor form `a:2,b:1` of `flavor` into requests: a JSON array, which is the `requests` of a workload.
///
/// `numa_policy` is `required`, `preferred`, `legacy` or `socket` and overrides the aliases' own; it may be left out.
///
/// Fails with SLOTWISE_ERROR_INVALID_REQUEST where an item is not `name:count` or a count is out of range, with
/// SLOTWISE_ERROR_UNKNOWN_ALIAS, SLOTWISE_ERROR_LIMIT_EXCEEDED, or SLOTWISE_ERROR_INVALID_JSON for another policy; the path counts
/// items from 0, as in `flavor[1]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_aliases_requests(
    aliases: *const slotwise_aliases,
    flavor: *const c_char,
    flavor_len: usize,
    numa_policy: *const c_char,
    numa_policy_len: usize,
    requests: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let (aliases, requests) = (ffi::shared(aliases, "aliases")?, ffi::out(requests, "requests")?);
            let flavor = ffi::text(flavor, flavor_len, "flavor")?;
            let numa_policy = ffi::optional_word(numa_policy, numa_policy_len, "numa_policy")?;
            requests.set_document(&aliases.inner.requests(flavor, numa_policy)?);
            Ok(())
        })
    }
}
