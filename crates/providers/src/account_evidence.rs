//! Decides whether refused device tokens are evidence against the account.
//!
//! A single refused token concerns its device. [`AccountEvidence`] describes when refused tokens concern the account.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use postrider_core::attempt::{Outcome, SendResult};

/// Number of refused tokens after which an account that has never sent is `Misconfigured`.
const REFUSED_TOKENS_MAX: u32 = 10;

/// The history of an account in this process.
///
/// Until the account has sent a message, many refused tokens indicate a wrong account (another project or environment),
/// because it is rare that so many users uninstall an app. After the first sent message, a refused token concerns its
/// device only.
#[derive(Default)]
pub(crate) struct AccountEvidence {
    has_sent: AtomicBool,
    refused_count: AtomicU32,
}

impl AccountEvidence {
    /// Records a send result and returns it, or `Misconfigured` with `suspicion` as the reason when the account has only
    /// had suspect results so far.
    pub fn assess(&self, send_result: SendResult, is_suspect: bool, suspicion: &str) -> SendResult {
        if matches!(send_result.outcome, Outcome::Accepted { .. }) {
            self.has_sent.store(true, Ordering::Release);
        }
        if !is_suspect || self.has_sent.load(Ordering::Acquire) {
            return send_result;
        }
        let refused_count = self.refused_count.fetch_add(1, Ordering::AcqRel) + 1;
        if refused_count < REFUSED_TOKENS_MAX {
            return send_result;
        }
        let reason =
            format!("the first {REFUSED_TOKENS_MAX} tokens were refused and none accepted: {suspicion}");
        SendResult { outcome: Outcome::Misconfigured { reason }, ..send_result }
    }
}

#[cfg(test)]
mod tests;
