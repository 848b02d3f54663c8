//! Maps delivery receipts to receipt statuses.
//!
//! Only a configured network error makes an address invalid; any other failure is a bounce.

use std::collections::BTreeMap;

use postrider_smpp::receipt::{DeliveryReceipt, StateMeaning, normalize_error, state_meaning};
use serde::Deserialize;

use crate::provider_text::sanitize_text;
use postrider_core::receipt::ReceiptStatus;

#[cfg(test)]
mod tests;

/// The meaning of a state in receipts, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReceiptStateKind {
    Delivered,
    Bounced,
    Invalid,
    Pending,
}

/// The meaning of states and network errors in the receipts of one SMSC.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceiptRules {
    /// Network errors that mean that a number does not exist, normalised.
    invalid_errors: Vec<String>,
    /// Configured states in upper case.
    states: BTreeMap<String, ReceiptStateKind>,
}

impl ReceiptRules {
    /// Creates the rules. Letter case is ignored, and so are leading zeros of network errors.
    pub fn new(invalid_errors: &[String], states: &BTreeMap<String, ReceiptStateKind>) -> Self {
        Self {
            invalid_errors: invalid_errors.iter().map(|error| normalize_error(error)).collect(),
            states: states.iter().map(|(state, kind)| (state.trim().to_ascii_uppercase(), *kind)).collect(),
        }
    }

    /// Returns the meaning of a state; `None` for an unknown word.
    fn state_kind(&self, receipt: &DeliveryReceipt) -> Option<ReceiptStateKind> {
        let configured = self.states.get(&receipt.state).copied();
        configured.or_else(|| match state_meaning(&receipt.state)? {
            StateMeaning::Delivered => Some(ReceiptStateKind::Delivered),
            StateMeaning::NotFinal => Some(ReceiptStateKind::Pending),
            StateMeaning::Failed if self.invalid_errors.contains(&normalize_error(&receipt.error)) => {
                Some(ReceiptStateKind::Invalid)
            }
            StateMeaning::Failed => Some(ReceiptStateKind::Bounced),
        })
    }

    /// Returns whether the state of a receipt is a word with no known meaning.
    pub fn is_unknown_state(&self, receipt: &DeliveryReceipt) -> bool {
        !receipt.state.is_empty() && self.state_kind(receipt).is_none()
    }
}

/// The effect of a receipt on a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReceiptUpdate {
    /// Normalised message id.
    pub message_id: String,
    /// The final status; `None` while the state is not final.
    pub status: Option<ReceiptStatus>,
}

impl ReceiptUpdate {
    /// Converts a receipt. An unknown state counts as not final, because a final status cannot be corrected later.
    pub fn new(receipt: DeliveryReceipt, rules: &ReceiptRules) -> Self {
        let status = if receipt.is_intermediate { None } else { final_status(&receipt, rules) };
        Self { message_id: receipt.message_id, status }
    }
}

fn final_status(receipt: &DeliveryReceipt, rules: &ReceiptRules) -> Option<ReceiptStatus> {
    let receipt_state = sanitize_text(&receipt.state);
    let reason = match sanitize_text(&receipt.error).as_str() {
        "" => receipt_state,
        error => format!("{receipt_state}, error {error}"),
    };
    match rules.state_kind(receipt)? {
        ReceiptStateKind::Delivered => Some(ReceiptStatus::Delivered),
        ReceiptStateKind::Bounced => Some(ReceiptStatus::Bounced { reason }),
        ReceiptStateKind::Invalid => Some(ReceiptStatus::Invalid { reason }),
        ReceiptStateKind::Pending => None,
    }
}
