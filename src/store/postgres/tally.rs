//! What the report counts, read from rows and written to the roll-ups. What is counted and how is
//! [`crate::store::tally`]'s.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rows;
use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::store::tally::{Call, HOUR_MS, Line, Share, Standpoint, Sums};

static TALLY: &str = include_str!("../../../sql/postgres/fold_tally.sql");
static ATTEMPTS: &str = include_str!("../../../sql/postgres/fold_attempts.sql");

/// Reads the columns that every statement of the report begins with. What lies beyond `folded` was never
/// counted, whatever its columns say.
pub fn line(row: &Row, folded: i64) -> Result<Line, Trouble> {
    let id = rows::delivery_id(row, 0)?;
    let counted = if id.0 <= folded {
        Some(standpoint(row, 7)?)
    } else {
        None
    };
    let attempts_counted = if counted.is_some() { rows::get(row, 11)? } else { 0 };
    Ok(Line {
        id,
        address: rows::get(row, 1)?,
        share: Share {
            first: id.is_first(),
            hour: rows::get::<i64>(row, 2)?.div_euclid(HOUR_MS),
            now: standpoint(row, 3)?,
            counted,
        },
        attempts_counted,
    })
}

/// State, failure, provider and whether it was opened, from this column on.
pub fn standpoint(row: &Row, from: usize) -> Result<Standpoint, Trouble> {
    Ok(Standpoint {
        state: rows::word(row, from, Standing::from_word)?,
        failure: rows::get(row, from + 1)?,
        provider: rows::get(row, from + 2)?,
        opened: rows::get(row, from + 3)?,
    })
}

/// The calls that were made for some deliveries.
pub struct Calls(HashMap<DeliveryId, Vec<Call>>);

impl Calls {
    /// Reads them.
    pub async fn of(desk: &Desk, lines: &[Line]) -> Result<Self, Trouble> {
        let ids = lines.iter().map(|line| line.id.0).collect::<Vec<_>>();
        let mut calls = HashMap::<_, Vec<_>>::new();
        for row in &desk.rows(ATTEMPTS, bind![ids]).await? {
            let of_delivery = calls.entry(rows::delivery_id(row, 0)?).or_default();
            of_delivery.push(call(row)?);
        }
        Ok(Self(calls))
    }

    /// Those for one of them.
    pub fn of_delivery(&self, id: DeliveryId) -> &[Call] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// A call out of the columns place, provider, outcome and duration, which come second to fifth.
pub fn call(row: &Row) -> Result<Call, Trouble> {
    Ok(Call {
        place: rows::get(row, 1)?,
        provider: rows::get::<Option<String>>(row, 2)?.unwrap_or_default(),
        outcome: rows::get(row, 3)?,
        duration_ms: rows::count(row, 4)?,
    })
}

/// Adds the sums to the roll-ups of that origin.
pub async fn write(sums: &Sums, desk: &Desk, origin: &str) -> Result<(), Trouble> {
    let mut changes = sums.changes().collect::<Vec<_>>();
    if changes.is_empty() {
        return Ok(());
    }
    // In one order, so that two hosts do not wait for each other.
    changes.sort_unstable();
    let ledgers = changes.iter().map(|change| change.0).collect::<Vec<_>>();
    let lines = changes.iter().map(|change| change.1).collect::<Vec<_>>();
    let entries = changes.iter().map(|change| change.2).collect::<Vec<_>>();
    let counts = changes.iter().map(|change| change.3).collect::<Vec<_>>();
    desk.run(TALLY, bind![ledgers, lines, entries, counts, origin])
        .await?;
    Ok(())
}
