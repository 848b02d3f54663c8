//! A line of an adapter's code table: a provider's code, its outcome and its meaning.
//!
//! The tables are in the adapters; the outcome of a code that is not in a table comes from the HTTP status.

use std::time::Duration;

use postrider_core::attempt::SendResult;

use crate::http_status::{describe_status, outcome_of_status};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::join_reasons;

/// A provider's code and its meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutcomeCode {
    /// The code as the provider writes it.
    pub code: &'static str,
    pub outcome: OutcomeKind,
    /// The meaning, for an operator.
    pub description: &'static str,
}

/// Returns one line of a code table.
pub(crate) const fn outcome_code(
    code: &'static str,
    outcome: OutcomeKind,
    description: &'static str,
) -> OutcomeCode {
    OutcomeCode { code, outcome, description }
}

impl OutcomeCode {
    /// Returns the line of a code.
    pub fn find(table: &'static [Self], code: &str) -> Option<&'static Self> {
        table.iter().find(|line| line.code == code)
    }

    /// Returns the line of a code, or a line with this outcome and description for a code that is not in the table.
    pub fn find_or(
        table: &'static [Self],
        code: &str,
        outcome: OutcomeKind,
        description: &'static str,
    ) -> Self {
        Self::find(table, code).copied().unwrap_or(outcome_code("", outcome, description))
    }

    /// Returns the meaning of an HTTP status, for a response without a known code of the provider.
    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        outcome_code("", outcome_of_status(status, retry_after), describe_status(status))
    }

    /// Returns the send result. The reason is the description followed by the provider's text.
    pub fn send_result(
        &self,
        code: String,
        provider_text: Option<&str>,
        retry_after: Option<Duration>,
    ) -> SendResult {
        let reason = join_reasons(self.description, provider_text.unwrap_or_default());
        SendResult { outcome: self.outcome.into_outcome(None, reason, retry_after), code: Some(code) }
    }
}
