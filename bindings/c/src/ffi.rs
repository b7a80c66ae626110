//! The boundary: raw arguments are checked and converted here, results are handed out, panics become a code.

use std::any::Any;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use serde::de::DeserializeOwned;
use slotwise::{Error, ErrorKind, HostSet, PciAddress, Result, json};

use crate::error::{slotwise_code, slotwise_error};

/// Runs the body of an exported function and gives its code.
///
/// # Safety
///
/// `error` is NULL or may be written to.
pub(crate) unsafe fn guard(error: *mut *mut slotwise_error, body: impl FnOnce() -> Result<()>) -> u32 {
    // What a panicking call has half done is only reachable through the handle it was given; the conventions tell the
    // caller to free that handle, so nothing broken is observed.
    let path = crate::settings::name_of(&body);
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return slotwise_code::SLOTWISE_OK as u32,
        Ok(Err(failure)) => failure,
        Err(payload) => from_panic(payload.as_ref()),
    };
    crate::settings::write_failure(&failure, path);
    let code = failure.kind().code();
    if !error.is_null() {
        let handle = Box::into_raw(Box::new(slotwise_error::new(&failure)));
        // SAFETY: the pointer is not NULL, and the caller lets it be written to.
        unsafe { error.write(handle) };
    }
    code
}

fn from_panic(payload: &(dyn Any + Send)) -> Error {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("a fault in slotwise itself: {text}"))
        .with_help("free the handles that the call was given, and report this")
}

fn null(name: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, "the pointer is NULL").inside(name)
}

/// Refuses an array of so many `T` that no object can be as long.
fn check_length<T>(len: usize, what: &str, name: &str) -> Result<()> {
    if isize::try_from(len.saturating_mul(size_of::<T>())).is_ok() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("a length of {len} {what} is impossible"))
        .with_help("was a negative number converted?")
        .inside(name))
}

/// The bytes of an argument; `None` when it is left out, that is NULL with length 0.
///
/// # Safety
///
/// `data` is NULL or points to `len` bytes that nobody changes during `'a`.
pub(crate) unsafe fn optional_bytes<'a>(data: *const u8, len: usize, name: &str) -> Result<Option<&'a [u8]>> {
    if data.is_null() {
        return if len == 0 { Ok(None) } else { Err(null(name)) };
    }
    check_length::<u8>(len, "bytes", name)?;
    crate::settings::check_argument(len, name)?;
    // SAFETY: not NULL, not longer than an object can be, and the caller vouches for the bytes.
    Ok(Some(unsafe { std::slice::from_raw_parts(data, len) }))
}

/// The bytes of an argument that must be given.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn bytes<'a>(data: *const u8, len: usize, name: &str) -> Result<&'a [u8]> {
    // SAFETY: the caller vouches for the same.
    unsafe { optional_bytes(data, len, name) }?.ok_or_else(|| null(name))
}

/// A set of hosts as a bitmap; `None` when it is left out.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn optional_hosts(data: *const u8, len: usize, name: &str) -> Result<Option<HostSet>> {
    // SAFETY: the caller vouches for the same.
    let bitmap = unsafe { optional_bytes(data, len, name) }?;
    bitmap.map(|bitmap| HostSet::from_bytes(bitmap).map_err(|error| error.inside(name))).transpose()
}

fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| {
        Error::new(
            ErrorKind::InvalidUtf8,
            format!("the text is not UTF-8 after byte {}", error.valid_up_to()),
        )
        .inside(name)
    })
}

/// The text of an argument that must be given.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn text<'a>(data: *const c_char, len: usize, name: &str) -> Result<&'a str> {
    // SAFETY: the caller vouches for the same.
    utf8(unsafe { bytes(data.cast(), len, name) }?, name)
}

/// The text of an argument; `None` when it is left out, that is empty.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn optional_text<'a>(
    data: *const c_char,
    len: usize,
    name: &str,
) -> Result<Option<&'a str>> {
    // SAFETY: the caller vouches for the same.
    let text = utf8(unsafe { optional_bytes(data.cast(), len, name) }?.unwrap_or_default(), name)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The document of an argument that must be given.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn document<T: DeserializeOwned>(data: *const c_char, len: usize, name: &str) -> Result<T> {
    // SAFETY: the caller vouches for the same.
    json::parse(unsafe { text(data, len, name) }?, name)
}

/// The document of an argument; `None` when it is left out, that is empty.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn optional_document<T: DeserializeOwned>(
    data: *const c_char,
    len: usize,
    name: &str,
) -> Result<Option<T>> {
    // SAFETY: the caller vouches for the same.
    unsafe { optional_text(data, len, name) }?.map(|text| json::parse(text, name)).transpose()
}

/// One word out of a list of words, such as a policy; `None` when it is left out, that is empty.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn optional_word<T: DeserializeOwned>(
    data: *const c_char,
    len: usize,
    name: &str,
) -> Result<Option<T>> {
    // SAFETY: the caller vouches for the same.
    unsafe { optional_text(data, len, name) }?.map(|word| json::from_value(&word.into(), name)).transpose()
}

/// A PCI address such as `0000:3b:00.1`.
///
/// # Safety
///
/// As [`optional_bytes`].
pub(crate) unsafe fn address(data: *const c_char, len: usize, name: &str) -> Result<PciAddress> {
    // SAFETY: the caller vouches for the same.
    unsafe { text(data, len, name) }?.parse().map_err(|error: Error| error.inside(name))
}

