//! The way of a delivery through the workers' hands: what is due, who wins it, what came of it.
//!
//! A claim is only a postponement, kept in a narrow table of its own, and a round that another claim has overtaken
//! changes no state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::errors::PgError;
use super::events;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use super::receipts;
use super::rows::{self, StateColumns, escape_text};
use super::suppressed::active_contacts;
use crate::events::NewEvent;
use postrider_core::attempt::Attempt;
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::id::DeliveryId;
use postrider_core::message::{
    ClaimedDelivery, CompletedRound, InvalidatedAddress, Priority, QueueEntry, RecordResult,
};

static DUE: &str = sql!("postgres/claim/select_due");
static DUE_CHANNELS: &str = sql!("postgres/claim/list_waiting_channels");
static TAKE_LEASES: &str = sql!("postgres/claim/acquire_lease");
static LOAD_CLAIMED: &str = sql!("postgres/claim/load_claimed_deliveries");
static RETURN_LEASES: &str = sql!("postgres/claim/release_lease");
static RECORD: &str = sql!("postgres/claim/record_round");
static FIND_RECORDED: &str = sql!("postgres/claim/check_recorded_round");
static MARK_SUPERSEDED: &str = sql!("postgres/claim/mark_superseded_round");
static INSERT_FIRST_ATTEMPTS: &str = sql!("postgres/claim/insert_first_attempt");
static INSERT_ATTEMPTS: &str = sql!("postgres/claim/insert_attempt");
static DEACTIVATE: &str = sql!("postgres/recipients/deactivate_recipient");

/// See [`crate::Store::due`].
pub async fn due(desk: &PgTransaction, now: Timestamp, wish: &Capacity) -> Result<Vec<QueueEntry>, PgError> {
    let mut channels = Vec::new();
    let mut rooms = Vec::new();
    for row in &desk.query(DUE_CHANNELS, &[]).await? {
        let channel = rows::decode_name(row, 0)?;
        match wish.for_channel(channel.as_str()) {
            0 => {}
            room => {
                channels.push(channel.to_string());
                rooms.push(rows::limit_to_sql(room));
            }
        }
    }
    let found = desk
        .query(DUE, bind![now.timestamp_millis(), channels, rooms])
        .await?;
    let mut nudges = Vec::with_capacity(found.len());
    for row in &found {
        nudges.push(QueueEntry {
            id: rows::delivery_id(row, 0)?,
            due_at: rows::decode_time(row, 1)?,
            channel: rows::decode_name(row, 2)?,
            priority: rows::decode_priority(row, 3)?,
        });
    }
    let (wanted, _) = wish.split(interleave_channels(nudges), |nudge| &nudge.channel);
    Ok(wanted)
}

/// The same, within a priority one of each channel in turn.
fn interleave_channels(nudges: Vec<QueueEntry>) -> Vec<QueueEntry> {
    let count = nudges.len();
    let (high, normal): (Vec<QueueEntry>, Vec<QueueEntry>) = nudges
        .into_iter()
        .partition(|nudge| nudge.priority == Priority::High);
    let mut fair = Vec::with_capacity(count);
    for some in [high, normal] {
        let mut rows: BTreeMap<ConfigName, Vec<QueueEntry>> = BTreeMap::new();
        for nudge in some {
            rows.entry(nudge.channel.clone()).or_default().push(nudge);
        }
        fair.extend(round_robin(rows.into_values().collect(), count));
    }
    fair
}

/// What one worker asks for.
pub struct ClaimOperation {
    /// Which deliveries.
    pub ids: Vec<DeliveryId>,
    /// The moment at which they must be due.
    pub now: Timestamp,
    /// For how long.
    pub lease: Duration,
    /// When it asked: a lease begins when the claim is written, which can be later.
    pub requested_at: Instant,
}

impl BatchOperation for ClaimOperation {
    type Output = Vec<ClaimedDelivery>;
    type BatchCache = ();
    const ERROR_CONTEXT: &'static str = "cannot claim deliveries";

    async fn run(
        desk: &PgTransaction,
        (): &mut (),
        pieces: &[Self],
    ) -> Result<Vec<Vec<ClaimedDelivery>>, PgError> {
        let mut asked = BTreeMap::new();
        for piece in pieces {
            let waited = Duration::from_secs(piece.requested_at.elapsed().as_secs());
            let until = piece.now + piece.lease + waited;
            for id in &piece.ids {
                asked
                    .entry(id.0)
                    .or_insert((piece.now.timestamp_millis(), until.timestamp_millis()));
            }
        }
        let mut won = take_leases(desk, &asked).await?;
        remove_suppressed_contacts(desk, &mut won).await?;
        let of_piece = |piece: &Self| piece.ids.iter().filter_map(|id| won.remove(id)).collect();
        Ok(pieces.iter().map(of_piece).collect())
    }
}

