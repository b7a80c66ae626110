//! What is set for the whole process: where log lines go, and how large an argument may be.
//!
//! This is the only global state of the library: two words and a lock, without anything allocated.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use slotwise::log::{Level, Line};
use slotwise::{Error, ErrorKind, Result, limits, log};

use crate::error::slotwise_error;
use crate::ffi;
use crate::text::slotwise_string;

/// How much a log line matters; a level includes those of smaller numbers.
///
/// Functions take and give it as uint32_t.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum slotwise_log_level {
    /// No line.
    SLOTWISE_LOG_OFF = 0,
    /// A fault in slotwise itself.
    SLOTWISE_LOG_ERROR = 1,
    /// Something allowed that is probably not meant.
    SLOTWISE_LOG_WARNING = 2,
    /// Something changed, or a workload was turned away.
    SLOTWISE_LOG_INFO = 3,
    /// Nothing changed, or a call failed, which its caller learns anyway.
    SLOTWISE_LOG_DEBUG = 4,
}

/// Receives one log line.
///
/// `context` is what slotwise_log_set() was given, `level` a slotwise_log_level, `function` the name of the function that was
/// called (for a policy's lines `slotwise_policy`), and `message` a UTF-8 text of `message_len` bytes followed by a NUL. Both
/// texts live until it returns.
/// It is called by the thread that called the library (for a policy's lines by one that this thread waits for), by several at the
/// same time if they do, and while that thread's handle is in use: it must not use that handle, must not throw or jump out, and
/// calls that it makes itself are not logged.
pub type slotwise_log_function = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        level: u32,
        function: *const c_char,
        message: *const c_char,
        message_len: usize,
    ),
>;

struct Sink {
    function: slotwise_log_function,
    /// The caller's pointer as a number: it is handed back, never followed.
    context: usize,
}

static SINK: RwLock<Sink> = RwLock::new(Sink { function: None, context: 0 });
static LEVEL: AtomicU32 = AtomicU32::new(0);
static MAX_ARGUMENT: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    /// Whether this thread is inside the callback. It has no destructor, so nothing keeps the library from being unloaded.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sends log lines of `level` (a slotwise_log_level) and less to `function`, for the whole process; NULL or
/// SLOTWISE_LOG_OFF ends that.
///
/// `context` is handed to `function` as it is; both may be NULL. When this call has returned, the function that was set before
/// is not running and is not called again, so that its code and context may go. It must not be called from inside `function`.
///
/// Fails with SLOTWISE_ERROR_INVALID_ARGUMENT for another level, and with SLOTWISE_ERROR_INVALID_STATE inside `function`; what
/// was set stays then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_log_set(
    function: slotwise_log_function,
    context: *mut c_void,
    level: u32,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            if level > slotwise_log_level::SLOTWISE_LOG_DEBUG as u32 {
                return Err(Error::new(ErrorKind::InvalidArgument, format!("{level} is no log level"))
                    .with_help("levels are 0 to 4")
                    .inside("level"));
            }
            if LOGGING.get() {
                return Err(Error::new(
                    ErrorKind::InvalidState,
                    "the log function is running in this thread",
                )
                .with_help("set it outside of the function"));
            }
            // Waits for calls of the old function. A panic inside the lock cannot be, so that poison means nothing.
            let mut sink = SINK.write().unwrap_or_else(PoisonError::into_inner);
            *sink = Sink { function, context: context.expose_provenance() };
            LEVEL.store(if function.is_some() { level } else { 0 }, Ordering::Relaxed);
            Ok(())
        })
    }
}

/// Refuses from now on, in the whole process, arguments (texts, documents, snapshots) of more than `bytes` bytes.
///
/// What a call allocates grows with its arguments and with what its handle holds, which came in through arguments: this bounds
/// both. 0 sets the engine's own limits again, which slotwise_limits() tells and which hold besides.
///
/// Fails only as the conventions say. Calls that are refused fail with SLOTWISE_ERROR_LIMIT_EXCEEDED, before anything is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_limits_set(bytes: usize, error: *mut *mut slotwise_error) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            MAX_ARGUMENT.store(if bytes == 0 { usize::MAX } else { bytes }, Ordering::Relaxed);
            Ok(())
        })
    }
}

