//! What a mail server's answers mean.
//!
//! Enhanced codes (RFC 3463 and the registry) first, then the three digits and where in the dialogue they came, then the
//! words: before the recipient is named a refusal speaks of us, then of the recipient, and at the end of the content.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::provider_text::sanitize_text;
use postrider_core::attempt::{Outcome, SendResult};

/// How long to wait after "too fast", where nobody says how long.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(60);

/// When a server that lets strangers wait (greylisting) may be asked again.
const GREYLIST_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// When a full mailbox may have room again.
const MAILBOX_FULL_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Where in the dialogue an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SmtpStage {
    /// Greeting, EHLO, STARTTLS, signing in: about us.
    Opening,
    /// MAIL: about our address.
    Sender,
    /// RCPT: about the recipient.
    Recipient,
    /// DATA and the mail itself: about what it says, or policy.
    Content,
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SmtpReply {
    /// Its three digits.
    pub code: u16,
    /// Its lines, without the digits.
    pub lines: Vec<String>,
}

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReplyClass {
    /// Not now for this recipient.
    Deferred,
    /// Not now, and the server itself is why.
    Unavailable,
    Throttled,
    Rejected,
    InvalidRecipient,
    Misconfigured,
    /// The mailbox is full: not for hours.
    MailboxFull,
}

use ReplyClass::{Deferred, InvalidRecipient, MailboxFull, Misconfigured, Rejected, Throttled, Unavailable};

/// Subject and detail of an enhanced code; what it means behind a 5 and behind a 4. `*` is any other detail.
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

/// What three digits mean without an enhanced code, by stage: opening, sender, recipient, content.
const BASIC_CODES: [(u16, [ReplyClass; 4]); 22] = [
    (421, [Unavailable, Unavailable, Unavailable, Unavailable]),
    (450, [Unavailable, Unavailable, Deferred, Deferred]),
    (451, [Unavailable, Unavailable, Deferred, Deferred]),
    (452, [Unavailable, Unavailable, Deferred, Deferred]),
    (454, [Unavailable, Unavailable, Unavailable, Unavailable]),
    (455, [Unavailable, Unavailable, Deferred, Deferred]),
    (500, [Misconfigured; 4]),
    (
        501,
        [Misconfigured, Misconfigured, InvalidRecipient, Misconfigured],
    ),
    (502, [Misconfigured; 4]),
    (503, [Misconfigured; 4]),
    (504, [Misconfigured; 4]),
    (
        521,
        [
            Misconfigured,
            InvalidRecipient,
            InvalidRecipient,
            InvalidRecipient,
        ],
    ),
    (530, [Misconfigured; 4]),
    (534, [Misconfigured; 4]),
    (535, [Misconfigured; 4]),
    (538, [Misconfigured; 4]),
    (541, [Misconfigured, Rejected, Rejected, Rejected]),
    (550, [Misconfigured, Misconfigured, InvalidRecipient, Rejected]),
    (
        551,
        [Misconfigured, Misconfigured, InvalidRecipient, InvalidRecipient],
    ),
    (552, [Misconfigured, Rejected, MailboxFull, Rejected]),
    (553, [Misconfigured, Misconfigured, InvalidRecipient, Rejected]),
    (
        556,
        [
            Misconfigured,
            InvalidRecipient,
            InvalidRecipient,
            InvalidRecipient,
        ],
    ),
];

/// What any other three digits mean, by their first, likewise.
const FALLBACK_CODES: [(u16, [ReplyClass; 4]); 2] = [
    (4, [Unavailable, Unavailable, Deferred, Deferred]),
    (5, [Misconfigured, Misconfigured, Rejected, Rejected]),
];

/// Words that say more than a code that says little.
struct ReplyPatterns {
    rate_limit: Option<Regex>,
    greylist: Option<Regex>,
    unknown_user: Option<Regex>,
    sender_identity: Option<Regex>,
    policy: Option<Regex>,
}

static REPLY_PATTERNS: LazyLock<ReplyPatterns> = LazyLock::new(|| {
    let hint = |pattern: &str| Regex::new(&format!("(?i){pattern}")).ok();
    ReplyPatterns {
        rate_limit: hint(
            r"\brate\b|too many (connections|messages|mails|emails|requests)|throttl|slow down|sending rate|exceeded",
        ),
        greylist: hint(r"gr[ae]y-?list|try again later"),
        unknown_user: hint(
            r"user unknown|unknown user|no such user|does not exist|unknown recipient|invalid recipient|mailbox not found|no mailbox",
        ),
        sender_identity: hint(
            r"\brelay|\b(SPF|DKIM|DMARC|reverse DNS|PTR)\b|\bIP( address)?\b.*(block|black|list|reputation)",
        ),
        policy: hint(r"spam|blocked|black ?list|reputation|policy|prohibited|content"),
    }
});

fn pattern_matches(hint: Option<&Regex>, text: &str) -> bool {
    hint.is_some_and(|hint| hint.is_match(text))
}

impl SmtpReply {
    /// Whether it says yes.
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// Digits and enhanced code, as an operator looks them up.
    pub fn code_text(&self) -> String {
        match self.enhanced_code() {
            Some(enhanced) => format!("{} {enhanced}", self.code),
            None => self.code.to_string(),
        }
    }

    /// The enhanced code, with the class of the three digits where the two disagree.
    fn enhanced_code(&self) -> Option<String> {
        let word = self.lines.last()?.split_whitespace().next()?;
        let mut parts = word.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        let is_number =
            |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = matches!(class, "2" | "4" | "5")
            && is_number(subject)
            && is_number(detail)
            && parts.next().is_none();
        fits.then(|| format!("{}.{subject}.{detail}", self.code / 100))
    }

    /// Its words on one line.
    pub fn joined_text(&self) -> String {
        sanitize_text(&self.lines.join(" "))
    }
}

fn classify(stage: SmtpStage, reply: &SmtpReply) -> ReplyClass {
    let text = reply.lines.join(" ");
    let permanent = reply.code >= 500;
    let enhanced = reply
        .enhanced_code()
        .and_then(|code| class_of_enhanced_code(&code, permanent));
    let of_us = matches!(stage, SmtpStage::Opening | SmtpStage::Sender);
    match enhanced {
        // Some servers put a rate behind a code that says "policy", or a stranger's wait.
        Some(Throttled | Deferred | Unavailable)
            if pattern_matches(REPLY_PATTERNS.greylist.as_ref(), &text) && !permanent =>
        {
            Deferred
        }
        Some(Deferred | Unavailable)
            if pattern_matches(REPLY_PATTERNS.rate_limit.as_ref(), &text) && !permanent =>
        {
            Throttled
        }
        Some(Deferred) if of_us => Unavailable,
        // These speak of signing in, whatever stands behind them.
        _ if matches!(reply.code, 530 | 534 | 535 | 538) => Misconfigured,
        // A sender that policy does not like, or that may not sign in, will not be liked with another message.
        Some(Rejected | InvalidRecipient) if of_us => Misconfigured,
        Some(Rejected) if pattern_matches(REPLY_PATTERNS.sender_identity.as_ref(), &text) => Misconfigured,
        Some(class) => class,
        None => class_of_basic_code(stage, reply.code, &text),
    }
}

fn class_of_enhanced_code(code: &str, permanent: bool) -> Option<ReplyClass> {
    let subject_and_detail = code.split_once('.')?.1;
    let any_detail = format!("{}.*", subject_and_detail.split_once('.')?.0);
    let found = ENHANCED_CODES
        .iter()
        .find(|(code, ..)| *code == subject_and_detail);
    let found = found.or_else(|| ENHANCED_CODES.iter().find(|(code, ..)| *code == any_detail));
    let (_, behind_5, behind_4) = found?;
    Some(if permanent { *behind_5 } else { *behind_4 })
}

fn class_of_basic_code(stage: SmtpStage, code: u16, text: &str) -> ReplyClass {
    let column = match stage {
        SmtpStage::Opening => 0,
        SmtpStage::Sender => 1,
        SmtpStage::Recipient => 2,
        SmtpStage::Content => 3,
    };
    let row = BASIC_CODES.iter().find(|(known, _)| *known == code);
    let row = row.or_else(|| FALLBACK_CODES.iter().find(|(first, _)| *first == code / 100));
    let usual = row.map_or(Misconfigured, |(_, classes)| classes[column]);
    if code < 500 {
        return match usual {
            Deferred if pattern_matches(REPLY_PATTERNS.greylist.as_ref(), text) => Deferred,
            _ if pattern_matches(REPLY_PATTERNS.rate_limit.as_ref(), text) => Throttled,
            usual => usual,
        };
    }
    if stage == SmtpStage::Opening || !matches!(code, 550 | 554) {
        return usual;
    }
    if pattern_matches(REPLY_PATTERNS.unknown_user.as_ref(), text) {
        InvalidRecipient
    } else if pattern_matches(REPLY_PATTERNS.sender_identity.as_ref(), text) {
        Misconfigured
    } else if stage != SmtpStage::Sender && pattern_matches(REPLY_PATTERNS.policy.as_ref(), text) {
        Rejected
    } else {
        usual
    }
}

/// What a refusal comes to.
pub(super) fn send_result(stage: SmtpStage, reply: &SmtpReply) -> SendResult {
    let reason = reply.joined_text();
    let greylisted = pattern_matches(REPLY_PATTERNS.greylist.as_ref(), &reason);
    let outcome = match classify(stage, reply) {
        Deferred => Outcome::Deferred {
            reason,
            retry_after: greylisted.then_some(GREYLIST_RETRY_AFTER),
        },
        MailboxFull => Outcome::Deferred {
            reason,
            retry_after: Some(MAILBOX_FULL_RETRY_AFTER),
        },
        Unavailable => Outcome::Unavailable { reason },
        Throttled => Outcome::Throttled {
            retry_after: Some(THROTTLED_RETRY_AFTER),
        },
        Rejected => Outcome::Rejected { reason },
        InvalidRecipient => Outcome::InvalidRecipient { reason },
        Misconfigured => Outcome::Misconfigured { reason },
    };
    SendResult {
        outcome,
        code: Some(reply.code_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::SmtpStage::{Content, Opening, Recipient, Sender};
    use super::*;

    fn outcome_word(stage: SmtpStage, code: u16, text: &str) -> &'static str {
        let lines = vec![text.to_owned()];
        send_result(stage, &SmtpReply { code, lines }).outcome.as_str()
    }

    #[test]
    fn a_refusal_means_what_the_reference_says() {
        for (stage, code, text, expected) in [
            (Opening, 554, "no service for you here", "misconfigured"),
            (Opening, 421, "too many connections from your host", "throttled"),
            (Opening, 421, "closing", "unavailable"),
            (Opening, 535, "5.7.8 wrong password", "misconfigured"),
            (
                Opening,
                454,
                "4.7.0 temporary authentication failure",
                "throttled",
            ),
            (
                Opening,
                454,
                "Throttling failure: maximum sending rate exceeded",
                "throttled",
            ),
            (Sender, 550, "5.7.1 not allowed to send as this", "misconfigured"),
            (Sender, 553, "5.1.8 sender domain unknown", "misconfigured"),
            (Sender, 452, "4.3.1 insufficient storage", "unavailable"),
            (Recipient, 450, "greylisted, try again later", "deferred"),
            (Recipient, 451, "4.7.1 Greylisting in action", "deferred"),
            (Recipient, 450, "4.7.0 greylisted", "deferred"),
            (Recipient, 450, "4.7.28 flood from your address", "throttled"),
            (Recipient, 421, "4.7.0 slow down", "throttled"),
            (Recipient, 452, "4.2.2 mailbox full", "deferred"),
            (Recipient, 552, "5.2.2 mailbox full", "deferred"),
            (Recipient, 451, "4.3.0 queue file write error", "unavailable"),
            (Recipient, 550, "5.1.1 user unknown", "invalid_recipient"),
            (Recipient, 550, "no such user here", "invalid_recipient"),
            (Recipient, 550, "whatever", "invalid_recipient"),
            (Recipient, 550, "blocked as spam by policy", "rejected"),
            (Recipient, 550, "SPF check failed", "misconfigured"),
            (Recipient, 550, "5.7.1 not wanted here", "rejected"),
            (Recipient, 554, "5.7.1 relay access denied", "misconfigured"),
            (Recipient, 556, "5.1.10 null MX", "invalid_recipient"),
            (Recipient, 501, "bad address", "invalid_recipient"),
            (
                Recipient,
                530,
                "5.7.0 Must issue a STARTTLS command first",
                "misconfigured",
            ),
            (Recipient, 450, "5.1.1 user unknown", "deferred"),
            (Content, 550, "not liked", "rejected"),
            (Content, 554, "5.6.0 bad content", "rejected"),
            (Content, 552, "5.3.4 too big", "rejected"),
            (Content, 550, "5.7.26 fails DMARC", "misconfigured"),
            (Content, 451, "local error", "deferred"),
            (Content, 554, "5.5.1 no valid recipients", "misconfigured"),
        ] {
            assert_eq!(
                outcome_word(stage, code, text),
                expected,
                "{stage:?} {code} {text}"
            );
        }
    }

    #[test]
    fn the_code_is_kept_as_it_came_but_for_a_class_that_contradicts_it() {
        let reply = |code, text: &str| SmtpReply {
            code,
            lines: vec![text.to_owned()],
        };
        assert_eq!(reply(550, "5.1.1 no").code_text(), "550 5.1.1");
        assert_eq!(reply(450, "5.1.1 no").code_text(), "450 4.1.1");
        assert_eq!(reply(550, "5.1 no").code_text(), "550");
        assert_eq!(reply(550, "127.0.0.1 is blocked").code_text(), "550");
        assert_eq!(
            SmtpReply {
                code: 550,
                lines: vec![]
            }
            .code_text(),
            "550"
        );
    }

    #[test]
    fn no_code_stands_in_a_table_twice() {
        for (at, (code, ..)) in ENHANCED_CODES.iter().enumerate() {
            assert!(
                ENHANCED_CODES[..at].iter().all(|(other, ..)| other != code),
                "{code}"
            );
        }
        for (at, (code, _)) in BASIC_CODES.iter().enumerate() {
            assert!(BASIC_CODES[..at].iter().all(|(other, _)| other != code), "{code}");
        }
    }
}
