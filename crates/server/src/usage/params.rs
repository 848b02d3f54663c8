//! Reads `?user_id=&since=&until=&cursor=&limit=&format=`.
//!
//! Times are moments, or days: `since` a day is from its beginning, `until` a day is to its end, in UTC. Every parameter
//! is looked at even when another one is wrong.

use std::borrow::Cow;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};

use crate::problem::Violation;
use crate::{cursor, form};
use postrider_core::clock::Timestamp;
use postrider_engine::config::LimitsConfig;
use postrider_store::UsageQuery;

/// How many messages a page has when the client does not say.
const LIMIT_DEFAULT: usize = 50;

/// The longest name of a person, in characters.
const USER_ID_CHARS_MAX: usize = 255;

/// In which form the answer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UsageFormat {
    /// For programs.
    #[default]
    Json,
    /// For spreadsheets.
    Csv,
}

/// A question in the store's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageParams {
    /// Whose messages, of which time, and how many.
    pub(crate) query: UsageQuery,
    /// In which form.
    pub(crate) format: UsageFormat,
}

impl UsageParams {
    /// The question, or everything that is wrong with it. What is empty was not said.
    pub(crate) fn parse(limits: &LimitsConfig, query: &str) -> Result<Self, Vec<Violation>> {
        let pairs = form::pairs(query.as_bytes())
            .map_err(|garbled| vec![Violation::new("query", garbled.to_string())])?;
        let mut asked = Self::default();
        asked.query.limit = LIMIT_DEFAULT.min(limits.page_limit_max);
        let mut violations = Vec::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Err(wrong) = asked.set_param(limits.page_limit_max, &name, &value) {
                violations.push(Violation::new(name, wrong));
            }
        }
        if violations.is_empty() {
            Ok(asked)
        } else {
            Err(violations)
        }
    }

    fn set_param(&mut self, longest: usize, name: &str, value: &str) -> Result<(), Cow<'static, str>> {
        let query = &mut self.query;
        let moment = "must be a time such as \"2030-01-31T08:30:00Z\", or a day such as \"2030-01-31\"";
        match name {
            "user_id" if value.chars().count() > USER_ID_CHARS_MAX => {
                return Err("must not be longer than 255 characters".into());
            }
            "user_id" => query.user = Some(value.to_owned()),
            "since" => query.since = Some(parse_time(value, false).ok_or(moment)?),
            "until" => query.until = Some(parse_time(value, true).ok_or(moment)?),
            "cursor" => {
                let before = cursor::decode(value);
                query.before = Some(before.ok_or("must be the \"next\" of the page before, unchanged")?);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=longest).contains(limit));
                query.limit = limit.ok_or_else(|| format!("must be a number from 1 to {longest}"))?;
            }
            "format" => {
                self.format = match value {
                    "json" => UsageFormat::Json,
                    "csv" => UsageFormat::Csv,
                    _ => return Err("must be json or csv".into()),
                }
            }
            _ => {
                return Err(
                    "there is no such parameter; known are user_id, since, until, cursor, limit, format"
                        .into(),
                );
            }
        }
        Ok(())
    }
}

/// A moment, or a day's beginning or end.
fn parse_time(text: &str, end_of_day: bool) -> Option<Timestamp> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok()?;
    let days = Days::new(u64::from(end_of_day));
    let midnight = day.checked_add_days(days)?.and_time(NaiveTime::MIN);
    Some(midnight.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<UsageParams, Vec<String>> {
        let limits = postrider_engine::config::Config::test_mode().limits;
        let fields = |violations: Vec<Violation>| violations.into_iter().map(|wrong| wrong.field).collect();
        UsageParams::parse(&limits, query).map_err(fields)
    }

    #[test]
    fn a_question_is_read() {
        let asked =
            read("user_id=a%40b&since=2026-11-01&until=2026-11-30&limit=7&format=csv&cursor=").unwrap();
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(
            asked.query,
            UsageQuery {
                user: Some("a@b".to_owned()),
                since: at("2026-11-01T00:00:00Z"),
                until: at("2026-12-01T00:00:00Z"),
                before: None,
                limit: 7,
            }
        );
        assert_eq!(asked.format, UsageFormat::Csv);
        let moment = read("since=2026-11-01T02:00:00%2B02:00").unwrap().query.since;
        assert_eq!(moment, at("2026-11-01T00:00:00Z"));
    }

    #[test]
    fn all_that_is_wrong_is_named() {
        let wrong = read("user=a&since=soon&until=2026-13-01&limit=0&format=xml&cursor=x").unwrap_err();
        assert_eq!(wrong, ["user", "since", "until", "limit", "format", "cursor"]);
        assert_eq!(
            read(&format!("user_id={}", "a".repeat(256))).unwrap_err(),
            ["user_id"]
        );
        assert_eq!(read("user_id=%FF").unwrap_err(), ["query"]);
    }
}
