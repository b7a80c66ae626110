//! What can go wrong between a host and a guest.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The result of a call into a guest.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: bad input, a component that cannot be used, or a call that passed a limit.
///
/// Only [`Error::Input`] and [`Error::ForeignResource`] leave the instance usable.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused its input; the same error as through every other door.
    Input(slotwise::Error),
    /// The file of a component cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// This build has no runtime for components, because it was made without the feature `runtime`.
    NotInThisBuild,
    /// The bytes are not a WebAssembly component, or one that uses what is not supported; the text says which.
    NotAComponent(String),
    /// The component is larger than any that is read.
    ComponentTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The component needs more memories, tables or parts than any instance may have; the text says which.
    NeedsTooMuch(String),
    /// A limit is out of its range; the text says which.
    Limits(String),
    /// The cache of compiled code is not there and cannot be made, or cannot be read.
    CacheUnreadable {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The cache of compiled code is not private, so that nothing is read from it.
    CacheNotPrivate {
        /// The directory.
        path: PathBuf,
        /// Who else could write to it.
        reason: String,
    },
    /// The component wants this import, and it is not given to it.
    UnexpectedImport(String),
    /// The component does not export what is called; the text names it.
    MissingExport(String),
    /// What the component imports or exports has another type than the interface; the text says what differs.
    WrongType(String),
    /// The policy answers none of the questions, so that it would never be asked.
    AnswersNothing,
    /// The call ran longer than this limit.
    OutOfTime(Duration),
    /// The call did more work than this limit.
    OutOfFuel(u64),
    /// The guest asked for more memory than it may have.
    OutOfMemory {
        /// The limit in bytes.
        limit: usize,
    },
    /// The guest asked for more table entries than it may have.
    TableTooLarge {
        /// The limit in entries.
        limit: usize,
    },
    /// The call went deeper than its stack allows.
    StackOverflow {
        /// The limit in bytes.
        limit: usize,
    },
    /// The call handed back more than it may.
    ResultTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The policy gave an answer that cannot be used; the text says what is wrong with it.
    WrongAnswer(String),
    /// The policy says itself that it cannot answer, or cannot use its configuration; the text is its own.
    Refused(String),
    /// The guest failed in another way; the text says how.
    Trap(String),
    /// The system did not give what the host needs for it: memory, addresses, a thread; the text says why.
    System(String),
    /// This process was forked while another thread made a call: what that thread had locked stays locked here.
    Forked,
    /// The instance was thrown away after an earlier call failed; the text says how that one did.
    InstanceGone(String),
    /// A resource was handed to another instance than the one it lives in.
    ForeignResource,
}

impl Error {
    /// The error of the engine itself, if that is what this is.
    #[must_use]
    pub fn input(&self) -> Option<&slotwise::Error> {
        match self {
            Error::Input(error) => Some(error),
            _ => None,
        }
    }

    /// This error of loading the policy in a file, as every door of slotwise knows it.
    #[must_use]
    pub fn at_load(&self, path: &Path) -> slotwise::Error {
        let file = shown(path);
        let message = match self {
            // These name a path themselves.
            Error::Unreadable { .. } | Error::CacheUnreadable { .. } | Error::CacheNotPrivate { .. } => {
                self.to_string()
            }
            Error::Refused(_) => format!("{file}: it does not take its configuration: {self}"),
            _ if self.is_of_a_call() => format!("{file}: while it started and was configured: {self}"),
            _ => format!("{file}: {self}"),
        };
        self.with_remedy(slotwise::Error::new(slotwise::ErrorKind::InvalidPolicy, message))
    }

    /// This error of asking a policy of that name, as every door of slotwise knows it.
    #[must_use]
    pub fn at_call(&self, policy: &str) -> slotwise::Error {
        self.with_remedy(slotwise::Error::new(
            slotwise::ErrorKind::PolicyFailed,
            format!("policy {policy}: {self}"),
        ))
    }

    /// Whether it came out of code that ran.
    fn is_of_a_call(&self) -> bool {
        matches!(
            self,
            Error::OutOfTime(_)
                | Error::OutOfFuel(_)
                | Error::OutOfMemory { .. }
                | Error::TableTooLarge { .. }
                | Error::StackOverflow { .. }
                | Error::ResultTooLarge { .. }
                | Error::WrongAnswer(_)
                | Error::Trap(_)
        )
    }

    fn with_remedy(&self, error: slotwise::Error) -> slotwise::Error {
        let limit = match self {
            Error::OutOfTime(_) => "time_ms",
            Error::OutOfFuel(_) => "fuel",
            Error::OutOfMemory { .. } => "memory",
            Error::TableTooLarge { .. } => "table",
            // wasmtime's own texts.
            Error::NeedsTooMuch(reason) if reason.contains("minimum byte size") => "memory",
            Error::NeedsTooMuch(reason) if reason.contains("minimum element size") => "table",
            Error::NeedsTooMuch(_) => return error.with_help("make it of fewer or smaller parts"),
            Error::StackOverflow { .. } => "stack",
            Error::ResultTooLarge { .. } => "result",
            Error::Refused(_) => return error.with_help("see what the policy's author says about it"),
            Error::AnswersNothing => {
                return error.with_help("name filter, score or prefer in the scope that configure gives");
            }
            Error::Forked => {
                return error
                    .with_help("load the policy anew in this process, or fork before it is asked first");
            }
            Error::System(_) => {
                return error.with_help(
                    "lower the policy's limits instances and memory, or let the process have more threads and addresses",
                );
            }
            _ => return error,
        };
        error.with_help(format!("raise the policy's limit {limit}, or have it do with less"))
    }

