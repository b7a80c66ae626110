//! What a policy writes to the operator's log, and what the host writes about it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::plain;

/// How much a line matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// For the author of the policy.
    Debug,
    /// Worth knowing.
    Info,
    /// Probably not meant.
    Warning,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// The name in small letters, such as `warning`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warning => "warning",
            LogLevel::Error => "error",
        }
    }
}

/// A line for the operator's log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogLine {
    /// The policy that it is about.
    pub policy: String,
    /// How much it matters.
    pub level: LogLevel,
    /// The text, without control characters.
    pub text: String,
}

/// Takes log lines; called after the policy's call, by the thread that made it.
pub type LogSink = Arc<dyn Fn(&LogLine) + Send + Sync>;

/// The longest line that is kept, in bytes.
const MAX_LINE: usize = 1024;

/// The most lines that are kept of one call.
const MAX_LINES: usize = 64;

/// The lines of the present call.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: Vec<(LogLevel, String)>,
    lost: u64,
}

impl Lines {
    pub(super) fn push(&mut self, level: LogLevel, text: &str) {
        if self.kept.len() < MAX_LINES {
            self.kept.push((level, plain(text, MAX_LINE)));
        } else {
            self.lost = self.lost.saturating_add(1);
        }
    }
}

/// Where the lines of one policy go.
pub(super) struct Log {
    sink: Option<LogSink>,
    lines: AtomicU64,
    lost: AtomicU64,
}

impl Log {
    pub(super) fn new(sink: Option<LogSink>) -> Self {
        Log { sink, lines: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Hands out the lines of a call, and says how many were lost.
    pub(super) fn take(&self, policy: &str, lines: &mut Lines) {
        let Lines { kept, lost } = std::mem::take(lines);
        if kept.is_empty() && lost == 0 {
            return;
        }
        self.lines.fetch_add(kept.len() as u64, Ordering::Relaxed);
        self.lost.fetch_add(lost, Ordering::Relaxed);
        for (level, text) in kept {
            self.write(policy, level, text);
        }
        if lost > 0 {
            self.write(policy, LogLevel::Warning, format!("{lost} more lines of one call are not kept"));
        }
    }

    pub(super) fn write(&self, policy: &str, level: LogLevel, text: String) {
        if let Some(sink) = &self.sink {
            sink(&LogLine { policy: policy.to_owned(), level, text });
        }
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (self.lines.load(Ordering::Relaxed), self.lost.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("lines", &self.lines).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bounded_and_plain() {
        let mut lines = Lines::default();
        lines.push(LogLevel::Info, "a\u{1b}[31mb\nc\u{85}\u{2028}d\u{202e}e\u{200d}");
        lines.push(LogLevel::Info, &"ä".repeat(1000));
        for _ in 0..100 {
            lines.push(LogLevel::Debug, "again");
        }
        assert_eq!(lines.kept[0].1, "a\\u{1b}[31mb\\nc\\u{85}\\u{2028}d\\u{202e}e\u{200d}");
        assert_eq!(lines.kept[1].1.len(), 1024);
        assert_eq!(plain(&"\u{1b}".repeat(1000), 1024), "\\u{1b}".repeat(170), "what is written out counts");
        assert_eq!((lines.kept.len(), lines.lost), (64, 38));
    }
}
