//! What a delivery adds to the report, and the sums of it on their way into the roll-ups.
//!
//! Everything is counted through [`Sums`] with a sign, so that whatever was added can be taken away again
//! exactly. Ledgers, lines and entries are the words of the table `tallies`.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::accept::HOUR_MS;
use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rows;
use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::domain::report::duration_bucket;

static TALLY: &str = include_str!("../../../sql/postgres/fold_tally.sql");
static ATTEMPTS: &str = include_str!("../../../sql/postgres/fold_attempts.sql");

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
    pub fn read(row: &Row, folded: i64) -> Result<Self, Trouble> {
        let id = rows::delivery_id(row, 0)?;
        let counted = if id.0 <= folded {
            Some(Standpoint {
                state: rows::word(row, 7, Standing::from_word)?,
                failure: rows::get(row, 8)?,
                provider: rows::get(row, 9)?,
                opened: rows::get(row, 10)?,
            })
        } else {
            None
        };
        let attempts_counted = if counted.is_some() { rows::get(row, 11)? } else { 0 };
        Ok(Self {
            id,
            address: rows::get(row, 1)?,
            hour: rows::get::<i64>(row, 2)?.div_euclid(HOUR_MS),
            now: Standpoint {
                state: rows::word(row, 3, Standing::from_word)?,
                failure: rows::get(row, 4)?,
                provider: rows::get(row, 5)?,
                opened: rows::get(row, 6)?,
            },
            counted,
            attempts_counted,
        })
    }

    /// Whether the report has counted it.
    pub fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// Whether it waits.
    pub fn waits(&self) -> bool {
        self.now.state == Standing::Waiting
    }

    /// Brings the sums from what was counted to what is. Returns how many attempts are counted now.
    pub fn recount(&self, attempts: &Attempts, sums: &mut Sums) -> i64 {
        self.take_back(sums);
        self.add(sums);
        let attempts = attempts.of_delivery(self.id);
        for attempt in attempts
            .iter()
            .filter(|attempt| attempt.place >= self.attempts_counted)
        {
            sums.attempt(attempt, Sign::Plus);
        }
        rows::limit(attempts.len())
    }

    /// Takes what was counted out of the one and adds what is to the other.
    pub fn move_over(&self, attempts: &Attempts, from: &mut Sums, to: &mut Sums) {
        self.take_back(from);
        self.add(to);
        for attempt in attempts.of_delivery(self.id) {
            if attempt.place < self.attempts_counted {
                from.attempt(attempt, Sign::Minus);
            }
            to.attempt(attempt, Sign::Plus);
        }
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

/// A call as the report sees it.
struct Call {
    place: i64,
    provider: String,
    outcome: String,
    duration_ms: u64,
}

/// The calls that were made for some deliveries.
pub struct Attempts(HashMap<DeliveryId, Vec<Call>>);

impl Attempts {
    /// Reads them.
    pub async fn of(desk: &Desk, lines: &[Line]) -> Result<Self, Trouble> {
        let ids = lines.iter().map(|line| line.id.0).collect::<Vec<_>>();
        let mut attempts = HashMap::<_, Vec<_>>::new();
        for row in &desk.rows(ATTEMPTS, bind![ids]).await? {
            let calls = attempts.entry(rows::delivery_id(row, 0)?).or_default();
            calls.push(Call {
                place: rows::get(row, 1)?,
                provider: rows::get::<Option<String>>(row, 2)?.unwrap_or_default(),
                outcome: rows::get(row, 3)?,
                duration_ms: rows::count(row, 4)?,
            });
        }
        Ok(Self(attempts))
    }

    fn of_delivery(&self, id: DeliveryId) -> &[Call] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }
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

    fn attempt(&mut self, call: &Call, sign: Sign) {
        self.count(OUTCOMES, &call.provider, &call.outcome, sign.one());
        let bucket = format!("{:02}", duration_bucket(call.duration_ms));
        self.count(DURATIONS, &call.provider, &bucket, sign.one());
    }

    /// Adds the sums to the roll-ups of that origin.
    pub async fn write(&self, desk: &Desk, origin: &str) -> Result<(), Trouble> {
        let mut sums = Vec::new();
        for (ledger, lines) in &self.0 {
            for (line, entries) in lines {
                let entries = entries.iter().filter(|(_, count)| **count != 0);
                sums.extend(entries.map(|(entry, count)| (*ledger, line.as_str(), entry.as_str(), *count)));
            }
        }
        if sums.is_empty() {
            return Ok(());
        }
        let ledgers = sums.iter().map(|sum| sum.0).collect::<Vec<_>>();
        let lines = sums.iter().map(|sum| sum.1).collect::<Vec<_>>();
        let entries = sums.iter().map(|sum| sum.2).collect::<Vec<_>>();
        let counts = sums.iter().map(|sum| sum.3).collect::<Vec<_>>();
        desk.run(TALLY, bind![ledgers, lines, entries, counts, origin])
            .await?;
        Ok(())
    }
}

/// An hour since 1970 as a line that sorts by time.
pub fn hour_line(hour: i64) -> String {
    format!("{:010}", hour.max(0))
}
