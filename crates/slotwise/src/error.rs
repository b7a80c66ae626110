//! One error type for every door: a stable kind, a sentence, the place in the input, and the remedy.
//!
//! An error means *bad input*. A workload that does not fit is a normal answer ([`crate::Fit`]), not an error.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The result of a call that may be given bad input.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Expands the one table of error kinds; every door's codes and classes are derived from it.
macro_rules! error_kinds {
    ($($code:literal $variant:ident $name:literal $category:ident $meaning:literal,)+) => {
        /// What was wrong, as a stable kind; the table is the same in Rust, C, Python and WebAssembly.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $(
                #[doc = $meaning]
                #[serde(rename = $name)]
                $variant,
            )+
        }

        impl ErrorKind {
            /// Every kind, in the order of its code.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$variant,)+];

            /// The stable number of this kind; the C codes. Never 0, which means success in C.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self { $(ErrorKind::$variant => $code,)+ }
            }

            /// The stable name of this kind in `snake_case`, as it appears in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(ErrorKind::$variant => $name,)+ }
            }

            /// The name of this kind's variant in `CamelCase`, which is also the stem of its Python class.
            #[must_use]
            pub const fn camel_name(self) -> &'static str {
                match self { $(ErrorKind::$variant => stringify!($variant),)+ }
            }

            /// One sentence that says when this kind is given.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(ErrorKind::$variant => $meaning,)+ }
            }

            /// The family this kind belongs to.
            #[must_use]
            pub const fn category(self) -> ErrorCategory {
                match self { $(ErrorKind::$variant => ErrorCategory::$category,)+ }
            }
        }
    };
}

error_kinds! {
    1  InvalidJson       "invalid_json"        BadInput "The text is not JSON, or not of the documented shape.",
    2  InvalidAddress    "invalid_address"     BadInput "A PCI address is malformed or out of range.",
    3  InvalidDevice     "invalid_device"      BadInput "A device lacks a field or has one that contradicts another.",
    4  InvalidSpec       "invalid_spec"        BadInput "A device spec (operator rule) is not valid.",
    5  InvalidAlias      "invalid_alias"       BadInput "An alias is not valid, or contradicts another line of the same name.",
    6  InvalidRequest    "invalid_request"     BadInput "A request is not valid: a count, a policy or an alternative.",
    7  InvalidConfig     "invalid_config"      BadInput "A configuration file cannot be read as nova.conf or TOML.",
    8  InvalidPool       "invalid_pool"        BadInput "A host's pool data is not valid.",
    9  DuplicateDevice   "duplicate_device"    BadInput "The same PCI address is listed twice.",
    10 MissingParent     "missing_parent"      BadInput "A VF or vDPA device names no parent, or one that is not listed.",
    11 ParentCycle       "parent_cycle"        BadInput "Parent links form a cycle, or lead to a device that cannot be a parent.",
    12 InvalidSnapshot   "invalid_snapshot"    BadInput "A snapshot is truncated, altered, or contradicts itself.",
    13 UnsupportedVersion "unsupported_version" BadInput "A snapshot was written by a version that this one does not read.",
    14 InvalidUtf8       "invalid_utf8"        BadInput "Text is not UTF-8, or holds a NUL where none may be.",
    15 InvalidArgument   "invalid_argument"    BadInput "An argument is missing, null or out of its range.",
    16 UnknownAlias      "unknown_alias"       NotFound "No alias of that name is defined.",
    17 UnknownDevice     "unknown_device"      NotFound "No device of that address is known.",
    18 UnknownOwner      "unknown_owner"       NotFound "That owner holds no device.",
    19 AlreadyExists     "already_exists"      Conflict "Something of that name is defined already.",
    20 InvalidState      "invalid_state"       Conflict "The device or claim is in a state that does not allow the call.",
    21 WrongOwner        "wrong_owner"         Conflict "The device is held for another owner.",
    22 LimitExceeded     "limit_exceeded"      Limit    "The input is larger than a documented limit.",
    23 Conflict          "conflict"            Conflict "What was found earlier no longer holds, because the host changed since.",
    24 Internal          "internal"            Internal "A fault in slotwise itself; please report it.",
    25 InvalidPolicy     "invalid_policy"      BadInput "A policy cannot be loaded: its component, its limits or its configuration are not accepted.",
    26 PolicyFailed      "policy_failed"       Policy   "A policy failed, or gave an answer that cannot be used, and fails closed.",
    27 UnknownHost       "unknown_host"        NotFound "No host of that name is known.",
}

