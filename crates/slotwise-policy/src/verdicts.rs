//! What a policy says about each host.

use crate::bindings::exports::slotwise::policy::api;

/// One verdict for each host: it passes, or the reason why not.
///
/// [`Hosts::judge`](crate::Hosts::judge) makes them of a rule that looks at one host after the other; this is for others:
///
/// ```
/// use slotwise_policy::Verdicts;
///
/// let mut verdicts = Verdicts::all_pass(3);
/// verdicts.refuse(2, "too many neighbours");
/// assert_eq!(verdicts.reason(0), None);
/// assert_eq!(verdicts.reason(2), Some("too many neighbours"));
/// ```
#[derive(Clone, Debug)]
pub struct Verdicts(api::Verdicts);

impl Verdicts {
    /// All of so many hosts pass.
    #[must_use]
    pub fn all_pass(hosts: usize) -> Self {
        Verdicts(api::Verdicts { codes: vec![0; hosts], reasons: Vec::new() })
    }

    /// Refuses a host, for a reason of at most 1024 bytes that operators will read.
    pub fn refuse(&mut self, host: usize, reason: &str) {
        let code = self.code(reason);
        self.set(host, code);
    }

    /// Why a host is refused; `None` when it passes.
    #[must_use]
    pub fn reason(&self, host: usize) -> Option<&str> {
        let code = *self.0.codes.get(host)? as usize;
        code.checked_sub(1).and_then(|index| self.0.reasons.get(index)).map(String::as_str)
    }

    /// The code of a reason. Of many reasons the last ones are looked through, so that ten thousand hosts with a reason
    /// each do not take the square of that; one that is there twice does no harm.
    pub(crate) fn code(&mut self, reason: &str) -> u32 {
        let reasons = &mut self.0.reasons;
        let first = reasons.len().saturating_sub(16);
        let index = match reasons[first..].iter().position(|known| crate::sets::same(known, reason)) {
            Some(found) => first + found,
            None => {
                reasons.push(reason.to_owned());
                reasons.len() - 1
            }
        };
        crate::sets::number(index + 1)
    }

    pub(crate) fn set(&mut self, host: usize, code: u32) {
        if let Some(verdict) = self.0.codes.get_mut(host) {
            *verdict = code;
        }
    }
}

impl From<Verdicts> for api::Verdicts {
    fn from(verdicts: Verdicts) -> Self {
        verdicts.0
    }
}
