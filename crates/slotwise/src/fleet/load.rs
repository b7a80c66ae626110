//! Many hosts in one call.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Fleet;
use super::hosts::{HostOutcome, HostUpdate};
use crate::error::{Error, Result};
use crate::extra_info::ExtraInfo;
use crate::json;
use crate::numa::NumaTopology;
use crate::pool::Pools;

/// What a call did to many hosts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct FleetLoad {
    /// How many hosts are new.
    pub inserted: u64,
    /// How many have other pools or another topology than before.
    pub updated: u64,
    /// How many were like that already.
    pub unchanged: u64,
}

impl FleetLoad {
    fn count(&mut self, update: HostUpdate) {
        match update.outcome {
            HostOutcome::Inserted => self.inserted += 1,
            HostOutcome::Updated => self.updated += 1,
            HostOutcome::Unchanged => self.unchanged += 1,
        }
    }
}

/// One line of [`Fleet::load`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostLine {
    host: String,
    pools: Value,
    #[serde(default)]
    numa_topology: Option<NumaTopology>,
    #[serde(default)]
    version: Option<u64>,
    #[serde(default)]
    tags: Option<ExtraInfo>,
}

impl Fleet {
    /// Inserts or replaces many hosts, one JSON document per line; blank lines are passed over.
    ///
    /// A line is `{"host": "compute-1", "pools": […]}`, the pools as [`Pools::from_json`] takes them, and where wanted
    /// `numa_topology`, `version` (as [`Fleet::put`] takes it) and `tags` (as [`Fleet::set_tags`] does). Each line is
    /// limited as a document is, their number only by that of hosts.
    ///
    /// All lines are taken over or none; a fleet that has hosts already is copied for that.
    ///
    /// # Errors
    ///
    /// As [`Pools::from_json`] and [`Fleet::put`], with the place `lines[17].pools[0].count` (lines are counted from 0
    /// there) and the line of the text.
    ///
    /// ```
    /// let mut fleet = slotwise::Fleet::new();
    /// let lines = "{\"host\": \"a\", \"pools\": []}\n{\"host\": \"b\", \"pools\": null, \"tags\": {\"rack\": \"r1\"}}\n";
    /// assert_eq!(fleet.load(lines)?.inserted, 2);
    /// assert_eq!(fleet.load(lines)?.unchanged, 2);
    ///
    /// let error = fleet.load("{\"host\": \"c\", \"pools\": []}\n{\"host\": \"d\", \"pools\": 7}").unwrap_err();
    /// assert_eq!((error.place().path.as_str(), error.place().line), ("lines[1].pools", Some(2)));
    /// assert!(fleet.id("c").is_err());
    /// # Ok::<(), slotwise::Error>(())
    /// ```
    pub fn load(&mut self, lines: &str) -> Result<FleetLoad> {
        self.all_or_nothing(|fleet| {
            let mut load = FleetLoad::default();
            for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let place = format!("lines[{number}]");
                let update = fleet.take_line(line, &place).map_err(|error| error.offset_by(number + 1, 1))?;
                load.count(update);
            }
            Ok(load)
        })
    }

    /// Calls [`Fleet::put_json`] for many hosts: name, text and version of each, all of them or none.
    ///
    /// # Errors
    ///
    /// As [`Fleet::put_json`], with the place `hosts[17]`.
    pub fn put_many<'a>(
        &mut self,
        hosts: impl IntoIterator<Item = (&'a str, &'a str, Option<u64>)>,
    ) -> Result<FleetLoad> {
        self.all_or_nothing(|fleet| {
            let mut load = FleetLoad::default();
            for (number, (host, text, version)) in hosts.into_iter().enumerate() {
                let update = fleet.put_json(host, text, None, version);
                load.count(update.map_err(|error| error.inside(format!("hosts[{number}]")))?);
            }
            Ok(load)
        })
    }

    /// Inserts or replaces one host by a line as [`Fleet::load`] reads them, for a source that is too long for one text.
    ///
    /// # Errors
    ///
    /// As [`Fleet::load`], with the place `line.pools[0].count`; nothing is changed then.
    pub fn put_line(&mut self, line: &str) -> Result<HostUpdate> {
        self.take_line(line, "line")
    }

    fn take_line(&mut self, line: &str, place: &str) -> Result<HostUpdate> {
        let HostLine { host, pools, numa_topology, version, tags } = json::parse(line, place)?;
        let inside = |error: Error| error.inside(place);
        let pools = Pools::from_value(pools, numa_topology).map_err(|error| inside(error.inside("pools")))?;
        let update = self.put(&host, &pools, version).map_err(inside)?;
        if let Some(tags) = tags {
            self.set_tags(&host, &tags).map_err(inside)?;
        }
        Ok(update)
    }

    /// Works on a copy, which takes the place of this fleet if the work succeeds.
    fn all_or_nothing<T>(&mut self, work: impl FnOnce(&mut Fleet) -> Result<T>) -> Result<T> {
        let mut next = self.clone();
        let done = work(&mut next)?;
        *self = next;
        Ok(done)
    }
}
