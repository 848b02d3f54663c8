//! Reads that may be old go to another server: which of its answers are new enough, and when it is left alone.
//!
//! Ages are measured in the primary's log, never by clocks: what the replica has replayed is compared with where the
//! primary stood. A replica that is away, broken or too far behind costs time only: the primary is asked instead.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::address::Use;
use super::fault::Trouble;
use super::link::{Desk, Link};
use super::rows;
use crate::clock;
use crate::error::Error;

static POSITION: &str = include_str!("../../../sql/postgres/position.sql");

/// How old an answer may be that need not be new.
const AGE_MAX: Duration = Duration::from_secs(10);

/// How often the primary is asked where it stands.
const MARK_EVERY: Duration = Duration::from_secs(2);

/// How long a replica that is a little behind is waited for where the answer must be new.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(2);
const CATCH_UP_PAUSE: Duration = Duration::from_millis(20);

/// How long a replica is left alone after it could not be used.
const REST: Duration = Duration::from_secs(5);

/// How long an answer of the replica is waited for before the primary is asked.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How new an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// All that was committed before the question is in it.
    Now,
    /// It may miss what was committed in the last seconds.
    Seconds,
}

/// Whether a URL names a replica that answers.
pub async fn check(url: &str) -> Result<(), Error> {
    let act = "cannot read from the replica";
    let link = Link::new(url, Use::Reading, 1)?;
    let fault = |trouble: Trouble| trouble.fault(act);
    let (row, desk) = link.ask_then_read(POSITION).await.map_err(fault)?;
    desk.end(is_replica(&row))
        .await
        .map_err(fault)?
        .then_some(())
        .ok_or_else(|| {
            let remedy = "name one in store.replica_url, or leave it out: until then the primary is asked";
            Error::usage(format!("{act}: the server is none; {remedy}"))
        })
}

fn is_replica(row: &Row) -> Result<bool, Trouble> {
    rows::get(row, 0)
}

/// The second server, and how far it can be relied on.
pub struct Replica {
    link: Link,
    standing: Mutex<Standing>,
}

/// What is known at the moment.
#[derive(Default)]
struct Standing {
    /// Where the primary stood, and when, oldest first.
    marks: VecDeque<(Instant, i64)>,
    /// Until when the primary is asked; there when the replica could not be used the last time.
    rests_until: Option<Instant>,
}

impl Standing {
    /// The oldest position that is new enough, unless it is time to ask where the primary stands.
    fn mark(&mut self, now: Instant) -> Option<i64> {
        self.marks.retain(|(at, _)| now.duration_since(*at) <= AGE_MAX);
        let (newest, _) = self.marks.back()?;
        if now.duration_since(*newest) > MARK_EVERY {
            return None;
        }
        self.marks.front().map(|(_, position)| *position)
    }
}

impl Replica {
    /// A replica that was never asked.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            standing: Mutex::default(),
        }
    }

    /// A transaction on the replica, if it can give an answer that is new enough.
    pub async fn read(&self, primary: &Link, freshness: Freshness) -> Option<Desk> {
        if self.rests() {
            return None;
        }
        let wanted = match self.wanted(primary, freshness).await {
            Ok(wanted) => wanted,
            Err(trouble) => {
                // Whoever asks the primary next says so.
                log::debug!("the database server does not say how far it is: {trouble}");
                return None;
            }
        };
        match self.catch_up(wanted, freshness).await {
            Ok(Some(desk)) => Some(desk),
            Ok(None) => {
                self.rest("it is too far behind");
                None
            }
            Err(trouble) => {
                self.rest(trouble);
                None
            }
        }
    }

    /// What a read on the replica came to; none when the primary must be asked after all.
    pub async fn end<T>(&self, desk: Desk, outcome: Result<T, Trouble>) -> Option<T> {
        match desk.end(outcome).await {
            Ok(answer) => {
                self.resume();
                Some(answer)
            }
            Err(trouble) => {
                self.rest(trouble);
                None
            }
        }
    }

    /// The position the replica must have reached.
    async fn wanted(&self, primary: &Link, freshness: Freshness) -> Result<i64, Trouble> {
        if freshness == Freshness::Seconds {
            let known = self.standing().mark(Instant::now());
            if let Some(position) = known {
                return Ok(position);
            }
        }
        let asked = Instant::now();
        let desk = primary.read().await?;
        let row = desk.one(POSITION, &[]).await;
        let position = rows::get(&desk.end(row).await?, 1)?;
        let mut standing = self.standing();
        standing.marks.push_back((asked, position));
        Ok(match freshness {
            Freshness::Now => position,
            Freshness::Seconds => standing.mark(asked).unwrap_or(position),
        })
    }

    async fn catch_up(&self, wanted: i64, freshness: Freshness) -> Result<Option<Desk>, Trouble> {
        let began = Instant::now();
        loop {
            let (row, desk) = self.link.ask_then_read(POSITION).await?;
            if !is_replica(&row)? {
                return Err(Trouble::Row(
                    "store.replica_url names a server that is no replica".to_owned(),
                ));
            }
            if rows::get::<Option<i64>>(&row, 1)?.is_some_and(|position| position >= wanted) {
                return Ok(Some(desk));
            }
            desk.end(Ok(())).await?;
            if freshness == Freshness::Seconds || began.elapsed() > CATCH_UP_LIMIT {
                return Ok(None);
            }
            clock::pause(CATCH_UP_PAUSE).await;
        }
    }

    fn rests(&self) -> bool {
        let until = self.standing().rests_until;
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Leaves the replica alone for a while. Said once, not each time it is tried again.
    pub fn rest(&self, why: impl std::fmt::Display) {
        let before = self.standing().rests_until.replace(Instant::now() + REST);
        if before.is_none() {
            log::warn!("the replica cannot be used, the primary is asked instead: {why}");
        }
    }

    fn resume(&self) {
        if self.standing().rests_until.take().is_some() {
            log::info!("the replica is used again");
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_good_while_it_is_young_and_another_follows_it() {
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        let mut standing = Standing::default();
        assert_eq!(standing.mark(zero), None, "the primary was never asked");
        for (seconds, position) in [(0, 100), (3, 130), (6, 160), (9, 190)] {
            standing.marks.push_back((at(seconds), position));
        }
        assert_eq!(standing.mark(at(10)), Some(100), "as old as may be");
        assert_eq!(standing.mark(at(11)), Some(130), "the first one is too old");
        assert_eq!(standing.mark(at(12)), None, "time to ask the primary");
        assert_eq!(standing.marks.len(), 3);
    }
}
