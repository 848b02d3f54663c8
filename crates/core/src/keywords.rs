//! Keywords of inbound messages: opt-out, opt-in and help, by channel, sender and language.
//!
//! A keyword counts only as the whole first line of a text. Compared are letters and digits after NFKD, without marks and in
//! lower case, so that punctuation, quotes, emoji, invisible characters, accents and case do not matter.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::address::{is_invisible, latin_digit};
use crate::name::ConfigName;

/// Longest first line that can be a keyword, in characters; a longer one is a text.
const KEYWORD_CHARS_MAX: usize = 100;

/// The request that a person makes with a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeywordAction {
    /// No more messages.
    OptOut,
    /// Messages again.
    OptIn,
    /// An explanation.
    Help,
}

/// The built-in keywords of one language.
struct LanguageKeywords {
    /// ISO 639-1.
    language: &'static str,
    opt_out: &'static [&'static str],
    opt_in: &'static [&'static str],
    help: &'static [&'static str],
}

/// The built-in keywords: the default lists of Twilio and AWS together, the Persian words that operators in Iran announce.
const BUILT_IN: [LanguageKeywords; 4] = [
    LanguageKeywords {
        language: "en",
        opt_out: &[
            "STOP",
            "STOPALL",
            "STOP ALL",
            "UNSUBSCRIBE",
            "CANCEL",
            "END",
            "QUIT",
            "OPTOUT",
            "OPT OUT",
            "REVOKE",
            "REMOVE",
            "TD",
        ],
        opt_in: &["START", "YES", "UNSTOP"],
        help: &["HELP", "INFO"],
    },
    LanguageKeywords {
        language: "fr",
        opt_out: &["ARRET", "ARRETER", "DESABONNER"],
        opt_in: &["COMMENCER"],
        help: &["AIDE"],
    },
    LanguageKeywords {
        language: "es",
        opt_out: &["PARAR", "ALTO", "BAJA"],
        opt_in: &["ALTA", "EMPEZAR"],
        help: &["AYUDA"],
    },
    LanguageKeywords {
        language: "fa",
        opt_out: &["لغو", "لغو11", "لغو 11", "خاموش", "توقف"],
        opt_in: &["شروع", "فعال"],
        help: &["راهنما", "کمک"],
    },
];

/// The languages with built-in keywords.
pub fn keyword_languages() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|keywords| keywords.language)
}

/// The keywords of one or more senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keywords {
    opt_out: Vec<String>,
    opt_in: Vec<String>,
    help: Vec<String>,
    /// The answer to a help keyword; none sends no answer.
    pub help_reply: Option<String>,
    /// The confirmation of an opt-out; none sends none.
    pub opt_out_reply: Option<String>,
    /// The confirmation of an opt-in; none sends none.
    pub opt_in_reply: Option<String>,
}

impl Default for Keywords {
    /// Returns the built-in keywords of all languages.
    fn default() -> Self {
        let languages = keyword_languages().collect::<Vec<_>>();
        Self {
            opt_out: Self::built_in(KeywordAction::OptOut, &languages),
            opt_in: Self::built_in(KeywordAction::OptIn, &languages),
            help: Self::built_in(KeywordAction::Help, &languages),
            help_reply: None,
            opt_out_reply: None,
            opt_in_reply: None,
        }
    }
}

impl Keywords {
    /// Returns the built-in keywords of some languages for one action.
    fn built_in(action: KeywordAction, languages: &[&str]) -> Vec<String> {
        let of_language = |keywords: &LanguageKeywords| match action {
            KeywordAction::OptOut => keywords.opt_out,
            KeywordAction::OptIn => keywords.opt_in,
            KeywordAction::Help => keywords.help,
        };
        let chosen = BUILT_IN.iter().filter(|keywords| languages.contains(&keywords.language));
        chosen.flat_map(of_language).filter_map(|word| normalize_keyword(word)).collect()
    }

    /// Keeps only the built-in keywords of these languages.
    #[must_use]
    pub fn of_languages(languages: &[&str]) -> Self {
        Self {
            opt_out: Self::built_in(KeywordAction::OptOut, languages),
            opt_in: Self::built_in(KeywordAction::OptIn, languages),
            help: Self::built_in(KeywordAction::Help, languages),
            help_reply: None,
            opt_out_reply: None,
            opt_in_reply: None,
        }
    }

