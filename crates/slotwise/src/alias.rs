//! Aliases: the operator's names for kinds of devices, and the flavor form `a:2,b:1`.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::extra_info::ExtraInfo;
use crate::numa::NumaPolicy;
use crate::request::Request;

/// One alias: a name, a NUMA policy, and the alternatives (lines) that are ORed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// How near to the guest's cells.
    pub numa_policy: NumaPolicy,
    /// What a device may look like: the lines of that name, in order.
    pub alternatives: Vec<ExtraInfo>,
}

/// The operator's aliases.
#[derive(Clone, Debug, Default)]
pub struct Aliases {}

impl Aliases {
    /// Parses alias lines, each a JSON text (as in `[pci]alias`); lines of one name are ORed.
    pub fn parse<S: AsRef<str>>(lines: &[S], pci_in_placement: bool) -> Result<Self> {
        let _ = (lines, pci_in_placement);
        unimplemented!()
    }

    /// Adds the alias that these JSON lines (all of one new name) define; fails with `AlreadyExists`.
    pub fn create<S: AsRef<str>>(&mut self, lines: &[S]) -> Result<&Alias> {
        let _ = lines;
        unimplemented!()
    }

    /// Replaces the alias of that name; fails with `UnknownAlias`.
    pub fn update<S: AsRef<str>>(&mut self, lines: &[S]) -> Result<&Alias> {
        let _ = lines;
        unimplemented!()
    }

    /// Removes the alias of that name and returns it; fails with `UnknownAlias`.
    pub fn delete(&mut self, name: &str) -> Result<Alias> {
        let _ = name;
        unimplemented!()
    }

    /// All aliases, in the order they were defined.
    pub fn list(&self) -> &[Alias] {
        unimplemented!()
    }

    /// Turns the flavor form `a:2,b:1` into requests; `numa_policy` overrides the aliases' own policy.
    pub fn requests(&self, flavor: &str, numa_policy: Option<NumaPolicy>) -> Result<Vec<Request>> {
        let _ = (flavor, numa_policy);
        unimplemented!()
    }
}
