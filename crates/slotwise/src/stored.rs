//! The pools that Nova keeps for a host, read in one pass over their text.
//!
//! A scheduler reads the rows of many hosts. What they usually look like is read here without a tree of values in between;
//! whatever looks otherwise, wrong or merely unusual, is left to [`crate::Pools::from_json`], which has the words for it.
//! The answers of both are the same, which a test with random documents shows.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::device::numa_node_from;
use crate::extra_info::ExtraInfo;
use crate::limits;
use crate::pool::Pool;

/// The pools in the text, in its order; `None` when this is not the place to read it.
pub(crate) fn read(text: &str) -> Option<Vec<Pool>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let list = reader.deserialize_any(Document).ok()?;
    reader.end().ok()?;
    Some(list)
}

/// A list of pools, or the versioned object that has one.
struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = Vec<Pool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pools")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(pool) = items.next_element_seed(PoolSeed)? {
            if list.len() == limits::MAX_DEVICES {
                return Err(A::Error::custom("too many"));
            }
            list.push(pool);
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut list = None;
        while let Some(Text(key)) = fields.next_key_seed(TextSeed)? {
            match &*key {
                "nova_object.data" if list.is_none() => list = Some(fields.next_value_seed(Objects)?),
                key if key.starts_with("nova_object.") && key != "nova_object.data" => {
                    fields.next_value::<IgnoredAny>()?;
                }
                _ => return Err(A::Error::custom("a single pool")),
            }
        }
        list.ok_or_else(|| A::Error::custom("no list"))
    }
}

/// `{"objects": […]}`.
struct Objects;

impl<'de> DeserializeSeed<'de> for Objects {
    type Value = Vec<Pool>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Objects {
    type Value = Vec<Pool>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list's data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut list = None;
        while let Some(Text(key)) = fields.next_key_seed(TextSeed)? {
            if key != "objects" || list.is_some() {
                return Err(A::Error::custom("another field"));
            }
            list = Some(fields.next_value_seed(ObjectsList)?);
        }
        list.ok_or_else(|| A::Error::custom("no objects"))
    }
}

struct ObjectsList;

impl<'de> DeserializeSeed<'de> for ObjectsList {
    type Value = Vec<Pool>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(Document)
    }
}

/// One pool: its fields, or the versioned object around them.
struct PoolSeed;

impl<'de> DeserializeSeed<'de> for PoolSeed {
    type Value = Pool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Pool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PoolSeed {
    type Value = Pool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pool")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Pool, A::Error> {
        let mut row = Row::default();
        let (mut whole, mut versioned) = (None, false);
        while let Some(Text(key)) = fields.next_key_seed(TextSeed)? {
            match &*key {
                "nova_object.data" if whole.is_none() => whole = Some(fields.next_value_seed(PoolSeed)?),
                key if key.starts_with("nova_object.") && key != "nova_object.data" => {
                    versioned = true;
                    fields.next_value::<IgnoredAny>()?;
                }
                "count" => row.count = Some(fields.next_value::<u32>()?),
                "numa_node" => row.numa_node = fields.next_value::<Option<i64>>()?,
                "tags" if row.tags.is_none() => row.tags = Some(fields.next_value_seed(TagsSeed)?),
                "tags" | "devices" | "nova_object.data" => return Err(A::Error::custom("unusual")),
                _ => {
                    let value = fields.next_value_seed(ScalarSeed)?;
                    row.fields.push((key, value));
                }
            }
        }
        match whole {
            // What stands beside the data of a versioned object is not part of the pool.
            Some(pool) => Ok(pool),
            None if versioned => Err(A::Error::custom("no data")),
            None => row.pool().ok_or_else(|| A::Error::custom("not a pool")),
        }
    }
}

type Entry<'de> = (Cow<'de, str>, Option<Cow<'de, str>>);

#[derive(Default)]
struct Row<'de> {
    fields: Vec<Entry<'de>>,
    tags: Option<Vec<Entry<'de>>>,
    numa_node: Option<i64>,
    count: Option<u32>,
}

impl Row<'_> {
    fn pool(self) -> Option<Pool> {
        let numa_node = numa_node_from(self.numa_node).ok()?;
        let mut attributes = ExtraInfo::new();
        let mut provider = None;
        // Of a field and a tag with one name the tag counts.
        for entries in [self.fields, self.tags.unwrap_or_default()] {
            let mut named = false;
            for (key, text) in entries {
                if key != "rp_uuid" {
                    attributes.insert(key, text.map(Cow::into_owned)).ok()?;
                } else if std::mem::replace(&mut named, true) {
                    return None;
                } else {
                    provider = text.map(Cow::into_owned).or(provider);
                }
            }
        }
        Pool::new(attributes, numa_node, provider, self.count?).ok()
    }
}

struct TagsSeed;