    /// Replaces the keywords of an action. Returns the word that has neither a letter nor a digit, if there is one.
    pub fn replace(&mut self, action: KeywordAction, words: &[String]) -> Result<(), String> {
        let normalized = normalize_all(words)?;
        match action {
            KeywordAction::OptOut => self.opt_out = normalized,
            KeywordAction::OptIn => self.opt_in = normalized,
            KeywordAction::Help => self.help = normalized,
        }
        Ok(())
    }

    /// Removes keywords from all actions. Returns the word that has neither a letter nor a digit, if there is one.
    pub fn remove(&mut self, words: &[String]) -> Result<(), String> {
        let removed = normalize_all(words)?;
        for keywords in [&mut self.opt_out, &mut self.opt_in, &mut self.help] {
            keywords.retain(|keyword| !removed.contains(keyword));
        }
        Ok(())
    }

    /// Returns whether no text can opt out.
    pub fn has_no_opt_out(&self) -> bool {
        self.opt_out.is_empty()
    }

    /// Returns the action if the first line of a text is a keyword.
    pub fn action_of(&self, text: &str) -> Option<KeywordAction> {
        let line = normalize_keyword(first_line(text))?;
        if self.opt_out.contains(&line) {
            Some(KeywordAction::OptOut)
        } else if self.opt_in.contains(&line) {
            Some(KeywordAction::OptIn)
        } else {
            self.help.contains(&line).then_some(KeywordAction::Help)
        }
    }
}

/// The keywords of some channel and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordRule {
    /// The channel; none for all.
    pub channel: Option<ConfigName>,
    /// Our number or name to which people write, without separators; none for all.
    pub sender: Option<String>,
    /// The keywords.
    pub keywords: Keywords,
}

/// The keywords of all channels and senders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeywordRules {
    rules: Vec<KeywordRule>,
    built_in: Keywords,
}

impl KeywordRules {
    /// Returns rules of which the first that fits counts.
    pub fn new(rules: Vec<KeywordRule>) -> Self {
        Self { rules, built_in: Keywords::default() }
    }

    /// Returns the keywords of a text that was sent to `sender`, our number or name, and concerns `channel`.
    pub fn find(&self, channel: &ConfigName, sender: &str) -> &Keywords {
        let sender = normalize_sender(sender);
        let is_match = |rule: &&KeywordRule| {
            rule.channel.as_ref().is_none_or(|rule_channel| rule_channel == channel)
                && rule.sender.as_ref().is_none_or(|rule_sender| *rule_sender == sender)
        };
        self.rules.iter().find(is_match).map_or(&self.built_in, |rule| &rule.keywords)
    }
}

/// Returns a sender in the form in which senders are compared: letters and digits in lower case, without `+` and `00` in
/// front.
pub fn normalize_sender(sender: &str) -> String {
    let plain: String = sender.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    plain.strip_prefix("00").map(str::to_owned).unwrap_or(plain)
}

/// Returns the first line of a text that is not blank, without blanks and invisible characters around it.
pub fn first_line(text: &str) -> &str {
    let is_line_end =
        |c: char| matches!(c, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let is_margin = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c);
    let mut lines = text.split(is_line_end).map(|line| line.trim_matches(is_margin));
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

fn normalize_all(words: &[String]) -> Result<Vec<String>, String> {
    words.iter().map(|word| normalize_keyword(word).ok_or_else(|| word.clone())).collect()
}

/// Returns the first word of a text in the form in which keywords are compared; none if the first line has neither a letter
/// nor a digit.
pub fn first_word(text: &str) -> Option<String> {
    first_line(text).split_whitespace().find_map(normalize_keyword)
}

/// Returns the letters and digits of a line in the form in which keywords are compared, with single blanks between words;
/// none if it has no letter and no digit or is too long.
pub fn normalize_keyword(line: &str) -> Option<String> {
    if line.chars().nth(KEYWORD_CHARS_MAX).is_some() {
        return None;
    }
    let mut keyword = String::with_capacity(line.len());
    let mut has_blank = false;
    for c in line.nfkd().filter(|c| !is_combining_mark(*c) && !is_invisible(*c)) {
        has_blank |= c.is_whitespace();
        if c.is_alphanumeric() {
            if has_blank && !keyword.is_empty() {
                keyword.push(' ');
            }
            has_blank = false;
            keyword.extend(fold_letter(c).to_lowercase());
        }
    }
    (!keyword.is_empty()).then_some(keyword)
}

/// Returns the Persian form of an Arabic letter that Arabic keyboards write instead, and the Latin form of a digit.
fn fold_letter(c: char) -> char {
    match c {
        'ي' | 'ى' => 'ی',
        'ك' => 'ک',
        _ => latin_digit(c).unwrap_or(c),
    }
}

#[cfg(test)]
mod tests;
