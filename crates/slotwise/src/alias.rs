//! Aliases: the operator's names for kinds of devices, and the flavor form `a:2,b:1`.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::address::clip;
use crate::config::document::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::extra_info::{ExtraInfo, require_bool};
use crate::limits;
use crate::numa::NumaPolicy;
use crate::request::{Request, check_count};

/// One alias: a name, a NUMA policy, and the alternatives (lines) that are ORed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// How near to the guest's cells.
    pub numa_policy: NumaPolicy,
    /// What a device may look like: the lines of that name, in order.
    pub alternatives: Vec<ExtraInfo>,
}

/// The operator's aliases.
///
/// A line is a JSON object with these keys, and no others:
///
/// | key | value |
/// |---|---|
/// | `name` | 1 to 256 characters, without regard to spaces around |
/// | `vendor_id`, `product_id` | four hexadecimal digits; needed unless devices are in Placement |
/// | `device_type` | `type-PCI`, `type-PF` or `type-VF`; the alternative has it as `dev_type` |
/// | `numa_policy` | `required`, `preferred`, `legacy` (the default) or `socket` |
/// | `live_migratable` | a boolean-like text; the alternative has `true` or `false` |
/// | `resource_class`, `traits` | what Placement matches; kept in the alternative |
/// | `capability_type` | `pci`; it means nothing and is dropped |
///
/// ```
/// let aliases = slotwise::Aliases::parse(
///     &[r#"{"name": "gpu", "vendor_id": "10de", "product_id": "25b6", "numa_policy": "preferred"}"#,
///       r#"{"name": "gpu", "vendor_id": "10de", "product_id": "25b7", "numa_policy": "preferred"}"#],
///     false,
/// )?;
/// let requests = aliases.requests("gpu:2", None)?;
/// assert_eq!((requests[0].count, requests[0].alternatives.len()), (2, 2));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Aliases {
    aliases: Vec<Alias>,
    pci_in_placement: bool,
}

impl Aliases {
    /// Parses alias lines, each a JSON text (as in `[pci]alias`); lines of one name are ORed.
    ///
    /// `pci_in_placement` says whether Placement chooses the devices: then an alias has one line only, which may name a
    /// resource class in place of the ids.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidJson`], [`ErrorKind::InvalidAlias`] or [`ErrorKind::LimitExceeded`]. The place is a path such
    /// as `alias[1].vendor_id`, counting lines from 0, and the line and column in that text.
    pub fn parse<S: AsRef<str>>(lines: &[S], pci_in_placement: bool) -> Result<Self> {
        let mut builder = Builder::new(pci_in_placement);
        for line in lines {
            builder.entry(Entry::new(line.as_ref()))?;
        }
        Ok(builder.finish())
    }

