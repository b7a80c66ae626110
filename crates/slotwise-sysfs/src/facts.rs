//! What the operator knows about devices and no machine does: switch ports, racks, firmware, islands of links.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Map, Value};
use slotwise::{Device, Error, ErrorKind, ExtraInfo, PciAddress, Result, json, limits};

/// Facts about devices, from files of the operator, to be merged into the devices' extra info.
///
/// An entry names the devices that it is about, and the facts. At least one of these keys names devices; where there
/// are several, all of them have to fit:
///
/// - `address`: the one function at this address;
/// - `serial`: every function of the card with this serial number (extra info `card_serial_number`);
/// - `netdev`: the function with this network interface, and its VFs.
///
/// Every other key is a fact. Texts stay as they are, `null` is kept, other values become their JSON text.
///
/// ```
/// use slotwise_sysfs::{Facts, FactsFormat};
/// let facts = Facts::parse("rack.csv", "netdev,rack,switch_port\nens1f0,r7,leaf3/12\n", FactsFormat::Csv)?;
/// let mut device = slotwise::Device::new("0000:81:00.0".parse()?, "15b3", "1017");
/// device.extra_info.insert("netdevs", Some(r#"["ens1f0"]"#.into()))?;
/// facts.apply(std::slice::from_mut(&mut device))?;
/// assert_eq!(device.extra_info.text("switch_port"), Some("leaf3/12"));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Facts {
    entries: Vec<Entry>,
}

/// How a text with facts is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FactsFormat {
    /// Tables `[[device]]`.
    Toml,
    /// An array of objects.
    Json,
    /// A line with the keys, then a line of values for each entry; an empty cell says nothing. Quotes as in RFC 4180.
    Csv,
}

impl FactsFormat {
    /// The format that the extension of a file's name tells: `toml`, `json` or `csv`.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(FactsFormat::Toml),
            "json" => Some(FactsFormat::Json),
            "csv" => Some(FactsFormat::Csv),
            _ => None,
        }
    }
}

/// The facts about some devices.
#[derive(Clone, Debug)]
struct Entry {
    place: EntryPlace,
    address: Option<PciAddress>,
    serial: Option<String>,
    netdev: Option<String>,
    facts: ExtraInfo,
}

/// Where an entry was written: `rack.csv[3]`, and its line where the format tells it.
#[derive(Clone, Debug)]
struct EntryPlace {
    path: String,
    line: Option<usize>,
}

impl EntryPlace {
    fn text(&self) -> String {
        self.line.map_or_else(|| self.path.clone(), |line| format!("{} (line {line})", self.path))
    }

    fn locate(&self, error: Error) -> Error {
        let error = error.inside(&self.path);
        match self.line {
            Some(line) => error.at(line, 1),
            None => error,
        }
    }
}

impl Facts {
    /// Reads the facts in `text`; `name` is what errors call it, such as the name of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidJson`] or [`ErrorKind::InvalidConfig`] for a text that is not of the format, an entry that
    /// names no device or no fact, or a fact by the name of a field that every device has;
    /// [`ErrorKind::InvalidAddress`]; [`ErrorKind::LimitExceeded`]. The place is the entry and its key.
    pub fn parse(name: &str, text: &str, format: FactsFormat) -> Result<Facts> {
        if text.len() > limits::MAX_DOCUMENT_BYTES {
            let message = format!("the text is larger than {} bytes", limits::MAX_DOCUMENT_BYTES);
            return Err(Error::new(ErrorKind::LimitExceeded, message).inside(name));
        }
        let rows = match format {
            FactsFormat::Toml => toml_rows(name, text)?,
            FactsFormat::Json => {
                let rows: Vec<Map<String, Value>> = json::parse(text, name)?;
                rows.into_iter().map(|row| (None, row)).collect()
            }
            FactsFormat::Csv => csv_rows(name, text)?,
        };
        let entry = |(index, (line, row))| {
            let place = EntryPlace { path: format!("{name}[{index}]"), line };
            Entry::new(place.clone(), row).map_err(|error| place.locate(error))
        };
        Ok(Facts { entries: rows.into_iter().enumerate().map(entry).collect::<Result<_>>()? })
    }

    /// Adds the facts of another file.
    pub fn extend(&mut self, other: Facts) {
        self.entries.extend(other.entries);
    }

