//! The way of a delivery through the workers' hands: what is due, who wins it, what came of it.
//!
//! A claim is only a postponement, kept in a narrow table of its own, and a round that another claim has overtaken
//! changes no state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::events;
use super::fault::Trouble;
use super::gather::Gathered;
use super::link::{Desk, bind};
use super::receipts;
use super::rows::{self, Facts, kept};
use super::standing::those_left;
use crate::clock::Timestamp;
use crate::domain::attempt::Attempt;
use crate::domain::channel::Name;
use crate::domain::delivery::{Standing, State};
use crate::domain::id::DeliveryId;
use crate::domain::message::{Claimed, DeadAddress, Nudge, Priority, Recorded, Round};
use crate::domain::wish::{Wish, in_turn};
use crate::store::outbox::Emission;

static DUE: &str = include_str!("../../../sql/postgres/due.sql");
static DUE_CHANNELS: &str = include_str!("../../../sql/postgres/due_channels.sql");
static TAKE: &str = include_str!("../../../sql/postgres/claim_take.sql");
static CLAIM: &str = include_str!("../../../sql/postgres/claim.sql");
static RETURN: &str = include_str!("../../../sql/postgres/claim_return.sql");
static RECORD: &str = include_str!("../../../sql/postgres/record.sql");
static WRITTEN: &str = include_str!("../../../sql/postgres/record_written.sql");
static SUPERSEDED: &str = include_str!("../../../sql/postgres/record_superseded.sql");
static ATTEMPT_FIRST: &str = include_str!("../../../sql/postgres/record_attempt_first.sql");
static ATTEMPT: &str = include_str!("../../../sql/postgres/record_attempt.sql");
static DEACTIVATE: &str = include_str!("../../../sql/postgres/recipient_deactivate.sql");

/// See [`crate::store::Store::due`].
pub async fn due(desk: &Desk, now: Timestamp, wish: &Wish) -> Result<Vec<Nudge>, Trouble> {
    let mut channels = Vec::new();
    let mut rooms = Vec::new();
    for row in &desk.rows(DUE_CHANNELS, &[]).await? {
        let channel = rows::name(row, 0)?;
        match wish.room(channel.as_str()) {
            0 => {}
            room => {
                channels.push(channel.to_string());
                rooms.push(rows::limit(room));
            }
        }
    }
    let found = desk
        .rows(DUE, bind![now.timestamp_millis(), channels, rooms])
        .await?;
    let mut nudges = Vec::with_capacity(found.len());
    for row in &found {
        nudges.push(Nudge {
            id: rows::delivery_id(row, 0)?,
            due_at: rows::time(row, 1)?,
            channel: rows::name(row, 2)?,
            priority: rows::priority(row, 3)?,
        });
    }
    let (wanted, _) = wish.split(fairly(nudges), |nudge| &nudge.channel);
    Ok(wanted)
}

/// The same, within a priority one of each channel in turn.
fn fairly(nudges: Vec<Nudge>) -> Vec<Nudge> {
    let count = nudges.len();
    let (high, normal): (Vec<Nudge>, Vec<Nudge>) = nudges
        .into_iter()
        .partition(|nudge| nudge.priority == Priority::High);
    let mut fair = Vec::with_capacity(count);
    for some in [high, normal] {
        let mut rows: BTreeMap<Name, Vec<Nudge>> = BTreeMap::new();
        for nudge in some {
            rows.entry(nudge.channel.clone()).or_default().push(nudge);
        }
        fair.extend(in_turn(rows.into_values().collect(), count));
    }
    fair
}

/// What one worker asks for.
pub struct Claim {
    /// Which deliveries.
    pub ids: Vec<DeliveryId>,
    /// The moment at which they must be due.
    pub now: Timestamp,
    /// For how long.
    pub lease: Duration,
    /// When it asked: a lease begins when the claim is written, which can be later.
    pub asked: Instant,
}

impl Gathered for Claim {
    type Answer = Vec<Claimed>;
    type Memory = ();
    const ACT: &'static str = "cannot claim deliveries";

