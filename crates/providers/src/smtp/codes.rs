//! Maps replies of a mail server to outcomes.
//!
//! The shared verdicts of [`crate::mail_status`] (enhanced code and words) decide first, then the reply code with the
//! stage of the session. A refusal before RCPT concerns the account, a refusal of RCPT the recipient, and a later
//! refusal the content. From RCPT on, a refusal is evidence against the account only if its code says so.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::mail_status::MailVerdict::{
    self, CommandRefused, Deferred, Greylisted, InvalidRecipient, MailboxFull, Misconfigured, Rejected,
    Throttled, Unavailable,
};
use crate::mail_status::{is_long_limit, listed_verdict, mail_verdict};
use crate::provider_text::sanitize_text;
use postrider_core::attempt::{Outcome, SendResult};

/// Cooldown after a reply to mails that arrive too fast.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Cooldown after a daily or hourly limit of the sender: 15 minutes, so that a raised limit is noticed.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(15 * 60);

/// Delay before a greylisted recipient is tried again.
const GREYLIST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// Delay before a full mailbox is tried again.
const MAILBOX_FULL_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Stage of the session in which a reply arrived. The order is that of the columns of [`BASIC_CODES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SmtpStage {
    /// Greeting, EHLO, STARTTLS and login: concerns the account.
    Opening,
    /// MAIL: concerns the sender address.
    Sender,
    /// RCPT: concerns the recipient.
    Recipient,
    /// DATA and the mail itself: concerns the content, or policy.
    Content,
}

/// A reply of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SmtpReply {
    /// Reply code.
    pub code: u16,
    /// Lines without the reply code.
    pub lines: Vec<String>,
}

/// Verdict of a reply code without an enhanced code, by stage: opening, sender, recipient, content.
#[rustfmt::skip]
const BASIC_CODES: [(u16, [MailVerdict; 4]); 22] = [
    (421, [Unavailable, Unavailable, Unavailable, Unavailable]),
    (450, [Unavailable, Unavailable, Deferred, Deferred]),
    (451, [Unavailable, Unavailable, Deferred, Deferred]),
    (452, [Unavailable, Unavailable, Deferred, Deferred]),
    (454, [Unavailable, Unavailable, Unavailable, Unavailable]),
    (455, [Unavailable, Unavailable, Deferred, Deferred]),
    (500, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (501, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (502, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (503, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (504, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (521, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (530, [Misconfigured; 4]),
    (534, [Misconfigured; 4]),
    (535, [Misconfigured; 4]),
    (538, [Misconfigured; 4]),
    (541, [Misconfigured, Rejected, Rejected, Rejected]),
    (550, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (551, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (552, [Misconfigured, Rejected, MailboxFull, Rejected]),
    (553, [Misconfigured, Misconfigured, Rejected, Rejected]),
    (556, [Misconfigured, Misconfigured, InvalidRecipient, InvalidRecipient]),
];

/// Verdict of any other reply code, by its first digit and the stage.
const FALLBACK_CODES: [(u16, [MailVerdict; 4]); 2] = [
    (4, [Unavailable, Unavailable, Deferred, Deferred]),
    (5, [Misconfigured, Misconfigured, Rejected, Rejected]),
];

/// Words of a temporary refusal without a code.
static RETRY_WORDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)gr[ae]y-?\s?list|try again later").ok());

impl SmtpReply {
    /// Returns whether the command succeeded.
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// Returns the reply code and the enhanced code, such as `550 5.1.1`.
    pub fn code_text(&self) -> String {
        match self.enhanced_code() {
            Some(enhanced) => format!("{} {enhanced}", self.code),
            None => self.code.to_string(),
        }
    }

    /// Returns the enhanced code. If its class differs from that of the reply code, the class of the reply code is
    /// used.
    fn enhanced_code(&self) -> Option<String> {
        let first_word = self.lines.last()?.split_whitespace().next()?.trim_start_matches(['#', '(', '[']);
        let (class, subject_and_detail) = first_word.split_once('.')?;
        let (subject, detail) = subject_and_detail.split_once('.')?;
        let is_number = |digits: &str| digits.len() <= 3 && digits.parse::<u16>().is_ok();
        let is_valid = matches!(class, "2" | "4" | "5") && is_number(subject) && is_number(detail);
        is_valid.then(|| format!("{}.{subject_and_detail}", self.code / 100))
    }

    /// Returns the text on one line.
    pub fn joined_text(&self) -> String {
        sanitize_text(&self.lines.join(" "))
    }
}

fn classify(stage: SmtpStage, smtp_reply: &SmtpReply) -> MailVerdict {
    let reply_text = smtp_reply.lines.join(" ");
    let is_permanent = smtp_reply.code >= 500;
    // These codes concern the login, even if the enhanced code means something else.
    if matches!(smtp_reply.code, 530 | 534 | 535 | 538) {
        return Misconfigured;
    }
    let enhanced_code = smtp_reply.enhanced_code();
    let verdict = mail_verdict(enhanced_code.as_deref(), is_permanent, &reply_text);
    match stage {
        SmtpStage::Opening | SmtpStage::Sender => {
            let listed = enhanced_code
                .as_deref()
                .and_then(|enhanced_code| listed_verdict(enhanced_code, is_permanent));
            classify_account_refusal(stage, smtp_reply.code, listed, verdict)
        }
        SmtpStage::Recipient | SmtpStage::Content => {
            match verdict.unwrap_or_else(|| verdict_of_basic_code(stage, smtp_reply.code)) {
                CommandRefused => Rejected,
                verdict => verdict,
            }
        }
    }
}

/// Classifies a refusal before RCPT. It concerns all messages, unless it names the size of this mail.
fn classify_account_refusal(
    stage: SmtpStage,
    code: u16,
    listed: Option<MailVerdict>,
    verdict: Option<MailVerdict>,
) -> MailVerdict {
    let is_permanent = code >= 500;
    match (verdict, listed) {
        (Some(Throttled), _) => Throttled,
        // The command MAIL contains the size of the mail, so its refusal can concern this mail alone.
        (Some(Rejected), None | Some(Rejected)) if stage == SmtpStage::Sender && code == 552 => Rejected,
        (_, Some(Deferred | Greylisted | MailboxFull)) if !is_permanent => Unavailable,
        (_, Some(Unavailable)) => Unavailable,
        (_, Some(_)) => Misconfigured,
        (_, None) => verdict_of_basic_code(stage, code),
    }
}

fn verdict_of_basic_code(stage: SmtpStage, code: u16) -> MailVerdict {
    let row = BASIC_CODES.iter().find(|(row_code, _)| *row_code == code);
    let row = row.or_else(|| FALLBACK_CODES.iter().find(|(first_digit, _)| *first_digit == code / 100));
    row.map_or(Misconfigured, |(_, verdicts)| verdicts[stage as usize])
}

/// Returns the result of a refusal.
pub(super) fn send_result(stage: SmtpStage, smtp_reply: &SmtpReply) -> SendResult {
    let reason = smtp_reply.joined_text();
    let asks_to_retry = RETRY_WORDS.as_ref().is_some_and(|words| words.is_match(&reason));
    let outcome = match classify(stage, smtp_reply) {
        Greylisted => Outcome::Deferred { reason, retry_after: Some(GREYLIST_RETRY_AFTER) },
        Deferred => Outcome::Deferred { reason, retry_after: asks_to_retry.then_some(GREYLIST_RETRY_AFTER) },
        MailboxFull => Outcome::Deferred { reason, retry_after: Some(MAILBOX_FULL_RETRY_AFTER) },
        Unavailable => Outcome::Unavailable { reason },
        Throttled => {
            let delay = if is_long_limit(&reason) { QUOTA_RETRY_AFTER } else { THROTTLED_RETRY_AFTER };
            Outcome::Throttled { retry_after: Some(delay) }
        }
        Rejected | CommandRefused => Outcome::Rejected { reason },
        InvalidRecipient => Outcome::InvalidRecipient { reason },
        Misconfigured => Outcome::Misconfigured { reason },
    };
    SendResult { outcome, code: Some(smtp_reply.code_text()) }
}

#[cfg(test)]
mod tests;
