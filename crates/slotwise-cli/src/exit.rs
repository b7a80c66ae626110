//! The exit codes: one table for the program and for its help.

use std::process::ExitCode;

/// How a command ended, apart from what it printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// The answer is yes: it fits, the device is assignable, the configuration is valid.
    Yes = 0,
    /// The answer is no, or `--strict` made something of a warning.
    No = 1,
    /// Bad input: the command line, a file, or a machine that cannot be read.
    BadInput = 2,
    /// The search budget ran out before the answer was known.
    Undecided = 3,
    /// The answer could not be written, or a fault of slotwise itself.
    Broken = 4,
    /// A policy failed: it passed a limit, trapped, or gave an answer that cannot be used.
    PolicyFailed = 5,
}

/// The same table as the help prints it.
pub(crate) const HELP: &str = "\
Exit codes:
  0  fine: the request fits, the device is assignable, the configuration is valid
  1  the answer is no: it does not fit, the device is not assignable, or --strict met a warning
  2  bad input: the command line, a file, or a machine that cannot be read
  3  undecided: the search budget ran out before the answer was known
  4  the answer could not be written, or a fault of slotwise itself
  5  a policy failed: it passed a limit, trapped, or gave an answer that cannot be used";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        for exit in [Exit::Yes, Exit::No, Exit::BadInput, Exit::Undecided, Exit::Broken, Exit::PolicyFailed] {
            assert!(HELP.contains(&format!("\n  {}  ", exit as u8)), "{exit:?}");
        }
    }
}