    async fn run(desk: &Desk, (): &mut (), pieces: &[Self]) -> Result<Vec<Vec<Claimed>>, Trouble> {
        let mut asked = BTreeMap::new();
        for piece in pieces {
            let waited = Duration::from_secs(piece.asked.elapsed().as_secs());
            let until = piece.now + piece.lease + waited;
            for id in &piece.ids {
                asked
                    .entry(id.0)
                    .or_insert((piece.now.timestamp_millis(), until.timestamp_millis()));
            }
        }
        let mut won = win(desk, &asked).await?;
        leave_out_the_suppressed(desk, &mut won).await?;
        let of_piece = |piece: &Self| piece.ids.iter().filter_map(|id| won.remove(id)).collect();
        Ok(pieces.iter().map(of_piece).collect())
    }
}

/// Takes the leases that can be had, and gives those back of what is not due. `asked` says for each delivery when it
/// must be due and how long its lease is.
async fn win(
    desk: &Desk,
    asked: &BTreeMap<i64, (i64, i64)>,
) -> Result<HashMap<DeliveryId, Claimed>, Trouble> {
    let ids = asked.keys().copied().collect::<Vec<_>>();
    let (now, until): (Vec<i64>, Vec<i64>) = asked.values().copied().unzip();
    let mut taken = BTreeMap::new();
    for row in &desk.rows(TAKE, bind![ids, now, until]).await? {
        taken.insert(rows::get::<i64>(row, 0)?, rows::get::<i64>(row, 1)?);
    }
    if taken.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, claims): (Vec<i64>, Vec<i64>) = taken.into_iter().unzip();
    let now = ids.iter().filter_map(|id| asked.get(id)).map(|(now, _)| *now);
    let mut numbers = ids
        .iter()
        .map(|id| DeliveryId(*id).message_number())
        .collect::<Vec<_>>();
    numbers.dedup();
    let now = now.collect::<Vec<_>>();
    let mut won = HashMap::with_capacity(ids.len());
    for row in &desk.rows(CLAIM, bind![ids, claims, now, numbers]).await? {
        if rows::get(row, 15)? {
            let claimed = claimed(row)?;
            won.insert(claimed.id, claimed);
        }
    }
    let vain = ids.into_iter().filter(|id| !won.contains_key(&DeliveryId(*id)));
    let vain = vain.collect::<Vec<_>>();
    if !vain.is_empty() {
        desk.run(RETURN, bind![vain]).await?;
    }
    Ok(won)
}

/// Takes those contacts out that may no longer be written to.
async fn leave_out_the_suppressed(
    desk: &Desk,
    won: &mut HashMap<DeliveryId, Claimed>,
) -> Result<(), Trouble> {
    for claimed in won.values_mut() {
        if let Some(contacts) = claimed.contacts.take() {
            claimed.contacts = Some(those_left(desk, &claimed.channel, contacts).await?);
        }
    }
    Ok(())
}

fn claimed(row: &Row) -> Result<Claimed, Trouble> {
    Ok(Claimed {
        id: rows::delivery_id(row, 12)?,
        message: rows::message_id(row, 10)?,
        channel: rows::name(row, 0)?,
        address: rows::get(row, 1)?,
        spelling: rows::text(row, 2)?,
        contacts: rows::contacts_if_any(row, 13)?,
        subject: rows::text_if_any(row, 14)?,
        body: rows::text(row, 11)?,
        parts: rows::count(row, 3)?,
        round: rows::count(row, 4)?,
        tries: rows::count(row, 5)?,
        lost: rows::count(row, 6)?,
        avoid: rows::name_if_any(row, 7)?,
        priority: rows::priority(row, 8)?,
        expires_at: rows::time(row, 9)?,
        watch: rows::watch_if_any(row, 16)?,
    })
}

/// Rounds that one worker has finished.
pub struct Record(pub Vec<Round>);

impl Gathered for Record {
    type Answer = Vec<Recorded>;
    type Memory = ();
    const INTERVAL: Duration = Duration::from_millis(10);
    const ACT: &'static str = "cannot record what was sent";