    /// Adds the alias that these JSON lines (all of one new name) define; fails with `AlreadyExists`.
    ///
    /// # Errors
    ///
    /// As [`Aliases::parse`], [`ErrorKind::InvalidAlias`] when the lines are of several names or there is none, and
    /// [`ErrorKind::AlreadyExists`]; the aliases are then as they were.
    pub fn create<S: AsRef<str>>(&mut self, lines: &[S]) -> Result<&Alias> {
        let alias = self.one(lines)?;
        if self.position(&alias.name).is_some() {
            let message = format!("alias {:?} exists already", clip(&alias.name));
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_help("update it, or choose another name")
                .inside("alias[0].name"));
        }
        limits::check("number of aliases", self.aliases.len() + 1, limits::MAX_RULES)?;
        self.aliases.push(alias);
        Ok(&self.aliases[self.aliases.len() - 1])
    }

    /// Replaces the alias of that name; fails with `UnknownAlias`.
    ///
    /// # Errors
    ///
    /// As [`Aliases::create`], with [`ErrorKind::UnknownAlias`] in place of `AlreadyExists`.
    pub fn update<S: AsRef<str>>(&mut self, lines: &[S]) -> Result<&Alias> {
        let alias = self.one(lines)?;
        let position = self.known(&alias.name).map_err(|error| error.inside("alias[0].name"))?;
        self.aliases[position] = alias;
        Ok(&self.aliases[position])
    }

    /// Removes the alias of that name and returns it; fails with `UnknownAlias`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAlias`].
    pub fn delete(&mut self, name: &str) -> Result<Alias> {
        let position = self.known(name).map_err(|error| error.inside("name"))?;
        Ok(self.aliases.remove(position))
    }

    /// All aliases, in the order they were defined.
    #[must_use]
    pub fn list(&self) -> &[Alias] {
        &self.aliases
    }

    /// Whether Placement chooses the devices, as [`Aliases::parse`] was told.
    #[must_use]
    pub const fn pci_in_placement(&self) -> bool {
        self.pci_in_placement
    }

    /// The lines in canonical form, one JSON object each, in order: [`Aliases::parse`] makes the same aliases of them.
    ///
    /// ```
    /// let line = r#"{"name": "nic", "vendor_id": "15b3", "product_id": "1018", "device_type": "type-VF"}"#;
    /// let aliases = slotwise::Aliases::parse(&[line], false)?;
    /// let lines: Vec<String> = aliases.lines().iter().map(ToString::to_string).collect();
    /// assert_eq!(slotwise::Aliases::parse(&lines, false)?, aliases);
    /// # Ok::<(), slotwise::Error>(())
    /// ```
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let line = |alias: &Alias, alternative: &ExtraInfo| {
            let mut fields = Map::new();
            for (key, text) in alternative.iter() {
                let key = if key == "dev_type" { "device_type" } else { key };
                fields.insert(key.to_owned(), text.into());
            }
            fields.insert("name".to_owned(), alias.name.as_str().into());
            fields.insert("numa_policy".to_owned(), serde_json::json!(alias.numa_policy));
            Value::Object(fields)
        };
        self.aliases.iter().flat_map(|alias| alias.alternatives.iter().map(move |a| line(alias, a))).collect()
    }

    /// Turns the flavor form `a:2,b:1` into requests; `numa_policy` overrides the aliases' own policy.
    ///
    /// There is one request per item, in order, also when an alias is named twice. Spaces are tolerated around names,
    /// counts and separators. The requests have no `request_id`: the caller gives them one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidRequest`] when an item is not `name:count` or the count is out of range,
    /// [`ErrorKind::UnknownAlias`], [`ErrorKind::LimitExceeded`]; with a place such as `flavor[1]`.
    pub fn requests(&self, flavor: &str, numa_policy: Option<NumaPolicy>) -> Result<Vec<Request>> {
        limits::check("flavor length in bytes", flavor.len(), limits::MAX_TEXT_BYTES)
            .map_err(|error| error.inside("flavor"))?;
        let items = flavor.split(',');
        limits::check("number of requests", items.clone().count(), limits::MAX_REQUESTS)
            .map_err(|error| error.inside("flavor"))?;
        items
            .enumerate()
            .map(|(i, item)| {
                self.request(item, numa_policy).map_err(|error| error.inside(format!("flavor[{i}]")))
            })
            .collect()
    }

    /// What is allowed but cannot be meant, one sentence each with the alias's name.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        for alias in &self.aliases {
            let name = clip(&alias.name);
            if let Some(separator) = alias.name.chars().find(|c| matches!(c, ':' | ',')) {
                found.push(format!(
                    "alias {name}: no flavor can ask for it, because its name contains {separator}"
                ));
            }
            for key in ["resource_class", "traits"] {
                if !self.pci_in_placement && alias.alternatives.iter().any(|line| line.get(key).is_some()) {
                    found.push(format!("alias {name}: {key} has no effect while pci_in_placement is off"));
                }
            }
        }
        found
    }

    fn request(&self, item: &str, numa_policy: Option<NumaPolicy>) -> Result<Request> {
        let invalid = |message: String| {
            Error::new(ErrorKind::InvalidRequest, message).with_help("write name:count, such as gpu:2")
        };
        if item.trim().is_empty() {
            return Err(invalid("an item is empty".to_owned()));
        }
        let malformed = || invalid(format!("{:?} is not a name and a count", clip(item.trim())));
        let (name, count) =
            item.split_once(':').filter(|(_, count)| !count.contains(':')).ok_or_else(malformed)?;
        let (name, count) = (name.trim(), count.trim());
        if count.is_empty() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(format!("{:?} is not a count", clip(count))));
        }
        let alias = &self.aliases[self.known(name)?];
        // A number of more digits than fit is out of range as well.
        let count = count.trim_start_matches('0');
        let count = if count.is_empty() { 0 } else { count.parse().unwrap_or(u32::MAX) };
        check_count(count)?;
        Ok(Request {
            alias_name: Some(alias.name.clone()),
            count,
            alternatives: alias.alternatives.clone(),
            numa_policy: Some(numa_policy.unwrap_or(alias.numa_policy)),
            ..Request::default()
        })
    }

    /// The one alias that these lines define.
    fn one<S: AsRef<str>>(&self, lines: &[S]) -> Result<Alias> {
        let defined = Aliases::parse(lines, self.pci_in_placement)?;
        let mut aliases = defined.aliases.into_iter();
        let Some(first) = aliases.next() else {
            return Err(Error::new(ErrorKind::InvalidAlias, "an alias needs at least one line")
                .with_help("give the JSON object that describes its devices")
                .inside("alias"));
        };
        match aliases.next() {
            None => Ok(first),
            Some(second) => {
                let message =
                    format!("the lines define {:?} and {:?}", clip(&first.name), clip(&second.name));
                Err(Error::new(ErrorKind::InvalidAlias, message)
                    .with_help("give lines of one name")
                    .inside("alias"))
            }
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.aliases.iter().position(|alias| alias.name == name)
    }

    fn known(&self, name: &str) -> Result<usize> {
        self.position(name).ok_or_else(|| {
            Error::new(ErrorKind::UnknownAlias, format!("no alias {:?} is defined", clip(name)))
                .with_help("define it with an alias line, or correct the name")
        })
    }
}