    /// The names of all facts, each as often as an entry has it.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().flat_map(|entry| entry.facts.iter().map(|(key, _)| key))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Merges the facts into the extra info of the devices; the result names the entries that are about none of them.
    ///
    /// A device may have the same fact of several entries, as long as they agree.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] when two entries, or an entry and the device itself, contradict each other: the
    /// message names both and the device; [`ErrorKind::LimitExceeded`]. No device is changed then.
    pub fn apply(&self, devices: &mut [Device]) -> Result<Vec<String>> {
        let (mut by_address, mut by_serial, mut by_netdev) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (i, entry) in self.entries.iter().enumerate() {
            // Each entry stands under one of its keys; the others are compared when it is found.
            if let Some(address) = entry.address {
                by_address.entry(address).or_insert_with(Vec::new).push(i);
            } else if let Some(netdev) = &entry.netdev {
                by_netdev.entry(netdev.as_str()).or_insert_with(Vec::new).push(i);
            } else if let Some(serial) = &entry.serial {
                by_serial.entry(serial.as_str()).or_insert_with(Vec::new).push(i);
            }
        }
        let mut used = vec![false; self.entries.len()];
        let mut merged: Vec<(usize, ExtraInfo)> = Vec::new();
        for (index, device) in devices.iter().enumerate() {
            let names = netdevs_of(device);
            let serial = device.card_serial_number();
            let found = by_address.get(&device.address).into_iter();
            let found = found.chain(names.iter().filter_map(|name| by_netdev.get(name.as_str())));
            let found = found.chain(serial.iter().filter_map(|serial| by_serial.get(serial.as_str())));
            let mut about: Vec<usize> = found.flatten().copied().collect();
            about.retain(|&i| self.entries[i].fits(serial.as_deref(), &names));
            about.sort_unstable();
            about.dedup();
            if about.is_empty() {
                continue;
            }
            let mut info = device.extra_info.clone();
            let mut said_by: BTreeMap<&str, usize> = BTreeMap::new();
            for i in about {
                used[i] = true;
                for (key, text) in self.entries[i].facts.iter() {
                    let before = info.get(key);
                    if before.is_some_and(|before| before != text) {
                        let other = said_by.get(key).map(|&other| &self.entries[other].place);
                        return Err(self.contradiction(i, device, key, before.flatten(), text, other));
                    }
                    info.insert(key, text.map(str::to_owned))
                        .map_err(|error| self.entries[i].place.locate(error))?;
                    said_by.entry(key).or_insert(i);
                }
            }
            merged.push((index, info));
        }
        for (index, info) in merged {
            devices[index].extra_info = info;
        }
        let unused = self.entries.iter().zip(used).filter(|(_, used)| !used);
        Ok(unused.map(|(entry, _)| entry.place.text()).collect())
    }

    fn contradiction(
        &self,
        entry: usize,
        device: &Device,
        key: &str,
        before: Option<&str>,
        now: Option<&str>,
        other: Option<&EntryPlace>,
    ) -> Error {
        let shown = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), |text| format!("{text:?}"));
        let place = &self.entries[entry].place;
        let message = format!(
            "{key} of {} is {} in {}, but {} in {}",
            device.address,
            shown(now),
            place.text(),
            shown(before),
            other.map_or_else(|| "the device itself".to_owned(), EntryPlace::text),
        );
        let error =
            Error::new(ErrorKind::InvalidConfig, message).with_help("leave one of the two").inside(key);
        place.locate(error)
    }
}

/// The netdevs that a device is found by: its own, and its PF's.
fn netdevs_of(device: &Device) -> Vec<String> {
    let mut names = device.netdevs();
    names.extend(device.extra_info.text("parent_ifname").map(str::to_owned));
    names
}

