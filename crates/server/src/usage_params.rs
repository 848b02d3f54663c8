//! Query parameters of usage: `?user_id=&since=&until=&cursor=&limit=&format=`, for the native API and the page.
//!
//! A time is RFC 3339, or a day in UTC: `since` means its beginning, `until` its end. All invalid parameters are reported
//! at once.

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
        let mut params = Self::default();
        params.query.limit = cursor::PAGE_LIMIT_DEFAULT.min(limits.page_limit_max);
        form::read_params(query, |name, value| params.set_param(limits.page_limit_max, name, value))?;
        Ok(params)
    }

    fn set_param(
        &mut self,
        limit_max: usize,
        name: &str,
        param_value: &str,
    ) -> Result<(), Cow<'static, str>> {
        let usage_query = &mut self.query;
        let time_expected =
            "must be a time such as \"2030-01-31T08:30:00Z\", or a day such as \"2030-01-31\"";
        match name {
            "user_id" if param_value.chars().count() > USER_ID_CHARS_MAX => {
                return Err("must not be longer than 255 characters".into());
            }
            "user_id" => usage_query.user = Some(param_value.to_owned()),
            "since" => usage_query.since = Some(parse_time(param_value, Days::new(0)).ok_or(time_expected)?),
            "until" => usage_query.until = Some(parse_time(param_value, Days::new(1)).ok_or(time_expected)?),
            "cursor" => usage_query.before = Some(cursor::parse(param_value)?),
            "limit" => usage_query.limit = cursor::parse_limit(param_value, limit_max)?,
            "format" => {
                self.format = match param_value {
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

/// Parses a time, or a day: its midnight in UTC plus `days_after`.
fn parse_time(text: &str, days_after: Days) -> Option<Timestamp> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok()?.checked_add_days(days_after)?;
    Some(day.and_time(NaiveTime::MIN).and_utc())
}
