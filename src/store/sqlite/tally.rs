//! What a delivery adds to the report, and the sums of it on their way into the roll-ups.
//!
//! Everything is counted through [`Sums`] with a sign, so that whatever was added can be taken away again
//! exactly. Ledgers, lines and entries are the words of the table `tallies`.

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::desk::{Desk, HOUR_MS};
use super::rows;
use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::domain::report::duration_bucket;

static TALLY: &str = include_str!("../../../sql/sqlite/fold_tally.sql");
static ATTEMPTS: &str = include_str!("../../../sql/sqlite/fold_attempts.sql");

/// Messages; one line, one entry.
pub const MESSAGES: &str = "messages";
/// Deliveries: a line for each state, an entry for each failure.
pub const STATES: &str = "states";
/// Deliveries that were opened; one line, one entry.
pub const OPENED: &str = "opened";
/// Deliveries by the provider that took them: sent, delivered or bounced.
pub const CARRIED: &str = "carried";
/// Deliveries by the hour in which they were accepted: accepted, sent or failed.
pub const HOURS: &str = "hours";
/// Attempts by provider and outcome.
pub const OUTCOMES: &str = "outcomes";
/// Attempts by provider and bucket of their duration.
pub const DURATIONS: &str = "durations";

/// How a sum is counted: added, or taken away again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Plus,
    Minus,
}

impl Sign {
    fn one(self) -> i64 {
        match self {
            Self::Plus => 1,
            Self::Minus => -1,
        }
    }
}

/// A delivery as the report sees it.
pub struct Line {
    pub id: DeliveryId,
    pub address: String,
    hour: i64,
    now: Standpoint,
    counted: Option<Standpoint>,
    attempts_counted: i64,
}

/// Where a delivery stands, or stood when it was counted.
struct Standpoint {
    state: Standing,
    failure: Option<String>,
    provider: Option<String>,
    opened: bool,
}

impl Line {
    /// Reads the columns that every statement of the report begins with. What lies beyond `folded` was never
    /// counted, whatever its columns say.
    pub fn read(row: &Row<'_>, folded: i64) -> rusqlite::Result<Self> {
        let id = rows::delivery_id(row, 0)?;
        let counted = if id.0 <= folded {
            Some(Standpoint {
                state: rows::word(row, 7, Standing::from_word)?,
                failure: row.get(8)?,
                provider: row.get(9)?,
                opened: row.get(10)?,
            })
        } else {
            None
        };
        let attempts_counted = if counted.is_some() { row.get(11)? } else { 0 };
        Ok(Self {
            id,
            address: row.get(1)?,
            hour: row.get::<_, i64>(2)?.div_euclid(HOUR_MS),
            now: Standpoint {
                state: rows::word(row, 3, Standing::from_word)?,
                failure: row.get(4)?,
                provider: row.get(5)?,
                opened: row.get(6)?,
            },
            counted,
            attempts_counted,
        })
    }

    /// Whether the report has counted it.
    pub fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// Brings the sums from what was counted to what is. Returns how many attempts are counted now.
    pub fn recount(&self, desk: &mut Desk<'_>, sums: &mut Sums) -> rusqlite::Result<i64> {
        self.take_back(sums);
        self.add(sums);
        each_attempt(desk, self.id, |place, provider, outcome, duration_ms| {
            if place >= self.attempts_counted {
                sums.attempt(provider, outcome, duration_ms, Sign::Plus);
            }
        })
    }

    /// Takes what was counted out of the one and adds what is to the other.
    pub fn move_over(&self, desk: &mut Desk<'_>, from: &mut Sums, to: &mut Sums) -> rusqlite::Result<()> {
        self.take_back(from);
        self.add(to);
        each_attempt(desk, self.id, |place, provider, outcome, duration_ms| {
            if place < self.attempts_counted {
                from.attempt(provider, outcome, duration_ms, Sign::Minus);
            }
            to.attempt(provider, outcome, duration_ms, Sign::Plus);
        })?;
        Ok(())
    }

    fn take_back(&self, sums: &mut Sums) {
        if let Some(counted) = &self.counted {
            sums.standpoint(self, counted, Sign::Minus);
        }
    }

    fn add(&self, sums: &mut Sums) {
        sums.standpoint(self, &self.now, Sign::Plus);
    }
}

/// Tells of each attempt of a delivery, in the order they were recorded; returns how many there are.
fn each_attempt(
    desk: &mut Desk<'_>,
    id: DeliveryId,
    mut tell: impl FnMut(i64, &str, &str, u64),
) -> rusqlite::Result<i64> {
    let mut found = desk.statement(ATTEMPTS)?.query([id.0])?;
    let mut count = 0;
    while let Some(row) = found.next()? {
        let provider = row.get_ref(1)?.as_str_or_null()?.unwrap_or_default();
        let outcome = row.get_ref(2)?.as_str()?;
        tell(row.get(0)?, provider, outcome, rows::count(row, 3)?);
        count += 1;
    }
    Ok(count)
}

/// Changes to the roll-ups that are not on disk yet.
#[derive(Default)]
pub struct Sums(HashMap<&'static str, HashMap<String, HashMap<String, i64>>>);

impl Sums {
    fn count(&mut self, ledger: &'static str, line: &str, entry: &str, by: i64) {
        let lines = self.0.entry(ledger).or_default();
        if let Some(count) = lines.get_mut(line).and_then(|entries| entries.get_mut(entry)) {
            *count += by;
            return;
        }
        let entries = lines.entry(line.to_owned()).or_default();
        *entries.entry(entry.to_owned()).or_default() += by;
    }

    fn standpoint(&mut self, line: &Line, at: &Standpoint, sign: Sign) {
        let by = sign.one();
        if line.id == DeliveryId::of(line.id.message_number(), 0) {
            self.count(MESSAGES, "", "", by);
        }
        let failure = at.failure.as_deref().unwrap_or_default();
        self.count(STATES, at.state.word(), failure, by);
        if at.opened {
            self.count(OPENED, "", "", by);
        }
        let hour = hour_line(line.hour);
        self.count(HOURS, &hour, "accepted", by);
        let (hour_entry, carried) = match at.state {
            Standing::Waiting => (None, None),
            Standing::Sent => (Some("sent"), Some("sent")),
            Standing::Delivered => (Some("sent"), Some("delivered")),
            Standing::Failed => (Some("failed"), (failure == "bounced").then_some("bounced")),
        };
        if let Some(entry) = hour_entry {
            self.count(HOURS, &hour, entry, by);
        }
        if let (Some(provider), Some(entry)) = (&at.provider, carried) {
            self.count(CARRIED, provider, entry, by);
        }
    }

    fn attempt(&mut self, provider: &str, outcome: &str, duration_ms: u64, sign: Sign) {
        self.count(OUTCOMES, provider, outcome, sign.one());
        let bucket = format!("{:02}", duration_bucket(duration_ms));
        self.count(DURATIONS, provider, &bucket, sign.one());
    }

    /// Adds the sums to the roll-ups of that origin.
    pub fn write(&self, desk: &mut Desk<'_>, origin: &str) -> rusqlite::Result<()> {
        for (ledger, lines) in &self.0 {
            for (line, entries) in lines {
                for (entry, count) in entries.iter().filter(|(_, count)| **count != 0) {
                    desk.statement(TALLY)?
                        .execute(params![ledger, line, entry, origin, count])?;
                }
            }
        }
        Ok(())
    }
}

/// An hour since 1970 as a line that sorts by time.
pub fn hour_line(hour: i64) -> String {
    format!("{:010}", hour.max(0))
}
