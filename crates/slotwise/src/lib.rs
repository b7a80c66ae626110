//! slotwise decides which PCI device goes to which workload, and remembers it.

mod address;
mod alias;
mod change;
mod config;
mod device;
mod error;
mod extra_info;
mod filter;
mod fit;
pub mod json;
pub mod limits;
mod nova;
mod numa;
mod pool;
mod report;
mod request;
mod solve;
mod spec;
mod stock;
mod tracker;

pub use address::PciAddress;
pub use alias::{Alias, Aliases};
pub use change::{Action, Change, FieldChange};
pub use config::{Config, ConfigFormat};
pub use device::{Device, DeviceStatus, DeviceType};
pub use error::{Error, ErrorCategory, ErrorKind, Place, Result};
pub use extra_info::ExtraInfo;
pub use fit::{Assignment, Fit, NoFit, Pick, RequestAssignment, RequestReport, Step, StepReport, Undecided};
pub use numa::{NumaCell, NumaPolicy, NumaTopology};
pub use pool::{Group, Pool, Pools};
pub use request::{PLACEMENT_KEYS, Request, RequestSource, Strategy, Workload};
pub use spec::{DeviceSpecs, Explanation, RuleVerdict};
pub use tracker::{
    Binding, BindingQuery, Deferred, DeferredChange, FreeScope, Retagged, SpecsDiff, SyncReport, TrackedDevice,
    Tracker, TrackerOptions,
};

/// The version of this crate, and of every door that is built from it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
