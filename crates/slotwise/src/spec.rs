//! Device specs: the operator's rules for which devices may be handed out, and the tags they get.

mod location;
mod pattern;
mod warnings;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::address::{PciAddress, clip};
use crate::config::document::Entry;
use crate::device::{Device, DeviceType};
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::{ExtraInfo, parse_bool, require_bool};
use crate::limits;
use location::{Elsewhere, Location, devname, parse_number};

/// An ordered set of rules; the first that matches a device decides. Cloning is cheap.
///
/// A rule is a JSON object. These keys select devices, and all that are given must match:
///
/// | key | matches |
/// |---|---|
/// | `vendor_id`, `product_id` | the device's id, in hexadecimal; `*` matches any |
/// | `address`, a text | `domain:bus:slot.function`, where a field that is `*` or left out matches any; an address without wildcards also covers the virtual functions of that physical function |
/// | `address`, an object | one regular expression per field (`domain`, `bus`, `slot`, `function`) over its lower-case digits, as Python's `re.match`: anchored at the start only |
/// | `devname` | the function that has this netdev name when the rules are pinned ([`DeviceSpecs::pin`]), and its virtual functions |
/// | `remote_managed` | if true, only devices whose card has a serial number |
///
/// Every other key, and `remote_managed` too, is a tag that the matching devices get.
///
/// ```
/// use slotwise::{Device, DeviceSpecs};
/// let specs = DeviceSpecs::parse(
///     &[r#"{"vendor_id": "15b3", "address": "*:3b:00.*", "physical_network": "blue"}"#,
///       r#"[{"devname": "ens1f0", "physical_network": null}, {"vendor_id": "8086"}]"#],
///     false,
/// )?;
/// let device = Device::new("0000:3b:00.2".parse()?, "15b3", "1018");
/// let (rule, tags) = specs.matching(&device).expect("the first rule matches");
/// assert_eq!((rule, tags.text("physical_network")), (0, Some("blue")));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceSpecs {
    rules: Arc<[Rule]>,
    /// For each rule the address that its netdev name is bound to.
    pins: Arc<[Option<PciAddress>]>,
    report_in_placement: bool,
}

/// What a rule set says about one device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// Whether the device may be handed out.
    pub assignable: bool,
    /// The index of the first rule that matches.
    pub rule: Option<usize>,
    /// The tags that rule gives.
    pub tags: ExtraInfo,
    /// Every rule up to and including the one that matches: whether it does, and if not why.
    pub rules: Vec<RuleVerdict>,
}

/// What one rule says about one device.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RuleVerdict {
    /// The rule's index.
    pub rule: usize,
    /// Whether it matches.
    pub matches: bool,
    /// Why it does not, as a sentence; `None` if it does.
    pub reason: Option<String>,
}

