//! Runs WebAssembly components of slotwise under limits.
//!
//! For now that is one component, the engine itself: [`EngineComponent`] is the compiled component, which threads may
//! share, and [`EngineInstance`] is one live copy of it, in which [`Specs`], [`Aliases`], [`Workload`], [`Pools`] and
//! [`Tracker`] live. Each call is bounded in time, memory and the size of its result by [`Limits`], and optionally in
//! the number of instructions.
//!
//! A component that imports anything is refused: what runs here sees its arguments and nothing of the machine.
//!
//! Nothing here knows what a device is. The documents that go in and come out are those of the engine, as JSON text.

mod clock;
mod engine;
mod error;
mod limits;
mod runtime;

pub use engine::{
    Aliases, Config, ENGINE_INTERFACE, EngineComponent, EngineInstance, Outcome, Pools, Specs, Tracker,
    Workload,
};
pub use error::{Error, Result};
pub use limits::Limits;