/// Collects alias lines.
pub(crate) struct Builder {
    aliases: Vec<Alias>,
    positions: HashMap<String, usize>,
    lines: usize,
    pci_in_placement: bool,
}

impl Builder {
    pub(crate) fn new(pci_in_placement: bool) -> Self {
        Builder { aliases: Vec::new(), positions: HashMap::new(), lines: 0, pci_in_placement }
    }

    /// Adds the line of one JSON text.
    pub(crate) fn entry(&mut self, entry: Entry<'_>) -> Result<()> {
        let place = self.place();
        let objects = entry.objects(ErrorKind::InvalidAlias, false).map_err(|error| error.inside(&place))?;
        for object in objects {
            let fields = object.fields().map_err(|error| error.inside(&place))?;
            self.line(&fields).map_err(|error| object.locate(error).inside(&place))?;
        }
        Ok(())
    }

    /// Adds one line; the error's path is relative to it.
    pub(crate) fn line(&mut self, fields: &Map<String, Value>) -> Result<()> {
        self.lines += 1;
        limits::check("number of lines", self.lines, limits::MAX_RULES)?;
        let line = parse_line(fields, self.pci_in_placement)?;
        let Some(&position) = self.positions.get(&line.name) else {
            self.positions.insert(line.name.clone(), self.aliases.len());
            self.aliases.push(line);
            return Ok(());
        };
        let alias = &mut self.aliases[position];
        let contradiction = |key: &str, what: &str| {
            Error::new(
                ErrorKind::InvalidAlias,
                format!("alias {:?} has another {what} in an earlier line", line.name),
            )
            .with_help("give all lines of one name the same, or choose another name")
            .inside(key)
        };
        if self.pci_in_placement {
            let message =
                format!("alias {:?} has a second line while pci_in_placement is on", clip(&line.name));
            return Err(Error::new(ErrorKind::InvalidAlias, message)
                .with_help("give the device specs of all its devices one resource_class, and ask for that")
                .inside("name"));
        }
        if alias.numa_policy != line.numa_policy {
            return Err(contradiction("numa_policy", "NUMA policy"));
        }
        let dev_type = |alias: &Alias| {
            alias.alternatives.first().and_then(|line| line.text("dev_type")).map(str::to_owned)
        };
        if dev_type(alias) != dev_type(&line) {
            return Err(contradiction("device_type", "device type"));
        }
        limits::check("number of alternatives", alias.alternatives.len() + 1, limits::MAX_ALTERNATIVES)?;
        alias.alternatives.extend(line.alternatives);
        Ok(())
    }

    /// The path of the next line.
    pub(crate) fn place(&self) -> String {
        format!("alias[{}]", self.lines)
    }

    pub(crate) fn finish(self) -> Aliases {
        Aliases { aliases: self.aliases, pci_in_placement: self.pci_in_placement }
    }
}

