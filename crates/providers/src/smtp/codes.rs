//! Maps replies of a mail server to outcomes.
//!
//! The enhanced status code (RFC 3463) decides first, then the reply code with the stage of the session, then the text.
//! A refusal before RCPT concerns the account, one of RCPT the recipient, and one after it the content.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::provider_text::sanitize_text;
use postrider_core::attempt::{Outcome, SendResult};

/// Cooldown after a reply to mails that arrive too fast.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(60);

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

/// Class of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyClass {
    /// This recipient cannot be reached now.
    Deferred,
    /// The server cannot accept mail now.
    Unavailable,
    Throttled,
    Rejected,
    InvalidRecipient,
    Misconfigured,
    /// The mailbox is full, which lasts for hours.
    MailboxFull,
}

use ReplyClass::{Deferred, InvalidRecipient, MailboxFull, Misconfigured, Rejected, Throttled, Unavailable};

/// Subject and detail of an enhanced code, its class as a permanent (5) and as a temporary (4) failure. `*` is any other
/// detail.
const ENHANCED_CODES: [(&str, ReplyClass, ReplyClass); 56] = [
    ("1.0", InvalidRecipient, Deferred),
    ("1.1", InvalidRecipient, Deferred),
    ("1.2", InvalidRecipient, Deferred),
    ("1.3", InvalidRecipient, Deferred),
    ("1.4", InvalidRecipient, Deferred),
    ("1.6", InvalidRecipient, Deferred),
    ("1.7", Misconfigured, Deferred),
    ("1.8", Misconfigured, Deferred),
    ("1.10", InvalidRecipient, Deferred),
    ("2.0", Deferred, Deferred),
    ("2.1", InvalidRecipient, Deferred),
    ("2.2", MailboxFull, MailboxFull),
    ("2.3", Rejected, Rejected),
    ("2.4", Rejected, Deferred),
    ("3.0", Unavailable, Unavailable),
    ("3.1", Unavailable, Unavailable),
    ("3.2", Unavailable, Unavailable),
    ("3.4", Rejected, Rejected),
    ("3.5", Unavailable, Unavailable),
    ("4.1", Deferred, Deferred),
    ("4.2", Deferred, Deferred),
    ("4.3", Deferred, Deferred),
    ("4.4", InvalidRecipient, Deferred),
    ("4.5", Throttled, Throttled),
    ("4.6", Misconfigured, Deferred),
    ("4.7", Rejected, Deferred),
    ("5.3", Deferred, Deferred),
    ("5.*", Misconfigured, Deferred),
    ("6.*", Rejected, Rejected),
    ("7.0", Rejected, Throttled),
    ("7.1", Rejected, Deferred),
    ("7.2", Rejected, Rejected),
    ("7.3", Rejected, Deferred),
    ("7.4", Rejected, Deferred),
    ("7.5", Rejected, Deferred),
    ("7.6", Rejected, Deferred),
    ("7.7", Rejected, Deferred),
    ("7.8", Misconfigured, Unavailable),
    ("7.9", Misconfigured, Misconfigured),
    ("7.10", Misconfigured, Misconfigured),
    ("7.11", Misconfigured, Misconfigured),
    ("7.12", Misconfigured, Misconfigured),
    ("7.13", Misconfigured, Unavailable),
    ("7.17", InvalidRecipient, Deferred),
    ("7.18", InvalidRecipient, Deferred),
    ("7.20", Misconfigured, Deferred),
    ("7.21", Misconfigured, Deferred),
    ("7.22", Misconfigured, Deferred),
    ("7.23", Misconfigured, Deferred),
    ("7.24", Misconfigured, Deferred),
    ("7.25", Misconfigured, Deferred),
    ("7.26", Misconfigured, Deferred),
    ("7.27", Misconfigured, Deferred),
    ("7.28", Throttled, Throttled),
    ("7.29", Rejected, Deferred),
    ("7.30", Rejected, Deferred),
];

/// Class of a reply code without an enhanced code, by stage: opening, sender, recipient, content.
#[rustfmt::skip]
const BASIC_CODES: [(u16, [ReplyClass; 4]); 22] = [
    (421, [Unavailable, Unavailable, Unavailable, Unavailable]),
    (450, [Unavailable, Unavailable, Deferred, Deferred]),
    (451, [Unavailable, Unavailable, Deferred, Deferred]),
    (452, [Unavailable, Unavailable, Deferred, Deferred]),
    (454, [Unavailable, Unavailable, Unavailable, Unavailable]),
    (455, [Unavailable, Unavailable, Deferred, Deferred]),
    (500, [Misconfigured; 4]),
    (501, [Misconfigured, Misconfigured, InvalidRecipient, Misconfigured]),
    (502, [Misconfigured; 4]),
    (503, [Misconfigured; 4]),
    (504, [Misconfigured; 4]),
    (521, [Misconfigured, InvalidRecipient, InvalidRecipient, InvalidRecipient]),
    (530, [Misconfigured; 4]),
    (534, [Misconfigured; 4]),
    (535, [Misconfigured; 4]),
    (538, [Misconfigured; 4]),
    (541, [Misconfigured, Rejected, Rejected, Rejected]),
    (550, [Misconfigured, Misconfigured, InvalidRecipient, Rejected]),
    (551, [Misconfigured, Misconfigured, InvalidRecipient, InvalidRecipient]),
    (552, [Misconfigured, Rejected, MailboxFull, Rejected]),
    (553, [Misconfigured, Misconfigured, InvalidRecipient, Rejected]),
    (556, [Misconfigured, InvalidRecipient, InvalidRecipient, InvalidRecipient]),
];