/// Takes the leases that can be had, and gives those back of what is not due. `asked` says for each delivery when it
/// must be due and how long its lease is.
async fn take_leases(
    desk: &PgTransaction,
    asked: &BTreeMap<i64, (i64, i64)>,
) -> Result<HashMap<DeliveryId, ClaimedDelivery>, PgError> {
    let ids = asked.keys().copied().collect::<Vec<_>>();
    let (now, until): (Vec<i64>, Vec<i64>) = asked.values().copied().unzip();
    let mut taken = BTreeMap::new();
    for row in &desk.query(TAKE_LEASES, bind![ids, now, until]).await? {
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
    for row in &desk.query(LOAD_CLAIMED, bind![ids, claims, now, numbers]).await? {
        if rows::get(row, 15)? {
            let claimed = decode_claimed(row)?;
            won.insert(claimed.id, claimed);
        }
    }
    let vain = ids.into_iter().filter(|id| !won.contains_key(&DeliveryId(*id)));
    let vain = vain.collect::<Vec<_>>();
    if !vain.is_empty() {
        desk.execute(RETURN_LEASES, bind![vain]).await?;
    }
    Ok(won)
}

/// Takes those contacts out that may no longer be written to.
async fn remove_suppressed_contacts(
    desk: &PgTransaction,
    won: &mut HashMap<DeliveryId, ClaimedDelivery>,
) -> Result<(), PgError> {
    for claimed in won.values_mut() {
        if let Some(contacts) = claimed.contacts.take() {
            claimed.contacts = Some(active_contacts(desk, &claimed.channel, contacts).await?);
        }
    }
    Ok(())
}

fn decode_claimed(row: &Row) -> Result<ClaimedDelivery, PgError> {
    Ok(ClaimedDelivery {
        id: rows::delivery_id(row, 12)?,
        message: rows::message_id(row, 10)?,
        channel: rows::decode_name(row, 0)?,
        address: rows::get(row, 1)?,
        spelling: rows::decode_text(row, 2)?,
        contacts: rows::optional_contacts(row, 13)?,
        subject: rows::optional_text(row, 14)?,
        body: rows::decode_text(row, 11)?,
        parts: rows::decode_count(row, 3)?,
        round: rows::decode_count(row, 4)?,
        tries: rows::decode_count(row, 5)?,
        unrecorded_claims: rows::decode_count(row, 6)?,
        avoid: rows::optional_name(row, 7)?,
        priority: rows::decode_priority(row, 8)?,
        expires_at: rows::decode_time(row, 9)?,
        event_target: rows::optional_watch(row, 16)?,
    })
}

/// Rounds that one worker has finished.
pub struct RecordOperation(pub Vec<CompletedRound>);

impl BatchOperation for RecordOperation {
    type Output = Vec<RecordResult>;
    type BatchCache = ();
    const BATCH_INTERVAL: Duration = Duration::from_millis(10);
    const ERROR_CONTEXT: &'static str = "cannot record what was sent";

    async fn run(
        desk: &PgTransaction,
        (): &mut (),
        pieces: &[Self],
    ) -> Result<Vec<Vec<RecordResult>>, PgError> {
        let rounds = pieces.iter().flat_map(|piece| &piece.0).collect::<Vec<_>>();
        let mut answers = vec![RecordResult::Superseded; rounds.len()];
        for wave in split_by_delivery(&rounds) {
            let stored =
                record_rounds(desk, &wave.iter().map(|place| rounds[*place]).collect::<Vec<_>>()).await?;
            for place in wave {
                if let Some(stands) = stored.get(&rounds[place].id) {
                    answers[place] = RecordResult::from_states(DeliveryStateKind::Sent, *stands);
                }
            }
        }
        let mut answers = answers.into_iter();
        let of_piece = |piece: &Self| answers.by_ref().take(piece.0.len()).collect();
        Ok(pieces.iter().map(of_piece).collect())
    }
}

/// The rounds by place, so that none of a wave speak of the same delivery and the earlier comes first.
fn split_by_delivery(rounds: &[&CompletedRound]) -> Vec<Vec<usize>> {
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
async fn record_rounds(
    desk: &PgTransaction,
    rounds: &[&CompletedRound],
) -> Result<HashMap<DeliveryId, Option<DeliveryStateKind>>, PgError> {
    // The server takes them in order, so that what is looked for is looked for behind the lock.
    let (locked, found) = tokio::join!(receipts::lock_references(desk), save_states(desk, rounds));
    locked?;
    let (mut stored, mut early) = (HashSet::new(), HashSet::new());
    for row in &found? {
        let id = rows::delivery_id(row, 0)?;
        stored.insert(id);
        if rows::get(row, 1)? {
            early.insert(id);
        }
    }
    let (ended, late): (Vec<&CompletedRound>, Vec<&CompletedRound>) =
        rounds.iter().partition(|round| stored.contains(&round.id));
    insert_attempts(desk, &ended, false).await?;
    let moved = apply_side_effects(desk, ended, &early).await?;
    if !late.is_empty() {
        stored.extend(record_late(desk, &late).await?);
    }
    Ok(stored
        .into_iter()
        .map(|id| (id, moved.get(&id).copied()))
        .collect())
}

/// Puts the ends of rounds down; a row for each that was the current one.
async fn save_states(desk: &PgTransaction, rounds: &[&CompletedRound]) -> Result<Vec<Row>, PgError> {
    let facts = rounds
        .iter()
        .map(|round| StateColumns::from_state(&round.state))
        .collect::<Vec<_>>();
    desk.query(
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
async fn record_late(desk: &PgTransaction, late: &[&CompletedRound]) -> Result<Vec<DeliveryId>, PgError> {
    let numbers = late.iter().map(|round| round.id.0).collect::<Vec<_>>();
    desk.execute(MARK_SUPERSEDED, bind![numbers.clone()]).await?;
    let tokens = late
        .iter()
        .map(|round| i64::from(round.round))
        .collect::<Vec<_>>();
    let (mut ended, mut overtaken) = (Vec::new(), HashSet::new());
    for row in &desk.query(FIND_RECORDED, bind![numbers, tokens]).await? {
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
    insert_attempts(desk, &unwritten.collect::<Vec<_>>(), true).await?;
    Ok(ended)
}

/// What a new state brings with it: receipts that came early, as they may have for those named, an address that is dead.
/// Where those stand whom such receipts moved on.
async fn apply_side_effects(
    desk: &PgTransaction,
    rounds: Vec<&CompletedRound>,
    early: &HashSet<DeliveryId>,
) -> Result<HashMap<DeliveryId, DeliveryStateKind>, PgError> {
    let mut sent = Vec::new();
    let mut dead = Vec::new();
    let mut told = Vec::new();
    for round in rounds {
        told.extend(NewEvent::from_round(round));
        dead.extend(
            round
                .invalidated_addresses()
                .into_iter()
                .map(|dead| (round.id, dead)),
        );
        if let DeliveryState::Sent {
            provider,
            reference: Some(reference),
            ..
        } = &round.state
            && early.contains(&round.id)
        {
            sent.push((round.id, provider.as_str(), reference.as_str()));
        }
    }
    events::insert_events(desk, &told).await?;
    deactivate_addresses(desk, &dead).await?;
    receipts::apply_unmatched(desk, &sent).await
}

/// Keeps the attempts of rounds. Where `may_have_some` is false, the deliveries of first rounds have none yet.
async fn insert_attempts(
    desk: &PgTransaction,
    rounds: &[&CompletedRound],
    may_have_some: bool,
) -> Result<(), PgError> {
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
        (INSERT_ATTEMPTS, 12)
    } else {
        (INSERT_FIRST_ATTEMPTS, 10)
    };
    desk.execute(
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
                .map(|attempt| attempt.outcome.as_str())
                .collect::<Vec<_>>(),
            attempts
                .clone()
                .map(|attempt| attempt.code.as_deref().map(escape_text))
                .collect::<Vec<_>>(),
            attempts
                .clone()
                .map(|attempt| attempt.outcome.reason().map(escape_text))
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
pub async fn deactivate_addresses(
    desk: &PgTransaction,
    dead: &[(DeliveryId, InvalidatedAddress<'_>)],
) -> Result<(), PgError> {
    if dead.is_empty() {
        return Ok(());
    }
    desk.execute(
        DEACTIVATE,
        bind![
            dead.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
            dead.iter()
                .map(|(_, dead)| escape_text(dead.reason))
                .collect::<Vec<_>>(),
            dead.iter()
                .map(|(_, dead)| dead.provider.as_str())
                .collect::<Vec<_>>(),
            dead.iter()
                .map(|(_, dead)| dead.at.timestamp_millis())
                .collect::<Vec<_>>(),
            dead.iter().map(|(_, dead)| dead.address).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}