/// Reads one line as an alias with one alternative.
///
/// Source: the JSON schema in Nova's `pci/request.py`.
fn parse_line(fields: &Map<String, Value>, pci_in_placement: bool) -> Result<Alias> {
    let mut name = None;
    let mut numa_policy = NumaPolicy::default();
    let mut alternative = ExtraInfo::new();
    for (key, value) in fields {
        let Value::String(text) = value else {
            return match KEYS.contains(&key.as_str()) {
                true => Err(invalid("the value is not a text", "write it in quotes").inside(key)),
                false => Err(unknown_key(key)),
            };
        };
        let one_of = |texts: &[&str]| match texts.contains(&text.as_str()) {
            true => Ok(()),
            false => {
                let help = format!("write one of: {}", texts.join(", "));
                Err(invalid(&format!("{:?} is not a {key}", clip(text)), &help).inside(key))
            }
        };
        match key.as_str() {
            "name" => match text.trim() {
                trimmed if (1..=256).contains(&trimmed.chars().count()) => name = Some(trimmed.to_owned()),
                _ => {
                    return Err(
                        invalid("the name is empty or too long", "give 1 to 256 characters").inside(key)
                    );
                }
            },
            "vendor_id" | "product_id" => {
                if text.len() != 4 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    let message = format!("{:?} is not an id", clip(text));
                    return Err(invalid(&message, "write four hexadecimal digits such as 8086").inside(key));
                }
                alternative.insert(key.as_str(), Some(text.to_ascii_lowercase()))?;
            }
            "device_type" => {
                one_of(&["type-PCI", "type-PF", "type-VF"])?;
                alternative.insert("dev_type", Some(text.clone()))?;
            }
            "numa_policy" => {
                one_of(&["required", "preferred", "legacy", "socket"])?;
                numa_policy = match text.as_str() {
                    "required" => NumaPolicy::Required,
                    "preferred" => NumaPolicy::Preferred,
                    "socket" => NumaPolicy::Socket,
                    _ => NumaPolicy::Legacy,
                };
            }
            "live_migratable" => {
                let value = require_bool(ErrorKind::InvalidAlias, key, text)?;
                alternative.insert(key.as_str(), Some(value.to_string()))?;
            }
            "capability_type" => one_of(&["pci"])?,
            "resource_class" | "traits" => {
                alternative.insert(key.as_str(), Some(text.clone()))?;
            }
            _ => return Err(unknown_key(key)),
        }
    }
    let name = name.ok_or_else(|| invalid("an alias needs a name", "give 1 to 256 characters as name"))?;
    let has_ids = alternative.get("vendor_id").is_some() && alternative.get("product_id").is_some();
    let has_class = alternative.get("resource_class").is_some();
    if !(has_ids || pci_in_placement && has_class) {
        let message = format!("alias {:?} does not say which devices it means", clip(&name));
        let help = match pci_in_placement {
            true => "give vendor_id and product_id, or resource_class",
            false => "give vendor_id and product_id",
        };
        return Err(invalid(&message, help));
    }
    Ok(Alias { name, numa_policy, alternatives: vec![alternative] })
}

/// The keys of a line.
const KEYS: &[&str] = &[
    "name",
    "vendor_id",
    "product_id",
    "device_type",
    "numa_policy",
    "live_migratable",
    "resource_class",
    "traits",
    "capability_type",
];

fn invalid(message: &str, help: &str) -> Error {
    Error::new(ErrorKind::InvalidAlias, message).with_help(help)
}

