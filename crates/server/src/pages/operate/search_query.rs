//! What an operator types to find deliveries: `to: user: state: provider: since:`, and a bare word as an address.
//!
//! Everything that cannot be understood is said at once, with what can be written. Asks the store for nothing.

use chrono::{DateTime, NaiveDate};

use crate::native;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryStateKind, Failure};
use postrider_core::duration::parse_duration;
use postrider_engine::gateway::Gateway;
use postrider_engine::search::{DeliverySearchFilter, StateFilter};

/// How much of a search is read, in characters.
pub(super) const SEARCH_CHARS_MAX: usize = 300;

/// Reads a search, or says everything that is wrong with it.
pub(super) fn parse_search(gateway: &Gateway, typed: &str) -> Result<DeliverySearchFilter, Vec<String>> {
    let mut wanted = DeliverySearchFilter::default();
    let mut wrong = Vec::new();
    if typed.chars().count() > SEARCH_CHARS_MAX {
        return Err(vec![format!("A search may have {SEARCH_CHARS_MAX} characters.")]);
    }
    for word in split_terms(typed) {
        if let Err(remark) = set_filter(gateway, &mut wanted, &word) {
            wrong.push(remark);
        }
    }
    if wrong.is_empty() { Ok(wanted) } else { Err(wrong) }
}

fn set_filter(gateway: &Gateway, wanted: &mut DeliverySearchFilter, word: &str) -> Result<(), String> {
    let (name, value) = match word.split_once(':') {
        Some((name, value)) if name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            (name.to_ascii_lowercase(), value)
        }
        _ => ("to".to_owned(), word),
    };
    let name = name.as_str();
    if value.is_empty() {
        return Err(format!("“{name}:” needs something after it, without a blank."));
    }
    match name {
        "to" => {
            let address = native::normalize_address(gateway, value);
            let address = address.ok_or_else(|| {
                format!("“{value}” is no address that a channel here takes: write to:+989122222222 or to:a@example.org.")
            })?;
            set_once(&mut wanted.to, address, name)
        }
        "user" => set_once(&mut wanted.user, value.to_owned(), name),
        "state" => set_once(&mut wanted.state, parse_state(value)?, name),
        "provider" => {
            let provider = value
                .parse()
                .map_err(|_| format!("“{value}” is no name of a provider."))?;
            set_once(&mut wanted.provider, provider, name)
        }
        "since" => set_once(&mut wanted.since, parse_since(value, gateway.clock.now())?, name),
        _ => Err(format!(
            "“{name}:” is not known; write to:, user:, state:, provider: or since:."
        )),
    }
}

/// Two of a kind would find less than was meant, or more than is done.
fn set_once<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!(
            "“{name}:” stands there twice; one at a time can be looked for."
        )),
    }
}

/// One of the four states, a way to fail, or `unknown`: what may have been sent twice.
fn parse_state(word: &str) -> Result<StateFilter, String> {
    if word == "unknown" {
        return Ok(StateFilter::MaybeDuplicate);
    }
    let standing = DeliveryStateKind::parse(word).map(StateFilter::State);
    standing
        .or_else(|| Failure::parse(word).map(StateFilter::Failure))
        .ok_or_else(|| {
            let failures = Failure::ALL.map(Failure::as_str).join(", ");
            format!("“{word}” is no state: write waiting, sent, delivered, failed, unknown, or a way to fail: {failures}.")
        })
}

/// A day, a moment, or how long ago.
fn parse_since(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    let day = text
        .parse::<NaiveDate>()
        .ok()
        .and_then(|day| day.and_hms_opt(0, 0, 0));
    if let Some(day) = day {
        return Ok(day.and_utc());
    }
    let ago = parse_duration(text).ok();
    let ago = ago.and_then(|ago| chrono::TimeDelta::from_std(ago).ok());
    ago.and_then(|ago| now.checked_sub_signed(ago)).ok_or_else(|| {
        format!(
            "“{text}” is no time: write since:2h, since:7d, since:2030-01-31 or since:2030-01-31T08:30:00Z."
        )
    })
}

/// The words between blanks; what stands between double quotes belongs together.
fn split_terms(typed: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in typed.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            letter if letter.is_whitespace() && !is_quoted => words.push(String::new()),
            letter => {
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(
            split_terms("  state:failed user:\"a b\"\tx "),
            ["state:failed", "user:a b", "x"]
        );
        assert_eq!(split_terms(" \" "), [" "]);
    }

    #[test]
    fn states_and_ways_to_fail_are_told_apart() {
        assert_eq!(
            parse_state("sent"),
            Ok(StateFilter::State(DeliveryStateKind::Sent))
        );
        assert_eq!(parse_state("expired"), Ok(StateFilter::Failure(Failure::Expired)));
        assert_eq!(parse_state("unknown"), Ok(StateFilter::MaybeDuplicate));
        assert!(parse_state("lost").unwrap_err().contains("invalid_recipient"));
    }

    #[test]
    fn a_time_is_a_day_a_moment_or_how_long_ago() {
        let now = "2026-05-02T12:00:00Z".parse().unwrap();
        for (text, moment) in [
            ("2h", "2026-05-02T10:00:00Z"),
            ("2026-05-01", "2026-05-01T00:00:00Z"),
            ("2026-05-01T08:30:00+01:00", "2026-05-01T07:30:00Z"),
        ] {
            assert_eq!(parse_since(text, now), Ok(moment.parse().unwrap()), "{text}");
        }
        for text in ["soon", "5", "999999999d", "2026-13-01"] {
            assert!(parse_since(text, now).is_err(), "{text}");
        }
    }
}
