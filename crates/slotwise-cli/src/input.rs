//! What a command is given: texts, configurations, and the devices of a machine.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;

use slotwise::{Config, ConfigFormat, Error, ErrorKind, Fleet, json, limits};

use crate::failure::{Failure, Result, Source};

/// Reads a text file, or standard input for `-`.
pub(crate) fn text(path: &Path) -> Result<Source> {
    let name = name(path);
    // One byte more than is accepted is enough to know that it is too much.
    let most = limits::MAX_DOCUMENT_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| cannot_read(&name, &error))?;
    if bytes.len() as u64 == most {
        let message = format!("{name} is larger than {} bytes", limits::MAX_DOCUMENT_BYTES);
        return Err(Failure::new(ErrorKind::LimitExceeded, message, "name the file that was meant"));
    }
    utf8(name, bytes, 0)
}

/// Reads hosts, one document per line, into a fleet. The file may be larger than memory; a line may not.
pub(crate) fn hosts(path: &Path, fleet: &mut Fleet) -> Result<()> {
    let name = name(path);
    let mut file = io::BufReader::new(open(path).map_err(|error| cannot_read(&name, &error))?);
    let most = limits::MAX_DOCUMENT_BYTES as u64 + 1;
    for before in 0.. {
        let mut line = Vec::new();
        let read = file.by_ref().take(most).read_until(b'\n', &mut line);
        if read.map_err(|error| cannot_read(&name, &error))? == 0 {
            return Ok(());
        }
        if line.len() as u64 == most {
            let message = format!("line {} of {name} is longer than {} bytes", before + 1, most - 1);
            let help = "put each host on a line of its own";
            return Err(Failure::new(ErrorKind::LimitExceeded, message, help));
        }
        let source = utf8(name.clone(), line, before)?;
        if !source.text.trim().is_empty() {
            let put = fleet.put_line(&source.text);
            put.map_err(|error| Failure::within(error.offset_by(before + 1, 1), &source))?;
        }
    }
    Ok(())
}

/// What to call a file in messages.
fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    match path == Path::new("-") {
        true => Ok(Box::new(io::stdin())),
        false => Ok(Box::new(File::open(path)?)),
    }
}

fn cannot_read(name: &str, error: &io::Error) -> Failure {
    let message = format!("cannot read {name}: {error}");
    Failure::new(ErrorKind::InvalidArgument, message, "name a file that can be read")
}

/// The text of these bytes, before which so many lines stand.
fn utf8(name: String, bytes: Vec<u8>, before: usize) -> Result<Source> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text: text.into(), before }),
        Err(error) => {
            let valid =
                String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
            let line = before + valid.matches('\n').count() + 1;
            let column = valid.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let found = Error::new(ErrorKind::InvalidUtf8, "the text is not UTF-8")
                .with_help("save the file as UTF-8")
                .at(line, column);
            let shown = String::from_utf8_lossy(error.as_bytes()).into_owned();
            Err(Failure::within(found, &Source { name, text: shown.into(), before }))
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
