//! The devices of a machine, and a tracker over them.

use slotwise::{Config, Device, Error, Tracker, TrackerOptions};

use crate::args::{Machine, Sysfs};
use crate::failure::{Result, YELLOW};
use crate::input;
use crate::text::plain;

/// What discovery found, and what it could not read.
pub(crate) struct Found {
    pub(crate) devices: Vec<Device>,
    pub(crate) warnings: Vec<String>,
}

/// Reads the functions of a machine.
pub(crate) fn discover(args: &Sysfs) -> Result<Found> {
    let discovery = sysfs(args).discover().map_err(Error::from)?;
    let warnings = discovery.warnings.iter().map(ToString::to_string).collect();
    Ok(Found { devices: discovery.devices(), warnings })
}

pub(crate) fn sysfs(args: &Sysfs) -> slotwise_sysfs::Sysfs {
    args.root.as_ref().map_or_else(Default::default, slotwise_sysfs::Sysfs::new)
}

/// The devices of the file that was named, else of the machine. What could not be read is warned about.
pub(crate) fn devices(machine: &Machine) -> Result<Vec<Device>> {
    if let Some(path) = &machine.devices {
        return input::document(path, "devices");
    }
    let found = discover(&machine.sysfs)?;
    warn(&found.warnings);
    Ok(found.devices)
}

/// A tracker with the rules of `config` over all devices of the machine, none of them held.
pub(crate) fn tracker(config: &Config, machine: &Machine) -> Result<Tracker> {
    let devices = devices(machine)?;
    // A list of devices says nothing about the sockets of its host; this machine's would be a guess.
    let numa_topology = if machine.devices.is_none() { sysfs(&machine.sysfs).numa_topology() } else { None };
    let options = TrackerOptions { numa_topology, ..TrackerOptions::default() };
    let mut tracker = Tracker::new(config.device_specs.clone(), options)?;
    tracker.sync(devices)?;
    Ok(tracker)
}

/// Prints warnings to standard error.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        crate::failure::eprint(&format!("{YELLOW}warning{YELLOW:#}: {}\n", plain(warning)));
    }
}
