//! What the tests of slotwise share: the doors and the conformance runner, generators, the oracle and the model.
//!
//! - [`Door`] is one way into the engine: [`RustDoor`] calls it directly, [`ProcessDoor`] speaks with a child
//!   process (the C and Python runners), and `WasmDoor` (feature `wasm`) runs the engine component under wasmtime.
//! - [`ops`] is the one table of the operations that the doors know and of their arguments.
//! - [`conformance`] replays the cases in `tests/conformance` through any number of doors.
//! - [`counting`] is an allocator that counts.
//! - [`oracle`] decides small hosts by trying every assignment; [`generate`] makes random ones from a seed.
//! - [`hard`] makes large instances that are hard to decide.
//! - [`joint`] compares constrained instances, and the choice among assignments, with the oracle.
//! - [`fleet`] runs random operations on a fleet beside a naive model of it.
//! - `policy` (feature `wasm`) shows hosts to a policy natively, as the sandbox shows them to its component.
//! - [`model`] runs random operations on a tracker beside a naive model of it.
//!
//! This crate is for tests and developer commands only; nothing that ships depends on it.

pub mod conformance;
pub mod counting;
mod door;
pub mod fleet;
pub mod generate;
pub mod hard;
pub mod joint;
pub mod model;
pub mod ops;
pub mod oracle;
#[cfg(feature = "wasm")]
pub mod policy;
mod process_door;
mod rust_door;
mod tight;
#[cfg(feature = "wasm")]
mod wasm_door;

pub use door::Door;
pub use process_door::ProcessDoor;
pub use rust_door::RustDoor;
#[cfg(feature = "wasm")]
pub use wasm_door::WasmDoor;
