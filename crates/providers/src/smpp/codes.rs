//! Maps `command_status` values to outcomes.
//!
//! The values of a vendor are configured; a vendor's value without a setting is `deferred`.

use std::collections::BTreeMap;

use postrider_smpp::command_status::{ESME_ROK, VENDOR_STATUSES, describe_status, format_status};

use crate::outcome_kind::OutcomeKind;
use postrider_core::attempt::{Outcome, SendResult};

#[cfg(test)]
mod tests;

/// The outcomes of statuses at one SMSC.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusOutcomes {
    vendor_outcomes: BTreeMap<u32, OutcomeKind>,
}

impl StatusOutcomes {
    /// Parses the configured statuses, decimal or hexadecimal with `0x`.
    pub fn parse(statuses: &BTreeMap<String, OutcomeKind>) -> Result<Self, String> {
        let mut vendor_outcomes = BTreeMap::new();
        for (status_text, outcome_kind) in statuses {
            let digits = status_text.trim().to_ascii_lowercase();
            let status = match digits.strip_prefix("0x") {
                Some(hex_digits) => u32::from_str_radix(hex_digits, 16),
                None => digits.parse(),
            };
            let status = status.ok().filter(|status| *status != ESME_ROK).ok_or_else(|| {
                format!("statuses: \"{status_text}\" is not a status; write it like \"0x0411\"")
            })?;
            vendor_outcomes.insert(status, *outcome_kind);
        }
        Ok(Self { vendor_outcomes })
    }

    /// Returns the outcome of a submit that was refused with a status other than 0.
    ///
    /// A status about the sender, the numbering or another field concerns one message: SMSCs check senders by country.
    /// See [`Self::is_about_settings`] for repeated refusals.
    pub fn submit_outcome_kind(&self, status: u32) -> OutcomeKind {
        if let Some(vendor_outcome) = self.vendor_outcomes.get(&status) {
            return *vendor_outcome;
        }
        match status {
            // RINVPASWD, RINVSYSID, RINVSYSTYP
            0x0E | 0x0F | 0x53 => OutcomeKind::Misconfigured,
            // RINVBNDSTS, RALYBND, RSYSERR, RBINDFAIL: the session must be bound again, or the SMSC is not ready.
            0x04 | 0x05 | 0x08 | 0x0D => OutcomeKind::Unavailable,
            // RINVDSTADR
            0x0B => OutcomeKind::InvalidRecipient,
            // RMSGQFUL, RTHROTTLED
            0x14 | 0x58 => OutcomeKind::Throttled,
            // RSUBMITFAIL, RX_T_APPN, RDELIVERYFAILURE, RUNKNOWNERR
            0x45 | 0x64 | 0xFE | 0xFF => OutcomeKind::Deferred,
            vendor if VENDOR_STATUSES.contains(&vendor) => OutcomeKind::Deferred,
            _ => OutcomeKind::Rejected,
        }
    }

    /// Returns whether a status, if it refuses several messages in a row, is evidence that a setting is wrong.
    pub fn is_about_settings(&self, status: u32) -> bool {
        // RINVREGDLVFLG, RINVSRCADR, RINVSERTYP, RINVSRCTON, RINVSRCNPI, RINVDSTTON, RINVDSTNPI
        matches!(status, 0x07 | 0x0A | 0x15 | 0x48 | 0x49 | 0x50 | 0x51)
            && !self.vendor_outcomes.contains_key(&status)
    }

    /// Returns whether a bind that is refused with this status twice in a row fails until the account or its settings are
    /// corrected.
    pub fn is_account_error(&self, status: u32) -> bool {
        match self.vendor_outcomes.get(&status) {
            Some(vendor_outcome) => *vendor_outcome == OutcomeKind::Misconfigured,
            // RINVBNDSTS, RINVPASWD, RINVSYSID, RINVSYSTYP
            None => matches!(status, 0x04 | 0x0E | 0x0F | 0x53),
        }
    }

    /// Returns whether a status, as [`format_status`] writes it, may concern one destination: vendors use their own statuses
    /// for missing routes and countries, and the session is sound.
    pub fn is_about_destination(code: &str) -> bool {
        let digits = code.strip_prefix("0x").and_then(|digits| digits.get(..8));
        let status = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        status.is_some_and(|status| VENDOR_STATUSES.contains(&status))
    }

    /// Returns the result of a refused submit.
    pub fn submit_result(&self, status: u32) -> SendResult {
        let outcome_kind = self.submit_outcome_kind(status);
        let reason = format!("SMSC status: {}", describe_status(status));
        // A status that is configured as accepted has no message id.
        SendResult {
            outcome: outcome_kind.into_outcome(None, reason, None),
            code: Some(format_status(status)),
        }
    }

    /// Returns the result of a submit whose command was refused with `generic_nack`. Such a refusal does not concern
    /// the message.
    pub fn nack_result(&self, status: u32) -> SendResult {
        let reason = format!("generic_nack for submit_sm: {}", describe_status(status));
        let code = Some(format!("generic_nack {}", format_status(status)));
        SendResult { outcome: Outcome::Unavailable { reason }, code }
    }

    /// Returns the result of a refused bind. The refusal does not concern the message: the account is misconfigured
    /// (one refusal is not enough evidence), or the SMSC is not ready.
    pub fn bind_result(&self, status: u32, is_repeated: bool) -> SendResult {
        let reason = format!("bind refused: SMSC status: {}", describe_status(status));
        let outcome = if is_repeated && self.is_account_error(status) {
            Outcome::Misconfigured { reason }
        } else {
            Outcome::Unavailable { reason }
        };
        SendResult { outcome, code: Some(format!("bind {}", format_status(status))) }
    }
}