/// The family of an [`ErrorKind`]; a binding maps it to the language's builtin error classes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorCategory {
    /// The input itself is wrong (Python: `ValueError`).
    BadInput,
    /// The input names something that does not exist (Python: `LookupError`).
    NotFound,
    /// The input is well-formed but contradicts the present state (Python: `RuntimeError`).
    Conflict,
    /// A documented limit was passed (Python: `ValueError`).
    Limit,
    /// The operator's own code failed (Python: `RuntimeError`).
    Policy,
    /// A fault of slotwise (Python: `RuntimeError`).
    Internal,
}

/// Where in the input an error lies.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The path inside the document, such as `device_spec[2].address.bus`; empty when the whole input is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The line of the text, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in that line, in characters, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
}

/// An error: bad input, with its place and its remedy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Inner {
    kind: ErrorKind,
    message: String,
    #[serde(default)]
    place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Error {
    /// Makes an error of this kind with a sentence that says what was wrong.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), place: Place::default(), help: None }))
    }

    /// Adds what to do about it, as a sentence without a full stop.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Puts `prefix` in front of the path, so that a caller that knows more of the document completes the place.
    #[must_use]
    pub fn inside(mut self, prefix: impl fmt::Display) -> Self {
        let path = &mut self.0.place.path;
        *path = match path.as_str() {
            "" => prefix.to_string(),
            rest if rest.starts_with('[') => format!("{prefix}{rest}"),
            rest => format!("{prefix}.{rest}"),
        };
        self
    }

    /// Sets the line and column, both counted from 1, unless a more exact place is known already.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        let place = &mut self.0.place;
        if place.line.is_none() {
            place.line = Some(u32::try_from(line).unwrap_or(u32::MAX));
            place.column = Some(u32::try_from(column).unwrap_or(u32::MAX));
        }
        self
    }

    /// Moves a line and column that count from the start of a fragment to count from the start of its file.
    ///
    /// `line` and `column` are where the fragment starts, both counted from 1.
    #[must_use]
    pub fn offset_by(mut self, line: usize, column: usize) -> Self {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let column = u32::try_from(column).unwrap_or(u32::MAX);
        let place = &mut self.0.place;
        match place.line {
            None => (place.line, place.column) = (Some(line), Some(column)),
            Some(inner) => {
                if inner == 1 {
                    place.column = place.column.map(|c| c.saturating_add(column.saturating_sub(1)));
                }
                place.line = Some(inner.saturating_add(line.saturating_sub(1)));
            }
        }
        self
    }

    /// The stable kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was wrong, in one sentence, without its place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the input.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// What to do about it, if there is more to say than the message does.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { message, place, help, .. } = &*self.0;
        f.write_str(message)?;
        if !place.path.is_empty() {
            write!(f, " (at {}", place.path)?;
            match (place.line, place.column) {
                (Some(line), Some(column)) => write!(f, ", line {line} column {column})")?,
                _ => f.write_str(")")?,
            }
        } else if let (Some(line), Some(column)) = (place.line, place.column) {
            write!(f, " (at line {line} column {column})")?;
        }
        if let Some(help) = help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl Serialize for Error {
    /// Writes `{"kind", "message", "place": {"path", "line", "column"}, "help"}`, the form every door hands out.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Inner::deserialize(deserializer).map(|inner| Error(Box::new(inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_names_unique() {
        let mut names = std::collections::BTreeSet::new();
        for (i, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(kind.code() as usize, i + 1);
            assert!(names.insert(kind.name()));
        }
    }

    #[test]
    fn display_names_place_and_remedy() {
        let error = Error::new(ErrorKind::InvalidAddress, "function 9 is over 7")
            .with_help("give 0 to 7")
            .inside("address")
            .inside("[2]")
            .inside("device_spec")
            .at(4, 7);
        assert_eq!(
            error.to_string(),
            "function 9 is over 7 (at device_spec[2].address, line 4 column 7); give 0 to 7"
        );
    }

    #[test]
    fn offset_moves_only_the_first_line_sideways() {
        let first = Error::new(ErrorKind::InvalidJson, "x").at(1, 3).offset_by(10, 5);
        assert_eq!((first.place().line, first.place().column), (Some(10), Some(7)));
        let second = Error::new(ErrorKind::InvalidJson, "x").at(2, 3).offset_by(10, 5);
        assert_eq!((second.place().line, second.place().column), (Some(11), Some(3)));
    }
}
