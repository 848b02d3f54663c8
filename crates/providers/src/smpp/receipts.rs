//! Maps delivery receipts to receipt statuses.
//!
//! Only a configured network error makes an address invalid; any other failure is a bounce.

use postrider_smpp::receipt::{DeliveryReceipt, normalize_error};

use crate::provider_text::sanitize_text;
use postrider_core::receipt::ReceiptStatus;

#[cfg(test)]
mod tests;

/// The network errors that mean that a number does not exist, at one SMSC.
#[derive(Clone, Debug, Default)]
pub(super) struct InvalidErrors(Vec<String>);

impl InvalidErrors {
    /// Creates the set; letter case and leading zeros do not matter.
    pub fn new(errors: &[String]) -> Self {
        Self(errors.iter().map(|error| normalize_error(error)).collect())
    }

    fn contains(&self, error: &str) -> bool {
        self.0.contains(&normalize_error(error))
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
    /// Converts a receipt.
    pub fn new(receipt: DeliveryReceipt, invalid_errors: &InvalidErrors) -> Self {
        let status = if receipt.is_intermediate { None } else { final_status(&receipt, invalid_errors) };
        Self { message_id: receipt.message_id, status }
    }
}

fn final_status(receipt: &DeliveryReceipt, invalid_errors: &InvalidErrors) -> Option<ReceiptStatus> {
    match receipt.state.as_str() {
        "DELIVRD" | "DELIVERED" => return Some(ReceiptStatus::Delivered),
        "" | "ENROUTE" | "ACCEPTD" | "ACCEPTED" | "ACKED" | "BUFFRED" | "BUFFERD" | "BUFFERED"
        | "SCHEDLD" => return None,
        _ => {}
    }
    let state = sanitize_text(&receipt.state);
    let reason = match sanitize_text(&receipt.error).as_str() {
        "" => state,
        error => format!("{state}, error {error}"),
    };
    Some(if invalid_errors.contains(&receipt.error) {
        ReceiptStatus::Invalid { reason }
    } else {
        ReceiptStatus::Bounced { reason }
    })
}
