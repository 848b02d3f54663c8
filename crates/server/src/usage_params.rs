//! Query parameters of usage: `?user_id=&since=&until=&cursor=&limit=&format=`, for the native API and the page.
//!
//! A time is RFC 3339, or a day in the time zone `tz`, an offset from UTC: `since` means its beginning, `until` its end.
//! All invalid parameters are reported at once.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{Days, FixedOffset, NaiveDate, NaiveTime, Offset, Utc};

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
        let mut params = Self::default();
        params.query.limit = cursor::PAGE_LIMIT_DEFAULT.min(limits.page_limit_max);
        // Days depend on the time zone, which may stand behind them in the query.
        let time_zone = form::field(query.as_bytes(), "tz").unwrap_or_default();
        let offset = parse_offset(&time_zone).unwrap_or(Utc.fix());
        params.query.day_offset_ms = i64::from(offset.local_minus_utc()) * 1_000;
        form::read_params(query, |name, value| params.set_param(limits.page_limit_max, offset, name, value))?;
        form::check_order(params.query.since, params.query.until)?;
        Ok(params)
    }

    fn set_param(
        &mut self,
        limit_max: usize,
        offset: FixedOffset,
        name: &str,
        value: &str,
    ) -> Result<(), Cow<'static, str>> {
        let query = &mut self.query;
        let time_expected =
            "must be a time such as \"2030-01-31T08:30:00Z\", or a day such as \"2030-01-31\"";
        match name {
            "user_id" if value.chars().count() > USER_ID_CHARS_MAX => {
                return Err("must not be longer than 255 characters".into());
            }
            "user_id" => query.user = Some(value.to_owned()),
            "since" => query.since = Some(parse_time(value, offset, Days::new(0)).ok_or(time_expected)?),
            "until" => query.until = Some(parse_time(value, offset, Days::new(1)).ok_or(time_expected)?),
            "tz" if parse_offset(value).is_none() => {
                return Err("must be an offset from UTC such as +03:30, or Z".into());
            }
            "tz" => {}
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
                    "unknown parameter; known are user_id, since, until, tz, cursor, limit, format".into()
                );
            }
        }
        Ok(())
    }
}

/// Parses a time, or a day: its midnight in the time zone plus `days_after`.
pub(crate) fn parse_time(text: &str, offset: FixedOffset, days_after: Days) -> Option<Timestamp> {
    if let Some(time) = form::parse_rfc3339(text) {
        return Some(time);
    }
    let day = text.parse::<NaiveDate>().ok()?.checked_add_days(days_after)?;
    let midnight = day.and_time(NaiveTime::MIN).and_local_timezone(offset).single()?;
    Some(midnight.to_utc())
}

/// Parses an offset from UTC: `+03:30`, `-0800`, `Z`. A query decodes the plus as a blank.
pub(crate) fn parse_offset(text: &str) -> Option<FixedOffset> {
    if matches!(text, "" | "Z" | "z" | "UTC") {
        return Some(Utc.fix());
    }
    text.replacen(' ', "+", 1).parse().ok()
}
