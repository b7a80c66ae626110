//! `include/slotwise.h` is what cbindgen makes of this crate, with what the call does with each parameter under each
//! function; it agrees with the engine's table of errors, and no function lacks its documentation.

mod api;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use api::{Function, Kind, Parameter};
use slotwise::{ErrorCategory, ErrorKind};

/// What every program needs first; the other files follow by name.
const FIRST: &[&str] = &[
    "version", "error", "text", "settings", "outcome", "config", "specs", "aliases", "workload", "pools",
    "tracker",
];

/// Files without anything exported.
const INTERNAL: &[&str] = &["ffi", "lib"];

fn header() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/slotwise.h")
}

fn generated() -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = cbindgen::Config::from_file(here.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    // The version is written from the crate's own, so that the two cannot disagree.
    let version = format!(
        "\n#define SLOTWISE_VERSION_MAJOR {}\n#define SLOTWISE_VERSION_MINOR {}\n\
         #define SLOTWISE_VERSION_PATCH {}\n#define SLOTWISE_VERSION \"{}\"\n\n",
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
        env!("CARGO_PKG_VERSION"),
    );
    config.after_includes = Some(version + &config.after_includes.unwrap_or_default());
    let mut files: Vec<String> = fs::read_dir(here.join("src"))
        .expect("the sources can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .filter(|name| !INTERNAL.contains(&name.as_str()))
        .collect();
    files.sort_by_key(|name| {
        (FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()), name.clone())
    });
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in files {
        builder = builder.with_src(here.join("src").join(file).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads the sources").write(&mut text);
    let mut text = String::from_utf8(text).expect("the header is UTF-8");
    // From the last to the first, so that what is inserted moves nothing that is still to be found.
    for function in api::functions(&text).iter().rev() {
        let contract = contract(function);
        if !contract.is_empty() {
            text.insert_str(function.doc_end, &contract);
        }
    }
    text
}

/// What the call does with each parameter, as the lines that follow the function's own comment.
fn contract(function: &Function) -> String {
    let mut lines = String::new();
    let width = function.parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
    for parameter in &function.parameters {
        let name = &parameter.name;
        let null = if function.may_be_null(parameter) && function.fails() { "; may be NULL" } else { "" };
        let _ = writeln!(lines, " * @param {name:width$}  {}{null}", use_of(function, parameter));
    }
    let returned = match function.returns.as_str() {
        "void" => String::new(),
        _ if function.fails() => {
            let utf8 = function.parameters.iter().any(|parameter| parameter.kind == Kind::Utf8);
            let more = if utf8 { ", SLOTWISE_ERROR_INVALID_UTF8 for a text that is not" } else { "" };
            format!("SLOTWISE_OK, or a slotwise_code; SLOTWISE_ERROR_INVALID_ARGUMENT for NULL{more}")
        }
        "const char *" if function.parameters.is_empty() => "a constant; never free it".to_owned(),
        "const char *" => {
            format!(
                "a text that belongs to `{}` and lives as long; never free it",
                function.parameters[0].name
            )
        }
        _ => "the number".to_owned(),
    };
    if !returned.is_empty() {
        let _ = writeln!(lines, " * @return {returned}");
    }
    if lines.is_empty() { lines } else { format!("*\n{lines} ") }
}

fn use_of(function: &Function, parameter: &Parameter) -> String {
    match &parameter.kind {
        Kind::Error => {
            "what was wrong, if the call fails; the caller's, freed with slotwise_error_free()".to_owned()
        }
        Kind::NewHandle(ty) => format!("result: the caller's, freed with {ty}_free()"),
        Kind::Text(ty) if function.fails() => format!("result: the caller's, freed with {ty}_free()"),
        Kind::Text(_) => "emptied; NULL does nothing".to_owned(),
        Kind::Shared(_) => "only read: many threads may use it at the same time".to_owned(),
        Kind::Exclusive(_) => "changed: the call needs it for itself".to_owned(),
        Kind::Freed(_) => "given up: no thread may use it any more; NULL does nothing".to_owned(),
        Kind::Utf8 => "UTF-8, read during the call".to_owned(),
        Kind::Array(ty) if ty == "uint8_t" => "bytes, read during the call".to_owned(),
        Kind::Array(_) => "array, read during the call".to_owned(),
        Kind::Handles(_) => {
            "array of handles, which are only read: many threads may use them at the same time".to_owned()
        }
        Kind::Results(_) => "array of the caller's that is written to".to_owned(),
        Kind::Length(of) => {
            let bytes = function.parameters.iter().any(|other| {
                other.name == *of
                    && (other.kind == Kind::Utf8
                        || matches!(&other.kind, Kind::Array(ty) | Kind::Results(ty) if ty == "uint8_t"))
            });
            format!("how many {} `{of}` has", if bytes { "bytes" } else { "elements" })
        }
        Kind::Result(_) => "result".to_owned(),
        Kind::Struct(_) => "read during the call".to_owned(),
        Kind::Callback => "kept until it is replaced; may be NULL".to_owned(),
        Kind::Value => "a value, as said above".to_owned(),
    }
}

#[test]
fn the_committed_header_is_up_to_date() {
    let (path, new) = (header(), generated());
    if std::env::var_os("SLOTWISE_UPDATE").is_some() {
        fs::write(&path, new).expect("include/slotwise.h can be written");
        return;
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    if old != new {
        let line = old.lines().zip(new.lines()).take_while(|(old, new)| old == new).count() + 1;
        panic!(
            "include/slotwise.h differs from bindings/c from line {line} on;\n\
             run: cargo xtask header"
        );
    }
}

#[test]
fn every_exported_function_is_in_the_header() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let declared: Vec<String> =
        api::functions(&generated()).into_iter().map(|function| function.name).collect();
    let mut exported = 0;
    for entry in fs::read_dir(source).expect("the sources can be listed") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a source can be read");
        for rest in text.split("#[unsafe(no_mangle)]").skip(1) {
            let name = rest.split_once("extern \"C\" fn ").and_then(|(_, rest)| rest.split('(').next());
            let name = name.unwrap_or_default();
            assert!(declared.iter().any(|declared| declared == name), "{name} is missing in the header");
            exported += 1;
        }
    }
    assert!(exported > 50, "only {exported} functions were found");
    assert_eq!(exported, declared.len(), "the header declares what is not exported");
}

/// Only what a program calls itself is not in the layer: the code is what an exception has, and a log function is C's.
#[test]
fn the_cxx_layer_has_every_function() {
    let layer = fs::read_to_string(header().with_extension("hpp")).expect("include/slotwise.hpp can be read");
    let is_there =
        |name: &str| layer.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    let functions = api::functions(&generated());
    let lacking: Vec<&str> = functions
        .iter()
        .map(|function| function.name.as_str())
        .filter(|name| !is_there(name) && *name != "slotwise_error_code")
        .collect();
    assert!(lacking.is_empty(), "include/slotwise.hpp lacks {lacking:?}");
}

/// Names are explained, and so are failures; the rest of a function's contract is written by [`contract`].
#[test]
fn every_function_is_documented() {
    let mut lacking = Vec::new();
    for function in api::functions(&generated()) {
        let prose = function.doc.split("@param").next().unwrap_or_default();
        let prose = prose.split("@return").next().unwrap_or_default();
        let mut lacks = |what: String| lacking.push(format!("{}: {what}", function.name));
        if !prose.contains('.') || !prose.starts_with(|c: char| c.is_uppercase()) {
            lacks("a first sentence that says what it does".to_owned());
        }
        for parameter in &function.parameters {
            let explained = matches!(
                parameter.kind,
                Kind::Error
                    | Kind::NewHandle(_)
                    | Kind::Shared(_)
                    | Kind::Exclusive(_)
                    | Kind::Freed(_)
                    | Kind::Text(_)
                    | Kind::Length(_)
            ) || (matches!(parameter.kind, Kind::Result(_)) && prose.starts_with("Gives "));
            if !explained && !prose.contains(&format!("`{}`", parameter.name)) {
                lacks(format!("what `{}` is: its form, its unit, its range", parameter.name));
            }
        }
        let can_fail = function.fails()
            && function.parameters.iter().any(|parameter| {
                matches!(
                    parameter.kind,
                    Kind::Exclusive(_) | Kind::Utf8 | Kind::Array(_) | Kind::Handles(_) | Kind::Struct(_)
                )
            });
        if can_fail && !prose.contains("Fails ") {
            lacks(
                "a paragraph `Fails with SLOTWISE_ERROR_… where …`, or `Fails only as the conventions say.`"
                    .to_owned(),
            );
        }
        for code in prose.split(|c: char| !(c.is_ascii_uppercase() || c == '_')) {
            let known = |kind: &ErrorKind| format!("SLOTWISE_ERROR_{}", kind.name().to_uppercase()) == code;
            if code.starts_with("SLOTWISE_ERROR_")
                && !code.ends_with('_')
                && !ErrorKind::ALL.iter().any(known)
            {
                lacks(format!("a code that exists: {code} does not"));
            }
        }
    }
    assert!(
        lacking.is_empty(),
        "write in bindings/c/src, then run cargo xtask header:\n{}",
        lacking.join("\n")
    );
}

/// The doxygen lines say who owns and who may use what.
#[test]
fn contracts_follow_from_types() {
    let header = generated();
    let functions = api::functions(&header);
    let claim =
        functions.iter().find(|function| function.name == "slotwise_tracker_claim").expect("it is there");
    let kinds: Vec<&Kind> = claim.parameters.iter().map(|parameter| &parameter.kind).collect();
    assert_eq!(
        kinds,
        [
            &Kind::Exclusive("slotwise_tracker".to_owned()),
            &Kind::Utf8,
            &Kind::Length("owner".to_owned()),
            &Kind::Shared("slotwise_workload".to_owned()),
            &Kind::Result("uint32_t".to_owned()),
            &Kind::Text("slotwise_string".to_owned()),
            &Kind::Error,
        ]
    );
    for line in [
        "@param tracker    changed: the call needs it for itself",
        "@param owner_len  how many bytes `owner` has",
        "@param fit        result: the caller's, freed with slotwise_string_free(); may be NULL",
        "@return SLOTWISE_OK, or a slotwise_code;",
    ] {
        assert!(claim.doc.contains(line), "{line}\n{}", claim.doc);
    }
}

/// The table of `docs/errors.md`: everything after its head.
#[test]
fn the_table_of_errors_in_the_documentation_is_the_engines() {
    const HEAD: &str = "|---|---|---|---|---|\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let old = fs::read_to_string(&path).expect("docs/errors.md can be read");
    let (before, _) = old.split_once(HEAD).expect("docs/errors.md has a table");
    let mut new = format!("{before}{HEAD}");
    for kind in ErrorKind::ALL {
        let parent = match kind.category() {
            ErrorCategory::BadInput | ErrorCategory::Limit => "ValueError",
            ErrorCategory::NotFound => "LookupError",
            _ => "RuntimeError",
        };
        let _ = writeln!(
            new,
            "| {} | `{}` | `SLOTWISE_ERROR_{}` | `{}Error` (`{parent}`) | {} |",
            kind.code(),
            kind.name(),
            kind.name().to_uppercase(),
            kind.camel_name(),
            kind.meaning(),
        );
    }
    if std::env::var_os("SLOTWISE_UPDATE").is_some() {
        fs::write(&path, new).expect("docs/errors.md can be written");
        return;
    }
    assert_eq!(old, new, "run: cargo xtask header");
}

#[test]
fn codes_are_those_of_the_engine() {
    let header = generated();
    let declared: Vec<&str> = header
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("SLOTWISE_ERROR_") && line.contains('='))
        .collect();
    let expected: Vec<String> = ErrorKind::ALL
        .iter()
        .map(|kind| format!("SLOTWISE_ERROR_{} = {},", kind.name().to_uppercase(), kind.code()))
        .collect();
    assert_eq!(declared, expected, "bring slotwise_code in bindings/c/src/error.rs in line with ErrorKind");
    for kind in ErrorKind::ALL {
        assert!(header.contains(kind.meaning()), "the comment of {} differs from its meaning", kind.name());
    }
}