impl DeviceSpecs {
    /// Parses rules, each entry being the JSON text of one rule or of a list of rules (as in `[pci]device_spec`).
    ///
    /// `report_in_placement` says whether devices are reported to Placement, which `one_time_use` needs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidJson`], [`ErrorKind::InvalidSpec`] or [`ErrorKind::LimitExceeded`]. The place is a path such
    /// as `device_spec[2].address.bus`, counting rules from 0 over all entries, and the line and column in the entry.
    ///
    /// ```
    /// let error = slotwise::DeviceSpecs::parse(&[r#"{"address": {"bus": "0[1"}}"#], false).unwrap_err();
    /// assert_eq!(error.place().path, "device_spec[0].address.bus");
    /// assert_eq!((error.place().line, error.place().column), (Some(1), Some(21)));
    /// ```
    pub fn parse<S: AsRef<str>>(entries: &[S], report_in_placement: bool) -> Result<Self> {
        let mut builder = Builder::new(report_in_placement);
        for entry in entries {
            builder.entry(Entry::new(entry.as_ref()))?;
        }
        Ok(builder.finish())
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule, so that no device may be handed out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether devices are reported to Placement, as [`DeviceSpecs::parse`] was told.
    #[must_use]
    pub fn report_in_placement(&self) -> bool {
        self.report_in_placement
    }

    /// The rules in canonical form, one JSON object each, in order.
    ///
    /// Each holds the keys that were given, ids and addresses in lower case and in full width. Parsing them gives the
    /// same rules again, which then have to be pinned again.
    #[must_use]
    pub fn list(&self) -> Vec<Value> {
        self.rules.iter().map(|rule| Value::Object(rule.document.clone())).collect()
    }

    /// Binds `devname` rules to the functions that have these netdev names now, and checks rules for
    /// remote-managed devices against the host.
    ///
    /// A name is looked for in the extra info `netdevs` of a function, else in `parent_ifname` of a virtual function,
    /// which names its physical function's. A rule that is bound stays so, whatever names change later: that is where
    /// slotwise differs from Nova, which reads the names at every match. A name that no function has is looked for
    /// again by the next call.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] when a rule with `remote_managed` names one physical function and does not select
    /// that function's VFs by their product id, because a physical function cannot be managed remotely. The ids of the
    /// VFs are compared where the host tells them, in the extra info `sriov_vf_device`.
    pub fn pin(&self, host: &[Device]) -> Result<DeviceSpecs> {
        let mut pinned = self.clone();
        let rules = || self.rules.iter().zip(self.pins.iter());
        let wanted: HashMap<&str, Option<PciAddress>> =
            rules().filter_map(|(rule, pin)| Some((rule.unbound_name(*pin)?, None))).collect();
        if !wanted.is_empty() {
            let found = find_names(wanted, host);
            pinned.pins = rules()
                .map(|(rule, pin)| match rule.unbound_name(*pin) {
                    Some(name) => found.get(name).copied().flatten(),
                    None => *pin,
                })
                .collect();
        }
        pinned.check_remote_managed(host)?;
        Ok(pinned)
    }

    /// Where each rule's netdev name is bound to; `None` for a rule without `devname` or with one that was not found.
    #[must_use]
    pub fn pins(&self) -> Vec<Option<PciAddress>> {
        self.pins.to_vec()
    }

    /// The same rules with netdev names bound as [`DeviceSpecs::pins`] said.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSnapshot`] when there is not one entry per rule, or one for a rule without `devname`.
    pub fn with_pins(self, pins: Vec<Option<PciAddress>>) -> Result<Self> {
        if pins.len() != self.rules.len() {
            let message = format!("{} pins are given for {} rules", pins.len(), self.rules.len());
            return Err(Error::new(ErrorKind::InvalidSnapshot, message).inside("pins"));
        }
        let misplaced = self
            .rules
            .iter()
            .zip(&pins)
            .position(|(rule, pin)| pin.is_some() && !matches!(rule.location, Location::Devname(_)));
        match misplaced {
            Some(i) => {
                Err(Error::new(ErrorKind::InvalidSnapshot, format!("rule {i} has a pin but no devname"))
                    .inside(format!("pins[{i}]")))
            }
            None => Ok(DeviceSpecs { pins: pins.into(), ..self }),
        }
    }

    /// The index and the tags of the first rule that matches `device`.
    #[must_use]
    pub fn matching(&self, device: &Device) -> Option<(usize, &ExtraInfo)> {
        self.rules
            .iter()
            .zip(self.pins.iter())
            .position(|(rule, pin)| rule.check(*pin, device).is_ok())
            .and_then(|i| Some((i, &self.rules.get(i)?.tags)))
    }

    /// Says for each rule whether it matches, and why not.
    ///
    /// ```
    /// use slotwise::{Device, DeviceSpecs};
    /// let specs = DeviceSpecs::parse(&[r#"{"vendor_id": "8086"}"#], false)?;
    /// let explanation = specs.explain(&Device::new("0000:3b:00.1".parse()?, "15b3", "1018"));
    /// assert!(!explanation.assignable);
    /// assert_eq!(explanation.rules[0].reason.as_deref(), Some("vendor 15b3 is not 8086"));
    /// # Ok::<(), slotwise::Error>(())
    /// ```
    #[must_use]
    pub fn explain(&self, device: &Device) -> Explanation {
        let mut rules = Vec::new();
        for (i, (rule, pin)) in self.rules.iter().zip(self.pins.iter()).enumerate() {
            let reason = rule.check(*pin, device).err().map(|mismatch| mismatch.reason(device));
            let matches = reason.is_none();
            rules.push(RuleVerdict { rule: i, matches, reason });
            if matches {
                return Explanation { assignable: true, rule: Some(i), tags: rule.tags.clone(), rules };
            }
        }
        Explanation { assignable: false, rule: None, tags: ExtraInfo::new(), rules }
    }

    /// Things that are allowed but probably not meant, one sentence each with its place.
    ///
    /// ```
    /// let specs = slotwise::DeviceSpecs::parse(&[r#"{"address": {"bus": "1"}}"#], false)?;
    /// assert!(specs.warnings()[0].starts_with("device_spec[0].address.bus: the pattern 1 also matches 10"));
    /// # Ok::<(), slotwise::Error>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        warnings::warnings(self)
    }

