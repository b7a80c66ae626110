//! The free devices of one host.

use crate::bindings::exports::slotwise::policy::api;
use crate::sets::{self, Key, NONE};

/// The free devices of one host, as columns.
///
/// ```
/// use slotwise_policy::Devices;
///
/// // In the tests of a policy; the scheduler hands over the free devices of the host that was chosen.
/// let devices = Devices::of("node-1", [
///     ("0000:3b:00.0", [("firmware", "22.31")]),
///     ("0000:5e:00.0", [("firmware", "22.39")]),
/// ]);
/// // A name that is looked up for many devices is looked up once.
/// let key = devices.key("firmware");
/// let new = |device: slotwise_policy::Device| key.and_then(|key| device.get(key)) == Some("22.39");
/// let preferences: Vec<f64> = devices.iter().map(|device| if new(device) { 1.0 } else { 0.0 }).collect();
/// assert_eq!(preferences, [0.0, 1.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Devices(api::Devices);

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct Device<'a> {
    table: &'a api::Devices,
    index: usize,
}

impl Devices {
    /// Devices with addresses and attributes: for the tests of a policy.
    pub fn of<'a, A: IntoIterator<Item = (&'a str, &'a str)>>(
        host: &str,
        devices: impl IntoIterator<Item = (&'a str, A)>,
    ) -> Self {
        let mut table = api::Devices {
            host: host.to_owned(),
            count: 0,
            sets: sets::empty(),
            addresses: sets::no_texts(),
            attributes: Vec::new(),
            numa_nodes: Vec::new(),
        };
        for (address, attributes) in devices {
            table.count += 1;
            sets::push_text(&mut table.addresses, address);
            table.attributes.push(sets::push_set(&mut table.sets, attributes));
            table.numa_nodes.push(NONE);
        }
        Devices(table)
    }

    /// The name of the host; may be empty, and is unless the scope names [`crate::Scope::NAMES`].
    #[must_use]
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// How many devices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.count == 0
    }

    /// The devices, in the order in which they are to be answered.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Device<'_>> {
        (0..self.len()).map(|index| Device { table: &self.0, index })
    }

    /// The number of an attribute's name; `None` when nothing in the table has it.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<Key> {
        sets::key(&self.0.sets, name)
    }
}

impl From<api::Devices> for Devices {
    fn from(devices: api::Devices) -> Self {
        Devices(devices)
    }
}

impl<'a> Device<'a> {
    /// Its address, such as `0000:3b:00.2`; empty unless the scope names [`crate::Scope::NAMES`].
    #[must_use]
    pub fn address(self) -> &'a str {
        sets::text(&self.table.addresses, self.index).unwrap_or_default()
    }

    /// Its NUMA node, if it is known; `None` unless the scope names [`crate::Scope::ATTRIBUTES`].
    #[must_use]
    pub fn numa_node(self) -> Option<u32> {
        self.table.numa_nodes.get(self.index).copied().filter(|&node| node != NONE)
    }

    /// What is known of it under this name: an id, its type, a tag or extra info.
    #[must_use]
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        sets::value_of(&self.table.sets, *self.table.attributes.get(self.index)?, name)
    }

    /// The same by the number of the name.
    #[must_use]
    pub fn get(self, key: Key) -> Option<&'a str> {
        sets::value(&self.table.sets, *self.table.attributes.get(self.index)?, key)
    }
}
