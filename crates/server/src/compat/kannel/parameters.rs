//! Checks the parameters of a message in the order of Kannel's smsbox, whichever way they came.

#[cfg(test)]
mod tests;

use super::answers::Answer;
use crate::compat::charset;
use crate::compat::query::{LenientFields, leading_integer, restore_plus};

/// Names of parameters with an alias.
pub(crate) const USERNAME: [&str; 2] = ["username", "user"];
pub(crate) const PASSWORD: [&str; 2] = ["password", "pass"];
const DLR_MASK: [&str; 2] = ["dlr-mask", "dlrmask"];
const DLR_URL: [&str; 2] = ["dlr-url", "dlrurl"];

/// Maximum length of a user data header in octets: that of a short message.
const UDH_OCTETS_MAX: usize = 140;

/// Maximum length of `account`, as in Kannel.
const ACCOUNT_CHARS_MAX: usize = 64;

/// Minimum length of `dlr-url`, as in Kannel.
const DLR_URL_BYTES_MIN: usize = 8;

/// Maximum length of `dlr-url` in bytes, so that an event does not become arbitrarily large.
const DLR_URL_BYTES_MAX: usize = 2_048;

/// Greatest `dlr-mask`: 63 in Kannel's trunk, 64 in 1.4.5, 66 in a fork that names an unknown state so.
const DLR_MASK_MAX: i64 = 66;

/// Longest `validity` and `deferred` in minutes: 100 years. A longer time is cut, because it means no limit.
const MINUTES_MAX: i64 = 100 * 366 * 24 * 60;

/// Checked parameters of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    /// The receivers.
    pub(super) receivers: Vec<String>,
    /// The sender.
    pub(super) from: Option<String>,
    /// The text; empty if there is none.
    pub(super) text: String,
    /// The SMSC that the client names.
    pub(super) smsc: Option<String>,
    /// URL pattern and mask of the delivery reports; none if no report is wanted.
    pub(super) report: Option<(String, u8)>,
    /// Minutes until the message expires.
    pub(super) validity_minutes: Option<i64>,
    /// Minutes until the message is sent.
    pub(super) deferred_minutes: Option<i64>,
    /// Kannel's priority, from 0 to 3.
    pub(super) priority: Option<i64>,
    /// Values of escapes that delivery reports repeat.
    pub(super) report_fields: Vec<(String, String)>,
}

/// Checks the parameters. The first error of Kannel's order is returned.
pub(super) fn check(fields: &LenientFields) -> Result<Parameters, Answer> {
    let to = fields.text(&["to"]).ok_or(Answer::RECEIVER_MISSING)?;
    if to.is_empty() {
        return Err(Answer::RECEIVER_EMPTY);
    }
    check_udh(fields)?;
    let receivers = split_receivers(&to)?;
    let from = fields.text(&["from"]).filter(|from| !from.is_empty()).map(|from| restore_sender(&from));
    check_account(fields)?;
    let dlr_url = check_dlr_url(fields)?;
    let mask = integer(fields, &DLR_MASK, 0..=DLR_MASK_MAX, Answer::DLR_MASK_MISFORMED)?.unwrap_or(0);
    let mask = u8::try_from(mask).unwrap_or(0);
    integer(fields, &["mclass"], -1..=3, Answer::MCLASS_MISFORMED)?;
    integer(fields, &["pid"], -1..=255, Answer::PID_MISFORMED)?;
    integer(fields, &["rpi"], -1..=2, Answer::RPI_MISFORMED)?;
    integer(fields, &["alt-dcs"], -1..=1, Answer::ALT_DCS_MISFORMED)?;
    integer(fields, &["mwi"], -1..=7, Answer::MWI_MISFORMED)?;
    let coding =
        integer(fields, &["coding"], -1..=2, Answer::CODING_MISFORMED)?.filter(|coding| *coding >= 0);
    integer(fields, &["compress"], -1..=1, Answer::COMPRESS_MISFORMED)?;
    let validity_minutes = minutes(fields, "validity", Answer::VALIDITY_MISFORMED)?;
    let deferred_minutes = minutes(fields, "deferred", Answer::DEFERRED_MISFORMED)?;
    let priority = integer(fields, &["priority"], -1..=3, Answer::PRIORITY_MISFORMED)?;
    Ok(Parameters {
        receivers,
        text: decode_text(fields, coding)?,
        smsc: fields.text(&["smsc"]).filter(|smsc| !smsc.is_empty()),
        report: dlr_url.filter(|_| mask != 0).map(|url| (url, mask)),
        validity_minutes,
        deferred_minutes,
        priority,
        report_fields: report_fields(fields, from.as_deref(), coding),
        from,
    })
}

