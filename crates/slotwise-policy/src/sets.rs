//! Attribute sets and joined texts, as they come from the host.

use crate::bindings::exports::slotwise::policy::api;

/// The value that stands for none.
pub(crate) const NONE: u32 = u32::MAX;

/// The number of an attribute's name, which is faster to look up than the name.
///
/// Found with [`crate::Hosts::key`] or [`crate::Devices::key`], and of use with that table only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Key(u32);

/// Where item `index` lies in a column of which only the ends are known.
pub(crate) fn range(ends: &[u32], index: usize) -> std::ops::Range<usize> {
    let end = ends.get(index).map_or(0, |&end| end as usize);
    let start = index.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |&end| end as usize);
    start.min(end)..end
}

pub(crate) fn text(texts: &api::Texts, index: usize) -> Option<&str> {
    texts.ends.get(index)?;
    texts.joined.get(range(&texts.ends, index))
}

/// The number of this text, if there is one.
pub(crate) fn key(sets: &api::AttributeSets, name: &str) -> Option<Key> {
    (0..sets.texts.ends.len())
        .find(|&i| text(&sets.texts, i).is_some_and(|text| same(text, name)))
        .and_then(|i| u32::try_from(i).ok())
        .map(Key)
}

/// The value under a key in a set; `None` when there is none or it is null.
pub(crate) fn value(sets: &api::AttributeSets, set: u32, key: Key) -> Option<&str> {
    let range = range(&sets.ends, set as usize);
    let at = range.start + sets.keys.get(range)?.iter().position(|&k| k == key.0)?;
    text(&sets.texts, *sets.values.get(at)? as usize)
}

/// The same by name, without a search through all texts.
pub(crate) fn value_of<'a>(sets: &'a api::AttributeSets, set: u32, name: &str) -> Option<&'a str> {
    let range = range(&sets.ends, set as usize);
    let start = range.start;
    let at = sets
        .keys
        .get(range)?
        .iter()
        .position(|&k| text(&sets.texts, k as usize).is_some_and(|text| same(text, name)))?;
    text(&sets.texts, *sets.values.get(start + at)? as usize)
}

/// Whether two texts are equal. In WebAssembly the comparison of the standard library looks at each byte for itself.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let equal = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    // The last eight bytes, some of which are seen twice, instead of what is left over.
    match (one.last_chunk(), other.last_chunk()) {
        (Some(last), Some(other_last)) => {
            equal((last, other_last)) && one.as_chunks().0.iter().zip(other.as_chunks().0).all(equal)
        }
        _ => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

/// No sets but the empty one.
pub(crate) fn empty() -> api::AttributeSets {
    api::AttributeSets { texts: no_texts(), ends: vec![0], keys: Vec::new(), values: Vec::new() }
}

pub(crate) fn no_texts() -> api::Texts {
    api::Texts { joined: String::new(), ends: Vec::new() }
}

/// Adds a text at the end; for tests of policies, whose tables are small.
pub(crate) fn push_text(texts: &mut api::Texts, text: &str) -> u32 {
    texts.joined.push_str(text);
    texts.ends.push(number(texts.joined.len()));
    number(texts.ends.len() - 1)
}

/// Adds a set of attributes and gives its number.
pub(crate) fn push_set<'a>(
    sets: &mut api::AttributeSets,
    attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> u32 {
    for (name, value) in attributes {
        let name = intern(sets, name);
        let value = intern(sets, value);
        sets.keys.push(name);
        sets.values.push(value);
    }
    sets.ends.push(number(sets.keys.len()));
    number(sets.ends.len() - 1)
}

fn intern(sets: &mut api::AttributeSets, text: &str) -> u32 {
    key(sets, text).map_or_else(|| push_text(&mut sets.texts, text), |key| key.0)
}

pub(crate) fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_whole() {
        for length in 0..40 {
            let text = "x".repeat(length);
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &format!("{text}x")));
            for at in 0..length {
                let mut other = text.clone();
                other.replace_range(at..=at, "y");
                assert!(!same(&text, &other), "{length} {at}");
            }
        }
    }
}
