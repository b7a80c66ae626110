//! What a build without the feature `policies` does where one is asked for. `cargo xtask test features` runs it.

#![cfg(not(feature = "policies"))]
#![allow(unsafe_code, reason = "calls of C functions")]

use std::ffi::CStr;
use std::ptr;

use slotwise_c::{
    slotwise_code, slotwise_error_free, slotwise_error_text, slotwise_policy_free, slotwise_policy_load,
};

#[test]
fn a_policy_is_refused_with_the_reason() {
    let path = "policy.wasm";
    let (mut policy, mut error) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the places live until the call has returned, and the text is given with its length.
    let code = unsafe {
        let (path, len) = (path.as_ptr().cast(), path.len());
        slotwise_policy_load(path, len, ptr::null(), 0, ptr::null(), 0, &raw mut policy, &raw mut error)
    };
    assert_eq!(code, slotwise_code::SLOTWISE_ERROR_INVALID_POLICY as u32);
    assert!(policy.is_null() && !error.is_null());
    // SAFETY: the error lives until it is freed, and NULL is no policy to free.
    unsafe {
        let text = CStr::from_ptr(slotwise_error_text(error)).to_str().expect("it is UTF-8").to_owned();
        assert!(text.contains("cannot run policies") && text.contains("the feature \"policies\""), "{text}");
        slotwise_error_free(error);
        slotwise_policy_free(policy);
    }
}
