//! Changes: what the caller must write to its database, and nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::PciAddress;

/// One persisted difference of one device.
///
/// `fields` holds only what differs from what was last written: field name → old and new text. Names are those of the
/// device's JSON form; an entry of the extra info is `extra_info.KEY`; a held device has `status`, `owner`,
/// `request_id` and `requester_id`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The device.
    pub address: PciAddress,
    /// What to do with its row.
    pub action: Action,
    /// What differs; empty for a deletion.
    pub fields: BTreeMap<String, FieldChange>,
}

/// What to do with a device's row.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Write a new row.
    Insert,
    /// Write these fields of the row.
    Update,
    /// Remove the row.
    Delete,
}

/// The old and the new text of a field; `None` stands for null, and for an extra-info entry that is not there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FieldChange {
    /// What was last written.
    pub old: Option<String>,
    /// What must be written.
    pub new: Option<String>,
}
