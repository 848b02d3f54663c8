//! What an answer means: the operator's rules first, then what HTTP itself says.
//!
//! A status that speaks of our request (401, 404) takes the provider out of the rotation, one that speaks of
//! its own trouble (5xx) passes the message on, one that speaks of the message (422) ends it. An answer that
//! promises success but cannot be read to its end is `unknown`: it may have been sent.

use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::header::LOCATION;

use super::answer::{Place, Reading, retry_after};
use super::json::Path;
use super::settings::{RuleSettings, Settings};
use crate::domain::attempt::Answer;
use crate::error::{Error, Result};
use crate::provider::fate::Fate;
use crate::provider::outbound::{Answered, End};
use crate::provider::reading::{reference, words};

/// All that is known about reading a provider's answers.
pub(super) struct Rules {
    rules: Vec<Rule>,
    reference: Option<Place>,
    code: Option<Place>,
    reason: Option<Place>,
    /// Whether anything is looked up in JSON.
    reads_json: bool,
    /// Whether a success without a readable body means nothing.
    needs_body: bool,
    /// Whether a success must be JSON, because its reference stands there.
    promises_json: bool,
}

struct Rule {
    statuses: Vec<RangeInclusive<u16>>,
    body: Option<BodyTest>,
    fate: Fate,
    reason: Option<String>,
    retry_after: Option<Duration>,
}

enum BodyTest {
    Contains(Vec<u8>),
    Equals(Path, String),
    /// Present, but something else.
    Differs(Path, String),
}

impl Rules {
    /// Reads the settings' places and rules.
    pub fn read(settings: &Settings) -> Result<Self> {
        let place = |key: &str, text: &Option<String>| {
            let place = text.as_deref().map(Place::read).transpose();
            place.map_err(|cause| Error::usage(format!("{key}: {cause}")))
        };
        let rules = settings.rules.iter().enumerate().map(|(index, rule)| {
            Rule::read(rule).map_err(|cause| Error::usage(format!("rules[{index}].{cause}")))
        });
        let mut read = Self {
            rules: rules.collect::<Result<_>>()?,
            reference: place("reference", &settings.reference)?,
            code: place("code", &settings.code)?,
            reason: place("reason", &settings.reason)?,
            reads_json: false,
            needs_body: false,
            promises_json: false,
        };
        let in_json = |place: &Option<Place>| matches!(place, Some(Place::Json(_)));
        let tests: Vec<_> = read.rules.iter().filter_map(|rule| rule.body.as_ref()).collect();
        let tests_json = tests
            .iter()
            .any(|test| matches!(test, BodyTest::Equals(..) | BodyTest::Differs(..)));
        let in_body = read
            .reference
            .as_ref()
            .is_some_and(|place| !matches!(place, Place::Header(_)));
        read.needs_body = in_body || !tests.is_empty();
        read.promises_json = in_json(&read.reference);
        read.reads_json = read.promises_json || tests_json || in_json(&read.code) || in_json(&read.reason);
        Ok(read)
    }

    /// What the answer means.
    pub fn answer(&self, answered: &Answered) -> Answer {
        let json = self
            .reads_json
            .then(|| serde_json::from_slice(&answered.body).ok())
            .flatten();
        let reading = Reading { answered, json };
        let code = self.code.as_ref().and_then(|place| reading.find(place));
        let code = code.map(|code| words(&code)).filter(|code| !code.is_empty());
        let code = code.unwrap_or_else(|| format!("HTTP {}", answered.status));
        Answer {
            outcome: self.outcome(&reading),
            code: Some(code),
        }
    }

    fn outcome(&self, reading: &Reading) -> crate::domain::attempt::Outcome {
        let status = reading.answered.status;
        let asked = retry_after(&reading.answered.headers);
        let rule = self.rules.iter().find(|rule| rule.fits(reading));
        if (200..300).contains(&status)
            && let Some(doubt) = self.doubt(reading, rule.is_some())
        {
            return Fate::Unknown.outcome(None, doubt, None);
        }
        let fate = rule.map_or_else(|| usual(status, asked.is_some()), |rule| rule.fate);
        let found = self.reference.as_ref().filter(|_| fate == Fate::Accepted);
        let found = found
            .and_then(|place| reading.find(place))
            .and_then(|text| reference(&text));
        let reason = rule.and_then(|rule| rule.reason.clone());
        let reason = match fate {
            Fate::Accepted | Fate::Throttled => String::new(),
            Fate::Deferred
            | Fate::Unavailable
            | Fate::Rejected
            | Fate::InvalidRecipient
            | Fate::Misconfigured
            | Fate::Unknown => reason.unwrap_or_else(|| self.reason(reading)),
        };
        fate.outcome(found, reason, asked.or(rule.and_then(|rule| rule.retry_after)))
    }

