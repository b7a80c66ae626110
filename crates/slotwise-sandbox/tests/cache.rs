//! The cache of compiled code: what is loaded from it, and what never is.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use common::policy::{hostile, hosts, with_query};
use slotwise_sandbox::{Error, Limits, LogLine, Policy, PolicyOptions};

/// A private directory for one test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn load_with(cache: &Path, limits: Limits) -> Result<Policy, Error> {
    let options = PolicyOptions { cache: Some(cache.to_owned()), limits, ..PolicyOptions::default() };
    Policy::from_bytes(&hostile("answers"), options)
}

/// Loads through the cache, checks that what comes out answers, and says whether it was in the cache.
#[track_caller]
fn load(cache: &Path) -> bool {
    let policy = load_with(cache, Limits::for_policies()).expect("a policy");
    let verdicts = with_query(|query| policy.try_filter(query, &hosts(3))).expect("verdicts");
    assert_eq!(verdicts.reason(1), Some("refused"));
    policy.code_origin().from_cache
}

/// The entries, without what a writer may have left.
fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(cache).expect("the cache").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

#[track_caller]
fn only_entry(cache: &Path) -> PathBuf {
    match entries(cache).as_slice() {
        [one] => one.clone(),
        others => panic!("{others:?}"),
    }
}

/// What distinguishes an entry that was written anew from one that was read.
fn identity(path: &Path) -> (u64, SystemTime, Vec<u8>) {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).expect("an entry");
    (metadata.ino(), metadata.modified().expect("a time"), fs::read(path).expect("an entry"))
}

#[test]
fn code_is_kept_by_content_version_and_configuration() {
    let cache = folder();
    assert!(!load(cache.path()), "there is nothing yet");
    let entry = only_entry(cache.path());
    assert_eq!(fs::metadata(&entry).expect("an entry").permissions().mode() & 0o777, 0o600);
    let before = identity(&entry);
    assert!(load(cache.path()));
    assert_eq!(identity(&entry), before, "the second load reads what the first wrote");

    // Code that counts instructions is other code.
    load_with(cache.path(), Limits { fuel: Some(1_000_000), ..Limits::for_policies() }).expect("a policy");
    assert_eq!(entries(cache.path()).len(), 2);
    let options = PolicyOptions { cache: Some(cache.path().to_owned()), ..PolicyOptions::default() };
    Policy::from_bytes(&hostile("trap"), options).expect("a policy");
    assert_eq!(entries(cache.path()).len(), 3);
}

#[test]
fn a_directory_is_made_for_this_user_alone() {
    let folder = folder();
    let cache = folder.path().join("code");
    load(&cache);
    assert_eq!(fs::metadata(&cache).expect("the cache").permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_others_could_write_is_an_error() {
    for (mode, who) in
        [(0o720, "its group may write to it"), (0o702, "everybody may write to it"), (0o777, "everybody")]
    {
        let cache = folder();
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(mode)).expect("a mode");
        match load_with(cache.path(), Limits::for_policies()) {
            Err(error @ Error::CacheNotPrivate { .. }) => assert!(error.to_string().contains(who), "{error}"),
            other => panic!("mode {mode:o}: {other:?}"),
        }
        assert!(entries(cache.path()).is_empty(), "nothing is written there either");
    }
}

#[test]
fn a_link_to_a_directory_is_an_error() {
    let folder = folder();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).expect("a directory");
    symlink(&real, &link).expect("a link");
    let error = load_with(&link, Limits::for_policies()).expect_err("a link");
    assert!(matches!(error, Error::CacheNotPrivate { .. }), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let error = load_with(&file, Limits::for_policies()).expect_err("a file");
    assert!(matches!(error, Error::CacheNotPrivate { .. }), "{error}");
}

/// Puts something else in the place of the entry, and checks that it is not loaded but replaced by what is right.
#[track_caller]
fn replaced(forge: impl FnOnce(&Path, &[u8])) {
    let cache = folder();
    load(cache.path());
    let entry = only_entry(cache.path());
    let (inode, _, right) = identity(&entry);
    forge(&entry, &right);
    assert!(!load(cache.path()), "what stands there now is loaded");
    let (now, _, bytes) = identity(&only_entry(cache.path()));
    assert!(fs::symlink_metadata(&entry).expect("an entry").is_file());
    assert!(now != inode || bytes == right);
    assert_eq!(bytes, right, "the same component gives the same code");
    assert!(load(cache.path()), "the new entry is not loaded");
}

#[test]
fn an_entry_that_others_could_write_is_never_loaded() {
    for mode in [0o620, 0o602, 0o666] {
        // What is in it is right: it is the mode alone that counts.
        replaced(|entry, _| fs::set_permissions(entry, fs::Permissions::from_mode(mode)).expect("a mode"));
        // The same with a flag that shows whether it was loaded: code of another policy.
        replaced(|entry, right| {
            fs::write(entry, [right, b"more"].concat()).expect("an entry");
            fs::set_permissions(entry, fs::Permissions::from_mode(mode)).expect("a mode");
        });
    }
}

#[test]
fn an_entry_of_another_user_is_never_loaded() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a file to another user");
        return;
    }
    replaced(|entry, _| std::os::unix::fs::chown(entry, Some(65_534), None).expect("another owner"));
    let cache = folder();
    std::os::unix::fs::chown(cache.path(), Some(65_534), None).expect("another owner");
    let error = load_with(cache.path(), Limits::for_policies()).expect_err("another's directory");
    assert!(error.to_string().contains("it belongs to user 65534"), "{error}");
}

