//! Parses the operator's search: `to: user: state: provider: since:`; a bare word is an address.
//!
//! All errors are reported at once, each with the valid forms. Needs no store.

#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};

use crate::native;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryStateKind, Failure};
use postrider_core::duration::parse_duration;
use postrider_engine::gateway::Gateway;
use postrider_engine::search::{DeliverySearchFilter, StateFilter};

/// Maximum length of a search, in characters.
pub(super) const SEARCH_CHARS_MAX: usize = 300;

/// Parses a search, or returns all errors.
pub(super) fn parse_search(
    gateway: &Gateway,
    typed_search: &str,
) -> Result<DeliverySearchFilter, Vec<String>> {
    if typed_search.chars().count() > SEARCH_CHARS_MAX {
        return Err(vec![format!("A search may have at most {SEARCH_CHARS_MAX} characters.")]);
    }
    let mut filter = DeliverySearchFilter::default();
    let terms = split_terms(typed_search);
    let errors: Vec<_> = terms.iter().filter_map(|term| set_term(gateway, &mut filter, term).err()).collect();
    if errors.is_empty() { Ok(filter) } else { Err(errors) }
}

/// Sets the field of the filter that a search term names.
fn set_term(gateway: &Gateway, filter: &mut DeliverySearchFilter, term: &str) -> Result<(), String> {
    let (term_key, term_value) = match term.split_once(':') {
        Some((term_key, term_value)) if term_key.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            (term_key.to_ascii_lowercase(), term_value)
        }
        _ => ("to".to_owned(), term),
    };
    let term_key = term_key.as_str();
    if term_value.is_empty() {
        return Err(format!("“{term_key}:” needs a value without a blank before it."));
    }
    match term_key {
        "to" => {
            let address = native::normalize_address(gateway, term_value);
            let address = address.ok_or_else(|| {
                format!("“{term_value}” is not an address on a configured channel: write to:+989122222222 or to:a@example.org.")
            })?;
            set_once(&mut filter.to, address, term_key)
        }
        "user" => set_once(&mut filter.user, term_value.to_owned(), term_key),
        "state" => set_once(&mut filter.state, parse_state(term_value)?, term_key),
        "provider" => {
            let provider =
                term_value.parse().map_err(|_| format!("“{term_value}” is not a provider name."))?;
            set_once(&mut filter.provider, provider, term_key)
        }
        "since" => set_once(&mut filter.since, parse_since(term_value, gateway.clock.now())?, term_key),
        _ => Err(format!("“{term_key}:” is unknown; write to:, user:, state:, provider: or since:.")),
    }
}

/// Sets a field of the filter; an error if the search sets it twice.
fn set_once<T>(filter_field: &mut Option<T>, parsed: T, key: &str) -> Result<(), String> {
    match filter_field.replace(parsed) {
        None => Ok(()),
        Some(_) => Err(format!("“{key}:” is given twice; give it once.")),
    }
}

/// Parses a state, a kind of failure, or `unknown`: deliveries that may have been sent twice.
fn parse_state(state_word: &str) -> Result<StateFilter, String> {
    if state_word == "unknown" {
        return Ok(StateFilter::MaybeDuplicate);
    }
    let state = DeliveryStateKind::parse(state_word).map(StateFilter::State);
    state
        .or_else(|| Failure::parse(state_word).map(StateFilter::Failure))
        .ok_or_else(|| {
            let failures = Failure::ALL.map(Failure::as_str).join(", ");
            format!("“{state_word}” is not a state: write waiting, sent, delivered, failed, unknown, or a kind of failure: {failures}.")
        })
}

/// Parses a day, a time, or a duration before now.
fn parse_since(since_text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(since_text) {
        return Ok(time.to_utc());
    }
    if let Ok(day) = since_text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let age = parse_duration(since_text).ok().and_then(|age| TimeDelta::from_std(age).ok());
    age.and_then(|age| now.checked_sub_signed(age)).ok_or_else(|| {
        format!(
            "“{since_text}” is not a time: write since:2h, since:7d, since:2030-01-31 or since:2030-01-31T08:30:00Z."
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
