//! What the fleet knows, as both dialects keep it in columns: standings of providers, and times finer than a
//! millisecond.
//!
//! A row that no standing has is none, never a guess.

use chrono::DateTime;

use crate::clock::{Timestamp, from_millis};
use crate::domain::fleet::Known;
use crate::domain::health::Told;

/// The columns of what a provider's health is told as.
pub struct Columns<'a> {
    pub standing: &'static str,
    pub till: Option<i64>,
    pub times: Option<i64>,
    pub reason: Option<&'a str>,
}

impl<'a> Columns<'a> {
    /// The columns of what is known.
    pub fn of(known: &'a Known) -> Self {
        let mut columns = Self {
            standing: "well",
            till: None,
            times: None,
            reason: None,
        };
        match &known.told {
            Told::Well => {}
            Told::Resting { until, times } => {
                columns.standing = "resting";
                columns.till = Some(until.timestamp_millis());
                columns.times = Some(i64::from(*times));
            }
            Told::Probing { times, .. } => {
                columns.standing = "probing";
                columns.times = Some(i64::from(*times));
            }
            Told::Out { reason } => {
                columns.standing = "out";
                columns.reason = Some(reason);
            }
        }
        columns
    }
}

/// Back from the columns; `since` is when it began.
pub fn told(
    standing: &str,
    till: Option<i64>,
    times: Option<i64>,
    reason: Option<String>,
    since: Timestamp,
) -> Option<Told> {
    let times = || u32::try_from(times?).ok();
    match standing {
        "well" => Some(Told::Well),
        "resting" => Some(Told::Resting {
            until: from_millis(till?),
            times: times()?,
        }),
        "probing" => Some(Told::Probing {
            since,
            times: times()?,
        }),
        "out" => Some(Told::Out { reason: reason? }),
        _ => None,
    }
}

/// The moment so many microseconds after 1970.
pub fn from_micros(micros: i64) -> Timestamp {
    DateTime::from_timestamp_micros(micros).unwrap_or(Timestamp::MAX_UTC)
}
