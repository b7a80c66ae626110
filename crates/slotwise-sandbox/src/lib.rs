//! Runs WebAssembly components of slotwise under limits.
//!
//! There are two kinds. An operator's policy ([`Policy`]) is asked about hosts and devices through the engine's own trait,
//! [`slotwise::policy::Policy`]. The engine itself ([`EngineComponent`]) is a compiled component, which threads may share;
//! an [`EngineInstance`] is one live copy of it, in which [`Specs`], [`Aliases`], [`Workload`], [`Pools`], [`Tracker`] and [`Fleet`]
//! live. Each call is bounded in time, memory, stack and the size of its result by [`Limits`], and optionally in the number
//! of instructions.
//!
//! A component that imports anything is refused, but for a policy's log: what runs here sees its arguments and nothing of
//! the machine.
//!
//! Without the feature `runtime`, which is there unless it is turned off, a program is spared wasmtime: then the types of
//! policies are the same, but none can be loaded, and the engine component is not there.
//!
//! Nothing here decides. The documents and columns that go in and come out are those of the engine.

#![deny(unsafe_code)]
#![cfg_attr(not(feature = "runtime"), allow(dead_code, reason = "only the types are left of policies"))]

#[cfg(feature = "runtime")]
mod cache;
#[cfg(feature = "runtime")]
mod clock;
#[cfg(feature = "runtime")]
mod engine;
mod error;
mod limits;
#[cfg(feature = "runtime")]
mod meter;
#[cfg(feature = "runtime")]
mod nesting;
mod policy;
#[cfg(feature = "runtime")]
mod runtime;

#[cfg(feature = "runtime")]
pub use engine::{
    Aliases, Config, ENGINE_INTERFACE, EngineComponent, EngineInstance, Fleet, Outcome, Pools, Specs,
    Tracker, Workload,
};
pub use error::{Error, Result};
pub use limits::{Limits, MAX_COMPONENT_BYTES, MAX_INSTANCES, MAX_STACK};
pub use policy::{
    CodeOrigin, Counters, FailureKind, LOG_INTERFACE, LogLevel, LogLine, LogSink, OnFailure,
    POLICY_INTERFACE, Policy, PolicyOptions, scope_names,
};
#[cfg(feature = "runtime")]
pub use policy::{Inspection, inspect};
#[cfg(feature = "runtime")]
pub use runtime::read_component;
