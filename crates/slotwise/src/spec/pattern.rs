//! Address patterns: one regular expression per field of an address, in the language of Python's `re`.
//!
//! Source: Nova compiles each field with `re.compile` and tests it with `re.match`, which is anchored at the start
//! only. A field has few values, so every pattern is tested against all of them once, when it is parsed; matching a
//! device is then a bit test, and a pattern that backtracks without end costs nothing later.

use std::fmt::Write as _;
use std::sync::OnceLock;

use fancy_regex::{BytesMode, Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::address::{PciAddress, clip, parse_hex};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// The longest pattern, in bytes: all 256 buses written out as alternatives fit.
const MAX_PATTERN_BYTES: usize = 1024;

/// How deep groups may be nested, so that compiling a pattern needs little stack in a WebAssembly guest.
const MAX_NESTING: usize = 16;

/// How often a match may backtrack; no sane pattern needs a tenth of it for the eight digits of a field.
const BACKTRACK_LIMIT: usize = 1000;

/// How large a compiled pattern may be, in bytes and in instructions.
const COMPILED_BYTES: usize = 256 << 10;
const COMPILED_INSTRUCTIONS: usize = 16 << 10;

/// A field of an address as Linux writes it.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// How many digits it is written with, at least.
    width: usize,
    /// How many values there are. Domains have 2³²; the first 256 are tested when the pattern is parsed.
    values: u32,
}

pub(super) const FIELDS: [Field; 4] = [
    Field { name: "domain", width: 4, values: 256 },
    Field { name: "bus", width: 2, values: 256 },
    Field { name: "slot", width: 2, values: 32 },
    Field { name: "function", width: 1, values: 8 },
];

impl Field {
    pub(super) fn text(&self, value: u32) -> String {
        format!("{value:0width$x}", width = self.width)
    }

    /// The set of all values.
    pub(super) fn all(&self) -> Bits {
        let mut bits = Bits::default();
        (0..self.values).for_each(|value| bits.set(value));
        bits
    }

    /// The value, if `text` is written exactly as Linux writes it.
    fn value(&self, text: &str) -> Option<u32> {
        parse_hex(text).filter(|&value| self.text(value) == text)
    }
}

/// The numbers of an address, in the order of [`FIELDS`].
pub(super) fn numbers(address: PciAddress) -> [u32; 4] {
    [address.domain(), u32::from(address.bus()), u32::from(address.slot()), u32::from(address.function())]
}

/// A set of numbers below 256.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Bits([u64; 4]);

impl Bits {
    pub(super) fn get(&self, value: u32) -> bool {
        self.0.get(value as usize / 64).is_some_and(|word| word >> (value % 64) & 1 == 1)
    }

    pub(super) fn set(&mut self, value: u32) {
        if let Some(word) = self.0.get_mut(value as usize / 64) {
            *word |= 1 << (value % 64);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(super) fn contains_all(&self, other: &Bits) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| theirs & !mine == 0)
    }

    /// The first number that is here and not in `other`.
    pub(super) fn first_not_in(&self, other: &Bits) -> Option<u32> {
        (0..256).find(|&value| self.get(value) && !other.get(value))
    }
}

/// The pattern of one field.
#[derive(Clone, Debug)]
pub(super) struct FieldPattern {
    pub(super) field: &'static Field,
    pub(super) text: String,
    /// The values that match, as far as the field's own number of values goes.
    pub(super) bits: Bits,
    /// Tests domains above those in `bits`; compiled when the first such device is seen, which is rare.
    wide: OnceLock<Option<Matcher>>,
}

impl FieldPattern {
    fn parse(field: &'static Field, text: &str) -> Result<Self> {
        let invalid = |reason: String| {
            Error::new(ErrorKind::InvalidSpec, format!("the pattern {:?} {reason}", clip(text))).with_help(
                "write a regular expression in the language of Python's re for the lower-case digits of the field",
            )
        };
        limits::check("pattern length in bytes", text.len(), MAX_PATTERN_BYTES)?;
        let matcher = Matcher::compile(text, Variant::Prefix).map_err(invalid)?;
        let bits = matcher.values(field).map_err(invalid)?;
        Ok(FieldPattern { field, text: text.to_owned(), bits, wide: OnceLock::new() })
    }

    /// Whether the field matches; a domain whose test takes too many steps does not.
    pub(super) fn matches(&self, value: u32) -> bool {
        if value < self.field.values {
            return self.bits.get(value);
        }
        let wide = self.wide.get_or_init(|| Matcher::compile(&self.text, Variant::Prefix).ok());
        let mut digits = Digits::default();
        // Eight digits always fit.
        let _ = write!(digits, "{value:0width$x}", width = self.field.width);
        wide.as_ref().is_some_and(|matcher| matcher.is_match(digits.as_bytes()).unwrap_or(false))
    }

