//! Configuration texts: a real `nova.conf`, or TOML.

use crate::alias::Aliases;
use crate::error::Result;
use crate::spec::DeviceSpecs;

/// What a configuration file says about PCI devices.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `[pci]device_spec`.
    pub device_specs: DeviceSpecs,
    /// `[pci]alias`.
    pub aliases: Aliases,
    /// `[pci]report_in_placement`.
    pub report_in_placement: bool,
    /// `[filter_scheduler]pci_in_placement`.
    pub pci_in_placement: bool,
}

/// How a configuration text is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ConfigFormat {
    /// oslo.config's INI dialect, as in `nova.conf`.
    NovaConf,
    /// TOML.
    Toml,
}

impl Config {
    /// Parses a configuration text; errors carry line and column in `text`.
    pub fn parse(text: &str, format: ConfigFormat) -> Result<Self> {
        let _ = (text, format);
        unimplemented!()
    }
}