    /// Why a success may be none, if so. `ruled`: the operator has said what this answer means.
    fn doubt(&self, reading: &Reading, ruled: bool) -> Option<String> {
        let status = reading.answered.status;
        match reading.answered.end {
            End::Lost => Some(format!("HTTP {status}, but the connection broke in mid-answer")),
            End::TooLong if self.needs_body => {
                Some(format!("HTTP {status}, but the answer is too long to read"))
            }
            // 204 says itself that there is nothing to read.
            End::Whole if self.promises_json && reading.json.is_none() && !ruled && status != 204 => {
                Some(format!("HTTP {status}, but the answer is not JSON"))
            }
            End::TooLong | End::Whole => None,
        }
    }

    /// In the provider's words, else by its status.
    fn reason(&self, reading: &Reading) -> String {
        let answered = reading.answered;
        if (300..400).contains(&answered.status) {
            let target = answered
                .headers
                .get(LOCATION)
                .map(|value| String::from_utf8_lossy(value.as_bytes()));
            let target = target.as_deref().unwrap_or("nowhere");
            // What stands behind the question mark may be a secret, and this is shown.
            let target = words(target.split(['?', '#']).next().unwrap_or(target));
            return words(&format!(
                "redirects to {target}; if that is right, make it the url"
            ));
        }
        let found = self.reason.as_ref().and_then(|place| reading.find(place));
        let text = found.unwrap_or_else(|| String::from_utf8_lossy(&answered.body).into_owned());
        let text = words(&text);
        if text.is_empty() {
            format!("HTTP {}", answered.status)
        } else {
            text
        }
    }
}

/// What a status means when no rule says otherwise.
fn usual(status: u16, says_when: bool) -> Fate {
    match status {
        200..300 => Fate::Accepted,
        429 => Fate::Throttled,
        503 if says_when => Fate::Throttled,
        408 | 425 => Fate::Unavailable,
        // Our account (401 to 403, 407), our URL (404, 405, 410, 501), our content type (406, 415), a redirect.
        300..400 | 401..=407 | 410 | 415 | 501 => Fate::Misconfigured,
        400..500 => Fate::Rejected,
        500..600 => Fate::Unavailable,
        _ => Fate::Unknown,
    }
}

impl Rule {
    fn read(settings: &RuleSettings) -> Result<Self, String> {
        if settings.status.is_none() && settings.body.is_none() {
            return Err("status: is missing, and so is body; say which answers are meant".to_owned());
        }
        Ok(Self {
            statuses: settings.status.as_deref().map_or(Ok(Vec::new()), statuses)?,
            body: settings.body.as_deref().map(BodyTest::read).transpose()?,
            fate: settings.outcome,
            reason: settings.reason.as_deref().map(words),
            retry_after: settings.retry_after,
        })
    }

    fn fits(&self, reading: &Reading) -> bool {
        let status = reading.answered.status;
        let meant = self.statuses.is_empty() || self.statuses.iter().any(|range| range.contains(&status));
        meant && self.body.as_ref().is_none_or(|test| test.fits(reading))
    }
}

/// Reads `2xx`, `429`, `400-499`, or several with commas.
fn statuses(text: &str) -> Result<Vec<RangeInclusive<u16>>, String> {
    text.split(',')
        .map(|part| range(part.trim()))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            "status: is not a status; write \"2xx\", \"429\", \"400-499\" or several with commas".to_owned()
        })
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| {
        text.trim()
            .parse()
            .ok()
            .filter(|status| (100..1000).contains(status))
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class = class
            .parse::<u16>()
            .ok()
            .filter(|class| (1..10).contains(class))?;
        return Some(class * 100..=class * 100 + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}

impl BodyTest {
    fn read(text: &str) -> Result<Self, String> {
        let Some(test) = text.strip_prefix("json:") else {
            return if text.is_empty() {
                Err("body: is empty; write a part of the body, or leave it out".to_owned())
            } else {
                Ok(Self::Contains(text.as_bytes().to_owned()))
            };
        };
        if let Some((path, value)) = test.split_once("!=") {
            return Ok(Self::Differs(Path::read(path.trim()), value.trim().to_owned()));
        }
        let Some((path, value)) = test.split_once('=') else {
            return Err("body: says where in the JSON, but not what; write json:PATH=VALUE".to_owned());
        };
        Ok(Self::Equals(Path::read(path.trim()), value.trim().to_owned()))
    }

    fn fits(&self, reading: &Reading) -> bool {
        let found = |path: &Path| path.text(reading.json.as_ref()?);
        match self {
            Self::Contains(part) => {
                let body = &reading.answered.body;
                body.windows(part.len()).any(|window| window == part)
            }
            Self::Equals(path, value) => found(path).is_some_and(|found| found == *value),
            Self::Differs(path, value) => found(path).is_some_and(|found| found != *value),
        }
    }
}

#[cfg(test)]
mod tests;