    /// The vendor and product id that each rule selects; `None` is any.
    pub(crate) fn id_pairs(&self) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
        self.rules.iter().map(|rule| (rule.vendor_id.as_deref(), rule.product_id.as_deref()))
    }

    /// Source: Nova refuses to start with such rules (`PciDeviceInvalidPFRemoteManaged`), because a guest has no way to
    /// the control plane that would manage the representor of a physical function.
    fn check_remote_managed(&self, host: &[Device]) -> Result<()> {
        let remote = || {
            let rules = self.rules.iter().zip(self.pins.iter()).enumerate();
            rules
                .filter(|(_, (rule, _))| rule.remote_managed)
                .filter_map(|(i, (rule, pin))| Some((i, rule, rule.location.single(*pin)?)))
        };
        if remote().next().is_none() {
            return Ok(());
        }
        let pfs: HashMap<PciAddress, &Device> = host
            .iter()
            .filter(|device| device.dev_type == DeviceType::Pf)
            .map(|pf| (pf.address, pf))
            .collect();
        for (i, rule, address) in remote() {
            if let Some(pf) = pfs.get(&address) {
                rule.check_vf_ids(pf).map_err(|error| error.inside(format!("device_spec[{i}]")))?;
            }
        }
        Ok(())
    }
}

/// Finds the function of each name; of several the one with the lowest address, so that the order does not matter.
fn find_names<'a>(
    mut wanted: HashMap<&'a str, Option<PciAddress>>,
    host: &[Device],
) -> HashMap<&'a str, Option<PciAddress>> {
    let mut parents: HashMap<&str, PciAddress> = HashMap::new();
    for device in host {
        for name in device.netdevs() {
            if let Some(found) = wanted.get_mut(name.as_str()) {
                *found = Some(found.map_or(device.address, |address| address.min(device.address)));
            }
        }
        let parent_name = device.extra_info.text("parent_ifname").and_then(|name| wanted.get_key_value(name));
        if let (Some((name, _)), Some(parent)) = (parent_name, device.parent_addr) {
            let found = parents.entry(name).or_insert(parent);
            *found = parent.min(*found);
        }
    }
    for (name, found) in &mut wanted {
        *found = found.or(parents.get(name).copied());
    }
    wanted
}

/// Collects rules from entries.
pub(crate) struct Builder {
    rules: Vec<Rule>,
    report_in_placement: bool,
}

impl Builder {
    pub(crate) fn new(report_in_placement: bool) -> Self {
        Builder { rules: Vec::new(), report_in_placement }
    }

    /// Adds the rules of one JSON text.
    pub(crate) fn entry(&mut self, entry: Entry<'_>) -> Result<()> {
        let first = self.place();
        let objects = entry.objects(ErrorKind::InvalidSpec, true).map_err(|error| error.inside(first))?;
        for object in objects {
            let place = self.place();
            let fields = object.fields().map_err(|error| error.inside(&place))?;
            self.rule(fields).map_err(|error| object.locate(error).inside(&place))?;
        }
        Ok(())
    }

    /// Adds one rule; the error's path is relative to it.
    pub(crate) fn rule(&mut self, fields: Map<String, Value>) -> Result<()> {
        limits::check("number of rules", self.rules.len() + 1, limits::MAX_RULES)?;
        self.rules.push(Rule::parse(fields, self.report_in_placement)?);
        Ok(())
    }

    /// The path of the next rule.
    pub(crate) fn place(&self) -> String {
        format!("device_spec[{}]", self.rules.len())
    }

