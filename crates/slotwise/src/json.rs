//! JSON at the doors: every document is parsed here, so that every error names its place in the same way.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// Parses a document of type `T`, called `what` in errors.
///
/// # Errors
///
/// [`ErrorKind::LimitExceeded`] when the text is over [`limits::MAX_DOCUMENT_BYTES`]; otherwise the error that a
/// part of the document gave about itself, or [`ErrorKind::InvalidJson`], with path, line and column.
///
/// ```
/// let error = slotwise::json::parse::<slotwise::Workload>(r#"{"requests": [{"count": "two"}]}"#, "workload")
///     .unwrap_err();
/// assert_eq!(error.place().path, "workload.requests[0].count");
/// ```
pub fn parse<T: DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    parse_within(text, what, limits::MAX_DOCUMENT_BYTES)
}

/// The same with a limit of its own, in bytes.
pub(crate) fn parse_within<T: DeserializeOwned>(text: &str, what: &str, limit: usize) -> Result<T> {
    limits::check("document size in bytes", text.len(), limit).map_err(|e| e.inside(what))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        // A question mark stands for a key that was never read, because the text ends or breaks before it.
        let path = path.strip_suffix(".?").unwrap_or(&path);
        let path = if matches!(path, "." | "?") { String::new() } else { path.to_owned() };
        let source = error.into_inner();
        let (line, column) = (source.line(), source.column());
        let mut found = from_serde(&source.to_string());
        if !path.is_empty() {
            found = found.inside(path);
        }
        let found = found.inside(what);
        if line > 0 { found.at(line, column.max(1)) } else { found }
    })?;
    reader.end().map_err(|error| {
        Error::new(ErrorKind::InvalidJson, "text follows after the end of the document")
            .with_help("hand over one JSON document")
            .inside(what)
            .at(error.line(), error.column().max(1))
    })?;
    Ok(value)
}

/// Writes a document as compact JSON.
///
/// Every type of this crate has string keys and finite numbers only, so writing one cannot fail.
#[must_use]
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("slotwise types are JSON: {error}"))
}

/// Marks a structured error on its way through a `serde` error, which keeps text only.
const MARK: char = '\u{1}';

/// Carries `error` through a deserializer; [`parse`] takes it out again.
pub(crate) fn carry<E: serde::de::Error>(error: &Error) -> E {
    E::custom(format!("{MARK}{}{MARK}", to_string(error)))
}

fn from_serde(message: &str) -> Error {
    // At the beginning only: further on a message may quote what the document says.
    let carried = message.strip_prefix(MARK).and_then(|rest| rest.split(MARK).next());
    carried.and_then(|error| serde_json::from_str::<Error>(error).ok()).unwrap_or_else(|| {
        // serde_json ends its message with the place, which the error carries on its own.
        let message = message.split(" at line ").next().unwrap_or(message);
        Error::new(ErrorKind::InvalidJson, message)
    })
}

/// Like [`parse`], for a value that is in memory already.
///
/// # Errors
///
/// As [`parse`], without line and column.
pub fn from_value<T: DeserializeOwned>(value: &serde_json::Value, what: &str) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let mut found = from_serde(&error.into_inner().to_string());
        if path != "." {
            found = found.inside(path);
        }
        found.inside(what)
    })
}