fn unknown_key(key: &str) -> Error {
    let key = clip(key);
    invalid(&format!("an alias has no key {key:?}"), &format!("write one of: {}", KEYS.join(", ")))
        .inside(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(lines: &[Value], pci_in_placement: bool) -> Result<Aliases> {
        let texts: Vec<String> = lines.iter().map(Value::to_string).collect();
        Aliases::parse(&texts, pci_in_placement)
    }

    /// A line for 8086:1572 with more keys.
    fn line(more: &Value) -> Value {
        let mut line = json!({"name": "nic", "vendor_id": "8086", "product_id": "1572"});
        for (key, value) in more.as_object().expect("an object") {
            line[key] = value.clone();
        }
        line
    }

    #[track_caller]
    fn check(lines: &[Value], pci_in_placement: bool, expect: &Value) {
        let aliases = parse(lines, pci_in_placement).expect("good lines");
        assert_eq!(serde_json::to_value(aliases.list()).expect("JSON"), *expect);
    }

    #[track_caller]
    fn refused(lines: &[Value], pci_in_placement: bool, path: &str, message: &str) {
        let error = parse(lines, pci_in_placement).expect_err(message);
        assert_eq!((error.kind(), error.place().path.as_str()), (ErrorKind::InvalidAlias, path), "{error}");
        assert!(error.message().contains(message), "{error}");
        assert!(error.place().line.is_some() && error.place().column.is_some());
    }

    #[test]
    fn lines_become_alternatives() {
        check(
            &[
                json!({"name": " gpu ", "vendor_id": "10DE", "product_id": "25b6", "device_type": "type-VF",
                    "numa_policy": "preferred", "live_migratable": "Yes", "capability_type": "pci"}),
                line(&json!({"traits": "A,B", "resource_class": "NIC"})),
                json!({"name": "gpu", "vendor_id": "10de", "product_id": "25b7", "device_type": "type-VF",
                    "numa_policy": "preferred"}),
            ],
            false,
            &json!([
                {"name": "gpu", "numa_policy": "preferred", "alternatives": [
                    {"vendor_id": "10de", "product_id": "25b6", "dev_type": "type-VF", "live_migratable": "true"},
                    {"vendor_id": "10de", "product_id": "25b7", "dev_type": "type-VF"},
                ]},
                {"name": "nic", "numa_policy": "legacy", "alternatives": [
                    {"vendor_id": "8086", "product_id": "1572", "traits": "A,B", "resource_class": "NIC"},
                ]},
            ]),
        );
    }

    /// Nova fails here with `'dev_type'`.
    #[test]
    fn lines_without_a_device_type_agree() {
        let aliases =
            parse(&[line(&json!({})), line(&json!({"product_id": "1573"}))], false).expect("good lines");
        assert_eq!(aliases.list()[0].alternatives.len(), 2);
        refused(
            &[line(&json!({})), line(&json!({"device_type": "type-PF"}))],
            false,
            "alias[1].device_type",
            "another device type",
        );
    }

    #[test]
    fn in_placement_an_alias_has_one_line_and_may_name_a_class() {
        let by_class = json!({"name": "a", "resource_class": "PGPU"});
        check(
            std::slice::from_ref(&by_class),
            true,
            &json!([{"name": "a", "numa_policy": "legacy", "alternatives": [{"resource_class": "PGPU"}]}]),
        );
        refused(std::slice::from_ref(&by_class), false, "alias[0]", "does not say which devices");
        refused(&[line(&json!({})), line(&json!({}))], true, "alias[1].name", "a second line");
        refused(&[json!({"name": "a", "traits": "T"})], true, "alias[0]", "does not say which devices");
    }

    #[test]
    fn bad_lines_name_their_place() {
        refused(&[json!([])], false, "alias[0]", "is not a JSON object");
        refused(&[json!({"vendor_id": "8086", "product_id": "1572"})], false, "alias[0]", "needs a name");
        refused(&[line(&json!({"name": " "}))], false, "alias[0].name", "empty or too long");
        refused(&[line(&json!({"name": "é".repeat(257)}))], false, "alias[0].name", "empty or too long");
        refused(&[line(&json!({"vendor_id": "808"}))], false, "alias[0].vendor_id", "is not an id");
        refused(&[line(&json!({"vendor_id": "*"}))], false, "alias[0].vendor_id", "is not an id");
        refused(&[line(&json!({"product_id": 1572}))], false, "alias[0].product_id", "not a text");
        refused(
            &[line(&json!({"device_type": "vdpa"}))],
            false,
            "alias[0].device_type",
            "is not a device_type",
        );
        refused(
            &[line(&json!({"numa_policy": "close"}))],
            false,
            "alias[0].numa_policy",
            "is not a numa_policy",
        );
        refused(
            &[line(&json!({"live_migratable": "may"}))],
            false,
            "alias[0].live_migratable",
            "not a boolean",
        );
        refused(&[line(&json!({"live_migratable": true}))], false, "alias[0].live_migratable", "not a text");
        refused(&[line(&json!({"capability_type": "usb"}))], false, "alias[0].capability_type", "is not");
        refused(&[line(&json!({"rack": "7"}))], false, "alias[0].rack", "has no key \"rack\"");
        refused(&[line(&json!({"rack": 7}))], false, "alias[0].rack", "has no key \"rack\"");
        refused(
            &[json!({"name": "a", "vendor_id": "8086"})],
            false,
            "alias[0]",
            "does not say which devices",
        );
        refused(
            &[line(&json!({})), line(&json!({"numa_policy": "required"}))],
            false,
            "alias[1].numa_policy",
            "another NUMA policy",
        );
        let error = Aliases::parse(&["{"], false).expect_err("no JSON");
        assert_eq!((error.kind(), error.place().path.as_str()), (ErrorKind::InvalidJson, "alias[0]"));
        let error = Aliases::parse(&vec![line(&json!({})).to_string(); 257], false).expect_err("too many");
        assert_eq!((error.kind(), error.place().path.as_str()), (ErrorKind::LimitExceeded, "alias[256]"));
    }

    #[test]
    fn create_update_delete_are_all_or_nothing() {
        let mut aliases = parse(&[line(&json!({})), line(&json!({"name": "b"}))], false).expect("good lines");
        let before = aliases.clone();
        let text = |more: Value| line(&more).to_string();
        let fails = |result: Result<&Alias>, kind, path: &str| {
            let error = result.expect_err(path);
            assert_eq!((error.kind(), error.place().path.as_str()), (kind, path), "{error}");
        };
        fails(aliases.create(&[text(json!({}))]), ErrorKind::AlreadyExists, "alias[0].name");
        fails(aliases.update(&[text(json!({"name": "c"}))]), ErrorKind::UnknownAlias, "alias[0].name");
        fails(
            aliases.create(&[text(json!({"name": "c"})), text(json!({"name": "d"}))]),
            ErrorKind::InvalidAlias,
            "alias",
        );
        fails(aliases.create::<&str>(&[]), ErrorKind::InvalidAlias, "alias");
        fails(aliases.update(&[text(json!({"rack": "7"}))]), ErrorKind::InvalidAlias, "alias[0].rack");
        assert_eq!(aliases.delete("c").expect_err("unknown").kind(), ErrorKind::UnknownAlias);
        assert_eq!(aliases, before);

        let lines = [text(json!({"numa_policy": "socket"})), text(json!({"numa_policy": "socket"}))];
        assert_eq!(aliases.update(&lines).expect("known").alternatives.len(), 2);
        assert_eq!(aliases.create(&[text(json!({"name": "c"}))]).expect("new").name, "c");
        assert_eq!(aliases.delete("b").expect("known").name, "b");
        let names: Vec<_> = aliases.list().iter().map(|alias| alias.name.as_str()).collect();
        assert_eq!(names, ["nic", "c"]);
    }

    #[test]
    fn flavors_become_requests() {
        let lines = [line(&json!({"numa_policy": "required"})), line(&json!({"name": "b c"}))];
        let aliases = parse(&lines, false).expect("good lines");
        let requests = aliases.requests(" nic : 2 ,b c:1, nic:01", None).expect("a good flavor");
        let found: Vec<_> = requests
            .iter()
            .map(|r| (r.alias_name.as_deref(), r.count, r.numa_policy, r.request_id.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                (Some("nic"), 2, Some(NumaPolicy::Required), None),
                (Some("b c"), 1, Some(NumaPolicy::Legacy), None),
                (Some("nic"), 1, Some(NumaPolicy::Required), None),
            ]
        );
        let requests = aliases.requests("nic:1", Some(NumaPolicy::Socket)).expect("a good flavor");
        assert_eq!(requests[0].numa_policy, Some(NumaPolicy::Socket));

        for (flavor, kind, path) in [
            ("", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:1,", ErrorKind::InvalidRequest, "flavor[1]"),
            ("nic:1,,nic:1", ErrorKind::InvalidRequest, "flavor[1]"),
            ("nic", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:1:2", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:0", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:1000000000", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:99999999999999999999999", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:-1", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:+1", ErrorKind::InvalidRequest, "flavor[0]"),
            ("nic:1,gpu:1", ErrorKind::UnknownAlias, "flavor[1]"),
            (&"nic:1,".repeat(300), ErrorKind::LimitExceeded, "flavor"),
            (&"n".repeat(100_000), ErrorKind::LimitExceeded, "flavor"),
        ] {
            let error = aliases.requests(flavor, None).expect_err(flavor);
            assert_eq!((error.kind(), error.place().path.as_str()), (kind, path), "{flavor}: {error}");
        }
    }

    #[test]
    fn warnings_name_what_cannot_work() {
        let lines = [line(&json!({"name": "a:b", "traits": "T"}))];
        let found = parse(&lines, false).expect("good lines").warnings();
        assert!(
            found[0].contains("no flavor can ask") && found[1].contains("traits has no effect"),
            "{found:?}"
        );
        assert_eq!(found.len(), 2);
    }
}
