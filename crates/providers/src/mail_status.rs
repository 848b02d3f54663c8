//! Verdicts of mail servers, from enhanced status codes (RFC 3463) and from the words beside them. Used by every kind
//! that sends email.
//!
//! Only a verdict about the mailbox itself makes an address invalid: a known code of an unknown or disabled mailbox,
//! or, without a code, words with this meaning. Policy, content, size, block lists, rates and quotas concern one mail
//! or the sender, even if the code says otherwise.

use std::sync::LazyLock;

use regex::Regex;

/// The subject of a refusal or a bounce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailVerdict {
    /// This recipient cannot be reached now.
    Deferred,
    /// The server refuses an unknown sender for some minutes.
    Greylisted,
    /// The server refuses senders that it does not know for some minutes.
    MailboxFull,
    /// The server cannot accept mail now.
    Unavailable,
    /// The sender sends too much or too fast.
    Throttled,
    /// This mail is refused.
    Rejected,
    /// The mailbox does not exist or is disabled.
    InvalidRecipient,
    /// The account or the sender's domain is set up wrongly.
    Misconfigured,
    /// A command was refused. Before RCPT this is evidence against the account; from RCPT on, against this mail.
    CommandRefused,
}

use MailVerdict::{
    CommandRefused, Deferred, Greylisted, InvalidRecipient, MailboxFull, Misconfigured, Rejected, Throttled,
    Unavailable,
};

/// Subject and detail of an enhanced code, its verdict as a permanent failure (5), and its verdict as a temporary
/// failure (4). `*` stands for any other detail.
#[rustfmt::skip]
const ENHANCED_CODES: &[(&str, MailVerdict, MailVerdict)] = &[
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
    // There is no route to the domain. A fault of name resolution has the same code.
    ("4.4", Rejected, Deferred),
    ("4.5", Throttled, Throttled),
    ("4.6", Misconfigured, Deferred),
    ("4.7", Rejected, Deferred),
    ("5.3", Deferred, Deferred),
    ("5.*", CommandRefused, Deferred),
    ("6.*", Rejected, Rejected),
    ("7.0", Rejected, Throttled),
    ("7.1", Rejected, Deferred),
    ("7.2", Rejected, Rejected),
    ("7.3", Rejected, Deferred),
    ("7.4", Rejected, Deferred),
    ("7.5", Rejected, Deferred),
    ("7.6", Rejected, Deferred),
    ("7.7", Rejected, Deferred),
    ("7.8", CommandRefused, Unavailable),
    ("7.9", Misconfigured, Misconfigured),
    ("7.10", Misconfigured, Misconfigured),
    ("7.11", Misconfigured, Misconfigured),
    ("7.12", Misconfigured, Misconfigured),
    ("7.13", CommandRefused, Unavailable),
    ("7.17", Rejected, Deferred),
    ("7.18", Rejected, Deferred),
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

/// Words that are more specific than the code beside them.
type MailWords = LazyLock<Option<Regex>>;

static GREYLIST_WORDS: MailWords = LazyLock::new(|| compile(r"gr[ae]y-?\s?list"));

static SIZE_WORDS: MailWords = LazyLock::new(|| {
    compile(r"\bsize\b|too (large|big)\b|message length|exceeds .{0,20}maximum .{0,10}bytes")
});

static MAILBOX_FULL_WORDS: MailWords = LazyLock::new(|| {
    compile(
        r"(mailbox|inbox|mail folder|maildir|account) (is |was |has been )?(currently )?(over|full\b|exceed)|mailfolder is full|\b(over|out of|exceed(ed|s|ing)?)( \w+){0,3} (disk |mailbox |storage |user )?(quota|storage)\b|quota (is |was |has been )?(exceeded|full|reached)|disk quota|quotaexceeded|mailbox[- ]?full|insufficient (disk|mailbox) (space|storage)",
    )
});

/// Words for limits of the sender. Beside a code about the mailbox, the same words mean a limit of the recipient.
static LIMIT_WORDS: MailWords = LazyLock::new(|| {
    compile(
        r"\b(rate|flood)[- ]?(limit|control|ed\b)|\brate\b.{0,40}(exceed|limit|prevent|too)|too (many|much) |too (fast|quickly|frequent)|throttl|slow(ing)? down|sending rate|(daily|hourly|sending|message|messages|recipient|recipients|receive|relay|outbound|per[- ](day|hour|minute))\b.{0,30}\b(limit|quota)|(exceed|reached)\w*\b.{0,50}\b(limit|quota|rate|maximum|allowed)|limit\b.{0,30}\b(exceed|reached)",
    )
});

/// Limits that last for hours.
static LONG_LIMIT_WORDS: MailWords = LazyLock::new(|| compile(r"\bdaily\b|\bhour|per[- ]day|\bday\b|quota"));

static MAILBOX_WORDS: MailWords = LazyLock::new(|| {
    compile(
        r#"(user|mailbox|recipient|account|addressee)( name)?('s)?( address)?( rejected)?[ :<"'(]*(is |was |are )?(not found|unknown|not known|does ?n[o']t exist|doesn't exist|not exist|no longer|is not a valid|not valid|not local|has been (disabled|deactivated|closed|suspended|deleted)|disabled|deactivated|inactive)\b|(unknown|no such|invalid|nonexistent|non-existent|bad|no) (local )?(user|mailbox|recipient|account|addressee|destination (mailbox|address)|rcpt)\b|unknown (local part|address)|no such (address|person|domain name user|email)|account (that you tried to reach |you tried to reach )?(does not exist|is (disabled|inactive))|have an? \S+ account|mailbox (unavailable|not allowed|name not allowed)|(isn't|is not|not) (a |our )?(valid )?(customer|user|mailbox|recipient)\b|undeliverable address|address (does not|doesn't) exist|does not exist here|recipient address rejected: (user|undeliverable|unverified)"#,
    )
});

/// Words about the sender. A text that contains them is not about the recipient, even if it also says "unknown".
static SENDER_WORDS: MailWords = LazyLock::new(|| {
    compile(r"\bsender\b|\bsending\b|\bsent from\b|\breverse[- ]path\b|\bfrom address\b|\breturn[- ]path\b")
});

static SENDER_IDENTITY_WORDS: MailWords =
    LazyLock::new(|| compile(r"\brelay|\b(SPF|DKIM|DMARC|reverse DNS|PTR)\b"));

static POLICY_WORDS: MailWords = LazyLock::new(|| {
    compile(
        r"\bspam|unsolicited|\b(un)?block|black-?\s?list|deny-?\s?list|\bbanned\b|\bdenied\b|reputation|polic(y|ies)\b|prohibited|forbidden|\bcontent\b|\bvirus|malware|phish|suspicious|unauthenticated|not authori[sz]ed|\bRBL\b|\bDNSBL\b|spamhaus|\bSPF\b|\bDKIM\b|\bDMARC\b|\brelay|complain|abuse",
    )
});

fn compile(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("(?i){pattern}")).ok()
}

