//! The message centre's answers as a table, from numbers to outcomes.
//!
//! One number means one thing, wherever it comes from; a vendor's own numbers are configured. Reasons are made of our
//! own words: an answer carries no others.

use std::collections::BTreeMap;

use crate::outcome_kind::OutcomeKind;
use postrider_core::attempt::{Outcome, SendResult};

/// The answer to a message in good order.
pub(super) const ESME_ROK: u32 = 0;
/// The length of a PDU is impossible.
pub(super) const ESME_RINVCMDLEN: u32 = 0x02;
/// Nobody knows that command.
pub(super) const ESME_RINVCMDID: u32 = 0x03;
/// Not in this state of the session.
pub(super) const ESME_RINVBNDSTS: u32 = 0x04;
/// An old session still holds the account.
pub(super) const ESME_RALYBND: u32 = 0x05;
/// Their queue is full.
pub(super) const ESME_RMSGQFUL: u32 = 0x14;
/// Tells the message centre to bring a receipt again.
pub(super) const ESME_RX_T_APPN: u32 = 0x64;

/// Number, name and meaning, as the protocol has them, and what it comes to.
const COMMAND_STATUSES: [(u32, &str, &str, OutcomeKind); 48] = [
    (
        0x01,
        "RINVMSGLEN",
        "the length of the message is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x02,
        "RINVCMDLEN",
        "the length of the command is invalid",
        OutcomeKind::Rejected,
    ),
    (0x03, "RINVCMDID", "the command is unknown", OutcomeKind::Rejected),
    (
        0x04,
        "RINVBNDSTS",
        "the session is in the wrong state",
        OutcomeKind::Misconfigured,
    ),
    (
        0x05,
        "RALYBND",
        "the account is bound already",
        OutcomeKind::Unavailable,
    ),
    (
        0x06,
        "RINVPRTFLG",
        "the priority is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x07,
        "RINVREGDLVFLG",
        "receipts cannot be asked for like this",
        OutcomeKind::Misconfigured,
    ),
    (0x08, "RSYSERR", "system error", OutcomeKind::Unavailable),
    (
        0x0A,
        "RINVSRCADR",
        "the sender is invalid",
        OutcomeKind::Misconfigured,
    ),
    (
        0x0B,
        "RINVDSTADR",
        "the recipient's number is invalid",
        OutcomeKind::InvalidRecipient,
    ),
    (
        0x0C,
        "RINVMSGID",
        "the message id is unknown",
        OutcomeKind::Rejected,
    ),
    (0x0D, "RBINDFAIL", "the bind failed", OutcomeKind::Unavailable),
    (
        0x0E,
        "RINVPASWD",
        "the password is wrong",
        OutcomeKind::Misconfigured,
    ),
    (
        0x0F,
        "RINVSYSID",
        "the system_id is wrong",
        OutcomeKind::Misconfigured,
    ),
    (0x11, "RCANCELFAIL", "cancelling failed", OutcomeKind::Rejected),
    (0x13, "RREPLACEFAIL", "replacing failed", OutcomeKind::Rejected),
    (0x14, "RMSGQFUL", "the queue is full", OutcomeKind::Throttled),
    (
        0x15,
        "RINVSERTYP",
        "the service_type is invalid",
        OutcomeKind::Misconfigured,
    ),
    (
        0x33,
        "RINVNUMDESTS",
        "the number of recipients is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x34,
        "RINVDLNAME",
        "the distribution list is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x40,
        "RINVDESTFLAG",
        "the kind of recipient is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x42,
        "RINVSUBREP",
        "replacing is not supported",
        OutcomeKind::Rejected,
    ),
    (
        0x43,
        "RINVESMCLASS",
        "the class of the message is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x44,
        "RCNTSUBDL",
        "the distribution list cannot be used",
        OutcomeKind::Rejected,
    ),
    (0x45, "RSUBMITFAIL", "the submit failed", OutcomeKind::Deferred),
    (
        0x48,
        "RINVSRCTON",
        "from_ton is invalid",
        OutcomeKind::Misconfigured,
    ),
    (
        0x49,
        "RINVSRCNPI",
        "from_npi is invalid",
        OutcomeKind::Misconfigured,
    ),
    (
        0x50,
        "RINVDSTTON",
        "to_ton is invalid",
        OutcomeKind::Misconfigured,
    ),
    (
        0x51,
        "RINVDSTNPI",
        "to_npi is invalid",
        OutcomeKind::Misconfigured,
    ),
    (
        0x53,
        "RINVSYSTYP",
        "the system_type is wrong",
        OutcomeKind::Misconfigured,
    ),
    (
        0x54,
        "RINVREPFLAG",
        "the replace flag is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x55,
        "RINVNUMMSGS",
        "the number of messages is invalid",
        OutcomeKind::Rejected,
    ),
    (0x58, "RTHROTTLED", "over the agreed rate", OutcomeKind::Throttled),
    (
        0x61,
        "RINVSCHED",
        "the schedule is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x62,
        "RINVEXPIRY",
        "the validity period is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x63,
        "RINVDFTMSGID",
        "the predefined message is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0x64,
        "RX_T_APPN",
        "a temporary error of the application",
        OutcomeKind::Deferred,
    ),
    (
        0x65,
        "RX_P_APPN",
        "a permanent error of the application",
        OutcomeKind::Rejected,
    ),
    (
        0x66,
        "RX_R_APPN",
        "the application rejects the message",
        OutcomeKind::Rejected,
    ),
    (0x67, "RQUERYFAIL", "the query failed", OutcomeKind::Rejected),
    (
        0xC0,
        "RINVOPTPARSTREAM",
        "the optional parameters are invalid",
        OutcomeKind::Rejected,
    ),
    (
        0xC1,
        "ROPTPARNOTALLWD",
        "an optional parameter is not allowed",
        OutcomeKind::Rejected,
    ),
    (
        0xC2,
        "RINVPARLEN",
        "the length of a parameter is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0xC3,
        "RMISSINGOPTPARAM",
        "an optional parameter is missing",
        OutcomeKind::Rejected,
    ),
    (
        0xC4,
        "RINVOPTPARAMVAL",
        "an optional parameter is invalid",
        OutcomeKind::Rejected,
    ),
    (
        0xFE,
        "RDELIVERYFAILURE",
        "the delivery failed",
        OutcomeKind::Deferred,
    ),
    (0xFF, "RUNKNOWNERR", "unknown error", OutcomeKind::Deferred),
    (
        0x100,
        "reserved",
        "a number kept for extensions",
        OutcomeKind::Rejected,
    ),
];

