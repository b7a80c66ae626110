//! Configuration in TOML.

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use crate::address::clip;
use crate::alias;
use crate::config::document::{Entry, line_column};
use crate::error::{Error, ErrorKind, Result};
use crate::spec;

pub(super) fn parse(text: &str) -> Result<Config> {
    let file = File { text };
    let root = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        file.at(offset, Error::new(ErrorKind::InvalidConfig, clip(error.message())))
    })?;
    let root = root.get_ref();
    let pci = file.table(root, "pci")?;
    let scheduler = file.table(root, "filter_scheduler")?;
    for (key, _) in pci.into_iter().flatten() {
        if !["device_spec", "alias", "report_in_placement"].contains(&key.get_ref().as_ref()) {
            let key_text = clip(key.get_ref());
            let error = Error::new(ErrorKind::InvalidConfig, format!("[pci] has no key {key_text:?}"))
                .with_help("the keys are device_spec, alias and report_in_placement")
                .inside(format!("pci.{key_text}"));
            return Err(file.at(key.span().start, error));
        }
    }
    let report_in_placement = file.boolean(pci, "pci", "report_in_placement")?;
    let pci_in_placement = file.boolean(scheduler, "filter_scheduler", "pci_in_placement")?;

    let mut specs = spec::Builder::new(report_in_placement);
    for item in file.items(pci, "device_spec")? {
        let place = specs.place();
        match item.get_ref() {
            DeValue::String(json) => specs.entry(file.json(item, json))?,
            _ => file.add(item, &place, ErrorKind::InvalidSpec, |fields| specs.rule(fields))?,
        }
    }
    let mut aliases = alias::Builder::new(pci_in_placement);
    for item in file.items(pci, "alias")? {
        let place = aliases.place();
        match item.get_ref() {
            DeValue::String(json) => aliases.entry(file.json(item, json))?,
            _ => file.add(item, &place, ErrorKind::InvalidAlias, |fields| aliases.line(&fields))?,
        }
    }
    Ok(Config {
        device_specs: specs.finish(),
        aliases: aliases.finish(),
        report_in_placement,
        pci_in_placement,
        notes: Vec::new(),
    })
}

/// The text, into which errors point.
#[derive(Clone, Copy)]
struct File<'a> {
    text: &'a str,
}

impl<'a> File<'a> {
    fn at(self, offset: usize, error: Error) -> Error {
        let (line, column) = line_column(self.text, offset);
        error.at(line, column)
    }

    fn table<'t>(self, root: &'t DeTable<'a>, name: &str) -> Result<Option<&'t DeTable<'a>>> {
        match root.get(name) {
            None => Ok(None),
            Some(value) => value.get_ref().as_table().map(Some).ok_or_else(|| {
                let error =
                    Error::new(ErrorKind::InvalidConfig, format!("{name} is not a table")).inside(name);
                self.at(value.span().start, error.with_help(format!("write [{name}] above its keys")))
            }),
        }
    }

    fn boolean(self, table: Option<&DeTable<'a>>, section: &str, key: &str) -> Result<bool> {
        match table.and_then(|table| table.get(key)) {
            None => Ok(false),
            Some(value) => value.get_ref().as_bool().ok_or_else(|| {
                let error = Error::new(ErrorKind::InvalidConfig, "the value is not a boolean")
                    .with_help("write true or false")
                    .inside(format!("{section}.{key}"));
                self.at(value.span().start, error)
            }),
        }
    }

    fn items<'t>(self, pci: Option<&'t DeTable<'a>>, key: &str) -> Result<&'t [Spanned<DeValue<'a>>]> {
        match pci.and_then(|table| table.get(key)) {
            None => Ok(&[]),
            Some(value) => value.get_ref().as_array().map(|array| &array[..]).ok_or_else(|| {
                let error = Error::new(ErrorKind::InvalidConfig, format!("{key} is not a list of tables"))
                    .with_help(format!("write [[pci.{key}]] above each"))
                    .inside(format!("pci.{key}"));
                self.at(value.span().start, error)
            }),
        }
    }

    /// A string as the JSON text that it holds. Where it has no escapes, places in it are places in the file.
    fn json<'b>(self, item: &Spanned<DeValue<'a>>, json: &'b str) -> Entry<'b>
    where
        'a: 'b,
    {
        let span = item.span();
        let start = self.text.get(span.clone()).and_then(|source| source.find(json));
        Entry { whole: self.text, start: span.start + start.unwrap_or(0), text: json }
    }

    /// Hands the fields of a table to `add`, and completes the place of its error.
    fn add(
        self,
        item: &Spanned<DeValue<'a>>,
        place: &str,
        kind: ErrorKind,
        add: impl FnOnce(Map<String, Value>) -> Result<()>,
    ) -> Result<()> {
        let fields = match to_json(item.get_ref()) {
            Value::Object(fields) => fields,
            _ => {
                let error = Error::new(kind, "the member is neither a table nor a text").inside(place);
                return Err(self.at(item.span().start, error));
            }
        };
        add(fields).map_err(|error| {
            let mut part = item;
            for key in error.place().path.split('.') {
                match part.get_ref().as_table().and_then(|table| table.get(key)) {
                    Some(value) => part = value,
                    None => break,
                }
            }
            self.at(part.span().start, error.inside(place))
        })
    }
}

/// The JSON value of a TOML value. What JSON does not have (dates, infinities, whole numbers of more than 64 bits)
/// becomes its text.
fn to_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(number.as_str()),
        },
        DeValue::Float(number) => {
            let parsed = number.as_str().parse().ok().and_then(Number::from_f64);
            parsed.map_or_else(|| Value::from(number.as_str()), Value::Number)
        }
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref()))).collect(),
        ),
    }
}
