//! Configuration texts: a real `nova.conf`, or TOML.

pub(crate) mod document;
mod ini;
mod toml_file;

use std::collections::HashSet;

use crate::address::clip;
use crate::alias::{self, Aliases};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::spec::{self, DeviceSpecs};
use document::line_column;

/// What a configuration file says about PCI devices.
///
/// ```
/// use slotwise::{Config, ConfigFormat};
/// let config = Config::parse(
///     r#"
/// [pci]
/// device_spec = {"vendor_id": "15b3",
///                "physical_network": "blue"}
/// alias = {"name": "nic", "vendor_id": "15b3", "product_id": "1018"}
/// "#,
///     ConfigFormat::NovaConf,
/// )?;
/// assert_eq!((config.device_specs.len(), config.aliases.list().len()), (1, 1));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[pci]device_spec`.
    pub device_specs: DeviceSpecs,
    /// `[pci]alias`.
    pub aliases: Aliases,
    /// `[pci]report_in_placement`.
    pub report_in_placement: bool,
    /// `[filter_scheduler]pci_in_placement`.
    pub pci_in_placement: bool,
    /// What is odd about the file itself.
    notes: Vec<String>,
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
    ///
    /// Of a `nova.conf` these options count, and all others are ignored: `[pci]device_spec` and its older names
    /// `[pci]passthrough_whitelist` and `[DEFAULT]pci_passthrough_whitelist`, `[pci]alias` and its older name
    /// `[DEFAULT]pci_alias`, `[pci]report_in_placement`, and `[filter_scheduler]pci_in_placement`. Values under older
    /// names come before the others, as in Nova. References such as `$my_ip` are left as they are.
    ///
    /// In TOML the rules are tables `[[pci.device_spec]]` and the aliases tables `[[pci.alias]]`, with the same keys;
    /// in place of a table there may be its JSON text, which can say `null`. Other keys under `[pci]` are refused.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] when the text itself cannot be read, and the errors of [`DeviceSpecs::parse`] and
    /// [`Aliases::parse`].
    pub fn parse(text: &str, format: ConfigFormat) -> Result<Self> {
        limits::check("document size in bytes", text.len(), limits::MAX_DOCUMENT_BYTES)?;
        match format {
            ConfigFormat::NovaConf => Config::from_nova_conf(text),
            ConfigFormat::Toml => toml_file::parse(text),
        }
    }

    /// Things that are allowed but probably not meant, one sentence each with its place: about the file, its rules,
    /// its aliases, and aliases that no rule can serve.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut found = self.notes.clone();
        found.extend(self.device_specs.warnings());
        found.extend(self.aliases.warnings());
        let ids: HashSet<_> = self.device_specs.id_pairs().collect();
        if ids.is_empty() {
            // Schedulers have aliases and no rules.
            return found;
        }
        for alias in self.aliases.list() {
            for line in &alias.alternatives {
                let (Some(vendor), Some(product)) = (line.text("vendor_id"), line.text("product_id")) else {
                    continue;
                };
                let pairs = [
                    (Some(vendor), Some(product)),
                    (Some(vendor), None),
                    (None, Some(product)),
                    (None, None),
                ];
                if !pairs.iter().any(|pair| ids.contains(pair)) {
                    found.push(format!(
                        "alias {}: no device_spec hands out devices {vendor}:{product}, which it asks for",
                        clip(&alias.name)
                    ));
                }
            }
        }
        found
    }

    fn from_nova_conf(text: &str) -> Result<Self> {
        let wanted = |section: &str, key: &str| OPTIONS.iter().any(|option| option.is(section, key));
        let assignments = ini::parse(text, wanted)?;
        // oslo.config puts the values of older names in front of those of newer ones.
        let values = |meaning: Meaning| {
            let options = OPTIONS.iter().filter(move |option| option.meaning == meaning);
            options.flat_map(|option| assignments.iter().filter(|a| option.is(a.section, a.key)))
        };
        let boolean = |meaning: Meaning, path: &str| match values(meaning).last() {
            None => Ok(false),
            Some(assignment) => {
                let entry = assignment.entry(text);
                parse_boolean(entry.text).map_err(|error| {
                    let (line, column) = line_column(text, entry.start);
                    error.inside(path).at(line, column)
                })
            }
        };
        let report_in_placement = boolean(Meaning::ReportInPlacement, "pci.report_in_placement")?;
        let pci_in_placement = boolean(Meaning::PciInPlacement, "filter_scheduler.pci_in_placement")?;

        let mut specs = spec::Builder::new(report_in_placement);
        for assignment in values(Meaning::DeviceSpec) {
            specs.entry(assignment.entry(text))?;
        }
        let mut aliases = alias::Builder::new(pci_in_placement);
        for assignment in values(Meaning::Alias) {
            aliases.entry(assignment.entry(text))?;
        }

        let mut notes = Vec::new();
        // Assignments come in the order of the text: each line is counted from the last, not from the beginning.
        let (mut line, mut counted) = (1, 0);
        for assignment in &assignments {
            let entry = assignment.entry(text);
            line += line_column(&text[counted..], entry.start - counted).0 - 1;
            counted = entry.start;
            let option = OPTIONS.iter().find(|option| option.is(assignment.section, assignment.key));
            if let Some(KnownOption { section, key, instead: Some(instead), .. }) = option {
                notes.push(format!("line {line}: [{section}]{key} is an old name; write {instead}"));
            }
            if let Some(reference) = substituted(entry.text) {
                notes.push(format!(
                    "line {line}: {} is read as it stands, where oslo.config would replace {reference:?}",
                    assignment.key
                ));
            }
        }
        Ok(Config {
            device_specs: specs.finish(),
            aliases: aliases.finish(),
            report_in_placement,
            pci_in_placement,
            notes,
        })
    }
}