/// The numbers that vendors give meanings of their own.
const VENDOR_STATUSES: std::ops::RangeInclusive<u32> = 0x400..=0x4FF;

/// What answers mean at one message centre.
#[derive(Clone, Debug, Default)]
pub(super) struct StatusOutcomes {
    vendor_outcomes: BTreeMap<u32, OutcomeKind>,
}

impl StatusOutcomes {
    /// Reads a vendor's own numbers, decimal or with `0x`.
    pub fn parse(table: &BTreeMap<String, OutcomeKind>) -> Result<Self, String> {
        let mut vendor = BTreeMap::new();
        for (text, fate) in table {
            let digits = text.trim().to_ascii_lowercase();
            let number = match digits.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok(),
                None => digits.parse().ok(),
            };
            let number = number.filter(|number| *number != ESME_ROK);
            let number = number.ok_or_else(|| {
                format!("statuses: \"{text}\" is no number of an answer; write it like \"0x0411\"")
            })?;
            vendor.insert(number, *fate);
        }
        Ok(Self {
            vendor_outcomes: vendor,
        })
    }

    /// What a number other than 0 comes to.
    pub fn outcome_kind(&self, status: u32) -> OutcomeKind {
        if let Some(fate) = self.vendor_outcomes.get(&status) {
            return *fate;
        }
        let row = find_status(status);
        row.map_or_else(
            || {
                if VENDOR_STATUSES.contains(&status) {
                    OutcomeKind::Deferred
                } else {
                    OutcomeKind::Rejected
                }
            },
            |(_, _, _, fate)| *fate,
        )
    }

    /// The same with what an operator wants to read.
    pub fn send_result(&self, status: u32) -> SendResult {
        self.result_for_kind(status, self.outcome_kind(status))
    }

    /// The same for a submit, where the wrong state only means that the session has to be made again.
    pub fn submit_result(&self, status: u32) -> SendResult {
        match (status, self.outcome_kind(status)) {
            (ESME_RINVBNDSTS, OutcomeKind::Misconfigured) => {
                self.result_for_kind(status, OutcomeKind::Unavailable)
            }
            (_, fate) => self.result_for_kind(status, fate),
        }
    }

    fn result_for_kind(&self, status: u32, fate: OutcomeKind) -> SendResult {
        // A vendor's table can say "accepted" of a number that stands for "done before"; it has no id then.
        let outcome: Outcome = fate.into_outcome(None, describe_status(status), None);
        SendResult {
            outcome,
            code: Some(format_status(status)),
        }
    }
}

