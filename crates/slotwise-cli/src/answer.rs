//! What a command prints and how it ends.

use serde::Serialize;
use slotwise::ErrorKind;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// The whole of standard output, and the exit code. Warnings have gone to standard error by then.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) stdout: String,
    pub(crate) exit: Exit,
}

impl Answer {
    /// A text for people, styled for a terminal.
    pub(crate) fn text(exit: Exit, stdout: String) -> Result<Self> {
        Ok(Answer { stdout, exit })
    }

    /// A document for programs, with line breaks so that people can read it as well.
    pub(crate) fn json<T: Serialize + ?Sized>(exit: Exit, document: &T) -> Result<Self> {
        match serde_json::to_string_pretty(document) {
            Ok(text) => Ok(Answer { stdout: text + "\n", exit }),
            // The documents have string keys and finite numbers only, so that this is a fault of slotwise.
            Err(error) => Err(Failure::new(ErrorKind::Internal, error.to_string(), "please report it")),
        }
    }
}
