//! What push providers never say themselves: that a message arrived, told by the app, and whose fault refusals are.
//!
//! An app is given `gw_id` with every message; its own server may bring it back with a token, as JSON
//! `{"gw_id": "…", "status": "delivered"}`, or `opened`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::http::{self, CallbackReceiptParser};
use super::{CallbackError, CallbackRequest};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::{Error, Result};
use postrider_core::inbound::CallbackItem;

/// Reads what apps acknowledge.
pub(super) struct AppReceipts(CallbackReceiptParser);

impl AppReceipts {
    /// None without a token: an acknowledgement of anybody's would be worth nothing.
    pub fn new(token: Option<&str>) -> Result<Option<Self>> {
        let Some(token) = token else { return Ok(None) };
        if token.len() < 16 {
            return Err(Error::usage(
                "receipts_token: is too short; write at least 16 characters that nobody can guess",
            ));
        }
        http::app_receipt_parser(token).map(Self).map(Some)
    }

    /// The receipts in a call.
    pub fn parse_callback(
        known: Option<&Self>,
        call: &CallbackRequest,
    ) -> Result<Vec<CallbackItem>, CallbackError> {
        let receipts = known.ok_or(CallbackError::NotSupported)?.0.parse(call)?;
        Ok(receipts.into_iter().map(CallbackItem::Receipt).collect())
    }
}

/// How many tokens in a row may be refused by an account that never sent anything.
const REFUSED_TOKENS_MAX: u32 = 10;

/// Whether an account has shown that it can send. Until then many refused tokens in a row speak against the account
/// (another project's, another environment's), not against that many devices; afterwards each speaks for itself.
#[derive(Default)]
pub(super) struct AccountEvidence {
    has_sent: AtomicBool,
    refused_count: AtomicU32,
}

impl AccountEvidence {
    /// The answer, or that the account is wrong when `suspect` answers are all there is.
    pub fn assess(&self, answer: SendResult, suspect: bool, suspicion: &str) -> SendResult {
        if matches!(answer.outcome, Outcome::Accepted { .. }) {
            self.has_sent.store(true, Ordering::Release);
        }
        if !suspect || self.has_sent.load(Ordering::Acquire) {
            return answer;
        }
        let refused = self.refused_count.fetch_add(1, Ordering::AcqRel) + 1;
        if refused < REFUSED_TOKENS_MAX {
            return answer;
        }
        let reason = format!("refused the first {REFUSED_TOKENS_MAX} tokens and took none: {suspicion}");
        SendResult {
            outcome: Outcome::Misconfigured { reason },
            ..answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_result() -> SendResult {
        Outcome::InvalidRecipient {
            reason: "no".to_owned(),
        }
        .into()
    }

    #[test]
    fn an_account_that_never_sent_is_suspected_and_one_that_did_is_not() {
        let fresh = AccountEvidence::default();
        let words = (0..11).map(|_| fresh.assess(refused_result(), true, "why").outcome.as_str());
        let words = words.collect::<Vec<_>>();
        assert_eq!(words[..9], ["invalid_recipient"; 9]);
        assert_eq!(words[9..], ["misconfigured"; 2]);
        let proven = AccountEvidence::default();
        proven.assess(Outcome::Accepted { reference: None }.into(), false, "why");
        for _ in 0..50 {
            assert_eq!(proven.assess(refused_result(), true, "why"), refused_result());
        }
    }
}