    /// The values that `variant` of this pattern matches; `None` when it cannot be told.
    pub(super) fn values(&self, variant: Variant) -> Option<Bits> {
        Matcher::compile(&self.text, variant).ok()?.values(self.field).ok()
    }

    /// Whether every value of the field matches, domains above 255 included.
    pub(super) fn matches_all(&self) -> bool {
        matches!(self.text.as_str(), "" | ".*")
    }
}

/// A pattern over the fields of an address; fields that are left out match anything.
#[derive(Clone, Debug)]
pub(super) struct AddressPattern {
    pub(super) fields: Vec<FieldPattern>,
    /// The address, when each field is given as plain digits: then virtual functions of that address are covered too.
    pub(super) single: Option<PciAddress>,
}

impl AddressPattern {
    /// Reads `{"domain": …, "bus": …, "slot": …, "function": …}`; the error's path is relative to that object.
    pub(super) fn parse(object: &Map<String, Value>) -> Result<Self> {
        if let Some(unknown) = object.keys().find(|key| FIELDS.iter().all(|field| field.name != key.as_str()))
        {
            let message = format!("an address has no field {:?}", clip(unknown));
            return Err(Error::new(ErrorKind::InvalidSpec, message)
                .with_help("give patterns for domain, bus, slot or function")
                .inside(clip(unknown)));
        }
        let mut fields = Vec::new();
        for field in &FIELDS {
            match object.get(field.name) {
                None => {}
                Some(Value::String(text)) => {
                    fields.push(FieldPattern::parse(field, text).map_err(|error| error.inside(field.name))?);
                }
                Some(_) => {
                    return Err(Error::new(ErrorKind::InvalidSpec, "a pattern is a text")
                        .with_help("write it in quotes, such as \"0[0-3]\"")
                        .inside(field.name));
                }
            }
        }
        let digits: Vec<u32> =
            fields.iter().filter_map(|pattern| pattern.field.value(&pattern.text)).collect();
        let single = match *digits {
            [domain, bus, slot, function] => {
                format!("{domain:x}:{bus:x}:{slot:x}.{function:x}").parse::<PciAddress>().ok()
            }
            _ => None,
        };
        Ok(AddressPattern { fields, single })
    }

    /// The first field that does not match, with its value.
    pub(super) fn mismatch(&self, address: PciAddress) -> Option<(&FieldPattern, u32)> {
        let numbers = numbers(address);
        FIELDS.iter().zip(numbers).find_map(|(field, number)| {
            let pattern = self.fields.iter().find(|pattern| pattern.field.name == field.name)?;
            (!pattern.matches(number)).then_some((pattern, number))
        })
    }

    /// The pattern of a field, if it is given.
    pub(super) fn field(&self, name: &str) -> Option<&FieldPattern> {
        self.fields.iter().find(|pattern| pattern.field.name == name)
    }
}

/// Which form of a pattern to test.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Variant {
    /// As Python's `re.match`: anchored at the start.
    Prefix,
    /// Anchored at both ends.
    Whole,
    /// As `Prefix`, without regard to case.
    AnyCase,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
enum Matcher {
    /// Plain digits, which most patterns are, need no engine.
    Plain(String, Variant),
    Regex(Box<Regex>),
}

impl Matcher {
    fn compile(pattern: &str, variant: Variant) -> Result<Self, String> {
        if pattern.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Matcher::Plain(pattern.to_owned(), variant));
        }
        check_language(pattern)?;
        let whole = format!("(?:{pattern})\\z");
        let mut builder = RegexBuilder::new(if variant == Variant::Whole { &whole } else { pattern });
        let compiled = builder
            .unicode_mode(false)
            .bytes_mode(BytesMode::Ascii)
            .case_insensitive(variant == Variant::AnyCase)
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(COMPILED_BYTES)
            .max_prog_size(COMPILED_INSTRUCTIONS)
            .build();
        match compiled {
            Ok(regex) => Ok(Matcher::Regex(Box::new(regex))),
            Err(error) => Err(format!("does not compile: {}", clip(&error.to_string()))),
        }
    }

    /// Whether it matches from the start of `digits`.
    fn is_match(&self, digits: &[u8]) -> Result<bool, String> {
        match self {
            Matcher::Plain(text, Variant::Prefix) => Ok(digits.starts_with(text.as_bytes())),
            Matcher::Plain(text, Variant::Whole) => Ok(digits == text.as_bytes()),
            Matcher::Plain(text, Variant::AnyCase) => {
                Ok(digits.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text.as_bytes())))
            }
            // The leftmost match starts at 0 if and only if there is one that does.
            Matcher::Regex(regex) => match regex.find(digits) {
                Ok(found) => Ok(found.is_some_and(|found| found.start() == 0)),
                Err(_) => Err("takes too many steps".to_owned()),
            },
        }
    }

    fn values(&self, field: &Field) -> Result<Bits, String> {
        let mut bits = Bits::default();
        for value in 0..field.values {
            if self.is_match(field.text(value).as_bytes())? {
                bits.set(value);
            }
        }
        Ok(bits)
    }
}

