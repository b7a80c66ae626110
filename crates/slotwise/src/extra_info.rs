//! Extra info and tags: string → string-or-null facts about a device, in one canonical text per JSON value.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// String → string-or-null facts: what the operator or the host knows about a device.
///
/// Any JSON value may be put in; it is kept as one canonical text, so that two descriptions of the same fact
/// compare equal: a string is kept as it is, `null` stays null, a boolean becomes `true` or `false`, a number its
/// shortest JSON text, and an array or object compact JSON with sorted keys. [`ExtraInfo::value`] goes back.
///
/// ```
/// use serde_json::json;
/// let mut info = slotwise::ExtraInfo::new();
/// info.insert_value("capabilities", &json!({"vpd": {"card_serial_number": "MT2042"}}))?;
/// info.insert_value("managed", &json!(false))?;
/// assert_eq!(info.text("managed"), Some("false"));
/// assert_eq!(info.value("capabilities"), Some(json!({"vpd": {"card_serial_number": "MT2042"}})));
/// # Ok::<(), slotwise::Error>(())
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExtraInfo(
    /// Ordered by key.
    Vec<(String, Option<String>)>,
);

/// Among so many entries a key is looked for one by one: nearly all keys differ in their length already.
const FEW: usize = 16;

impl ExtraInfo {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        ExtraInfo(Vec::new())
    }

    /// Sets `key` to a text or to null, and says whether that changed anything.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LimitExceeded`] when the key, the text or the number of entries passes its limit
    /// ([`limits::MAX_TEXT_BYTES`], [`limits::MAX_ENTRIES`]); nothing is set then.
    pub fn insert(&mut self, key: impl Into<String>, text: Option<String>) -> Result<bool> {
        let key = key.into();
        limits::check("key length", key.len(), limits::MAX_TEXT_BYTES)?;
        limits::check("value length", text.as_ref().map_or(0, String::len), limits::MAX_TEXT_BYTES)
            .map_err(|e| e.inside(&key))?;
        match self.place(&key) {
            Err(at) => {
                limits::check("number of entries", self.0.len() + 1, limits::MAX_ENTRIES)?;
                self.0.insert(at, (key, text));
                Ok(true)
            }
            Ok(at) => {
                let own = &mut self.0[at].1;
                let changed = *own != text;
                if changed {
                    *own = text;
                }
                Ok(changed)
            }
        }
    }

    /// Sets `key` to the canonical text of any JSON value, and says whether that changed anything.
    ///
    /// # Errors
    ///
    /// As [`ExtraInfo::insert`].
    pub fn insert_value(&mut self, key: impl Into<String>, value: &Value) -> Result<bool> {
        self.insert(key, canonical_text(value))
    }

    /// Removes `key` and says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        self.place(key).map(|at| self.0.remove(at)).is_ok()
    }

    /// The entry under `key`: `None` when there is none, `Some(None)` when it is null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Option<&str>> {
        let is_key = |(own, _): &&(String, _)| own == key;
        let entry = match self.0.len() {
            ..=FEW => self.0.iter().find(is_key),
            _ => self.place(key).ok().map(|at| &self.0[at]),
        };
        entry.map(|(_, text)| text.as_deref())
    }

    /// The text under `key`; `None` when there is none or it is null.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).flatten()
    }

    /// The JSON value under `key`: the one whose canonical text is the text kept.
    ///
    /// A text that is not the canonical text of a number, boolean, array or object is a string: `01` stays `"01"`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<Value> {
        self.get(key).map(|text| text.map_or(Value::Null, value_of))
    }

    /// The entries, ordered by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> + Clone {
        self.0.iter().map(|(key, text)| (key.as_str(), text.as_deref()))
    }

    /// Where a key is, or else where it belongs.
    fn place(&self, key: &str) -> std::result::Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(key))
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The canonical text of a JSON value; null has none.
fn canonical_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        // serde_json keeps object keys sorted, and writes without spaces.
        other => Some(other.to_string()),
    }
}

/// The value whose canonical text is `text`.
fn value_of(text: &str) -> Value {
    let parsed = match text.as_bytes().first() {
        Some(b'{' | b'[' | b't' | b'f' | b'-' | b'0'..=b'9') => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    };
    parsed
        .filter(|value| canonical_text(value).as_deref() == Some(text))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Reads a boolean-like text as OpenStack does (`oslo_utils.strutils.bool_from_string`): any case, spaces around.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim();
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["1", "t", "true", "on", "y", "yes"]) {
        Some(true)
    } else if is_one_of(&["0", "f", "false", "off", "n", "no"]) {
        Some(false)
    } else {
        None
    }
}

impl Serialize for ExtraInfo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for ExtraInfo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = ExtraInfo;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of extra info")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<ExtraInfo, A::Error> {
                let mut info = ExtraInfo::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map.next_value::<Value>()?;
                    info.insert_value(key, &value).map_err(|error| crate::json::carry(&error))?;
                }
                Ok(info)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> TryFrom<[(K, V); N]> for ExtraInfo {
    type Error = Error;

    /// Makes a set from pairs of texts.
    fn try_from(pairs: [(K, V); N]) -> Result<Self> {
        let mut info = ExtraInfo::new();
        for (key, text) in pairs {
            info.insert(key, Some(text.into()))?;
        }
        Ok(info)
    }
}

/// Reads a boolean-like text, or says in an error of `kind` that `key` is not one.
pub(crate) fn require_bool(kind: ErrorKind, key: &str, text: &str) -> Result<bool> {
    parse_bool(text).ok_or_else(|| {
        Error::new(kind, format!("{:?} is not a boolean", crate::address::clip(text)))
            .with_help("write one of: true, yes, on, 1, false, no, off, 0")
            .inside(key)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value, text: Option<&str>) {
        assert_eq!(canonical_text(value).as_deref(), text);
    }

    #[test]
    fn one_text_per_value() {
        check(&json!(null), None);
        check(&json!("Physnet1 "), Some("Physnet1 "));
        check(&json!(true), Some("true"));
        check(&json!(7), Some("7"));
        check(&json!(-1.5), Some("-1.5"));
        check(&json!({"b": [1, "x"], "a": null}), Some(r#"{"a":null,"b":[1,"x"]}"#));
    }

    #[test]
    fn texts_that_only_look_like_json_stay_strings() {
        for text in ["01", "1e5", "{ }", "True", "nul", "null", "-", "1.50"] {
            assert_eq!(value_of(text), json!(text));
        }
    }

    proptest! {
        #[test]
        fn every_text_is_the_canonical_text_of_its_value(text in "\\PC{0,12}|-?[0-9]{1,22}(\\.[0-9]{1,3})?|\\[[0-9, ]{0,6}\\]") {
            prop_assert_eq!(canonical_text(&value_of(&text)), Some(text));
        }
    }

    #[test]
    fn limits_leave_the_set_as_it_was() {
        let mut info = ExtraInfo::new();
        for i in 0..limits::MAX_ENTRIES {
            assert!(info.insert(format!("key{i}"), None).expect("within the limit"));
        }
        let before = info.clone();
        let error = info.insert("one more", None).expect_err("over the limit");
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        let error = info.insert("key0", Some("x".repeat(limits::MAX_TEXT_BYTES + 1))).expect_err("too long");
        assert_eq!((error.kind(), error.place().path.as_str()), (ErrorKind::LimitExceeded, "key0"));
        assert_eq!(info, before);
    }
}