/// Checks `udh`. The gateway sends text only, so a correct header is refused as well.
fn check_udh(fields: &LenientFields) -> Result<(), Answer> {
    match fields.bytes(&["udh"]) {
        None | Some([]) => Ok(()),
        Some(udh) if usize::from(udh[0]) + 1 != udh.len() => Err(Answer::UDH_MISFORMED),
        Some(udh) if udh.len() > UDH_OCTETS_MAX => Err(Answer::UDH_TOO_LONG),
        Some(_) => Err(Answer::UDH_MISFORMED),
    }
}

/// Splits the receivers at blanks. A blank before a number that follows another blank is a lost plus.
fn split_receivers(to: &str) -> Result<Vec<String>, Answer> {
    let is_allowed = |character: char| character.is_ascii_digit() || " +-".contains(character);
    if !to.chars().all(is_allowed) {
        return Err(Answer::NUMBER_DENIED);
    }
    let mut receivers = Vec::new();
    let mut blanks = 0;
    for word in to.trim_end_matches(' ').split(' ') {
        if word.is_empty() {
            blanks += 1;
            continue;
        }
        receivers.push(if blanks > 0 { restore_plus(&format!(" {word}")) } else { word.to_owned() });
        blanks = 0;
    }
    if receivers.is_empty() { Err(Answer::RECEIVER_EMPTY) } else { Ok(receivers) }
}

/// Returns the sender; a leading blank before a digit is a lost plus.
fn restore_sender(from: &str) -> String {
    let without_blanks = from.trim_start_matches(' ');
    if without_blanks.starts_with(|character: char| character.is_ascii_digit()) {
        restore_plus(from)
    } else {
        without_blanks.to_owned()
    }
}

fn check_account(fields: &LenientFields) -> Result<(), Answer> {
    let Some(account) = fields.text(&["account"]) else {
        return Ok(());
    };
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "-_.@ ".contains(character);
    let is_valid = account.chars().all(is_allowed) && account.len() <= ACCOUNT_CHARS_MAX;
    if is_valid { Ok(()) } else { Err(Answer::ACCOUNT_MISFORMED) }
}

fn check_dlr_url(fields: &LenientFields) -> Result<Option<String>, Answer> {
    match fields.text(&DLR_URL) {
        None => Ok(None),
        Some(url) if url.is_empty() => Ok(None),
        Some(url) if (DLR_URL_BYTES_MIN..=DLR_URL_BYTES_MAX).contains(&url.len()) => Ok(Some(url)),
        Some(_) => Err(Answer::DLR_URL_MISFORMED),
    }
}

/// Reads a number. A value without a digit counts as not given, as in Kannel.
fn integer(
    fields: &LenientFields,
    names: &[&str],
    allowed: std::ops::RangeInclusive<i64>,
    misformed: Answer,
) -> Result<Option<i64>, Answer> {
    match fields.bytes(names).and_then(leading_integer) {
        Some(number) if !allowed.contains(&number) => Err(misformed),
        number => Ok(number),
    }
}

/// Reads a time in minutes from now; -1 is not set.
fn minutes(fields: &LenientFields, name: &str, misformed: Answer) -> Result<Option<i64>, Answer> {
    let minutes = integer(fields, &[name], -1..=i64::MAX, misformed)?;
    Ok(minutes.filter(|minutes| *minutes >= 0).map(|minutes| minutes.min(MINUTES_MAX)))
}

/// Decodes the text. 8-bit content is refused, because the gateway sends text only.
fn decode_text(fields: &LenientFields, coding: Option<i64>) -> Result<String, Answer> {
    let default_charset = match coding {
        Some(1) => return Err(Answer::CODING_MISFORMED),
        Some(2) => "UTF-16BE",
        _ => "UTF-8",
    };
    let charset = fields.text(&["charset"]).filter(|charset| !charset.is_empty());
    let octets = fields.bytes(&["text"]).unwrap_or_default();
    charset::decode(charset.as_deref().unwrap_or(default_charset), octets).ok_or(Answer::BODY_MISFORMED)
}

/// Returns what delivery reports repeat: letters of escapes and their values.
fn report_fields(fields: &LenientFields, from: Option<&str>, coding: Option<i64>) -> Vec<(String, String)> {
    let mut values = vec![("P", from.unwrap_or_default().to_owned())];
    values.extend(fields.text(&USERNAME).map(|username| ("n", username)));
    values.extend(coding.map(|coding| ("c", coding.to_string())));
    values.extend((coding == Some(2)).then(|| ("O", "0008".to_owned())));
    for (letter, name) in [("m", "mclass"), ("M", "mwi"), ("B", "binfo"), ("D", "meta-data")] {
        values.extend(fields.text(&[name]).map(|value| (letter, value)));
    }
    values.retain(|(_, value)| !value.is_empty());
    values.into_iter().map(|(letter, value)| (letter.to_owned(), value)).collect()
}
