//! The version at run time; the test that writes the header puts that of the crate there for the compiler.

use std::ffi::c_char;

/// The version of the library that is linked, such as `0.1.0`; SLOTWISE_VERSION is that of this header.
///
/// The text is a constant: never free it.
#[unsafe(no_mangle)]
pub extern "C" fn slotwise_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
