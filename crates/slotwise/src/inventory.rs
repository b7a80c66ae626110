//! What a host reports about its functions, compared with what it reported last.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::address::PciAddress;
use crate::device::{Device, DeviceType};
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::limits;
use crate::spec::DeviceSpecs;

/// The last report of a host, and the rules that say which of its devices may be handed out.
///
/// A virtualisation driver lists all functions again and again, and hardly ever is anything new. This says what is.
///
/// ```
/// use slotwise::{DeviceSpecs, Inventory};
/// let specs = DeviceSpecs::parse(&[r#"{"vendor_id": "8086"}"#], false)?;
/// let mut inventory = Inventory::new(specs);
/// let text = r#"[{"address": "0000:3b:00.0", "vendor_id": "8086", "product_id": "1572"}]"#;
/// let news = inventory.read(text)?.expect("the first report is news");
/// assert_eq!(news.changed.len(), 1);
/// assert!(inventory.read(text)?.is_none());
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inventory {
    specs: DeviceSpecs,
    /// The report as it was, so that the same one need not even be parsed.
    text: String,
    /// Each device as it was reported, by its address as it was written.
    known: BTreeMap<String, Value>,
}

/// How a report differs from the one before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// The addresses of all assignable devices, as the host wrote them, in its order.
    pub assignable: Vec<String>,
    /// The assignable devices that are new or differ, with the index of the rule that lets them be handed out, in the
    /// host's order.
    pub changed: Vec<(Value, usize)>,
    /// Devices that cannot be read, and why.
    pub skipped: Vec<(String, Error)>,
}

impl Inventory {
    /// Nothing is reported yet.
    #[must_use]
    pub fn new(specs: DeviceSpecs) -> Self {
        Inventory { specs, text: String::new(), known: BTreeMap::new() }
    }

    /// Reads a report, the JSON text of a list of devices; `None` when it is the same as the last.
    ///
    /// Of several devices with one address the first counts. A device that is no device is skipped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidJson`] or [`ErrorKind::LimitExceeded`] when it is no list of objects; the last report stays.
    pub fn read(&mut self, text: &str) -> Result<Option<News>> {
        if !self.text.is_empty() && self.text == text {
            return Ok(None);
        }
        let listed: Vec<serde_json::Map<String, Value>> = json::parse(text, "devices")?;
        limits::check("number of devices", listed.len(), limits::MAX_DEVICES)
            .map_err(|e| e.inside("devices"))?;
        let mut news = News::default();
        let mut known = BTreeMap::new();
        for (i, fields) in listed.into_iter().enumerate() {
            let function = match function_of(&fields) {
                Ok(function) => function,
                Err(error) => {
                    let name = fields.get("address").map_or_else(|| format!("[{i}]"), text_of);
                    news.skipped.push((name, error.inside(format!("devices[{i}]"))));
                    continue;
                }
            };
            let Some((rule, _)) = self.specs.matching(&function) else { continue };
            let address = fields.get("address").map_or_else(String::new, text_of);
            if known.contains_key(&address) {
                continue;
            }
            let device = Value::Object(fields);
            news.assignable.push(address.clone());
            if self.known.get(&address) != Some(&device) {
                news.changed.push((device.clone(), rule));
            }
            known.insert(address, device);
        }
        self.known = known;
        text.clone_into(&mut self.text);
        Ok(Some(news))
    }
}

/// What rules are matched against: the other facts may be anything.
fn function_of(fields: &serde_json::Map<String, Value>) -> Result<Device> {
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Error::new(ErrorKind::InvalidDevice, format!("a device needs its {name} as a text"))
            .with_help("list the function as the hypervisor reports it")
            .inside(name)),
    };
    let address: PciAddress = text("address")?.parse().map_err(|error: Error| error.inside("address"))?;
    let mut device = Device::new(address, text("vendor_id")?, text("product_id")?);
    if let Some(Value::String(parent)) = fields.get("parent_addr") {
        let parent = parent.parse().map_err(|error: Error| error.inside("parent_addr"))?;
        device.parent_addr = Some(parent);
        device.dev_type = DeviceType::Vf;
    }
    if let Some(capabilities) = fields.get("capabilities") {
        device.extra_info.insert_value("capabilities", capabilities)?;
    }
    Ok(device)
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(devices: &[(&str, &str)]) -> String {
        let devices: Vec<Value> = devices
            .iter()
            .map(|(address, label)| {
                serde_json::json!({"address": address, "vendor_id": "8086", "product_id": "1572", "label": label})
            })
            .collect();
        Value::from(devices).to_string()
    }

    #[test]
    fn only_what_differs_is_news() {
        let specs = DeviceSpecs::parse(&[r#"{"address": "*:81:*.*"}"#], false).expect("a good rule");
        let mut inventory = Inventory::new(specs);
        let both = report(&[("0000:81:00.0", "a"), ("0000:81:00.1", "a"), ("0000:82:00.0", "a")]);
        let news = inventory.read(&both).expect("a list").expect("the first report");
        assert_eq!((news.assignable.len(), news.changed.len()), (2, 2));
        assert_eq!(inventory.read(&both).expect("a list"), None);

        let renamed = report(&[("0000:81:00.0", "a"), ("0000:81:00.1", "b"), ("zz", "a")]);
        let news = inventory.read(&renamed).expect("a list").expect("another report");
        assert_eq!(news.changed.len(), 1);
        assert_eq!(news.changed[0].0["address"], "0000:81:00.1");
        assert_eq!(news.skipped[0].0, "zz");

        let again =
            inventory.read(&report(&[("0000:81:00.1", "b")])).expect("a list").expect("a shorter report");
        assert_eq!((again.assignable.len(), again.changed.len()), (1, 0));
    }

    #[test]
    fn a_broken_report_leaves_the_last() {
        let mut inventory = Inventory::new(DeviceSpecs::parse(&["{}"], false).expect("a good rule"));
        let text = report(&[("0000:81:00.0", "a")]);
        assert!(inventory.read(&text).expect("a list").is_some());
        assert!(inventory.read("[1]").is_err());
        assert!(inventory.read("{").is_err());
        assert!(inventory.read(&text).expect("a list").is_none());
    }
}