/// Gives the engine's limits on what it is handed: a JSON object of names and numbers, such as `"max_devices": 1048576`.
///
/// Names that end in `_bytes` are in bytes, the others count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slotwise_limits(
    limits: *mut slotwise_string,
    error: *mut *mut slotwise_error,
) -> u32 {
    // SAFETY: the caller vouches for the pointers, as the API conventions say.
    unsafe {
        ffi::guard(error, || {
            let table = ffi::out(limits, "limits")?;
            let all: serde_json::Map<String, serde_json::Value> =
                limits::ALL.iter().map(|(name, limit)| ((*name).to_owned(), (*limit).into())).collect();
            table.set_document(&all);
            Ok(())
        })
    }
}

/// Checks the length of an argument against what the process has set.
pub(crate) fn check_argument(len: usize, name: &str) -> Result<()> {
    let max = MAX_ARGUMENT.load(Ordering::Relaxed);
    if len <= max {
        return Ok(());
    }
    Err(Error::new(ErrorKind::LimitExceeded, format!("{len} bytes are over the limit of {max}"))
        .with_help("slotwise_limits_set() has set that limit")
        .inside(name))
}

/// Whether a line of this level would be written; costs one load of a number.
pub(crate) fn logs(level: Level) -> bool {
    number(level) <= LEVEL.load(Ordering::Relaxed)
}

/// The path of a closure, which holds the name of the exported function that it stands in.
pub(crate) fn name_of<C>(_closure: &C) -> &'static str {
    std::any::type_name::<C>()
}

/// Hands a line to the caller's function, if there is one and it wants this level; `path` is from [`name_of`].
pub(crate) fn write(line: &Line, path: &str) {
    if !logs(line.level) || LOGGING.get() {
        return;
    }
    let exported = |part: &&str| part.starts_with("slotwise_") && *part != "slotwise_c";
    let name = path.split("::").find(exported).unwrap_or(path);
    let (name, message) = (format!("{name}\0"), format!("{}\0", line.text.replace('\0', "\u{fffd}")));
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner);
    let Some(function) = sink.function else { return };
    LOGGING.set(true);
    // SAFETY: the caller of slotwise_log_set vouches for the function until it sets another, which waits for this lock.
    unsafe {
        function(
            std::ptr::with_exposed_provenance_mut(sink.context),
            number(line.level),
            name.as_ptr().cast(),
            message.as_ptr().cast(),
            message.len() - 1,
        );
    }
    LOGGING.set(false);
}

/// Writes what the engine says about a call that succeeded, if anyone listens; used inside the exported function.
macro_rules! log_line {
    ($line:expr) => {
        if $crate::settings::logs(slotwise::log::Level::Error) {
            $crate::settings::write(&$line, $crate::settings::name_of(&|| ()));
        }
    };
}
pub(crate) use log_line;

/// Writes the warnings of rules, aliases or a configuration that were just read, if anyone listens.
macro_rules! log_warnings {
    ($of:expr) => {
        if $crate::settings::logs(slotwise::log::Level::Warning) {
            for warning in $of.warnings() {
                $crate::settings::log_line!(slotwise::log::warning(&warning));
            }
        }
    };
}
pub(crate) use log_warnings;

/// Writes the line for a failed call.
pub(crate) fn write_failure(failure: &Error, path: &str) {
    if logs(Level::Error) {
        write(&log::failed(failure), path);
    }
}

/// Does work in another thread as part of this one, as far as logging is concerned: what the caller's function calls is not
/// logged there either.
pub(crate) fn also_while_logging<R>(work: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let logging = LOGGING.get();
    move || {
        LOGGING.set(logging);
        work()
    }
}

fn number(level: Level) -> u32 {
    let level = match level {
        Level::Error => slotwise_log_level::SLOTWISE_LOG_ERROR,
        Level::Warning => slotwise_log_level::SLOTWISE_LOG_WARNING,
        Level::Info => slotwise_log_level::SLOTWISE_LOG_INFO,
        Level::Debug => slotwise_log_level::SLOTWISE_LOG_DEBUG,
    };
    level as u32
}
