//! What push providers never say themselves: that a message arrived, told by the app, and whose fault refusals are.
//!
//! An app is given `gw_id` with every message; its own server may bring it back with a token, as JSON
//! `{"gw_id": "…", "status": "delivered"}`, or `opened`.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::http::{self, Reader};
use super::{Call, Refusal};
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::Incoming;
use crate::error::{Error, Result};

/// Reads what apps acknowledge.
pub(super) struct Acknowledgements(Reader);

impl Acknowledgements {
    /// None without a token: an acknowledgement of anybody's would be worth nothing.
    pub fn read(token: Option<&str>) -> Result<Option<Self>> {
        let Some(token) = token else { return Ok(None) };
        if token.len() < 16 {
            return Err(Error::usage(
                "receipts_token: is too short; write at least 16 characters that nobody can guess",
            ));
        }
        http::acknowledgements(token).map(Self).map(Some)
    }

    /// The receipts in a call.
    pub fn receipts(known: Option<&Self>, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        let receipts = known.ok_or(Refusal::NotExpected)?.0.receipts(call)?;
        Ok(receipts.into_iter().map(Incoming::Receipt).collect())
    }
}

/// How many tokens in a row may be refused by an account that never sent anything.
const REFUSED_MAX: u32 = 10;

/// Whether an account has shown that it can send. Until then many refused tokens in a row speak against the account
/// (another project's, another environment's), not against that many devices; afterwards each speaks for itself.
#[derive(Default)]
pub(super) struct Trust {
    has_sent: AtomicBool,
    refused: AtomicU32,
}

impl Trust {
    /// The answer, or that the account is wrong when `suspect` answers are all there is.
    pub fn weigh(&self, answer: Answer, suspect: bool, suspicion: &str) -> Answer {
        if matches!(answer.outcome, Outcome::Accepted { .. }) {
            self.has_sent.store(true, Ordering::Release);
        }
        if !suspect || self.has_sent.load(Ordering::Acquire) {
            return answer;
        }
        let refused = self.refused.fetch_add(1, Ordering::AcqRel) + 1;
        if refused < REFUSED_MAX {
            return answer;
        }
        let reason = format!("refused the first {REFUSED_MAX} tokens and took none: {suspicion}");
        Answer {
            outcome: Outcome::Misconfigured { reason },
            ..answer
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Answer {
        Outcome::InvalidRecipient {
            reason: "no".to_owned(),
        }
        .into()
    }

    #[test]
    fn an_account_that_never_sent_is_suspected_and_one_that_did_is_not() {
        let fresh = Trust::default();
        let words = (0..11).map(|_| fresh.weigh(refused(), true, "why").outcome.word());
        let words = words.collect::<Vec<_>>();
        assert_eq!(words[..9], ["invalid_recipient"; 9]);
        assert_eq!(words[9..], ["misconfigured"; 2]);
        let proven = Trust::default();
        proven.weigh(Outcome::Accepted { reference: None }.into(), false, "why");
        for _ in 0..50 {
            assert_eq!(proven.weigh(refused(), true, "why"), refused());
        }
    }
}
