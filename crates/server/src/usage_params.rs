//! Query parameters of usage: `?user_id=&since=&until=&cursor=&limit=&format=`, for the native API and the page.
//!
//! A time is a moment or a day in UTC: `since` is the day's beginning, `until` its end. All invalid parameters are
//! reported at once.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};

use crate::problem::Violation;
use crate::{cursor, form};
use postrider_core::clock::Timestamp;
use postrider_engine::config::LimitsConfig;
use postrider_store::UsageQuery;

/// Maximum length of a user id, in characters.
const USER_ID_CHARS_MAX: usize = 255;

/// Format of the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UsageFormat {
    /// JSON, for programs.
    #[default]
    Json,
    /// CSV, for spreadsheets.
    Csv,
}

/// Parsed query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsageParams {
    /// Filter and page.
    pub(crate) query: UsageQuery,
    /// Format of the response.
    pub(crate) format: UsageFormat,
}

impl UsageParams {
    /// Parses a query string, or returns all invalid parameters. An empty value counts as not given.
    pub(crate) fn parse(limits: &LimitsConfig, query: &str) -> Result<Self, Vec<Violation>> {
        let pairs = form::pairs(query.as_bytes())
            .map_err(|error| vec![Violation::new("query", error.to_string())])?;
        let mut params = Self::default();
        params.query.limit = cursor::PAGE_LIMIT_DEFAULT.min(limits.page_limit_max);
        let mut violations = Vec::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            if let Err(detail) = params.set_param(limits.page_limit_max, &name, &value) {
                violations.push(Violation::new(name, detail));
            }
        }
        if violations.is_empty() { Ok(params) } else { Err(violations) }
    }

    fn set_param(&mut self, limit_max: usize, name: &str, value: &str) -> Result<(), Cow<'static, str>> {
        let query = &mut self.query;
        let time_expected =
            "must be a time such as \"2030-01-31T08:30:00Z\", or a day such as \"2030-01-31\"";
        match name {
            "user_id" if value.chars().count() > USER_ID_CHARS_MAX => {
                return Err("must not be longer than 255 characters".into());
            }
            "user_id" => query.user = Some(value.to_owned()),
            "since" => query.since = Some(parse_time(value, false).ok_or(time_expected)?),
            "until" => query.until = Some(parse_time(value, true).ok_or(time_expected)?),
            "cursor" => query.before = Some(cursor::parse(value)?),
            "limit" => query.limit = cursor::parse_limit(value, limit_max)?,
            "format" => {
                self.format = match value {
                    "json" => UsageFormat::Json,
                    "csv" => UsageFormat::Csv,
                    _ => return Err("must be json or csv".into()),
                }
            }
            _ => {
                return Err(
                    "unknown parameter; known are user_id, since, until, cursor, limit, format".into()
                );
            }
        }
        Ok(())
    }
}

/// Parses a time, or a day as its beginning or end.
fn parse_time(text: &str, end_of_day: bool) -> Option<Timestamp> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok()?;
    let days = Days::new(u64::from(end_of_day));
    let midnight = day.checked_add_days(days)?.and_time(NaiveTime::MIN);
    Some(midnight.and_utc())
}