/// Refuses what Python's `re` refuses or reads otherwise than this engine does, and nesting that needs much stack.
///
/// Source: the documentation of Python's `re` (escapes, repeated quantifiers, the warnings about `[`, `--`, `&&` and
/// `~~` inside a set). What is merely malformed is left to the engine's own message.
fn check_language(pattern: &str) -> Result<(), String> {
    /// Letters that may follow a backslash.
    const ESCAPES: &str = "AbBdDsSwWZafnrtvxuU";
    /// What a quantifier would follow.
    #[derive(Clone, Copy, PartialEq)]
    enum Before {
        Nothing,
        Atom,
        Quantifier,
    }
    let mut nesting = 0_usize;
    let mut before = Before::Nothing;
    let mut rest = pattern.chars().peekable();
    let mut start = true;
    while let Some(c) = rest.next() {
        let at_start = std::mem::take(&mut start);
        let was = std::mem::replace(&mut before, Before::Atom);
        match c {
            '\\' => match rest.next() {
                Some(letter) if letter.is_ascii_alphabetic() && !ESCAPES.contains(letter) => {
                    return Err(format!("has an unknown escape \\{letter}"));
                }
                Some('A' | 'b' | 'B' | 'Z') => before = Before::Nothing,
                _ => {}
            },
            '(' => {
                nesting += 1;
                if nesting > MAX_NESTING {
                    return Err(format!("nests groups more than {MAX_NESTING} deep"));
                }
                before = Before::Nothing;
                if rest.next_if_eq(&'?').is_some() {
                    check_extension(&mut rest, at_start)?;
                }
            }
            ')' => nesting = nesting.saturating_sub(1),
            '[' => check_set(&mut rest)?,
            '^' | '$' | '|' => before = Before::Nothing,
            '*' | '+' | '?' | '{' => {
                if c == '{' {
                    let body = |c: &char| c.is_ascii_digit() || *c == ',';
                    while rest.next_if(body).is_some() {}
                    if rest.next_if_eq(&'}').is_none() {
                        continue;
                    }
                }
                match was {
                    Before::Nothing => return Err("repeats nothing".to_owned()),
                    Before::Quantifier => return Err("repeats a repetition".to_owned()),
                    Before::Atom => {}
                }
                rest.next_if(|&modifier| matches!(modifier, '?' | '+'));
                before = Before::Quantifier;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Goes over the kind of a group, of which `(?` is read already: `:`, `=`, `<!`, `P<name>`, flags.
fn check_extension(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    at_start: bool,
) -> Result<(), String> {
    let mut flags = false;
    while rest.next_if(|&c| c.is_ascii_alphabetic() || c == '-').is_some() {
        flags = true;
    }
    if flags && !at_start && rest.peek() == Some(&')') {
        return Err("sets flags after its start".to_owned());
    }
    if rest.next_if_eq(&'<').is_some() && rest.next_if(|&c| matches!(c, '=' | '!')).is_none() {
        while rest.next_if(|&c| c != '>').is_some() {}
    }
    rest.next_if(|&c| matches!(c, ':' | '=' | '!' | '>'));
    Ok(())
}

/// Goes over a set such as `[^0-9a]`, of which `[` is read already.
fn check_set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<(), String> {
    rest.next_if_eq(&'^');
    rest.next_if_eq(&']');
    while let Some(c) = rest.next() {
        match c {
            ']' => break,
            '\\' => {
                rest.next();
            }
            '[' => {
                return Err(
                    "has [ inside a set, which regular expression languages read differently".to_owned()
                );
            }
            '-' | '&' | '~' if rest.peek() == Some(&c) => {
                return Err(format!(
                    "has {c}{c} inside a set, which regular expression languages read differently"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The digits of one field, without allocation.
#[derive(Default)]
struct Digits {
    bytes: [u8; 8],
    len: usize,
}

impl Digits {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bus(pattern: &str) -> Result<FieldPattern> {
        FieldPattern::parse(&FIELDS[1], pattern)
    }

    /// The buses that match, in hexadecimal.
    #[track_caller]
    fn check(pattern: &str, expect: &str) {
        let parsed = bus(pattern).expect(pattern);
        let found: Vec<String> = (0..256).filter(|&v| parsed.matches(v)).map(|v| FIELDS[1].text(v)).collect();
        assert_eq!(found.join(" "), expect, "{pattern}");
    }

    #[test]
    fn patterns_are_anchored_at_the_start_only() {
        check("0a", "0a");
        check("0A", "");
        check("1", "10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f");
        check("1$", "");
        check("0[0-2]", "00 01 02");
        check("(?i)0A", "0a");
        check(r"f\d(?!1)", "f0 f1 f2 f3 f4 f5 f6 f7 f8 f9");
        check(r"(?=[ab])(.)\1", "aa bb");
        check(r"(?P<d>[ef])(?P=d)\Z", "ee ff");
        check("(?:0{2}|1f)$", "00 1f");
        check("[]0]0", "00");
        check("(?x) 0 b # the eleventh", "0b");
        check("(?i:A)a", "aa");
        check("(?P<n>0){2}", "00");
        check("(?<!0)(?<=^)0{2}", "00");
        check("0a|0b|$", "0a 0b");
        check("(?!)", "");
    }

    #[test]
    fn what_python_refuses_or_reads_otherwise_is_refused() {
        for (pattern, reason) in [
            ("(", "does not compile"),
            ("*", "repeats nothing"),
            ("[0-", "does not compile"),
            (r"\1", "does not compile"),
            (r"\h", "unknown escape"),
            (r"\p{Lu}", "unknown escape"),
            ("0{1}{2}", "repeats a repetition"),
            ("0**", "repeats a repetition"),
            ("{2}", "repeats nothing"),
            ("0|{2}", "repeats nothing"),
            ("(?:{2})", "repeats nothing"),
            ("(?P<n>?)", "repeats nothing"),
            (r"\b?", "repeats nothing"),
            ("0a(?i)", "sets flags after its start"),
            ("[0[1]]", "[ inside a set"),
            ("[0-9&&1]", "&& inside a set"),
            ("(a{1000}){1000}", "does not compile"),
            (r"(0?)(?:\1|\1){12}(?=x)", "too many steps"),
        ] {
            let error = bus(pattern).expect_err(pattern);
            assert_eq!(error.kind(), ErrorKind::InvalidSpec);
            assert!(error.message().contains(reason), "{pattern}: {error}");
        }
        assert!(bus(&"(".repeat(17)).expect_err("deep").message().contains("nests"));
        assert_eq!(bus(&"0".repeat(1025)).expect_err("long").kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn domains_above_the_table_are_tested_on_their_own() {
        let domain = FieldPattern::parse(&FIELDS[0], "1000[01]?$").expect("a good pattern");
        let found: Vec<u32> =
            [0x1, 0x1000, 0x10000, 0x10001, 0x10002].into_iter().filter(|&v| domain.matches(v)).collect();
        assert_eq!(found, [0x1000, 0x10000, 0x10001]);
    }

    #[test]
    fn plain_digits_in_every_field_are_one_address() {
        let single = |text: &str| {
            let object: Map<String, Value> = serde_json::from_str(text).expect("JSON");
            AddressPattern::parse(&object).expect("a good pattern").single.map(|address| address.to_string())
        };
        let full = r#"{"domain":"10000","bus":"0a","slot":"1f","function":"7"}"#;
        assert_eq!(single(full).as_deref(), Some("10000:0a:1f.7"));
        for not in [
            r#"{"domain":"0000","bus":"0a","slot":"1f"}"#,
            r#"{"domain":"0000","bus":"0A","slot":"1f","function":"0"}"#,
            r#"{"domain":"0000","bus":"a","slot":"1f","function":"0"}"#,
            r#"{"domain":"0000","bus":"0a","slot":"20","function":"0"}"#,
            r#"{"domain":".*","bus":"0a","slot":"1f","function":"0"}"#,
        ] {
            assert_eq!(single(not), None, "{not}");
        }
    }

    proptest! {
        /// The table agrees with the engine asked directly, in its ordinary text mode and unanchored.
        #[test]
        fn the_table_equals_a_direct_match(pattern in "(\\(\\?=)?[0-9a-f\\[\\]^$.*+?|()-]{0,8}") {
            if let (Ok(parsed), Ok(direct)) = (bus(&pattern), Regex::new(&pattern)) {
                for value in 0..256 {
                    let text = FIELDS[1].text(value);
                    let found = direct.find(&text).expect("short patterns take few steps");
                    prop_assert_eq!(parsed.matches(value), found.is_some_and(|m| m.start() == 0), "{} on {}", pattern, text);
                }
            }
        }

        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,20}|[\\\\()\\[\\]{}*+?^$|.:=!<>&~,0-9a-fPpnx-]{0,24}") {
            let _ = bus(&pattern);
        }
    }
}