    pub(crate) fn finish(self) -> DeviceSpecs {
        let pins = vec![None; self.rules.len()];
        let Builder { rules, report_in_placement } = self;
        DeviceSpecs { rules: rules.into(), pins: pins.into(), report_in_placement }
    }
}

/// Keys that describe the device itself: a tag of that name would hide the fact.
const DEVICE_FIELDS: &[&str] = &["numa_node", "dev_type", "count", "devices", "parent_addr"];

/// Tags that are booleans, kept as `true` or `false`.
const BOOLEAN_TAGS: &[&str] = &["managed", "live_migratable", "one_time_use"];

/// One rule.
#[derive(Clone, Debug)]
struct Rule {
    /// `None` matches any.
    vendor_id: Option<String>,
    product_id: Option<String>,
    location: Location,
    remote_managed: bool,
    tags: ExtraInfo,
    /// What the operator gave, in canonical form; the other fields follow from it.
    document: Map<String, Value>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

/// Why a rule does not match a device.
#[derive(Clone, Copy, Debug)]
enum Mismatch<'a> {
    Vendor(&'a str),
    Product(&'a str),
    Location(Elsewhere<'a>),
    NoSerialNumber,
}

impl Rule {
    fn parse(mut fields: Map<String, Value>, report_in_placement: bool) -> Result<Self> {
        let mut document = Map::new();
        let mut id = |name: &str| -> Result<Option<String>> {
            let Some(value) = fields.remove(name) else { return Ok(None) };
            let id = parse_id(&value).map_err(|error| error.inside(name))?;
            document.insert(name.to_owned(), Value::from(id.as_deref().unwrap_or("*")));
            Ok(id)
        };
        let vendor_id = id("vendor_id")?;
        let product_id = id("product_id")?;

        let mut location = Location::Anywhere;
        if let Some(value) = fields.remove("address") {
            location = Location::from_address(&value).map_err(|error| error.inside("address"))?;
            match &location {
                Location::Glob(glob) => document.insert("address".to_owned(), Value::from(glob.to_string())),
                Location::Pattern(_) => document.insert("address".to_owned(), value),
                _ => None,
            };
        }
        let name = fields.remove("devname").map_or(Ok(None), |value| devname(&value));
        if let Some(name) = name.map_err(|error| error.inside("devname"))? {
            if !matches!(location, Location::Anywhere) {
                return Err(Error::new(ErrorKind::InvalidSpec, "a rule has both an address and a devname")
                    .with_help("give one of them, or write two rules")
                    .inside("devname"));
            }
            document.insert("devname".to_owned(), Value::from(name.as_str()));
            location = Location::Devname(name);
        }

        let tags = parse_tags(&fields, report_in_placement)?;
        document.extend(tags.iter().filter_map(|(key, _)| Some((key.to_owned(), tags.value(key)?))));
        let remote_managed = tags.text("remote_managed").and_then(parse_bool).unwrap_or(false);
        Ok(Rule { vendor_id, product_id, location, remote_managed, tags, document })
    }

    /// The netdev name that is still to be found.
    fn unbound_name(&self, pin: Option<PciAddress>) -> Option<&str> {
        match &self.location {
            Location::Devname(name) if pin.is_none() => Some(name),
            _ => None,
        }
    }

    fn check(&self, pin: Option<PciAddress>, device: &Device) -> Result<(), Mismatch<'_>> {
        if let Some(id) = self.vendor_id.as_deref().filter(|id| !id.eq_ignore_ascii_case(&device.vendor_id)) {
            return Err(Mismatch::Vendor(id));
        }
        if let Some(id) = self.product_id.as_deref().filter(|id| !id.eq_ignore_ascii_case(&device.product_id))
        {
            return Err(Mismatch::Product(id));
        }
        self.location.check(pin, device).map_err(Mismatch::Location)?;
        // Source: Nova leaves out remote-managed devices without a serial number, by which the network service finds
        // the card's own control plane.
        if self.remote_managed && device.card_serial_number().is_none() {
            return Err(Mismatch::NoSerialNumber);
        }
        Ok(())
    }

    /// Checks the ids of a remote-managed rule that names this physical function.
    fn check_vf_ids(&self, pf: &Device) -> Result<()> {
        let allows =
            |own: &Option<String>, id: &str| own.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(id));
        let vf_product =
            pf.extra_info.text("sriov_vf_device").and_then(parse_number).map(|id| format!("{id:04x}"));
        let vendor_fits = allows(&self.vendor_id, &pf.vendor_id);
        let selects_vfs = self.product_id.is_some() && self.product_id == vf_product;
        if vendor_fits && selects_vfs {
            return Ok(());
        }
        if vendor_fits && allows(&self.product_id, &pf.product_id) {
            let message = format!("the physical function {} cannot be managed remotely", pf.address);
            return Err(Error::new(ErrorKind::InvalidSpec, message)
                .with_help("give the product_id of its VFs")
                .inside("remote_managed"));
        }
        match vf_product {
            Some(vf_product) => {
                let key = if vendor_fits { "product_id" } else { "vendor_id" };
                let message = format!(
                    "the ids are not those of the VFs of {}, which are {}:{vf_product}",
                    pf.address, pf.vendor_id
                );
                Err(Error::new(ErrorKind::InvalidSpec, message)
                    .with_help("give the ids of the VFs")
                    .inside(key))
            }
            None if !vendor_fits => {
                let message = format!("the vendor of the VFs of {} is {}", pf.address, pf.vendor_id);
                Err(Error::new(ErrorKind::InvalidSpec, message)
                    .with_help("give that vendor_id")
                    .inside("vendor_id"))
            }
            // The host does not tell the VFs' product id: it is unknown whether the rule's is right.
            None => Ok(()),
        }
    }
}

impl Mismatch<'_> {
    fn reason(self, device: &Device) -> String {
        match self {
            Mismatch::Vendor(id) => format!("vendor {} is not {id}", clip(&device.vendor_id)),
            Mismatch::Product(id) => format!("product {} is not {id}", clip(&device.product_id)),
            Mismatch::Location(elsewhere @ (Elsewhere::Glob(_) | Elsewhere::Pinned(..))) => {
                format!("address {} {elsewhere}", device.address)
            }
            Mismatch::Location(elsewhere) => elsewhere.to_string(),
            Mismatch::NoSerialNumber => {
                format!("device {} has no card serial number, which remote_managed needs", device.address)
            }
        }
    }
}