impl Entry {
    fn new(place: EntryPlace, row: Map<String, Value>) -> Result<Entry> {
        let mut entry = Entry { place, address: None, serial: None, netdev: None, facts: ExtraInfo::new() };
        for (key, value) in row {
            match key.as_str() {
                "address" => {
                    let text = selector(&key, value)?;
                    entry.address = Some(text.parse().map_err(|error: Error| error.inside(&key))?);
                }
                "serial" => entry.serial = Some(selector(&key, value)?),
                "netdev" => entry.netdev = Some(selector(&key, value)?),
                "vendor_id" | "product_id" | "dev_type" | "numa_node" | "parent_addr" | "class"
                | "status" | "extra_info" => {
                    let message = format!("{key} is what the machine says, and no fact beside it");
                    return Err(Error::new(ErrorKind::InvalidConfig, message)
                        .with_help("give the fact another name")
                        .inside(&key));
                }
                _ => _ = entry.facts.insert_value(key, &value)?,
            }
        }
        if entry.address.is_none() && entry.serial.is_none() && entry.netdev.is_none() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "the entry does not say which devices it is about",
            )
            .with_help("add address, serial or netdev"));
        }
        if entry.facts.is_empty() {
            return Err(Error::new(ErrorKind::InvalidConfig, "the entry says nothing about its devices")
                .with_help("add a fact, such as rack = \"r7\""));
        }
        Ok(entry)
    }

    /// Whether the keys by which the entry was not looked up fit as well.
    fn fits(&self, serial: Option<&str>, netdevs: &[String]) -> bool {
        self.serial.as_deref().is_none_or(|own| serial == Some(own))
            && self.netdev.as_ref().is_none_or(|own| netdevs.contains(own))
    }
}

/// The value of a key that names devices.
fn selector(key: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        other => {
            let message = format!("{key} is {other}, which is not a text with something in it");
            Err(Error::new(ErrorKind::InvalidConfig, message)
                .with_help(format!("write {key} as a text in quotes"))
                .inside(key))
        }
    }
}

/// The entries of a format, each with its line where that is known.
type Rows = Vec<(Option<usize>, Map<String, Value>)>;

/// Line and column (in characters) of a byte of the text, from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

fn toml_rows(name: &str, text: &str) -> Result<Rows> {
    let file: BTreeMap<String, Vec<toml::Spanned<toml::Table>>> = toml::from_str(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        Error::new(ErrorKind::InvalidConfig, error.message())
            .with_help("write [[device]] above the keys of each entry")
            .inside(name)
            .at(line, column)
    })?;
    let mut rows = Vec::new();
    for (key, tables) in file {
        if key != "device" {
            let (line, column) = position(text, tables.first().map_or(0, |table| table.span().start));
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                format!("there is no table {key:?} in such a file"),
            )
            .with_help("write [[device]] above the keys of each entry")
            .inside(name)
            .at(line, column));
        }
        rows = tables;
    }
    let row = |table: toml::Spanned<toml::Table>| {
        let (line, _) = position(text, table.span().start);
        let row = table.into_inner().into_iter().map(|(key, value)| (key, json_of(value))).collect();
        (Some(line), row)
    };
    Ok(rows.into_iter().map(row).collect())
}

/// The JSON value of a TOML one; a date is its text.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json_of(value))).collect())
        }
    }
}