    async fn run(desk: &Desk, (): &mut (), pieces: &[Self]) -> Result<Vec<Vec<Recorded>>, Trouble> {
        let rounds = pieces.iter().flat_map(|piece| &piece.0).collect::<Vec<_>>();
        let mut answers = vec![Recorded::Superseded; rounds.len()];
        for wave in waves(&rounds) {
            let stored = record(desk, &wave.iter().map(|place| rounds[*place]).collect::<Vec<_>>()).await?;
            for place in wave {
                if let Some(stands) = stored.get(&rounds[place].id) {
                    answers[place] = Recorded::at(Standing::Sent, *stands);
                }
            }
        }
        let mut answers = answers.into_iter();
        let of_piece = |piece: &Self| answers.by_ref().take(piece.0.len()).collect();
        Ok(pieces.iter().map(of_piece).collect())
    }
}

/// The rounds by place, so that none of a wave speak of the same delivery and the earlier comes first.
fn waves(rounds: &[&Round]) -> Vec<Vec<usize>> {
    let mut seen = HashMap::new();
    let mut waves = Vec::<Vec<usize>>::new();
    for (place, round) in rounds.iter().enumerate() {
        let wave = seen.entry(round.id).or_insert(0_usize);
        if *wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[*wave].push(place);
        *wave += 1;
    }
    for wave in &mut waves {
        wave.sort_by_key(|place| rounds[*place].id);
    }
    waves
}

/// Records rounds of different deliveries; returns those whose end is on disk, now or from an earlier time, and where
/// early receipts left them.
async fn record(desk: &Desk, rounds: &[&Round]) -> Result<HashMap<DeliveryId, Option<Standing>>, Trouble> {
    // The server takes them in order, so that what is looked for is looked for behind the lock.
    let (locked, found) = tokio::join!(receipts::keep_early_out(desk), end(desk, rounds));
    locked?;
    let (mut stored, mut early) = (HashSet::new(), HashSet::new());
    for row in &found? {
        let id = rows::delivery_id(row, 0)?;
        stored.insert(id);
        if rows::get(row, 1)? {
            early.insert(id);
        }
    }
    let (ended, late): (Vec<&Round>, Vec<&Round>) =
        rounds.iter().partition(|round| stored.contains(&round.id));
    keep_attempts(desk, &ended, false).await?;
    let moved = follow_up(desk, ended, &early).await?;
    if !late.is_empty() {
        stored.extend(record_late(desk, &late).await?);
    }
    Ok(stored
        .into_iter()
        .map(|id| (id, moved.get(&id).copied()))
        .collect())
}

/// Puts the ends of rounds down; a row for each that was the current one.
async fn end(desk: &Desk, rounds: &[&Round]) -> Result<Vec<Row>, Trouble> {
    let facts = rounds
        .iter()
        .map(|round| Facts::of(&round.state))
        .collect::<Vec<_>>();
    desk.rows(
        RECORD,
        bind![
            rounds.iter().map(|round| round.id.0).collect::<Vec<_>>(),
            rounds
                .iter()
                .map(|round| i64::from(round.round))
                .collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.state).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.failure).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.reason.clone()).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.due_at).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.ended_at).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.provider).collect::<Vec<_>>(),
            facts
                .iter()
                .map(|facts| facts.reference.clone())
                .collect::<Vec<_>>(),
            rounds
                .iter()
                .map(|round| i64::from(round.tries))
                .collect::<Vec<_>>(),
        ],
    )
    .await
}

/// Rounds whose end is on disk, because the answer to an earlier record was lost, and ones that were overtaken: only
/// their attempts are kept, once. Returns the former.
async fn record_late(desk: &Desk, late: &[&Round]) -> Result<Vec<DeliveryId>, Trouble> {
    let numbers = late.iter().map(|round| round.id.0).collect::<Vec<_>>();
    desk.run(SUPERSEDED, bind![numbers.clone()]).await?;
    let tokens = late
        .iter()
        .map(|round| i64::from(round.round))
        .collect::<Vec<_>>();
    let (mut ended, mut overtaken) = (Vec::new(), HashSet::new());
    for row in &desk.rows(WRITTEN, bind![numbers, tokens]).await? {
        let id = rows::delivery_id(row, 0)?;
        match (row.try_get(1)?, row.try_get(2)?) {
            (true, _) => ended.push(id),
            (false, false) => {
                overtaken.insert(id);
            }
            (false, true) => {}
        }
    }
    let unwritten = late.iter().copied().filter(|round| overtaken.contains(&round.id));
    keep_attempts(desk, &unwritten.collect::<Vec<_>>(), true).await?;
    Ok(ended)
}

