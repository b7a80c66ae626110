//! What policies are asked about, natively.

use slotwise::ExtraInfo;
use slotwise::policy::{HostTable, Texts};
use slotwise_policy::bindings::exports::slotwise::policy::api;

/// A set of attributes.
///
/// # Panics
///
/// When an entry is not one that the engine takes.
#[must_use]
pub fn info(entries: &[(&str, &str)]) -> ExtraInfo {
    let mut info = ExtraInfo::new();
    for (key, value) in entries {
        info.insert(*key, Some((*value).to_owned())).expect("an entry");
    }
    info
}

/// The hosts of a table as a policy in Rust sees them.
///
/// # Panics
///
/// When the table has more hosts than 32 bits count.
#[must_use]
pub fn native(table: &HostTable) -> slotwise_policy::Hosts {
    let texts = |texts: &Texts| api::Texts { joined: texts.joined().to_owned(), ends: texts.ends().to_vec() };
    let sets = table.sets();
    api::Hosts {
        count: u32::try_from(table.len()).expect("a table counts in 32 bits"),
        sets: Some(api::AttributeSets {
            texts: texts(sets.texts()),
            ends: sets.ends().to_vec(),
            keys: sets.keys().to_vec(),
            values: sets.values().to_vec(),
        }),
        names: Some(texts(table.names())),
        attributes: Some(table.attributes().to_vec()),
        pools: Some(api::Pools {
            ends: table.pool_ends().to_vec(),
            free: table.pool_free().to_vec(),
            details: Some(api::PoolDetails {
                attributes: table.pool_sets().to_vec(),
                numa_nodes: table.pool_numa_nodes().to_vec(),
            }),
        }),
    }
    .into()
}