#[test]
fn a_link_or_a_pipe_in_the_place_of_an_entry_is_never_loaded() {
    let elsewhere = folder();
    replaced(|entry, right| {
        let target = elsewhere.path().join("target");
        fs::write(&target, right).expect("a file");
        fs::remove_file(entry).expect("an entry");
        symlink(&target, entry).expect("a link");
    });
    replaced(|entry, _| fs::hard_link(entry, elsewhere.path().join("second")).expect("a second name"));
    replaced(|entry, _| {
        fs::remove_file(entry).expect("an entry");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, entry, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    });
}

#[test]
fn a_damaged_or_forged_entry_is_never_loaded() {
    replaced(|entry, _| fs::write(entry, b"").expect("an entry"));
    replaced(|entry, right| fs::write(entry, &right[..right.len() / 2]).expect("an entry"));
    replaced(|entry, right| fs::write(entry, &right[..20]).expect("an entry"));
    for place in [0, 20, 50, 57, 100, 5000] {
        replaced(|entry, right| {
            let mut bytes = right.to_vec();
            bytes[place] ^= 1;
            fs::write(entry, bytes).expect("an entry");
        });
    }
    // The code of another policy under this one's name: whole, ours, and still not what the name says.
    let other = folder();
    let options = PolicyOptions { cache: Some(other.path().to_owned()), ..PolicyOptions::default() };
    Policy::from_bytes(&hostile("trap"), options).expect("a policy");
    let theirs = fs::read(only_entry(other.path())).expect("an entry");
    replaced(|entry, _| fs::write(entry, &theirs).expect("an entry"));
}

#[test]
fn a_component_that_is_refused_is_not_stored() {
    let cache = folder();
    let options = PolicyOptions { cache: Some(cache.path().to_owned()), ..PolicyOptions::default() };
    let component = wat::parse_str("(component (import \"wasi:cli/environment@0.2.0\" (instance)))");
    let error = Policy::from_bytes(&component.expect("a component"), options).expect_err("an import");
    assert!(matches!(error, Error::UnexpectedImport(_)), "{error}");
    assert!(entries(cache.path()).is_empty());
}

#[test]
fn the_oldest_entries_go_and_other_files_stay() {
    let cache = folder();
    let old = |number: u32| {
        let file = fs::File::create(cache.path().join(format!("{number}.slotwise-code"))).expect("an entry");
        let age = std::time::Duration::from_secs(1_000 + u64::from(number));
        file.set_modified(SystemTime::now() - age).expect("a time");
    };
    (0..300).for_each(old);
    fs::write(cache.path().join("notes.txt"), "mine").expect("a file");
    // What cannot be removed stops nothing.
    fs::create_dir(cache.path().join("folder.slotwise-code")).expect("a folder");
    assert!(!load(cache.path()));
    let left = entries(cache.path());
    assert_eq!(left.len(), 256 + 1, "as many as are kept, and a file that is no entry");
    assert!(left.iter().any(|path| path.ends_with("notes.txt")));
    assert!(left.iter().any(|path| path.ends_with("0.slotwise-code")), "the youngest of the old");
    assert!(load(cache.path()), "the new one stays");
}

#[test]
fn many_writers_at_once_leave_one_whole_entry() {
    let cache = folder();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| load(cache.path()));
        }
    });
    only_entry(cache.path());
    assert!(load(cache.path()));
}

#[test]
fn a_cache_that_cannot_be_written_only_costs_time() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let cache = folder();
    fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o500)).expect("a mode");
    load(cache.path());
    assert!(entries(cache.path()).is_empty());
}

#[test]
fn a_cache_that_cannot_be_made_is_an_error_and_one_that_is_full_a_line_in_the_log() {
    let folder = folder();
    let error = load_with(&folder.path().join("no/code"), Limits::for_policies()).expect_err("no parent");
    assert!(matches!(error, Error::CacheUnreadable { .. }), "{error}");
    assert!(error.to_string().starts_with("the cache of compiled code"), "{error}");

    load(folder.path());
    let entry = only_entry(folder.path());
    fs::remove_file(&entry).expect("an entry");
    // A directory under the entry's name cannot be replaced, whoever runs this.
    fs::create_dir(&entry).expect("a directory");
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = lines.clone();
    let options = PolicyOptions {
        cache: Some(folder.path().to_owned()),
        log: Some(Arc::new(move |line: &LogLine| seen.lock().expect("lines").push(line.text.clone()))),
        ..PolicyOptions::default()
    };
    Policy::from_bytes(&hostile("answers"), options).expect("a policy");
    let lines = lines.lock().expect("lines");
    assert!(
        matches!(lines.as_slice(), [line] if line.contains("could not be put in the cache")),
        "{lines:?}"
    );
}