impl<'de> DeserializeSeed<'de> for TagsSeed {
    type Value = Vec<Entry<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TagsSeed {
    type Value = Vec<Entry<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut tags = Vec::new();
        while let Some(Text(key)) = fields.next_key_seed(TextSeed)? {
            let value = fields.next_value_seed(ScalarSeed)?;
            tags.push((key, value));
        }
        Ok(tags)
    }
}

/// A text, which is a part of the document unless it has escapes.
struct Text<'de>(Cow<'de, str>);
struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Text<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// A text or null; what else a tag may be has a canonical text of its own, which is not made here.
struct ScalarSeed;

impl<'de> DeserializeSeed<'de> for ScalarSeed {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ScalarSeed {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::pool::Pools;

    /// What may stand under a key, as text.
    fn value() -> impl Strategy<Value = String> {
        let texts = select(vec![r#""8086""#, r#""1520""#, r#""a\u0062\n""#, r#""""#, "null"]);
        let others =
            select(vec!["true", "7", "-1", "1.5", r#"["b", 1]"#, r#"{"c": null}"#, "{", "-2", "4294967296"]);
        prop_oneof![20 => texts, 1 => others].prop_map(str::to_owned)
    }

    fn key() -> impl Strategy<Value = String> {
        let usual = select(vec![
            "vendor_id",
            "product_id",
            "dev_type",
            "address",
            "rack",
            "rp_uuid",
            "vendor\\u005fid",
        ]);
        let others = select(vec!["nova_object.name", "nova_object.data", "count", "devices", "tags", ""]);
        prop_oneof![30 => usual, 1 => others].prop_map(str::to_owned)
    }

    fn object(entries: &[(String, String)]) -> String {
        let fields: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        format!("{{{}}}", fields.join(", "))
    }

    fn pool() -> impl Strategy<Value = String> {
        let entries = || prop::collection::vec((key(), value()), 0..4);
        let node =
            prop_oneof![8 => select(vec!["0", "1", "null", "-1"]), 1 => select(vec!["-2", "\"0\"", "1e3"])];
        (entries(), entries(), node, 0_u32..9, any::<bool>()).prop_map(
            |(fields, tags, node, count, whole)| {
                let mut all = vec![
                    ("vendor_id".to_owned(), "\"8086\"".to_owned()),
                    ("product_id".to_owned(), "\"1520\"".to_owned()),
                    ("count".to_owned(), count.to_string()),
                    ("numa_node".to_owned(), node.to_owned()),
                ];
                all.rotate_left(count as usize % 4);
                all.extend(fields);
                if !tags.is_empty() {
                    all.insert(count as usize % all.len(), ("tags".to_owned(), object(&tags)));
                }
                if !whole {
                    return object(&all);
                }
                let data = ("nova_object.data".to_owned(), object(&all));
                let name = ("nova_object.name".to_owned(), "\"PciDevicePool\"".to_owned());
                let changes = ("nova_object.changes".to_owned(), r#"["count", {"x": []}]"#.to_owned());
                object(&if count % 2 == 0 { vec![name, data, changes] } else { vec![data, changes] })
            },
        )
    }

    fn document() -> impl Strategy<Value = String> {
        (prop::collection::vec(pool(), 0..4), 0..3).prop_map(|(pools, form)| {
            let list = format!("[{}]", pools.join(","));
            match form {
                0 => list,
                1 => format!(r#"{{"nova_object.name": "L", "nova_object.data": {{"objects": {list}}}}}"#),
                _ => format!(r#" {{"nova_object.data": {{"objects": {list}}}, "nova_object.changes": []}} "#),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_read_in_one_pass_is_what_is_read_otherwise(text in document()) {
            if let Some(list) = read(&text) {
                prop_assert_eq!(Pools::new(list, None), Pools::from_any_json(&text, None)?);
            }
        }
    }

    #[test]
    fn what_nova_writes_is_read_in_one_pass() {
        let pool = r#"{"nova_object.name": "PciDevicePool", "nova_object.namespace": "nova", "nova_object.version": "1.1",
            "nova_object.data": {"product_id": "1003", "vendor_id": "8086", "numa_node": null,
                "tags": {"dev_type": "type-VF", "address": "0000:81:00.0", "physical_network": null}, "count": 8},
            "nova_object.changes": ["tags", "count"]}"#;
        let whole = format!(
            r#"{{"nova_object.name": "PciDevicePoolList", "nova_object.data": {{"objects": [{pool}, {pool}]}}}}"#
        );
        assert_eq!(read(&whole).map(|list| list.len()), Some(2));
        let flat = r#"[{"vendor_id": "8086", "product_id": "1520", "count": 4, "numa_node": 0, "dev_type": "type-PF"}]"#;
        assert_eq!(read(flat).map(|list| list[0].count), Some(4));
        for left in ["null", "[7]", "{}", "[1", "[] 1", r#"[{"count": 1}]"#] {
            assert_eq!(read(left), None, "{left}");
        }
    }
}
