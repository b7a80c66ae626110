//! What a command is given: texts, configurations, and the devices of a machine.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use slotwise::{Config, ConfigFormat, Error, ErrorKind, json, limits};

use crate::failure::{Failure, Result, Source};

/// Reads a text file, or standard input for `-`.
pub(crate) fn text(path: &Path) -> Result<Source> {
    let name = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
    let cannot_read = |error: io::Error| {
        Failure::new(
            ErrorKind::InvalidArgument,
            format!("cannot read {name}: {error}"),
            "name a file that can be read",
        )
    };
    // One byte more than is accepted is enough to know that it is too much.
    let most = limits::MAX_DOCUMENT_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    match path == Path::new("-") {
        true => io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)),
    }
    .map_err(cannot_read)?;
    if bytes.len() as u64 == most {
        let message = format!("{name} is larger than {} bytes", limits::MAX_DOCUMENT_BYTES);
        return Err(Failure::new(ErrorKind::LimitExceeded, message, "name the file that was meant"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text: text.into() }),
        Err(error) => {
            let valid =
                String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let line = valid.matches('\n').count() + 1;
            let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let found = Error::new(ErrorKind::InvalidUtf8, "the text is not UTF-8")
                .with_help("save the file as UTF-8")
                .at(line, column);
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Err(Failure::within(found, &Source { name, text: shown.into() }))
        }
    }
}

/// Reads a JSON document of type `T`, called `what` in errors.
pub(crate) fn document<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T> {
    let source = text(path)?;
    json::parse(&source.text, what).map_err(|error| Failure::within(error, &source))
}

/// Reads a configuration file.
pub(crate) fn config(path: &Path) -> Result<Config> {
    parse_config(path, &text(path)?)
}

/// Reads the configuration in `source`, which was read from `path`.
///
/// The extension decides how. Without a known one the content does: what is TOML is read as TOML, since an oslo.config
/// file with PCI options in it never is (their values are JSON without quotes around).
pub(crate) fn parse_config(path: &Path, source: &Source) -> Result<Config> {
    let parse = |format| Config::parse(&source.text, format);
    let parsed = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => parse(ConfigFormat::Toml),
        Some("conf") => parse(ConfigFormat::NovaConf),
        _ => match parse(ConfigFormat::Toml) {
            Err(error) if error.kind() == ErrorKind::InvalidConfig => parse(ConfigFormat::NovaConf),
            parsed => parsed,
        },
    };
    parsed.map_err(|error| Failure::within(error, source))
}
