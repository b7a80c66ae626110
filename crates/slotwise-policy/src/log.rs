//! The operator's log.

/// How much a line matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// For the author of the policy.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not meant.
    Warning,
    /// Something failed.
    Error,
}

/// Hands a line to the operator's log: at most 1024 bytes of it, and 64 lines in one call.
///
/// A policy that calls this imports `slotwise:policy/log`, the one import that it may have. Natively it writes to
/// standard error.
pub fn log(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::slotwise::policy::log;
        let level = match level {
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warning => log::Level::Warning,
            Level::Error => log::Level::Error,
        };
        log::write(level, text);
    }
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {text}");
}
