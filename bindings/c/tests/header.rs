//! `include/slotwise.h` is what cbindgen makes of this crate, and agrees with the engine's table of errors.

use std::fs;
use std::path::{Path, PathBuf};

use slotwise::ErrorKind;

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
    // The order of these files is the order in the header: what every program needs first.
    let files =
        ["version", "error", "text", "outcome", "config", "specs", "aliases", "workload", "pools", "tracker"];
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in files {
        builder = builder.with_src(here.join("src").join(file).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads the sources").write(&mut text);
    String::from_utf8(text).expect("the header is UTF-8")
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
             run: SLOTWISE_UPDATE=1 cargo test -p slotwise-c --test header"
        );
    }
}

#[test]
fn every_source_file_is_in_the_header() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let header = generated();
    let mut exported = 0;
    for entry in fs::read_dir(source).expect("the sources can be listed") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("a source can be read");
        for rest in text.split("extern \"C\" fn ").skip(1) {
            let name = rest.split('(').next().unwrap_or_default();
            assert!(header.contains(&format!("{name}(")), "{name} is missing in the header");
            exported += 1;
        }
    }
    assert!(exported > 50, "only {exported} functions were found");
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
