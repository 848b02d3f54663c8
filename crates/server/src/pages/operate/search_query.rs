//! Parses the operator's search: `to: user: state: provider: since:`; a bare word is an address.
//!
//! All errors are reported at once, with what is valid. Uses no store.

#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate};

use crate::native;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryStateKind, Failure};
use postrider_core::duration::parse_duration;
use postrider_engine::gateway::Gateway;
use postrider_engine::search::{DeliverySearchFilter, StateFilter};

/// Maximum length of a search, in characters.
pub(super) const SEARCH_CHARS_MAX: usize = 300;

/// Parses a search, or returns all errors.
pub(super) fn parse_search(gateway: &Gateway, typed: &str) -> Result<DeliverySearchFilter, Vec<String>> {
    let mut filter = DeliverySearchFilter::default();
    let mut errors = Vec::new();
    if typed.chars().count() > SEARCH_CHARS_MAX {
        return Err(vec![format!("A search may have at most {SEARCH_CHARS_MAX} characters.")]);
    }
    for term in split_terms(typed) {
        if let Err(error) = set_filter(gateway, &mut filter, &term) {
            errors.push(error);
        }
    }
    if errors.is_empty() { Ok(filter) } else { Err(errors) }
}

fn set_filter(gateway: &Gateway, filter: &mut DeliverySearchFilter, term: &str) -> Result<(), String> {
    let (name, value) = match term.split_once(':') {
        Some((name, value)) if name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            (name.to_ascii_lowercase(), value)
        }
        _ => ("to".to_owned(), term),
    };
    let name = name.as_str();
    if value.is_empty() {
        return Err(format!("“{name}:” needs a value without a blank before it."));
    }
    match name {
        "to" => {
            let address = native::normalize_address(gateway, value);
            let address = address.ok_or_else(|| {
                format!("“{value}” is not an address on a configured channel: write to:+989122222222 or to:a@example.org.")
            })?;
            set_once(&mut filter.to, address, name)
        }
        "user" => set_once(&mut filter.user, value.to_owned(), name),
        "state" => set_once(&mut filter.state, parse_state(value)?, name),
        "provider" => {
            let provider = value.parse().map_err(|_| format!("“{value}” is not a provider name."))?;
            set_once(&mut filter.provider, provider, name)
        }
        "since" => set_once(&mut filter.since, parse_since(value, gateway.clock.now())?, name),
        _ => Err(format!("“{name}:” is unknown; write to:, user:, state:, provider: or since:.")),
    }
}

/// Sets a filter that may be given only once.
fn set_once<T>(filter: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    match filter.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("“{name}:” is given twice; give it once.")),
    }
}

/// Parses a state, a kind of failure, or `unknown`: deliveries that may have been sent twice.
fn parse_state(text: &str) -> Result<StateFilter, String> {
    if text == "unknown" {
        return Ok(StateFilter::MaybeDuplicate);
    }
    let state = DeliveryStateKind::parse(text).map(StateFilter::State);
    state
        .or_else(|| Failure::parse(text).map(StateFilter::Failure))
        .ok_or_else(|| {
            let failures = Failure::ALL.map(Failure::as_str).join(", ");
            format!("“{text}” is not a state: write waiting, sent, delivered, failed, unknown, or a kind of failure: {failures}.")
        })
}

/// Parses a day, a time, or a duration before now.
fn parse_since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day = text.parse::<NaiveDate>().ok().and_then(|day| day.and_hms_opt(0, 0, 0));
    if let Some(day) = day {
        return Ok(day.and_utc());
    }
    let ago = parse_duration(text).ok();
    let ago = ago.and_then(|ago| chrono::TimeDelta::from_std(ago).ok());
    ago.and_then(|ago| now.checked_sub_signed(ago)).ok_or_else(|| {
        format!(
            "“{text}” is not a time: write since:2h, since:7d, since:2030-01-31 or since:2030-01-31T08:30:00Z."
        )
    })
}

/// Splits at blanks, except between double quotes.
fn split_terms(typed: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut is_quoted = false;
    for character in typed.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            character if character.is_whitespace() && !is_quoted => terms.push(String::new()),
            character => {
                if let Some(term) = terms.last_mut() {
                    term.push(character);
                }
            }
        }
    }
    terms.retain(|term| !term.is_empty());
    terms
}
