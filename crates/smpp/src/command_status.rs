//! `command_status` values of SMPP 3.4: numbers, names and meanings.
//!
//! The effect of a status on a message is not decided here.

use std::ops::RangeInclusive;

#[cfg(test)]
mod tests;

/// No error.
pub const ESME_ROK: u32 = 0x00;
/// The `command_length` of a PDU is invalid.
pub const ESME_RINVCMDLEN: u32 = 0x02;
/// The `command_id` is unknown.
pub const ESME_RINVCMDID: u32 = 0x03;
/// The command is not allowed in this state of the session.
pub const ESME_RINVBNDSTS: u32 = 0x04;
/// The account is bound already, often by a session that the SMSC has not given up yet.
pub const ESME_RALYBND: u32 = 0x05;
/// The message queue of the SMSC is full.
pub const ESME_RMSGQFUL: u32 = 0x14;
/// Temporary error of the receiver: the sender of a `deliver_sm` repeats it later.
pub const ESME_RX_T_APPN: u32 = 0x64;

/// Range of statuses that are reserved for SMSC vendors.
pub const VENDOR_STATUSES: RangeInclusive<u32> = 0x400..=0x4FF;

/// Number, name without `ESME_`, and meaning of each status (SMPP 3.4, table 5-2).
#[rustfmt::skip]
const COMMAND_STATUSES: [(u32, &str, &str); 48] = [
    (0x01, "RINVMSGLEN", "the length of the message is invalid"),
    (0x02, "RINVCMDLEN", "the length of the command is invalid"),
    (0x03, "RINVCMDID", "the command is unknown"),
    (0x04, "RINVBNDSTS", "the session is in the wrong state"),
    (0x05, "RALYBND", "the account is bound already"),
    (0x06, "RINVPRTFLG", "the priority is invalid"),
    (0x07, "RINVREGDLVFLG", "the registered_delivery value is invalid"),
    (0x08, "RSYSERR", "system error"),
    (0x0A, "RINVSRCADR", "the sender is invalid"),
    (0x0B, "RINVDSTADR", "the recipient's number is invalid"),
    (0x0C, "RINVMSGID", "the message id is unknown"),
    (0x0D, "RBINDFAIL", "the bind failed"),
    (0x0E, "RINVPASWD", "the password is wrong"),
    (0x0F, "RINVSYSID", "the system_id is wrong"),
    (0x11, "RCANCELFAIL", "cancelling failed"),
    (0x13, "RREPLACEFAIL", "replacing failed"),
    (0x14, "RMSGQFUL", "the queue is full"),
    (0x15, "RINVSERTYP", "the service_type is invalid"),
    (0x33, "RINVNUMDESTS", "the number of recipients is invalid"),
    (0x34, "RINVDLNAME", "the distribution list is invalid"),
    (0x40, "RINVDESTFLAG", "the kind of recipient is invalid"),
    (0x42, "RINVSUBREP", "replacing is not supported"),
    (0x43, "RINVESMCLASS", "the class of the message is invalid"),
    (0x44, "RCNTSUBDL", "the distribution list cannot be used"),
    (0x45, "RSUBMITFAIL", "the submit failed"),
    (0x48, "RINVSRCTON", "from_ton is invalid"),
    (0x49, "RINVSRCNPI", "from_npi is invalid"),
    (0x50, "RINVDSTTON", "to_ton is invalid"),
    (0x51, "RINVDSTNPI", "to_npi is invalid"),
    (0x53, "RINVSYSTYP", "the system_type is wrong"),
    (0x54, "RINVREPFLAG", "the replace flag is invalid"),
    (0x55, "RINVNUMMSGS", "the number of messages is invalid"),
    (0x58, "RTHROTTLED", "over the agreed rate"),
    (0x61, "RINVSCHED", "the schedule is invalid"),
    (0x62, "RINVEXPIRY", "the validity period is invalid"),
    (0x63, "RINVDFTMSGID", "the predefined message is invalid"),
    (0x64, "RX_T_APPN", "a temporary error of the application"),
    (0x65, "RX_P_APPN", "a permanent error of the application"),
    (0x66, "RX_R_APPN", "the application rejects the message"),
    (0x67, "RQUERYFAIL", "the query failed"),
    (0xC0, "RINVOPTPARSTREAM", "the optional parameters are invalid"),
    (0xC1, "ROPTPARNOTALLWD", "an optional parameter is not allowed"),
    (0xC2, "RINVPARLEN", "the length of a parameter is invalid"),
    (0xC3, "RMISSINGOPTPARAM", "an optional parameter is missing"),
    (0xC4, "RINVOPTPARAMVAL", "an optional parameter is invalid"),
    (0xFE, "RDELIVERYFAILURE", "the delivery failed"),
    (0xFF, "RUNKNOWNERR", "unknown error"),
    (0x100, "reserved", "a reserved status"),
];

/// Returns the number and the name of a status, such as `0x0000000B RINVDSTADR`; a status without a name is only a number.
pub fn format_status(status: u32) -> String {
    let name = find_status(status).map_or_else(String::new, |(_, name, _)| format!(" {name}"));
    format!("0x{status:08X}{name}")
}

/// Returns the meaning of a status, or its number when the specification does not define it.
pub fn describe_status(status: u32) -> String {
    find_status(status).map_or_else(|| format_status(status), |(_, _, meaning)| (*meaning).to_owned())
}

fn find_status(status: u32) -> Option<&'static (u32, &'static str, &'static str)> {
    COMMAND_STATUSES.iter().find(|(number, ..)| *number == status)
}
