//! The three answers to a workload.

use slotwise::Fit;

use crate::ffi::Out;
use crate::text::slotwise_string;

/// The answer to a workload; bad input is none of them, but an error.
///
/// Functions write it as uint32_t.
#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub enum slotwise_outcome {
    /// All requests can be served together.
    SLOTWISE_OUTCOME_FITS = 0,
    /// They cannot, whatever is tried.
    SLOTWISE_OUTCOME_NO_FIT = 1,
    /// The search budget ran out before either was shown.
    SLOTWISE_OUTCOME_UNDECIDED = 2,
}

/// Hands an answer out: its number, and the document if the caller wants it.
pub(crate) fn set_fit(fit: &Fit, outcome: Out<u32>, document: Option<Out<slotwise_string>>) {
    let number = match fit {
        Fit::Fits(_) => slotwise_outcome::SLOTWISE_OUTCOME_FITS,
        Fit::NoFit(_) => slotwise_outcome::SLOTWISE_OUTCOME_NO_FIT,
        Fit::Undecided(_) => slotwise_outcome::SLOTWISE_OUTCOME_UNDECIDED,
    };
    outcome.set(number as u32);
    if let Some(document) = document {
        document.set_document(fit);
    }
}