/// The number as operators know it.
pub(super) fn format_status(status: u32) -> String {
    match find_status(status) {
        Some((_, name, _, _)) => format!("0x{status:08X} {name}"),
        None => format!("0x{status:08X}"),
    }
}

fn describe_status(status: u32) -> String {
    match find_status(status) {
        Some((_, _, meaning, _)) => format!("the message centre says: {meaning}"),
        None => format!("the message centre says: 0x{status:08X}"),
    }
}

fn find_status(status: u32) -> Option<&'static (u32, &'static str, &'static str, OutcomeKind)> {
    COMMAND_STATUSES.iter().find(|(number, ..)| *number == status)
}

#[cfg(test)]
mod tests {
    use rusmpp_core::CommandStatus;

    use super::*;

    #[test]
    fn every_number_of_the_protocol_comes_to_what_the_reference_says() {
        let statuses = StatusOutcomes::default();
        let of = |status| statuses.outcome_kind(status);
        for status in [0x14, 0x58] {
            assert_eq!(of(status), OutcomeKind::Throttled);
        }
        for status in [0x04, 0x07, 0x0A, 0x0E, 0x0F, 0x15, 0x48, 0x49, 0x50, 0x51, 0x53] {
            assert_eq!(of(status), OutcomeKind::Misconfigured, "{status:x}");
        }
        for status in [0x05, 0x08, 0x0D] {
            assert_eq!(of(status), OutcomeKind::Unavailable, "{status:x}");
        }
        for status in [0x45, 0x64, 0xFE, 0xFF, 0x400, 0x4FF] {
            assert_eq!(of(status), OutcomeKind::Deferred, "{status:x}");
        }
        assert_eq!(of(0x0B), OutcomeKind::InvalidRecipient);
        for status in [0x01, 0x66, 0xC0, 0x100, 0x3FF, 0x500, 0xFFFF_FFFF] {
            assert_eq!(of(status), OutcomeKind::Rejected, "{status:x}");
        }
    }

    #[test]
    fn the_table_names_numbers_as_the_codec_does() {
        // The codec has the names that version 5 gave to optional parameters, and nothing that is reserved.
        let same = COMMAND_STATUSES
            .iter()
            .filter(|row| !(0xC0..=0xC4).contains(&row.0) && row.0 < 0x100);
        for (number, name, ..) in same {
            let known = format!("{:?}", CommandStatus::from(*number)).to_ascii_uppercase();
            let plain = name.replace('_', "");
            assert_eq!(known.replace('_', ""), format!("ESME{plain}"), "{number:x}");
        }
    }

    #[test]
    fn a_vendors_own_numbers_are_configured() {
        let table = BTreeMap::from([
            ("0x0411".to_owned(), OutcomeKind::Rejected),
            ("1042".to_owned(), OutcomeKind::InvalidRecipient),
        ]);
        let statuses = StatusOutcomes::parse(&table).unwrap();
        assert_eq!(statuses.outcome_kind(0x411), OutcomeKind::Rejected);
        assert_eq!(statuses.outcome_kind(0x412), OutcomeKind::InvalidRecipient);
        for wrong in ["", "0", "0x", "ESME", "0x1FFFFFFFF"] {
            let table = BTreeMap::from([(wrong.to_owned(), OutcomeKind::Rejected)]);
            assert!(
                StatusOutcomes::parse(&table).unwrap_err().contains("0x0411"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_wrong_state_of_a_session_is_no_fault_of_the_account() {
        let statuses = StatusOutcomes::default();
        assert_eq!(
            statuses.send_result(ESME_RINVBNDSTS).outcome.as_str(),
            "misconfigured"
        );
        assert_eq!(
            statuses.submit_result(ESME_RINVBNDSTS).outcome.as_str(),
            "unavailable"
        );
    }
}
