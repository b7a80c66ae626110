//! slotwise decides which PCI device goes to which workload, and remembers it.
//!
//! This crate is the engine: a pure function of its inputs. It does no I/O, reads no clock, draws no random number,
//! starts no thread and holds no `unsafe`; ids and time are passed in. Same input, same answer, on every platform.
//!
//! # The way of the data
//!
//! Configuration text becomes [`DeviceSpecs`] (rules) and [`Aliases`]; the host's functions become [`Device`]s. A
//! [`Tracker`] puts them together: it pools what is free ([`Pools`]), answers whether a [`Workload`] fits ([`Fit`]),
//! holds what is claimed, and says what must be written to the caller's database ([`Change`]). A scheduler that knows
//! only the pools of a host asks [`Pools::fit`].
//!
//! ```
//! use slotwise::{Aliases, Device, DeviceSpecs, Tracker, TrackerOptions, Workload};
//!
//! let specs = DeviceSpecs::parse(&[r#"{"vendor_id": "10de", "product_id": "25b6"}"#], false)?;
//! let aliases = Aliases::parse(&[r#"{"name": "gpu", "vendor_id": "10de", "product_id": "25b6"}"#], false)?;
//!
//! let mut tracker = Tracker::new(specs, TrackerOptions::default())?;
//! tracker.sync(vec![Device::new("0000:17:00.0".parse()?, "10de", "25b6")])?;
//!
//! let workload = Workload::new(aliases.requests("gpu:1", None)?);
//! assert!(tracker.claim("instance-1", &workload)?.fits());
//! let second = tracker.claim("instance-2", &workload)?;
//! assert!(second.to_string().starts_with("does not fit: request 0 (alias \"gpu\") needs 1 device"));
//! # Ok::<(), slotwise::Error>(())
//! ```
//!
//! # Three outcomes that are never mixed up
//!
//! Bad input is an [`Error`] with its place and remedy. *No fit* is an answer, with the requests in conflict and the
//! reason each device was dropped. A fit is an assignment. With [`Strategy::Exact`] (the default) *no fit* means that no
//! assignment exists; if the search budget runs out the answer is *undecided*.

#![forbid(unsafe_code)]

mod address;
mod alias;
mod change;
mod config;
mod device;
mod error;
mod extra_info;
mod filter;
mod fit;
mod fleet;
mod inventory;
pub mod json;
mod lifecycle;
pub mod limits;
pub mod log;
mod nova;
mod numa;
pub mod policy;
mod pool;
mod pool_set;
mod report;
mod request;
mod snapshot;
mod solve;
mod spec;
mod stock;
mod stored;
mod tracker;

pub use address::PciAddress;
pub use alias::{Alias, Aliases};
pub use change::{Action, Change, FieldChange};
pub use config::{Config, ConfigFormat};
pub use device::{Device, DeviceStatus, DeviceType};
pub use error::{Error, ErrorCategory, ErrorKind, Place, Result};
pub use extra_info::ExtraInfo;
pub use fit::{Assignment, Fit, NoFit, Pick, RequestAssignment, RequestReport, Step, StepReport, Undecided};
pub use fleet::{
    AffinityRule, Batch, BatchItem, BatchMode, BatchOutcome, Demand, FilterOptions, Fleet, FleetAnswer,
    FleetExplanation, FleetLoad, FleetMemory, FleetReason, HostCandidates, HostDelta, HostOutcome,
    HostQuestion, HostSet, HostUpdate, Placed, PlacedItem, PolicyRefusal, RankOptions, Ranking, ReasonCount,
    RequestDrops, Reservation, StepDrops, Weigher, WeigherKind,
};
pub use inventory::{Inventory, News};
pub use lifecycle::{Event, Kin, Refusal, StoredStatus, Transition, transition};
pub use nova::Purpose;
pub use numa::{NumaCell, NumaPolicy, NumaTopology};
pub use pool::{Group, Pool, Pools};
pub use request::{
    CellChoice, Constraint, Fallback, PLACEMENT_KEYS, Preference, Relation, Request, RequestSource, Strategy,
    Workload,
};
pub use spec::{DeviceSpecs, Explanation, RuleVerdict};
pub use tracker::{
    Binding, BindingQuery, Claim, Deferred, DeferredChange, DeviceGroup, FreeScope, Retagged, SpecsDiff,
    SyncReport, TrackedDevice, Tracker, TrackerOptions,
};

/// The version of this crate, and of every door that is built from it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
