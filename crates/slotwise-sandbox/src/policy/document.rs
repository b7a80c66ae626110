//! Options and counters as documents, for the doors where Rust types do not reach.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use slotwise::policy::Scope;

use super::{Counters, OnFailure, PolicyOptions};
use crate::limits::Limits;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object with the options of a policy")]
struct OptionsDocument {
    name: Option<String>,
    limits: Object<LimitsDocument>,
    on_failure: OnFailureDocument,
    keep_instances: bool,
    cache: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object with limits")]
struct LimitsDocument {
    time_ms: Option<u64>,
    fuel: Option<u64>,
    memory: Option<usize>,
    table: Option<usize>,
    stack: Option<usize>,
    result: Option<usize>,
    instances: Option<u32>,
}

#[derive(Default, Deserialize)]
#[serde(untagged, expecting = "write \"closed\", \"open\" or {\"drop_after\": NUMBER}, with at least 1")]
enum OnFailureDocument {
    Word(OnFailureWord),
    DropAfter(Object<DropAfter>),
    #[default]
    LeftOut,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnFailureWord {
    Closed,
    Open,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DropAfter {
    drop_after: NonZeroU64,
}

/// What is written as an object, and not as a list of its fields' values, which would hide a slip.
#[derive(Default)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

impl PolicyOptions {
    /// Reads options from a JSON document, of which everything may be left out: `{"name", "limits": {"time_ms", "fuel",
    /// "memory", "table", "stack", "result", "instances"}, "on_failure": "closed" | "open" | {"drop_after": N},
    /// "keep_instances", "cache"}`.
    ///
    /// The policy's own configuration and the log are not in it.
    ///
    /// # Errors
    ///
    /// [`slotwise::ErrorKind::InvalidJson`] with the place.
    pub fn from_json(text: &str) -> slotwise::Result<Self> {
        let Object(document): Object<OptionsDocument> = slotwise::json::parse(text, "options")?;
        let (Object(limits), defaults) = (document.limits, Limits::for_policies());
        Ok(PolicyOptions {
            name: document.name,
            limits: Limits {
                time: limits.time_ms.map_or(defaults.time, Duration::from_millis),
                fuel: limits.fuel,
                memory: limits.memory.unwrap_or(defaults.memory),
                table: limits.table.unwrap_or(defaults.table),
                stack: limits.stack.unwrap_or(defaults.stack),
                result: limits.result.unwrap_or(defaults.result),
                instances: limits.instances.unwrap_or(defaults.instances),
            },
            on_failure: match document.on_failure {
                OnFailureDocument::Word(OnFailureWord::Closed) | OnFailureDocument::LeftOut => {
                    OnFailure::Closed
                }
                OnFailureDocument::Word(OnFailureWord::Open) => OnFailure::Open,
                OnFailureDocument::DropAfter(Object(DropAfter { drop_after })) => {
                    OnFailure::DropAfter(drop_after)
                }
            },
            keep_instances: document.keep_instances,
            cache: document.cache.map(Into::into),
            ..PolicyOptions::default()
        })
    }
}

impl Serialize for Limits {
    /// Writes the document that options are read from.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time_ms", &self.time.as_millis())?;
        map.serialize_entry("fuel", &self.fuel)?;
        map.serialize_entry("memory", &self.memory)?;
        map.serialize_entry("table", &self.table)?;
        map.serialize_entry("stack", &self.stack)?;
        map.serialize_entry("result", &self.result)?;
        map.serialize_entry("instances", &self.instances)?;
        map.end()
    }
}

impl Serialize for Counters {
    /// Writes `{"calls", "failed", "failures": {KIND: N}, "dropped", "log_lines", "log_lines_lost"}`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failures: std::collections::BTreeMap<_, _> =
            self.failures.iter().map(|(kind, count)| (kind.name(), count)).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("calls", &self.calls)?;
        map.serialize_entry("failed", &self.failed())?;
        map.serialize_entry("failures", &failures)?;
        map.serialize_entry("dropped", &self.dropped)?;
        map.serialize_entry("log_lines", &self.log_lines)?;
        map.serialize_entry("log_lines_lost", &self.log_lines_lost)?;
        map.end()
    }
}

/// The words for what a policy answers and reads, as `policy.wit` writes them.
#[must_use]
pub fn scope_names(scope: Scope) -> Vec<&'static str> {
    [
        (scope.filter, "filter"),
        (scope.score, "score"),
        (scope.prefer, "prefer"),
        (scope.requests, "requests"),
        (scope.facts, "facts"),
        (scope.names, "names"),
        (scope.attributes, "attributes"),
        (scope.filter_pools, "filter_pools"),
        (scope.score_pools, "score_pools"),
        (scope.pool_attributes, "pool_attributes"),
    ]
    .into_iter()
    .filter_map(|(named, word)| named.then_some(word))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_what_is_left_out_is_the_default() {
        let text =
            r#"{"limits": {"time_ms": 50, "fuel": 7}, "on_failure": {"drop_after": 3}, "cache": "/c"}"#;
        let options = PolicyOptions::from_json(text).expect("options");
        assert_eq!(options.limits.time, Duration::from_millis(50));
        assert_eq!((options.limits.fuel, options.limits.memory), (Some(7), 64 << 20));
        assert!(matches!(options.on_failure, OnFailure::DropAfter(count) if count.get() == 3));
        assert_eq!(PolicyOptions::from_json("{}").expect("options").on_failure, OnFailure::Closed);
        let error = PolicyOptions::from_json(r#"{"limits": {"times": 1}}"#).expect_err("an unknown limit");
        assert!(error.to_string().contains("times"), "{error}");
        let error =
            PolicyOptions::from_json(r#"{"on_failure": {"drop_after": 0}}"#).expect_err("never asked");
        assert!(error.to_string().contains("with at least 1"), "{error}");
        for list in [r#"[]"#, r#"{"limits": [5]}"#, r#"{"on_failure": [2]}"#] {
            assert!(PolicyOptions::from_json(list).is_err(), "{list}");
        }
    }
}
