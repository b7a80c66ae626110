//! The C library `libslotwise`: the engine behind opaque handles, texts and plain numbers.
//!
//! This crate converts, calls and converts; it decides nothing about devices. Its hand-written `unsafe` is for raw pointers
//! of C; ARCHITECTURE.md says where else there is some. What a caller must keep, and what it may rely on, stands in the "API
//! conventions" of `include/slotwise.h`, which is generated from these files (see `cbindgen.toml`); a test compares the two.
//!
//! Absences on purpose: no global state but what `settings` says, nothing that is allocated and outlives its handle, no
//! thread-local state with a destructor, no panic hook, no function that exists for tests only.

#![allow(unsafe_code, reason = "a C ABI is made of raw pointers; every block says what it relies on")]
#![allow(
    non_camel_case_types,
    reason = "types bear their C names, so that one name is searched for in both languages"
)]
#![allow(
    clippy::missing_safety_doc,
    reason = "the conventions are the same for all functions and stand in the header"
)]

mod aliases;
mod apart;
mod config;
mod error;
mod ffi;
mod fleet;
mod outcome;
mod policy;
mod pools;
mod settings;
mod specs;
mod text;
mod tracker;
mod version;
mod workload;

pub use aliases::*;
pub use config::*;
pub use error::*;
pub use fleet::*;
pub use outcome::*;
pub use policy::*;
pub use pools::*;
pub use settings::*;
pub use specs::*;
pub use text::*;
pub use tracker::*;
pub use version::*;
pub use workload::*;
