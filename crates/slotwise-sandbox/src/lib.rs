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
//! Nothing here decides. The documents and columns that go in and come out are those of the engine.

#![deny(unsafe_code)]

mod cache;
mod clock;
mod engine;
mod error;
mod limits;
mod policy;
mod runtime;

pub use engine::{
    Aliases, Config, ENGINE_INTERFACE, EngineComponent, EngineInstance, Fleet, Outcome, Pools, Specs,
    Tracker, Workload,
};
pub use error::{Error, Result};
pub use limits::{Limits, MAX_INSTANCES, MAX_STACK};
pub use policy::{
    Counters, FailureKind, Inspection, LOG_INTERFACE, LogLevel, LogLine, LogSink, OnFailure,
    POLICY_INTERFACE, Policy, PolicyOptions, inspect, scope_names,
};
pub use runtime::MAX_COMPONENT_BYTES;
