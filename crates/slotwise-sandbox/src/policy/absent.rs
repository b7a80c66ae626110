//! What stands for a policy in a build without the feature `runtime`: none can be loaded, so there is none.

use std::path::Path;

use slotwise::policy::{DeviceTable, HostTable, Query, Scope, Verdicts};

use super::{CodeOrigin, Counters, OnFailure, PolicyOptions};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A loaded policy; this build can load none.
#[derive(Clone, Debug)]
pub enum Policy {}

impl Policy {
    /// Loads nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotInThisBuild`], whatever is given.
    pub fn load(_: impl AsRef<Path>, _: PolicyOptions) -> Result<Self> {
        Err(Error::NotInThisBuild)
    }

    /// Loads nothing, as [`Policy::load`].
    ///
    /// # Errors
    ///
    /// [`Error::NotInThisBuild`], whatever is given.
    pub fn from_bytes(_: &[u8], _: PolicyOptions) -> Result<Self> {
        Err(Error::NotInThisBuild)
    }

    /// The name that reasons, errors and log lines give to it.
    #[must_use]
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// What it answers, and which columns it reads.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match *self {}
    }

    /// Where its compiled code came from, and how long that took.
    #[must_use]
    pub fn code_origin(&self) -> CodeOrigin {
        match *self {}
    }

    /// What one call may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        match *self {}
    }

    /// What a call gives when the policy fails.
    #[must_use]
    pub fn on_failure(&self) -> OnFailure {
        match *self {}
    }

    /// How often it was asked and failed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        match *self {}
    }
}

impl slotwise::policy::Policy for Policy {
    fn name(&self) -> &str {
        match *self {}
    }

    fn scope(&self) -> Scope {
        match *self {}
    }

    fn filter(&self, _: &Query<'_>, _: &HostTable) -> slotwise::Result<Option<Verdicts>> {
        match *self {}
    }

    fn score(&self, _: &Query<'_>, _: &HostTable) -> slotwise::Result<Option<Vec<f64>>> {
        match *self {}
    }

    fn prefer(&self, _: &Query<'_>, _: &DeviceTable) -> slotwise::Result<Option<Vec<f64>>> {
        match *self {}
    }
}
