//! The host of policies: what `crates/slotwise-policy/wit/policy.wit` describes, behind the engine's own trait.

mod document;
mod failures;
mod log;

#[cfg(feature = "runtime")]
mod guest;
#[cfg(feature = "runtime")]
mod host;
#[cfg(feature = "runtime")]
mod inspect;
#[cfg(feature = "runtime")]
mod slots;

#[cfg(not(feature = "runtime"))]
#[path = "policy/absent.rs"]
mod host;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::Limits;

pub use document::scope_names;
pub use failures::{Counters, FailureKind, OnFailure};
pub use host::Policy;
#[cfg(feature = "runtime")]
pub use inspect::{Inspection, inspect};
pub use log::{LogLevel, LogLine, LogSink};

/// The name under which a policy exports its interface.
pub const POLICY_INTERFACE: &str = "slotwise:policy/api@0.1.0";

/// The one interface that a policy may import.
pub const LOG_INTERFACE: &str = "slotwise:policy/log@0.1.0";

/// How a policy is loaded and run.
#[derive(Clone)]
pub struct PolicyOptions {
    /// The name that reasons, errors and log lines give to it; `None` takes the file's name without its ending.
    pub name: Option<String>,
    /// The operator's configuration, handed to the policy as it is.
    pub configuration: Vec<u8>,
    /// What one call may use.
    pub limits: Limits,
    /// What a call gives when the policy fails.
    pub on_failure: OnFailure,
    /// Whether an instance is used again for the next call. That saves some microseconds, and the policy may keep what it
    /// worked out; but then an answer may depend on what was asked before, so it is off unless asked for.
    pub keep_instances: bool,
    /// The directory of compiled code, which must be private to this user; it is made if it is not there. `None` compiles
    /// each time.
    pub cache: Option<PathBuf>,
    /// Who gets the policy's log lines, and one line for each kind of failure; `None` drops them.
    pub log: Option<LogSink>,
}

/// Where a policy's compiled code came from.
///
/// Both ways end in the same code. The rest of loading is the same too: the engine, its clock, memory for instances, and
/// the first instance, which is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CodeOrigin {
    /// Whether it was read from the cache; otherwise it was compiled.
    pub from_cache: bool,
    /// How long reading and checking it took, or compiling it (and storing it, if there is a cache).
    pub took: Duration,
}

impl Default for PolicyOptions {
    /// Limits for policies, failing closed, a fresh instance for each call, without configuration, cache and log.
    fn default() -> Self {
        PolicyOptions {
            name: None,
            configuration: Vec::new(),
            limits: Limits::for_policies(),
            on_failure: OnFailure::Closed,
            keep_instances: false,
            cache: None,
            log: None,
        }
    }
}

impl fmt::Debug for PolicyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyOptions")
            .field("name", &self.name)
            .field("configuration", &self.configuration.len())
            .field("limits", &self.limits)
            .field("on_failure", &self.on_failure)
            .field("keep_instances", &self.keep_instances)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