/// Class of any other reply code, by its first digit and the stage.
const FALLBACK_CODES: [(u16, [ReplyClass; 4]); 2] = [
    (4, [Unavailable, Unavailable, Deferred, Deferred]),
    (5, [Misconfigured, Misconfigured, Rejected, Rejected]),
];

/// A text that is more specific than the reply code.
type ReplyPattern = LazyLock<Option<Regex>>;

static RATE_LIMIT_PATTERN: ReplyPattern = LazyLock::new(|| {
    compile_pattern(
        r"\brate\b|too many (connections|messages|mails|emails|requests)|throttl|slow down|sending rate|exceeded",
    )
});

static GREYLIST_PATTERN: ReplyPattern = LazyLock::new(|| compile_pattern(r"gr[ae]y-?list|try again later"));

static UNKNOWN_USER_PATTERN: ReplyPattern = LazyLock::new(|| {
    compile_pattern(
        r"user unknown|unknown user|no such user|does not exist|unknown recipient|invalid recipient|mailbox not found|no mailbox",
    )
});

static SENDER_IDENTITY_PATTERN: ReplyPattern = LazyLock::new(|| {
    compile_pattern(
        r"\brelay|\b(SPF|DKIM|DMARC|reverse DNS|PTR)\b|\bIP( address)?\b.*(block|black|list|reputation)",
    )
});

static POLICY_PATTERN: ReplyPattern =
    LazyLock::new(|| compile_pattern(r"spam|blocked|black ?list|reputation|policy|prohibited|content"));

fn compile_pattern(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("(?i){pattern}")).ok()
}

fn has_pattern(text: &str, pattern: &ReplyPattern) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

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

    /// Returns the enhanced code. Its class is that of the reply code, if the two disagree.
    fn enhanced_code(&self) -> Option<String> {
        let first_word = self.lines.last()?.split_whitespace().next()?;
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

fn classify(stage: SmtpStage, reply: &SmtpReply) -> ReplyClass {
    let reply_text = reply.lines.join(" ");
    let is_permanent = reply.code >= 500;
    let enhanced = reply.enhanced_code().and_then(|code| class_of_enhanced_code(&code, is_permanent));
    let concerns_account = matches!(stage, SmtpStage::Opening | SmtpStage::Sender);
    match enhanced {
        // Some servers report greylisting or a rate limit under a code for another failure.
        Some(Throttled | Deferred | Unavailable)
            if !is_permanent && has_pattern(&reply_text, &GREYLIST_PATTERN) =>
        {
            Deferred
        }
        Some(Deferred | Unavailable) if !is_permanent && has_pattern(&reply_text, &RATE_LIMIT_PATTERN) => {
            Throttled
        }
        Some(Deferred) if concerns_account => Unavailable,
        // These codes concern the login, even if the enhanced code means something else.
        _ if matches!(reply.code, 530 | 534 | 535 | 538) => Misconfigured,
        // A refusal of the sender concerns all messages.
        Some(Rejected | InvalidRecipient) if concerns_account => Misconfigured,
        Some(Rejected) if has_pattern(&reply_text, &SENDER_IDENTITY_PATTERN) => Misconfigured,
        Some(class) => class,
        None => class_of_basic_code(stage, reply.code, &reply_text),
    }
}

fn class_of_enhanced_code(code: &str, is_permanent: bool) -> Option<ReplyClass> {
    let subject_and_detail = code.split_once('.')?.1;
    let any_detail = format!("{}.*", subject_and_detail.split_once('.')?.0);
    let find_row = |code: &str| ENHANCED_CODES.iter().find(|(row_code, ..)| *row_code == code);
    let (_, permanent, temporary) = find_row(subject_and_detail).or_else(|| find_row(&any_detail))?;
    Some(if is_permanent { *permanent } else { *temporary })
}

fn class_of_basic_code(stage: SmtpStage, code: u16, text: &str) -> ReplyClass {
    let row = BASIC_CODES.iter().find(|(row_code, _)| *row_code == code);
    let row = row.or_else(|| FALLBACK_CODES.iter().find(|(first_digit, _)| *first_digit == code / 100));
    let class = row.map_or(Misconfigured, |(_, classes)| classes[stage as usize]);
    if code < 500 {
        return match class {
            Deferred if has_pattern(text, &GREYLIST_PATTERN) => Deferred,
            _ if has_pattern(text, &RATE_LIMIT_PATTERN) => Throttled,
            class => class,
        };
    }
    if stage == SmtpStage::Opening || !matches!(code, 550 | 554) {
        return class;
    }
    if has_pattern(text, &UNKNOWN_USER_PATTERN) {
        InvalidRecipient
    } else if has_pattern(text, &SENDER_IDENTITY_PATTERN) {
        Misconfigured
    } else if stage != SmtpStage::Sender && has_pattern(text, &POLICY_PATTERN) {
        Rejected
    } else {
        class
    }
}

/// Returns the result of a refusal.
pub(super) fn send_result(stage: SmtpStage, reply: &SmtpReply) -> SendResult {
    let reason = reply.joined_text();
    let is_greylisted = has_pattern(&reason, &GREYLIST_PATTERN);
    let outcome = match classify(stage, reply) {
        Deferred => Outcome::Deferred { reason, retry_after: is_greylisted.then_some(GREYLIST_RETRY_AFTER) },
        MailboxFull => Outcome::Deferred { reason, retry_after: Some(MAILBOX_FULL_RETRY_AFTER) },
        Unavailable => Outcome::Unavailable { reason },
        Throttled => Outcome::Throttled { retry_after: Some(THROTTLED_RETRY_AFTER) },
        Rejected => Outcome::Rejected { reason },
        InvalidRecipient => Outcome::InvalidRecipient { reason },
        Misconfigured => Outcome::Misconfigured { reason },
    };
    SendResult { outcome, code: Some(reply.code_text()) }
}

#[cfg(test)]
mod tests;