    /// What stopped a call, out of the error that wasmtime gives.
    #[cfg(feature = "runtime")]
    pub(crate) fn stopped(error: wasmtime::Error, limits: &crate::limits::Limits) -> Self {
        use wasmtime::Trap;

        let error = match error.downcast::<Error>() {
            Ok(own) => return own,
            Err(error) => error,
        };
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => return Error::OutOfTime(limits.time),
            Some(Trap::StackOverflow) => return Error::StackOverflow { limit: limits.stack },
            Some(Trap::OutOfFuel) => return Error::OutOfFuel(limits.fuel.unwrap_or_default()),
            _ => {}
        }
        let reason = error.root_cause().to_string();
        if error.root_cause().is::<std::str::Utf8Error>() {
            return Error::WrongAnswer(format!("a text of an answer or a log line is not UTF-8: {reason}"));
        }
        // wasmtime keeps the type of this one to itself; a test holds on to the text.
        if reason.contains("fuel allocated for hostcalls has been exhausted") {
            return Error::ResultTooLarge { limit: limits.result };
        }
        Error::Trap(plain(&reason, MAX_REASON))
    }
}

/// The longest reason that is told of what is wrong with a component, in bytes: names in it can be long.
pub(crate) const MAX_REASON: usize = 1024;

/// As much of a path as stands in an error, in bytes.
const MAX_PATH: usize = 1024;

/// A guest's text as it may stand in a log or on a terminal: what would steer it, begin a line, or turn the direction of the
/// text around is written out. What comes after so many bytes of that is cut off.
pub(crate) fn plain(text: &str, bytes: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(bytes));
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let before = plain.len();
        if c.is_control() || turns {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
        if plain.len() > bytes {
            plain.truncate(before);
            break;
        }
    }
    plain
}

fn shown(path: &Path) -> String {
    plain(&path.display().to_string(), MAX_PATH)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(error) => error.fmt(f),
            Error::Unreadable { path, source } => write!(f, "cannot read {}: {source}", shown(path)),
            Error::CacheUnreadable { path, source } => {
                let path = shown(path);
                write!(
                    f,
                    "the cache of compiled code {path:?} cannot be used: {source}; its parent must be there"
                )
            }
            Error::NotInThisBuild => f.write_str(
                "this build of slotwise cannot run policies; use one that has the feature \"policies\"",
            ),
            Error::NotAComponent(reason) => {
                write!(f, "this is not a WebAssembly component that can be run: {reason}")
            }
            Error::ComponentTooLarge { limit } => {
                write!(f, "the component has more than {limit} bytes")
            }
            Error::NeedsTooMuch(reason) => {
                write!(f, "the component needs more than an instance may have: {reason}")
            }
            Error::Limits(reason) => write!(f, "a limit is out of range: {reason}"),
            Error::CacheNotPrivate { path, reason } => write!(
                f,
                "the cache of compiled code {} is not private: {reason}; name a directory of this user's own (chmod 700)",
                shown(path)
            ),
            Error::UnexpectedImport(name) => {
                write!(f, "the component imports {name}, but it is not given to it; build it without")
            }
            Error::MissingExport(reason) => write!(f, "the component lacks an export: {reason}"),
            Error::WrongType(reason) => {
                write!(f, "the component imports or exports another interface under this name: {reason}")
            }
            Error::AnswersNothing => f.write_str("the policy says that it answers no question"),
            Error::OutOfTime(limit) => write!(f, "the call was stopped: it ran longer than {limit:?}"),
            Error::OutOfFuel(limit) => {
                write!(f, "the call was stopped: it used more than {limit} units of fuel")
            }
            Error::OutOfMemory { limit } => {
                write!(f, "the call was stopped: the instance needs more than {limit} bytes of memory")
            }
            Error::TableTooLarge { limit } => {
                write!(f, "the call was stopped: the instance needs more than {limit} table entries")
            }
            Error::ResultTooLarge { limit } => {
                write!(f, "the call was stopped: it hands back more than {limit} bytes")
            }
            Error::StackOverflow { limit } => {
                write!(f, "the call was stopped: it needs more than {limit} bytes of stack")
            }
            Error::WrongAnswer(reason) => write!(f, "the answer cannot be used: {reason}"),
            Error::Refused(reason) => write!(f, "the policy says: {reason}"),
            Error::Trap(reason) => write!(f, "the component failed: {reason}"),
            Error::System(reason) => {
                write!(f, "the system did not give what is needed to run it: {reason}")
            }
            Error::Forked => f.write_str("this process was forked while another thread made a call"),
            Error::InstanceGone(reason) => {
                write!(f, "this instance was thrown away, make a new one; it ended with: {reason}")
            }
            Error::ForeignResource => f.write_str("the resource lives in another instance"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Unreadable { source, .. } | Error::CacheUnreadable { source, .. } => Some(source),
            _ => None,
        }
    }
}
