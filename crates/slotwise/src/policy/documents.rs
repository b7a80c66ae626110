//! Tables and queries out of JSON documents, for doors that have no fleet at hand.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{DeviceTable, HostTable, Query, SetId, Sets};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::extra_info::ExtraInfo;
use crate::json;
use crate::pool::Pool;
use crate::request::Workload;

/// What a policy is asked about, as a document: `{"workload": {…}, "facts": {…}}`, both of which may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryDocument {
    /// The workload to be placed.
    #[serde(default)]
    pub workload: Workload,
    /// What the caller knows about it beyond that.
    #[serde(default)]
    pub facts: ExtraInfo,
}

impl QueryDocument {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidJson`], or what is wrong with the workload.
    pub fn from_json(text: &str) -> Result<Self> {
        json::parse(text, "query")
    }

    /// The query that it describes.
    #[must_use]
    pub fn as_query(&self) -> Query<'_> {
        Query { workload: &self.workload, facts: &self.facts }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostDocument {
    name: String,
    #[serde(default)]
    attributes: ExtraInfo,
    #[serde(default)]
    pools: Vec<Pool>,
}

impl HostTable {
    /// Reads hosts from JSON: `[{"name": "node-1", "attributes": {"rack": "r1"}, "pools": […]}]`, where pools are as
    /// [`crate::Pools::from_json`] reads them, and attributes and pools may be left out.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::InvalidJson`], [`crate::ErrorKind::InvalidPool`] or [`crate::ErrorKind::LimitExceeded`], with
    /// the place.
    pub fn from_json(text: &str) -> Result<Self> {
        let hosts: Vec<HostDocument> = json::parse(text, "hosts")?;
        let mut table = HostTable::new();
        let mut known = Known::default();
        for (i, host) in hosts.into_iter().enumerate() {
            table.push_document(&mut known, host).map_err(|error| error.inside(format!("hosts[{i}]")))?;
        }
        Ok(table)
    }

    fn push_document(&mut self, known: &mut Known, host: HostDocument) -> Result<()> {
        let attributes = known.set(&mut self.sets, host.attributes)?;
        self.push_host(&host.name, attributes)?;
        for pool in host.pools {
            let mut attributes = (*pool.attributes).clone();
            if let Some(provider) = pool.provider {
                attributes.insert("rp_uuid", Some(provider))?;
            }
            let attributes = known.set(&mut self.sets, attributes)?;
            self.push_pool(attributes, pool.numa_node, pool.count)?;
        }
        Ok(())
    }
}

impl DeviceTable {
    /// The devices of a host with their ids, type, class and extra info as attributes.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::LimitExceeded`].
    pub fn of(host: &str, devices: &[Device]) -> Result<Self> {
        let untagged = ExtraInfo::new();
        DeviceTable::of_tagged(host, devices.iter().map(|device| (device, &untagged)))
    }

    /// As [`DeviceTable::of`], with the tags that rules give to the devices.
    pub(crate) fn of_tagged<'a>(
        host: &str,
        devices: impl Iterator<Item = (&'a Device, &'a ExtraInfo)>,
    ) -> Result<Self> {
        let mut table = DeviceTable::new(host);
        let mut known = Known::default();
        for (device, tags) in devices {
            let mut attributes = device.extra_info.clone();
            attributes.insert("vendor_id", Some(device.vendor_id.clone()))?;
            attributes.insert("product_id", Some(device.product_id.clone()))?;
            attributes.insert("dev_type", Some(device.dev_type.to_string()))?;
            if let Some(class) = &device.class {
                attributes.insert("class", Some(class.clone()))?;
            }
            if let Some(parent) = device.parent_addr {
                attributes.insert("parent_addr", Some(parent.to_string()))?;
            }
            for (key, text) in tags.iter() {
                attributes.insert(key, text.map(str::to_owned))?;
            }
            let attributes = known.set(&mut table.sets, attributes)?;
            table.push(&device.address.to_string(), attributes, device.numa_node)?;
        }
        Ok(table)
    }

    /// Reads the devices of a host from a JSON list of device documents.
    ///
    /// # Errors
    ///
    /// As for every list of devices, with the place.
    pub fn from_json(host: &str, text: &str) -> Result<Self> {
        let devices: Vec<Device> = json::parse(text, "devices")?;
        for (i, device) in devices.iter().enumerate() {
            device.validate().map_err(|error: Error| error.inside(format!("devices[{i}]")))?;
        }
        DeviceTable::of(host, &devices)
    }
}

/// The sets that are in a table already, so that hosts with equal attributes share one.
#[derive(Default)]
struct Known(BTreeMap<ExtraInfo, SetId>);

impl Known {
    fn set(&mut self, sets: &mut Sets, attributes: ExtraInfo) -> Result<SetId> {
        if let Some(&set) = self.0.get(&attributes) {
            return Ok(set);
        }
        let set = sets.add(&attributes)?;
        self.0.insert(attributes, set);
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn hosts_with_equal_attributes_share_a_set() {
        let pool = r#"{"vendor_id": "15b3", "product_id": "1018", "numa_node": 1, "count": 4, "tags": {"rp_uuid": "u"}}"#;
        let table = HostTable::from_json(&format!(
            r#"[{{"name": "a", "attributes": {{"rack": "r1"}}, "pools": [{pool}, {pool}]}},
                {{"name": "b", "attributes": {{"rack": "r1"}}}}, {{"name": "c"}}]"#
        ))
        .expect("hosts");
        assert_eq!(table.attributes(), [1, 1, 0]);
        assert_eq!(table.pool_sets(), [2, 2]);
        assert_eq!(table.sets().text(SetId(2), "rp_uuid"), Some("u"));
        assert_eq!((table.pool_free(), table.pool_ends()), (&[4, 4][..], &[2, 2, 2][..]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = HostTable::from_json(r#"[{"name": "a", "racks": 1}]"#).expect_err("an unknown field");
        assert_eq!(error.kind(), ErrorKind::InvalidJson);
        let error = DeviceTable::from_json("a", r#"[{"address": "x"}]"#).expect_err("no address");
        assert!(error.place().path.starts_with("devices[0]"), "{error}");
        let query = QueryDocument::from_json(r#"{"facts": {"project_id": "p"}}"#).expect("a query");
        assert_eq!(query.as_query().facts.text("project_id"), Some("p"));
    }
}
