//! One way into the engine.

use serde_json::Value;
use slotwise::{Error, ErrorKind};

/// One way into the engine: Rust, C, Python, WebAssembly.
///
/// A door holds one slot each for specs, aliases, pools, a tracker and a fleet, which the operations of [`crate::ops`] fill
/// and use. Every door must give the identical document for the same calls, errors included.
pub trait Door {
    /// The name of this door in reports, such as `rust` or `python`.
    fn name(&self) -> &str;

    /// Runs one operation of [`crate::ops::OPS`].
    ///
    /// `args` are in the order of the table, one for each argument; an optional one that is left out is empty.
    ///
    /// # Errors
    ///
    /// The engine's own error; or one of kind `internal` when the door itself cannot go on: a slot is empty, the
    /// operation is unknown, the child process is gone. Such an error fails a case whatever it expects.
    fn call(&mut self, op: &str, args: &[String]) -> Result<Value, Error>;

    /// Empties all slots.
    fn reset(&mut self);
}

/// The error of a door that cannot go on, which is a fault of the case or of the door and never an answer.
pub(crate) fn broken(message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("conformance door: {message}"))
}
