//! What must be written to the caller's database: each row as it should be, beside what was written.

use std::collections::{BTreeMap, BTreeSet};

use super::Tracker;
use super::entries::{Entry, Hold, Statuses};
use crate::address::PciAddress;
use crate::change::{Action, Change, FieldChange};
use crate::device::{Device, DeviceStatus};
use crate::error::Result;
use crate::extra_info::ExtraInfo;

/// A device's row in the caller's database: field name → text, without null fields.
pub(super) type Row = BTreeMap<String, String>;

impl Tracker {
    /// What must be written to the caller's database now, ordered by address; empty when nothing changed.
    ///
    /// The same changes come again until [`Tracker::written`] notes that they were written.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let statuses = Statuses::new(self);
        let mut changes: Vec<Change> =
            self.dirty.iter().filter_map(|&address| self.change(address, &statuses)).collect();
        let deleted = |&address| Change { address, action: Action::Delete, fields: BTreeMap::new() };
        changes.extend(self.deleted.keys().map(deleted));
        changes.sort_by_key(|change| change.address);
        changes
    }

    pub(super) fn change<'a>(&'a self, address: PciAddress, statuses: &Statuses<'a>) -> Option<Change> {
        let entry = self.entries.get(&address)?;
        let (action, fields) = match (row(entry, statuses), &entry.saved) {
            (None, None) => return None,
            (None, Some(_)) => (Action::Delete, BTreeMap::new()),
            (Some(row), None) => (Action::Insert, differences(&Row::new(), &row)),
            (Some(row), Some(saved)) => (Action::Update, differences(saved, &row)),
        };
        (action != Action::Update || !fields.is_empty()).then_some(Change { address, action, fields })
    }

    /// Notes that these changes have been written; in the order in which they were given.
    ///
    /// Changes that came up since are not lost: each field is compared with what was really written. A row that was
    /// inserted for a device that is not there, because it is gone by now, is deleted with the next changes.
    ///
    /// # Errors
    ///
    /// [`crate::ErrorKind::UnknownDevice`] for an update of a row that this tracker does not know; nothing is noted then.
    pub fn written(&mut self, changes: &[Change]) -> Result<()> {
        for (i, change) in changes.iter().enumerate() {
            // A device may be gone before its row is noted, and a row before it is noted once more that it is.
            let is_known = change.action != Action::Update
                || self.entries.contains_key(&change.address)
                || self.deleted.contains_key(&change.address);
            if !is_known {
                return Err(super::unknown_device(change.address).inside(format!("changes[{i}]")));
            }
        }
        for change in changes {
            let address = change.address;
            let entry = self.entries.get_mut(&address);
            let update = |saved: &mut Row| {
                for (field, value) in &change.fields {
                    match &value.new {
                        Some(text) => saved.insert(field.clone(), text.clone()),
                        None => saved.remove(field),
                    };
                }
            };
            match (entry, change.action) {
                (Some(entry), Action::Delete) => entry.saved = None,
                (Some(entry), _) => update(entry.saved.get_or_insert_default()),
                (None, Action::Delete) => {
                    self.deleted.remove(&address);
                }
                (None, _) => update(self.deleted.entry(address).or_default()),
            }
        }
        let statuses = Statuses::new(self);
        let addresses: BTreeSet<PciAddress> = changes.iter().map(|change| change.address).collect();
        let (open, done): (BTreeSet<PciAddress>, BTreeSet<PciAddress>) =
            addresses.into_iter().partition(|&address| self.change(address, &statuses).is_some());
        self.dirty.extend(open);
        for address in done {
            self.dirty.remove(&address);
        }
        Ok(())
    }
}

/// The row that a device should have; none if it is neither held nor assignable.
pub(super) fn row<'a>(entry: &'a Entry, statuses: &Statuses<'a>) -> Option<Row> {
    let tags = entry.facts.assignable.as_ref().map(|assignable| &assignable.tags);
    entry.is_tracked().then(|| row_of(&entry.facts.device, tags, statuses.of(entry), entry.hold.as_ref()))
}

/// The row of a device in the caller's database.
pub(super) fn row_of(
    device: &Device,
    tags: Option<&ExtraInfo>,
    status: DeviceStatus,
    hold: Option<&Hold>,
) -> Row {
    let mut row = Row::new();
    let mut put = |field: String, text: Option<String>| {
        if let Some(text) = text {
            row.insert(field, text);
        }
    };
    for field in ["vendor_id", "product_id", "dev_type", "numa_node", "parent_addr", "class"] {
        put(field.to_owned(), device.attribute(field).flatten());
    }
    put("status".to_owned(), Some(status.as_str().to_owned()));
    if let Some(hold) = hold {
        put("owner".to_owned(), Some(hold.owner.clone()));
        put("request_id".to_owned(), hold.request_id.clone());
        put("requester_id".to_owned(), hold.requester_id.clone());
    }
    for (key, text) in device.extra_info.iter() {
        put(format!("extra_info.{key}"), text.map(str::to_owned));
    }
    for (key, text) in tags.iter().flat_map(|tags| tags.iter()) {
        put(format!("tags.{key}"), text.map(str::to_owned));
    }
    row
}

fn differences(old: &Row, new: &Row) -> BTreeMap<String, FieldChange> {
    let changed = |field: &&String| old.get(*field) != new.get(*field);
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).filter(changed).collect();
    let change = |field: &String| FieldChange { old: old.get(field).cloned(), new: new.get(field).cloned() };
    fields.into_iter().map(|field| (field.clone(), change(field))).collect()
}