/// A handle that is only read.
///
/// # Safety
///
/// `handle` is NULL or came from this library, is not freed, and is not changed during `'a`.
pub(crate) unsafe fn shared<'a, T>(handle: *const T, name: &str) -> Result<&'a T> {
    // SAFETY: the caller vouches for the handle; NULL gives `None`.
    unsafe { handle.as_ref() }.ok_or_else(|| null(name))
}

/// A handle that is changed.
///
/// # Safety
///
/// `handle` is NULL or came from this library, is not freed, and is not used elsewhere during `'a`.
pub(crate) unsafe fn exclusive<'a, T>(handle: *mut T, name: &str) -> Result<&'a mut T> {
    // SAFETY: the caller vouches for the handle; NULL gives `None`.
    unsafe { handle.as_mut() }.ok_or_else(|| null(name))
}

/// Handles that are only read, as an array of the caller's; NULL with length 0 is none.
///
/// # Safety
///
/// `array` is NULL or points to `len` handles, and for each holds what [`shared`] says.
pub(crate) unsafe fn all_shared<'a, T>(array: *const *mut T, len: usize, name: &str) -> Result<Vec<&'a T>> {
    if array.is_null() {
        return if len == 0 { Ok(Vec::new()) } else { Err(null(name)) };
    }
    check_length::<*mut T>(len, "handles", name)?;
    // SAFETY: not NULL, not longer than an object can be, and the caller vouches for the array.
    let handles = unsafe { std::slice::from_raw_parts(array, len) };
    // SAFETY: the caller vouches for each handle.
    let handle = |(i, &handle): (usize, &*mut T)| unsafe { shared(handle, &format!("{name}[{i}]")) };
    handles.iter().enumerate().map(handle).collect()
}

/// Frees a handle; NULL is nothing to free.
///
/// # Safety
///
/// `handle` is NULL or came from [`Out::set_handle`] for the same type, and is not used again.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: it came from `Box::into_raw`, and the caller gives it up. Dropping plain data does not panic.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// Where a result goes: checked before the call is made, written once it has succeeded.
pub(crate) struct Out<T>(NonNull<T>);

/// Checks the place of a result.
///
/// # Safety
///
/// `place` is NULL or may be written to as long as the [`Out`] lives.
pub(crate) unsafe fn out<T>(place: *mut T, name: &str) -> Result<Out<T>> {
    NonNull::new(place).map(Out).ok_or_else(|| null(name))
}

/// An array of the caller's that results go to, as far as there is room.
pub(crate) struct Room<T> {
    place: *mut T,
    len: usize,
}

/// Checks an array for results; NULL with length 0 is an array without room.
///
/// # Safety
///
/// `place` is NULL or points to `len` elements that may be written to as long as the [`Room`] lives.
pub(crate) unsafe fn room<T>(place: *mut T, len: usize, name: &str) -> Result<Room<T>> {
    if place.is_null() && len > 0 { Err(null(name)) } else { Ok(Room { place, len }) }
}

impl<T: Copy> Room<T> {
    /// Writes the first results.
    pub(crate) fn set(self, results: &[T]) {
        for (i, result) in results.iter().take(self.len).enumerate() {
            // SAFETY: whoever made this vouched for so many elements.
            unsafe { self.place.add(i).write(*result) };
        }
    }
}

/// The place of a result that the caller may do without; `None` for NULL.
///
/// # Safety
///
/// As [`out`].
pub(crate) unsafe fn optional_out<T>(place: *mut T) -> Option<Out<T>> {
    NonNull::new(place).map(Out)
}

impl<T> Out<T> {
    /// Writes the result. What was there is overwritten, not dropped: it may never have been set.
    pub(crate) fn set(self, value: T) {
        // SAFETY: whoever made this vouched that the place may be written to.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Writes the result as a handle that the caller owns.
    pub(crate) fn set_handle(self, value: T) {
        self.set(Box::into_raw(Box::new(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(body: impl FnOnce() -> Result<()>) -> (u32, Option<Box<slotwise_error>>) {
        let mut error = std::ptr::null_mut();
        // SAFETY: the place lives until the call has returned.
        let code = unsafe { guard(&raw mut error, body) };
        // SAFETY: NULL, or the box that `guard` let go of.
        (code, (!error.is_null()).then(|| unsafe { Box::from_raw(error) }))
    }

    #[test]
    fn success_is_zero_and_leaves_the_error_alone() {
        let (code, error) = guarded(|| Ok(()));
        assert_eq!((code, error.is_none()), (0, true));
    }

    #[test]
    fn a_panic_becomes_a_code_and_keeps_its_message() {
        let panics: [fn() -> Result<()>; 3] =
            [|| panic!("boom"), || panic!("boom {}", 7), || std::panic::panic_any(7_u8)];
        for (body, text) in panics.into_iter().zip(["boom", "boom 7", "no message"]) {
            let (code, error) = guarded(body);
            assert_eq!(code, ErrorKind::Internal.code());
            let error = error.expect("a failure gives an error");
            // SAFETY: the error lives, and with it its message.
            let message =
                unsafe { std::ffi::CStr::from_ptr(crate::error::slotwise_error_message(&raw const *error)) };
            assert_eq!(message.to_str(), Ok(format!("a fault in slotwise itself: {text}").as_str()));
        }
    }

    /// The header promises that handles may move between threads and be read by many.
    #[test]
    fn handles_are_send_and_sync() {
        fn both<T: Send + Sync>() {}
        both::<crate::slotwise_aliases>();
        both::<crate::slotwise_config>();
        both::<slotwise_error>();
        both::<crate::slotwise_fleet>();
        both::<crate::slotwise_pools>();
        both::<crate::slotwise_specs>();
        both::<crate::slotwise_tracker>();
        both::<crate::slotwise_workload>();
    }
}