/// Reads a vendor or product id; `None` is any.
fn parse_id(value: &Value) -> Result<Option<String>> {
    let invalid = |message: String| {
        Err(Error::new(ErrorKind::InvalidSpec, message)
            .with_help("write four hexadecimal digits such as \"8086\", or \"*\" for any"))
    };
    let Value::String(text) = value else { return invalid("an id is a text".to_owned()) };
    match text.trim() {
        "*" => Ok(None),
        digits => match parse_number(digits) {
            Some(id) if id <= 0xffff => Ok(Some(format!("{id:04x}"))),
            Some(id) => invalid(format!("id {id:x} is over the maximum ffff")),
            None => invalid(format!("{:?} is not an id", clip(text))),
        },
    }
}

/// Reads what is left of a rule's keys.
fn parse_tags(fields: &Map<String, Value>, report_in_placement: bool) -> Result<ExtraInfo> {
    let mut tags = ExtraInfo::new();
    for (key, value) in fields {
        if DEVICE_FIELDS.contains(&key.as_str()) {
            let message = format!("a tag may not be called {key}, which is a fact about the device itself");
            return Err(Error::new(ErrorKind::InvalidSpec, message)
                .with_help("give the tag another name")
                .inside(key));
        }
        tags.insert_value(key.as_str(), value)?;
    }
    for &key in BOOLEAN_TAGS {
        if let Some(text) = tags.text(key) {
            let value = require_bool(ErrorKind::InvalidSpec, key, text)?;
            tags.insert(key, Some(value.to_string()))?;
        }
    }
    if tags.text("one_time_use") == Some("true") && !report_in_placement {
        return Err(Error::new(
            ErrorKind::InvalidSpec,
            "one_time_use needs devices to be reported to Placement",
        )
        .with_help("set report_in_placement")
        .inside("one_time_use"));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests;
