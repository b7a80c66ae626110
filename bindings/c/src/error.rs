//! Errors: codes, and the handle that tells the rest.

use std::ffi::{CString, c_char};
use std::ptr;

use slotwise::{Error, ErrorKind, json};

use crate::ffi;
use crate::text::slotwise_string;

/// What functions return: 0, or the code of the kind of error.
///
/// Functions return it as uint32_t, because a later version may have codes that this header does not know.
/// The codes are the same in every language; slotwise_error_kinds() gives the table.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum slotwise_code {
    /// The call succeeded.
    SLOTWISE_OK = 0,
    /// The text is not JSON, or not of the documented shape.
    SLOTWISE_ERROR_INVALID_JSON = 1,
    /// A PCI address is malformed or out of range.
    SLOTWISE_ERROR_INVALID_ADDRESS = 2,
    /// A device lacks a field or has one that contradicts another.
    SLOTWISE_ERROR_INVALID_DEVICE = 3,
    /// A device spec (operator rule) is not valid.
    SLOTWISE_ERROR_INVALID_SPEC = 4,
    /// An alias is not valid, or contradicts another line of the same name.
    SLOTWISE_ERROR_INVALID_ALIAS = 5,
    /// A request is not valid: a count, a policy or an alternative.
    SLOTWISE_ERROR_INVALID_REQUEST = 6,
    /// A configuration file cannot be read as nova.conf or TOML.
    SLOTWISE_ERROR_INVALID_CONFIG = 7,
    /// A host's pool data is not valid.
    SLOTWISE_ERROR_INVALID_POOL = 8,
    /// The same PCI address is listed twice.
    SLOTWISE_ERROR_DUPLICATE_DEVICE = 9,
    /// A VF or vDPA device names no parent, or one that is not listed.
    SLOTWISE_ERROR_MISSING_PARENT = 10,
    /// Parent links form a cycle, or lead to a device that cannot be a parent.
    SLOTWISE_ERROR_PARENT_CYCLE = 11,
    /// A snapshot is truncated, altered, or contradicts itself.
    SLOTWISE_ERROR_INVALID_SNAPSHOT = 12,
    /// A snapshot was written by a version that this one does not read.
    SLOTWISE_ERROR_UNSUPPORTED_VERSION = 13,
    /// Text is not UTF-8, or holds a NUL where none may be.
    SLOTWISE_ERROR_INVALID_UTF8 = 14,
    /// An argument is missing, null or out of its range.
    SLOTWISE_ERROR_INVALID_ARGUMENT = 15,
    /// No alias of that name is defined.
    SLOTWISE_ERROR_UNKNOWN_ALIAS = 16,
    /// No device of that address is known.
    SLOTWISE_ERROR_UNKNOWN_DEVICE = 17,
    /// That owner holds no device.
    SLOTWISE_ERROR_UNKNOWN_OWNER = 18,
    /// Something of that name is defined already.
    SLOTWISE_ERROR_ALREADY_EXISTS = 19,
    /// The device or claim is in a state that does not allow the call.
    SLOTWISE_ERROR_INVALID_STATE = 20,
    /// The device is held for another owner.
    SLOTWISE_ERROR_WRONG_OWNER = 21,
    /// The input is larger than a documented limit.
    SLOTWISE_ERROR_LIMIT_EXCEEDED = 22,
    /// What was found earlier no longer holds, because the host changed since.
    SLOTWISE_ERROR_CONFLICT = 23,
    /// A fault in slotwise itself; please report it.
    SLOTWISE_ERROR_INTERNAL = 24,
    /// A policy cannot be loaded: its component, its limits or its configuration are not accepted.
    SLOTWISE_ERROR_INVALID_POLICY = 25,
    /// A policy failed, or gave an answer that cannot be used, and fails closed.
    SLOTWISE_ERROR_POLICY_FAILED = 26,
    /// No host of that name is known.
    SLOTWISE_ERROR_UNKNOWN_HOST = 27,
}

/// What was wrong in a failed call.
///
/// Owned by the caller; free it with slotwise_error_free(). It never changes: any number of threads may read it.
/// The texts that the functions below return live as long as the error. In them a NUL, which only a hostile input can
/// bring in, is replaced by U+FFFD.
pub struct slotwise_error {
    code: u32,
    kind: CString,
    message: CString,
    path: CString,
    line: u32,
    column: u32,
    help: Option<CString>,
    text: CString,
    json: CString,
}

impl slotwise_error {
    pub(crate) fn new(error: &Error) -> Self {
        let place = error.place();
        slotwise_error {
            code: error.kind().code(),
            kind: c_text(error.kind().name()),
            message: c_text(error.message()),
            path: c_text(&place.path),
            line: place.line.unwrap_or(0),
            column: place.column.unwrap_or(0),
            help: error.help().map(c_text),
            text: c_text(&error.to_string()),
            json: c_text(&json::to_string(error)),
        }
    }
}

fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// Frees an error; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_free(error: *mut slotwise_error) {
    // SAFETY: NULL, or an error that the caller gives up.
    unsafe { ffi::free(error) };
}

/// The code, as the failed function returned it; 0 when `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_code(error: *const slotwise_error) -> u32 {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(0, |error| error.code)
}

/// The stable name of the kind, such as `invalid_address`; NULL when `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_kind(error: *const slotwise_error) -> *const c_char {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.kind.as_ptr())
}

/// What was wrong, in one sentence without place and remedy; NULL when `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_message(error: *const slotwise_error) -> *const c_char {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.message.as_ptr())
}

/// Where, as the path inside the input, such as `device_spec[2].address.bus`; empty when the whole input is meant.
///
/// For an argument that is NULL or not UTF-8 it is the parameter's name. NULL when `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_path(error: *const slotwise_error) -> *const c_char {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.path.as_ptr())
}

/// The line in the input text, counted from 1; 0 when there is none to tell or `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_line(error: *const slotwise_error) -> u32 {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(0, |error| error.line)
}

/// The column in that line, in characters, counted from 1; 0 when there is none to tell or `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_column(error: *const slotwise_error) -> u32 {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(0, |error| error.column)
}

/// What to do about it; NULL when the message says it all or `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_help(error: *const slotwise_error) -> *const c_char {
    // SAFETY: NULL, or an error that lives.
    let help = unsafe { error.as_ref() }.and_then(|error| error.help.as_ref());
    help.map_or(ptr::null(), |help| help.as_ptr())
}

/// Message, place and remedy as one line to log; NULL when `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_text(error: *const slotwise_error) -> *const c_char {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.text.as_ptr())
}

/// The error as a JSON document `{"kind", "message", "place": {"path", "line", "column"}, "help"}`.
///
/// NULL when `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_json(error: *const slotwise_error) -> *const c_char {
    // SAFETY: NULL, or an error that lives.
    unsafe { error.as_ref() }.map_or(ptr::null(), |error| error.json.as_ptr())
}

/// Gives all kinds of errors: a JSON array of `{"code", "kind", "meaning"}`, ordered by code.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_error_kinds(
    kinds: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let kinds = ffi::out(kinds, "kinds")?;
            let table: Vec<_> = ErrorKind::ALL
                .iter()
                .map(|kind| serde_json::json!({"code": kind.code(), "kind": kind.name(), "meaning": kind.meaning()}))
                .collect();
            kinds.set_document(&table);
            Ok(())
        })
    }
}