/// What a new state brings with it: receipts that came early, as they may have for those named, an address that is dead.
/// Where those stand whom such receipts moved on.
async fn follow_up(
    desk: &Desk,
    rounds: Vec<&Round>,
    early: &HashSet<DeliveryId>,
) -> Result<HashMap<DeliveryId, Standing>, Trouble> {
    let mut sent = Vec::new();
    let mut dead = Vec::new();
    let mut told = Vec::new();
    for round in rounds {
        told.extend(Emission::of_round(round));
        dead.extend(round.dead_addresses().into_iter().map(|dead| (round.id, dead)));
        if let State::Sent {
            provider,
            reference: Some(reference),
            ..
        } = &round.state
            && early.contains(&round.id)
        {
            sent.push((round.id, provider.as_str(), reference.as_str()));
        }
    }
    events::emit(desk, &told).await?;
    deactivate(desk, &dead).await?;
    receipts::apply_early(desk, &sent).await
}

/// Keeps the attempts of rounds. Where `may_have_some` is false, the deliveries of first rounds have none yet.
async fn keep_attempts(desk: &Desk, rounds: &[&Round], may_have_some: bool) -> Result<(), Trouble> {
    let lines = rounds.iter().flat_map(|round| {
        let attempts = round.attempts.iter().zip(0_i64..);
        attempts.map(move |(attempt, place)| (round, place, attempt))
    });
    let lines = lines.collect::<Vec<_>>();
    if lines.is_empty() {
        return Ok(());
    }
    let ids = lines.iter().map(|(round, ..)| round.id.0);
    let attempts = lines.iter().map(|(.., attempt)| *attempt);
    let provider = |attempt: &'_ Attempt| attempt.provider.as_ref().map(|name| name.as_str().to_owned());
    let providers = attempts.clone().map(provider).collect::<Vec<_>>();
    let durations = attempts
        .clone()
        .map(|attempt| i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX));
    let counted_on = may_have_some || lines.iter().any(|(round, ..)| round.round > 1);
    let (statement, columns) = if counted_on {
        (ATTEMPT, 12)
    } else {
        (ATTEMPT_FIRST, 10)
    };
    desk.run(
        statement,
        &bind![
            ids.clone().collect::<Vec<_>>(),
            lines.iter().map(|(_, place, _)| *place).collect::<Vec<_>>(),
            lines
                .iter()
                .map(|(round, ..)| i64::from(round.round))
                .collect::<Vec<_>>(),
            providers.iter().map(Option::as_deref).collect::<Vec<_>>(),
            attempts
                .clone()
                .map(|attempt| attempt.outcome.word())
                .collect::<Vec<_>>(),
            attempts
                .clone()
                .map(|attempt| attempt.code.as_deref().map(kept))
                .collect::<Vec<_>>(),
            attempts
                .clone()
                .map(|attempt| attempt.outcome.reason().map(kept))
                .collect::<Vec<_>>(),
            attempts
                .clone()
                .map(|attempt| attempt.at.timestamp_millis())
                .collect::<Vec<_>>(),
            durations.collect::<Vec<_>>(),
            attempts
                .map(|attempt| attempt.address.as_deref())
                .collect::<Vec<_>>(),
            ids.clone().min().unwrap_or_default(),
            ids.max().unwrap_or_default(),
        ][..columns],
    )
    .await?;
    Ok(())
}

/// Makes addresses of deliveries inactive.
pub async fn deactivate(desk: &Desk, dead: &[(DeliveryId, DeadAddress<'_>)]) -> Result<(), Trouble> {
    if dead.is_empty() {
        return Ok(());
    }
    desk.run(
        DEACTIVATE,
        bind![
            dead.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
            dead.iter().map(|(_, dead)| kept(dead.reason)).collect::<Vec<_>>(),
            dead.iter().map(|(_, dead)| dead.by.as_str()).collect::<Vec<_>>(),
            dead.iter()
                .map(|(_, dead)| dead.at.timestamp_millis())
                .collect::<Vec<_>>(),
            dead.iter().map(|(_, dead)| dead.address).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}