fn has_words(text: &str, words: &MailWords) -> bool {
    words.as_ref().is_some_and(|words| words.is_match(text))
}

/// Returns the verdict of a refused recipient or mail; None when neither code nor words decide. `mail_code` is the
/// enhanced code, such as `5.1.1`, and `is_permanent` replaces its class.
pub(crate) fn mail_verdict(
    mail_code: Option<&str>,
    is_permanent: bool,
    reply_text: &str,
) -> Option<MailVerdict> {
    let listed = mail_code.and_then(|mail_code| listed_verdict(mail_code, is_permanent));
    if has_words(reply_text, &GREYLIST_WORDS) {
        return Some(Greylisted);
    }
    if is_permanent && has_words(reply_text, &SIZE_WORDS) && listed != Some(InvalidRecipient) {
        return Some(Rejected);
    }
    if has_words(reply_text, &MAILBOX_FULL_WORDS) && is_about_mailbox_subject(mail_code) {
        return Some(MailboxFull);
    }
    if listed != Some(MailboxFull) && has_words(reply_text, &LIMIT_WORDS) {
        let is_recipient_limit = mail_code.is_some_and(|mail_code| subject_of(mail_code) == "2");
        return Some(if is_recipient_limit { Deferred } else { Throttled });
    }
    let names_mailbox = has_words(reply_text, &MAILBOX_WORDS) && !has_words(reply_text, &SENDER_WORDS);
    let names_policy = has_words(reply_text, &POLICY_WORDS);
    match listed {
        Some(InvalidRecipient) if names_policy && !names_mailbox => Some(Rejected),
        Some(Rejected) if has_words(reply_text, &SENDER_IDENTITY_WORDS) => Some(Misconfigured),
        Some(CommandRefused) if names_mailbox && !names_policy => Some(InvalidRecipient),
        Some(verdict) => Some(verdict),
        None if !is_permanent => None,
        None if is_unspecific(mail_code) && names_mailbox && !names_policy => Some(InvalidRecipient),
        None if is_unspecific(mail_code) && has_words(reply_text, &SENDER_IDENTITY_WORDS) => {
            Some(Misconfigured)
        }
        None if is_unspecific(mail_code) && !names_policy => None,
        // The meaning of an unknown code is unknown, so it is no verdict about the mailbox.
        None => Some(Rejected),
    }
}

/// Returns the verdict of a code in the table, without the words beside it.
pub(crate) fn listed_verdict(code: &str, is_permanent: bool) -> Option<MailVerdict> {
    let subject_and_detail = code.split_once('.')?.1;
    let any_detail = format!("{}.*", subject_of(code));
    let find_line = |wanted: &str| ENHANCED_CODES.iter().find(|(line_code, ..)| *line_code == wanted);
    let (_, permanent, temporary) = find_line(subject_and_detail).or_else(|| find_line(&any_detail))?;
    Some(if is_permanent { *permanent } else { *temporary })
}

/// Returns whether a text that names a limit of the sender names one that lasts for hours.
pub(crate) fn is_long_limit(text: &str) -> bool {
    has_words(text, &LONG_LIMIT_WORDS)
}

/// Returns whether a text names a block list, a policy or the content.
pub(crate) fn names_policy(text: &str) -> bool {
    has_words(text, &POLICY_WORDS)
}

fn subject_of(code: &str) -> &str {
    code.split('.').nth(1).unwrap_or_default()
}

/// Returns whether a code has no meaning of its own, so that the words decide: no code, or `5.0.0`.
fn is_unspecific(code: Option<&str>) -> bool {
    code.is_none_or(|code| subject_of(code) == "0")
}

/// Returns whether words about a full mailbox fit the code. With a code of the policy group they mean a quota of the
/// sender.
fn is_about_mailbox_subject(code: Option<&str>) -> bool {
    code.is_none_or(|code| matches!(subject_of(code), "0" | "1" | "2" | "3"))
}

#[cfg(test)]
mod tests;