fn csv_rows(name: &str, text: &str) -> Result<Rows> {
    let fail = |error: &csv::Error| {
        let line = error.position().map_or(1, |position| position.line() as usize);
        let message = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the line has {len} values, the first line {expected_len} keys")
            }
            _ => error.to_string(),
        };
        let help = "write as many values as there are keys, with quotes around one that holds a comma";
        Error::new(ErrorKind::InvalidConfig, message).with_help(help).inside(name).at(line, 1)
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let keys = reader.headers().map_err(|error| fail(&error))?.clone();
    for (i, key) in keys.iter().enumerate() {
        if key.is_empty() || keys.iter().take(i).any(|other| other == key) {
            let what = if key.is_empty() { "a column has no key" } else { "two columns have the same key" };
            return Err(Error::new(ErrorKind::InvalidConfig, format!("{what}: column {}", i + 1))
                .with_help("give each column a key of its own")
                .inside(name)
                .at(1, 1));
        }
    }
    let mut rows = Rows::new();
    for record in reader.records() {
        let record = record.map_err(|error| fail(&error))?;
        let line = record.position().map(|position| position.line() as usize);
        let cells = keys.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
        rows.push((line, cells.map(|(key, cell)| (key.to_owned(), cell.into())).collect()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(address: &str, info: &[(&str, &str)]) -> Device {
        let mut device = Device::new(address.parse().expect("an address"), "15b3", "1017");
        for (key, text) in info {
            device.extra_info.insert(*key, Some((*text).to_owned())).expect("within limits");
        }
        device
    }

    fn machine() -> Vec<Device> {
        let card = ("card_serial_number", "MT1");
        vec![
            device("0:81:0.0", &[card, ("netdevs", "[\"ens1f0\"]")]),
            device("0:81:0.1", &[card, ("netdevs", "[\"ens1f1\"]")]),
            device("0:81:0.2", &[card, ("parent_ifname", "ens1f0")]),
            device("0:ca:0.0", &[]),
        ]
    }

    const TOML: &str = "[[device]]\nserial = \"MT1\"\nrack = \"r7\"\n\n[[device]]\nnetdev = \"ens1f0\"\nserial = \
                        \"MT1\"\nport = 12\n\n[[device]]\naddress = \"0000:ca:00.0\"\nisland = [1, 2]\n";
    const JSON: &str = r#"[{"serial": "MT1", "rack": "r7"}, {"netdev": "ens1f0", "serial": "MT1", "port": 12},
                           {"address": "0000:ca:00.0", "island": [1, 2]}]"#;
    const CSV: &str = "serial,netdev,address,rack,port,island\nMT1,,,r7,,\nMT1,ens1f0,,,12,\n\
                       ,,0000:ca:00.0,,,\"[1,2]\"\n";

    #[test]
    fn three_formats_say_the_same() {
        for (text, format) in [(TOML, FactsFormat::Toml), (JSON, FactsFormat::Json), (CSV, FactsFormat::Csv)]
        {
            let mut devices = machine();
            let unused = Facts::parse("facts", text, format).and_then(|facts| facts.apply(&mut devices));
            assert_eq!(unused, Ok(vec![]), "{format:?}");
            let said = |key: &str| -> Vec<_> { devices.iter().map(|d| d.extra_info.text(key)).collect() };
            assert_eq!(said("rack"), [Some("r7"), Some("r7"), Some("r7"), None]);
            assert_eq!(said("port"), [Some("12"), None, Some("12"), None]);
            assert_eq!(said("island"), [None, None, None, Some("[1,2]")]);
        }
    }

    #[test]
    fn contradictions_name_both_sides_and_change_nothing() {
        let facts = |text| Facts::parse("a.csv", text, FactsFormat::Csv).expect("facts");
        let mut both = facts("address,rack\n0:81:0.1,r1\n");
        both.extend(
            Facts::parse("b.json", r#"[{"serial":"MT1","rack":"r2"}]"#, FactsFormat::Json).expect("facts"),
        );
        let mut devices = machine();
        let error = both.apply(&mut devices).expect_err("a contradiction");
        assert_eq!(
            error.message(),
            "rack of 0000:81:00.1 is \"r2\" in b.json[0], but \"r1\" in a.csv[0] (line 2)"
        );
        assert_eq!((error.place().path.as_str(), &devices), ("b.json[0].rack", &machine()));
        let error =
            facts("address,netdevs\n0:81:0.1,eth0\n").apply(&mut devices).expect_err("a contradiction");
        assert!(error.message().ends_with("but \"[\\\"ens1f1\\\"]\" in the device itself"), "{error}");
        assert_eq!(devices, machine());
        let unused = facts("address,rack\n0:99:0.1,r1\n").apply(&mut devices).expect("no contradiction");
        assert_eq!(unused, ["a.csv[0] (line 2)"]);
    }

    #[track_caller]
    fn refuses(text: &str, format: FactsFormat, path: &str, line: Option<u32>, message: &str) {
        let error = Facts::parse("f", text, format).expect_err("bad input");
        assert!(error.message().contains(message), "{error}");
        assert_eq!((error.place().path.as_str(), error.place().line), (path, line), "{error}");
    }

    #[test]
    fn errors_have_places() {
        use FactsFormat::{Csv, Json, Toml};
        refuses("[[device]]\nx = \n", Toml, "f", Some(2), "");
        refuses("\n[[devices]]\nx = 1\n", Toml, "f", Some(2), "no table \"devices\"");
        refuses("\n[[device]]\nrack = 1\n", Toml, "f[0]", Some(2), "which devices");
        refuses(r#"[{"address":"0:1:0.0","numa_node":1}]"#, Json, "f[0].numa_node", None, "machine says");
        refuses(r#"[{"address":"0:1:0.0","a":1},{"address":"x","a":1}]"#, Json, "f[1].address", None, "");
        refuses(r#"[{"serial":1,"a":1}]"#, Json, "f[0].serial", None, "not a text");
        refuses(r#"[{"serial":"1"}]"#, Json, "f[0]", None, "says nothing");
        refuses("{", Json, "f", Some(1), "");
        refuses("address,a\n0:1:0.0,1\n0:1:0.1\n", Csv, "f", Some(3), "1 values");
        refuses("address,a,a\n", Csv, "f", Some(1), "the same key");
        refuses("address,a\n,1\n", Csv, "f[0]", Some(2), "which devices");
    }
}
