//! The JSON objects of a configuration, read under limits, each part with its place in the text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// A text that is a configuration value, and where it lies in the whole text that errors point into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The whole text.
    pub(crate) whole: &'a str,
    /// Where `text` starts in `whole`, in bytes.
    pub(crate) start: usize,
    /// The value.
    pub(crate) text: &'a str,
}

impl<'a> Entry<'a> {
    /// An entry that is a whole text by itself.
    pub(crate) const fn new(text: &'a str) -> Self {
        Entry { whole: text, start: 0, text }
    }

    /// The JSON objects of the entry: itself, or the members of the list that it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidJson`] when the text is not JSON, an error of `kind` when it is neither an object nor a list,
    /// [`ErrorKind::LimitExceeded`]; all with line and column.
    pub(crate) fn objects(&self, kind: ErrorKind, list_allowed: bool) -> Result<Vec<Object<'a>>> {
        limits::check("document size in bytes", self.text.len(), limits::MAX_DOCUMENT_BYTES)?;
        let raw: &RawValue =
            serde_json::from_str(self.text).map_err(|error| self.syntax(self.text, &error))?;
        let items = match raw.get().as_bytes().first() {
            Some(b'[') if list_allowed => {
                let items: Items<'a> =
                    serde_json::from_str(raw.get()).map_err(|error| self.syntax(raw.get(), &error))?;
                items.0
            }
            _ => vec![raw],
        };
        items
            .into_iter()
            .map(|item| match item.get().as_bytes().first() {
                Some(b'{') => Ok(Object { entry: *self, text: item.get() }),
                _ => {
                    let expected =
                        if list_allowed { "a JSON object or a list of them" } else { "a JSON object" };
                    let found = crate::address::clip(item.get());
                    Err(self.at(item.get(), Error::new(kind, format!("{found} is not {expected}"))))
                }
            })
            .collect()
    }

    /// Turns an error about the JSON in `part` into ours, with its place.
    fn syntax(&self, part: &str, error: &serde_json::Error) -> Error {
        // serde_json counts columns in bytes, and from 0 at the start of a line's first byte.
        let line_start = match error.line() {
            0 | 1 => 0,
            line => part.match_indices('\n').nth(line - 2).map_or(part.len(), |(i, _)| i + 1),
        };
        let offset = (line_start + error.column().saturating_sub(1)).min(part.len());
        let (line, column) = line_column(self.whole, self.offset_of(part) + offset);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        let limit = message.strip_prefix(OVER_LIMIT);
        let kind = if limit.is_some() { ErrorKind::LimitExceeded } else { ErrorKind::InvalidJson };
        let mut found = Error::new(kind, limit.unwrap_or(message).to_owned()).at(line, column);
        if self.text.trim_start().starts_with(['\'', '"']) {
            found = found.with_help("write the JSON without quotes around it");
        }
        found
    }

    /// Gives the error the place of `part`, which must be a part of the entry's text.
    fn at(&self, part: &str, error: Error) -> Error {
        let (line, column) = line_column(self.whole, self.offset_of(part));
        error.at(line, column)
    }

    /// Where `part`, a slice of the entry's text, starts in the whole text.
    fn offset_of(&self, part: &str) -> usize {
        self.start + (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

/// One JSON object of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Object<'a> {
    entry: Entry<'a>,
    text: &'a str,
}

impl Object<'_> {
    /// Its fields; of a key that is given twice the last one counts, as in Python.
    pub(crate) fn fields(&self) -> Result<Map<String, Value>> {
        let fields: Fields<'_> =
            serde_json::from_str(self.text).map_err(|error| self.entry.syntax(self.text, &error))?;
        let mut map = Map::new();
        for (key, raw) in fields.0 {
            let text = raw.get();
            limits::check("value length in bytes", text.len(), MAX_RAW_BYTES)
                .map_err(|error| self.entry.at(text, error.inside(crate::address::clip(&key))))?;
            let value = serde_json::from_str(text)
                .map_err(|error| self.entry.syntax(text, &error).inside(crate::address::clip(&key)))?;
            map.insert(key, value);
        }
        Ok(map)
    }

    /// Gives an error, whose path is relative to this object, the line and column of what the path names.
    pub(crate) fn locate(&self, error: Error) -> Error {
        let mut part = self.text;
        for key in error.place().path.split('.') {
            let found = serde_json::from_str::<Fields<'_>>(part)
                .ok()
                .and_then(|fields| fields.0.into_iter().rev().find(|(name, _)| name == key));
            match found {
                Some((_, raw)) => part = raw.get(),
                None => break,
            }
        }
        self.entry.at(part, error)
    }
}

/// The longest value of one key, in bytes of JSON: a text within its limit, each character escaped.
const MAX_RAW_BYTES: usize = 12 * limits::MAX_TEXT_BYTES;

/// The most keys of one object: as many tags as may be, and the keys that are no tags.
const MAX_KEYS: usize = limits::MAX_ENTRIES + 16;

/// Marks an error about a limit on its way through serde.
const OVER_LIMIT: &str = "over a limit: ";

/// The keys and values of an object, in order, under a limit.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

/// The members of a list, under a limit.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    if fields.len() == MAX_KEYS {
                        return Err(A::Error::custom(format!(
                            "{OVER_LIMIT}an object has over {MAX_KEYS} keys"
                        )));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == limits::MAX_RULES {
                        let message = format!("{OVER_LIMIT}a list has over {} members", limits::MAX_RULES);
                        return Err(A::Error::custom(message));
                    }
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

/// The line and column of a byte offset, both counted from 1, columns in characters.
///
/// Lines end where Python's universal newlines end them: `\n`, `\r\n`, or `\r` alone.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let offset = (0..=offset.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    let before = &text[..offset];
    let bytes = text.as_bytes();
    let mut line = 1;
    let mut start = 0;
    for (i, byte) in before.bytes().enumerate() {
        if byte == b'\n' || byte == b'\r' && bytes.get(i + 1) != Some(&b'\n') {
            line += 1;
            start = i + 1;
        }
    }
    (line, before[start..].chars().count() + 1)
}
