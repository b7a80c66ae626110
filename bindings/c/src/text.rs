//! Results: texts and bytes that the caller owns.

use std::ffi::c_char;

use serde::Serialize;
use slotwise::json;

use crate::ffi::Out;

/// A text that the library made and the caller owns; free it with slotwise_string_free().
///
/// It is UTF-8. A NUL follows after the last byte, so that it can be printed as it is.
#[repr(C)]
pub struct slotwise_string {
    /// The first byte; never NULL in a result.
    pub data: *mut c_char,
    /// How many bytes, without the NUL that follows.
    pub len: usize,
}

/// Bytes that the library made and the caller owns; free them with slotwise_bytes_free().
#[repr(C)]
pub struct slotwise_bytes {
    /// The first byte; never NULL in a result.
    pub data: *mut u8,
    /// How many bytes.
    pub len: usize,
}

/// Frees what a text holds and empties it, so that freeing it again does nothing.
///
/// NULL, and a text of all zeros, are nothing to free. The struct itself is the caller's and stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_string_free(text: *mut slotwise_string) {
    // SAFETY: NULL, or a text of the caller's that it may change.
    if let Some(text) = unsafe { text.as_mut() } {
        // SAFETY: the parts are those that `leak` gave, with the NUL that is not counted.
        unsafe { take_back(text.data.cast(), text.len.wrapping_add(1)) };
        *text = slotwise_string { data: std::ptr::null_mut(), len: 0 };
    }
}

/// Frees what the bytes hold and empties them, so that freeing them again does nothing.
///
/// NULL, and bytes of all zeros, are nothing to free. The struct itself is the caller's and stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_bytes_free(bytes: *mut slotwise_bytes) {
    // SAFETY: NULL, or bytes of the caller's that it may change.
    if let Some(bytes) = unsafe { bytes.as_mut() } {
        // SAFETY: the parts are those that `leak` gave.
        unsafe { take_back(bytes.data, bytes.len) };
        *bytes = slotwise_bytes { data: std::ptr::null_mut(), len: 0 };
    }
}

fn leak(bytes: Vec<u8>) -> *mut u8 {
    Box::into_raw(bytes.into_boxed_slice()).cast()
}

/// # Safety
///
/// `data` is NULL, or came from [`leak`] with `len` bytes and is not used again.
unsafe fn take_back(data: *mut u8, len: usize) {
    if !data.is_null() {
        // SAFETY: this is the slice that `leak` let go of, and the caller gives it up.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(data, len)) });
    }
}

impl From<String> for slotwise_string {
    fn from(text: String) -> Self {
        let len = text.len();
        let mut bytes = text.into_bytes();
        bytes.reserve_exact(1);
        bytes.push(0);
        slotwise_string { data: leak(bytes).cast(), len }
    }
}

impl From<Vec<u8>> for slotwise_bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        slotwise_bytes { data: leak(bytes), len }
    }
}

impl Out<slotwise_string> {
    /// Writes the result as a JSON document.
    pub(crate) fn set_document<T: Serialize + ?Sized>(self, value: &T) {
        self.set(json::to_string(value).into());
    }
}