/// What an option of `nova.conf` means here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    DeviceSpec,
    Alias,
    ReportInPlacement,
    PciInPlacement,
}

/// An option of `nova.conf`.
struct KnownOption {
    meaning: Meaning,
    section: &'static str,
    key: &'static str,
    /// What to write instead of an older name.
    instead: Option<&'static str>,
}

impl KnownOption {
    const fn new(
        meaning: Meaning,
        section: &'static str,
        key: &'static str,
        instead: Option<&'static str>,
    ) -> Self {
        KnownOption { meaning, section, key, instead }
    }

    fn is(&self, section: &str, key: &str) -> bool {
        let same_section = match self.section {
            "DEFAULT" => section == "DEFAULT",
            name => section.eq_ignore_ascii_case(name),
        };
        same_section && key == self.key
    }
}

/// The options that count, older names first. Source: `nova/conf/pci.py` and `nova/conf/scheduler.py`.
const OPTIONS: &[KnownOption] = &[
    KnownOption::new(Meaning::DeviceSpec, "DEFAULT", "pci_passthrough_whitelist", Some("[pci]device_spec")),
    KnownOption::new(Meaning::DeviceSpec, "pci", "passthrough_whitelist", Some("[pci]device_spec")),
    KnownOption::new(Meaning::DeviceSpec, "pci", "device_spec", None),
    KnownOption::new(Meaning::Alias, "DEFAULT", "pci_alias", Some("[pci]alias")),
    KnownOption::new(Meaning::Alias, "pci", "alias", None),
    KnownOption::new(Meaning::ReportInPlacement, "pci", "report_in_placement", None),
    KnownOption::new(Meaning::PciInPlacement, "filter_scheduler", "pci_in_placement", None),
];

/// Reads a boolean as oslo.config does, which knows fewer words than the tags of a rule.
fn parse_boolean(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(Error::new(ErrorKind::InvalidConfig, format!("{:?} is not a boolean", clip(text)))
            .with_help("write one of: true, 1, on, yes, false, 0, off, no")),
    }
}

/// The first thing in a value that oslo.config would substitute: `$$`, `\$`, `$name` or `${name}`.
fn substituted(text: &str) -> Option<&str> {
    text.match_indices('$').find_map(|(i, _)| {
        let rest = &text[i + 1..];
        let name =
            |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        let starts_name = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if text[..i].ends_with('\\') {
            return Some(&text[i - 1..i + 1]);
        }
        if rest.starts_with('$') {
            return Some(&text[i..i + 2]);
        }
        if starts_name(rest) {
            return Some(clip(&text[i..i + 1 + name(rest)]));
        }
        let braced = rest.strip_prefix('{').filter(|inner| starts_name(inner))?;
        braced[name(braced)..].starts_with(['}', '.']).then(|| clip(&text[i..i + 2 + name(braced)]))
    })
}
