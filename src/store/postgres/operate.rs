//! What operators and clients change by hand: calling off, sending again, recipients, places of providers.
//!
//! Never begins or ends a transaction.

use std::collections::HashMap;

use super::events;
use super::fault::Trouble;
use super::link::{Desk, bind};
use super::look;
use super::rows::{self, Facts, kept};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::State;
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Nudge, Priority};
use crate::domain::recipient::{Recipient, Standing};
use crate::store::outbox::Emission;
use crate::store::{Cancelled, ProviderPlace};

static HOLD: &str = include_str!("../../../sql/postgres/change_hold.sql");
static RELEASE: &str = include_str!("../../../sql/postgres/change_release.sql");
static LOAD: &str = include_str!("../../../sql/postgres/change_load.sql");
static APPLY: &str = include_str!("../../../sql/postgres/change_apply.sql");
static RECIPIENT: &str = include_str!("../../../sql/postgres/recipient.sql");
static RECIPIENT_SET: &str = include_str!("../../../sql/postgres/recipient_set.sql");
static WAITING: &str = include_str!("../../../sql/postgres/suppress_waiting.sql");
static PROVIDER: &str = include_str!("../../../sql/postgres/provider_name.sql");
static PING: &str = include_str!("../../../sql/postgres/ping.sql");
static SEAL: &str = include_str!("../../../sql/postgres/seal.sql");

/// See [`crate::store::Store::cancel`].
pub async fn cancel(desk: &Desk, id: MessageId, now: Timestamp) -> Result<Cancelled, Trouble> {
    let Some(number) = look::number(desk, id).await? else {
        return Ok(Cancelled::Missing);
    };
    let (first, last) = rows::range(number);
    let mut changes = Vec::new();
    for free in load(desk, (first..=last).collect()).await? {
        let next = free.state.cancel(now);
        changes.extend(next.map(|next| Change { free, next }));
    }
    if changes.is_empty() {
        return Ok(Cancelled::TooLate);
    }
    apply(desk, &changes, now, now).await?;
    let channel = |change: Change| change.free.channel;
    Ok(Cancelled::Done(changes.into_iter().map(channel).collect()))
}

/// See [`crate::store::Store::revive`].
pub async fn revive(
    desk: &Desk,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Nudge>, Trouble> {
    let mut changes = Vec::new();
    for free in load(desk, ids.iter().map(|id| id.0).collect()).await? {
        let next = free.state.revive(now);
        changes.extend(next.map(|next| Change { free, next }));
    }
    apply(desk, &changes, now, expires_at).await?;
    let mut changed = changes
        .into_iter()
        .map(|change| (change.free.id, change.free))
        .collect::<HashMap<_, _>>();
    let nudge = |id: &DeliveryId| {
        let Free {
            channel, priority, ..
        } = changed.remove(id)?;
        Some(Nudge {
            id: *id,
            channel,
            due_at: now,
            priority,
        })
    };
    Ok(ids.iter().filter_map(nudge).collect())
}

/// Calls off what waits for an address that may not be written to any more and is in no worker's hands.
pub async fn suppress(desk: &Desk, channel: &Name, address: &str, now: Timestamp) -> Result<(), Trouble> {
    let waiting = desk.rows(WAITING, bind![kept(address), channel.as_str()]).await?;
    let waiting = waiting.iter().map(|row| rows::get(row, 0));
    let waiting = waiting.collect::<Result<Vec<i64>, _>>()?;
    if waiting.is_empty() {
        return Ok(());
    }
    let mut changes = Vec::new();
    for free in load(desk, waiting).await? {
        let next = free.state.suppress(now);
        changes.extend(next.map(|next| Change { free, next }));
    }
    apply(desk, &changes, now, now).await
}

/// A delivery that is in no worker's hands.
struct Free {
    id: DeliveryId,
    state: State,
    channel: Name,
    priority: Priority,
    watch: Option<Watch>,
}

/// A delivery with the state it comes to.
struct Change {
    free: Free,
    next: State,
}

/// Those of the deliveries that are in no worker's hands, and come into none before the transaction ends.
async fn load(desk: &Desk, numbers: Vec<i64>) -> Result<Vec<Free>, Trouble> {
    let held = desk.rows(HOLD, bind![numbers]).await?;
    let held = held.iter().map(|row| rows::get(row, 0));
    let held = held.collect::<Result<Vec<i64>, _>>()?;
    let mut all = Vec::new();
    for row in &desk.rows(LOAD, bind![held]).await? {
        if rows::get(row, 10)? {
            all.push(Free {
                state: rows::state(row)?,
                id: rows::delivery_id(row, 7)?,
                channel: rows::name(row, 8)?,
                priority: rows::priority(row, 9)?,
                watch: rows::watch_if_any(row, 11)?,
            });
        }
    }
    // Whoever claims one of them still waits for the end of this transaction: until then a row may come back.
    desk.run(RELEASE, bind![held]).await?;
    Ok(all)
}

/// Writes the new states; what had failed expires at `expires_at` at the earliest.
async fn apply(
    desk: &Desk,
    changes: &[Change],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<(), Trouble> {
    if changes.is_empty() {
        return Ok(());
    }
    let facts = changes
        .iter()
        .map(|change| Facts::of(&change.next))
        .collect::<Vec<_>>();
    desk.run(
        APPLY,
        bind![
            changes.iter().map(|change| change.free.id.0).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.state).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.failure).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.reason.clone()).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.due_at).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.ended_at).collect::<Vec<_>>(),
            expires_at.timestamp_millis(),
        ],
    )
    .await?;
    let told = changes.iter().filter_map(|Change { free, next }| {
        let watch = free.watch.as_ref()?;
        let has_moved = free.state.standing() != next.standing();
        has_moved.then(|| Emission::new(free.id, watch, next, None, now))
    });
    events::emit(desk, &told.collect::<Vec<_>>()).await
}

/// See [`crate::store::Store::recipient`].
pub async fn recipient(desk: &Desk, channel: &Name, address: &str) -> Result<Option<Recipient>, Trouble> {
    let found = desk
        .row(RECIPIENT, bind![channel.as_str(), kept(address)])
        .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    Ok(Some(Recipient {
        channel: channel.clone(),
        address: address.to_owned(),
        standing: rows::word(&row, 0, Standing::from_word)?,
        reason: rows::text(&row, 1)?,
        changed_by: rows::text(&row, 2)?,
        changed_at: rows::time(&row, 3)?,
    }))
}

/// See [`crate::store::Store::set_recipient`].
pub async fn set_recipient(desk: &Desk, recipient: &Recipient) -> Result<(), Trouble> {
    desk.run(
        RECIPIENT_SET,
        bind![
            recipient.channel.as_str(),
            kept(&recipient.address),
            recipient.standing.word(),
            kept(&recipient.reason),
            kept(&recipient.changed_by),
            recipient.changed_at.timestamp_millis(),
        ],
    )
    .await?;
    match recipient.standing {
        Standing::Active => Ok(()),
        Standing::Inactive | Standing::OptedOut => {
            suppress(desk, &recipient.channel, &recipient.address, recipient.changed_at).await
        }
    }
}

/// See [`crate::store::Store::name_providers`].
pub async fn name_providers(desk: &Desk, providers: &[ProviderPlace]) -> Result<(), Trouble> {
    let mut places = providers.iter().collect::<Vec<_>>();
    // In one order, so that hosts that start at once do not wait for each other; a name twice counts once.
    places.sort_by_key(|place| place.name.as_str());
    places.dedup_by_key(|place| place.name.as_str());
    let names = places.iter().map(|place| place.name.as_str()).collect::<Vec<_>>();
    let hosts = places.iter().map(|place| place.host.as_str()).collect::<Vec<_>>();
    let ports = places
        .iter()
        .map(|place| i64::from(place.port))
        .collect::<Vec<_>>();
    desk.run(PROVIDER, bind![names, hosts, ports]).await?;
    Ok(())
}

/// See [`crate::store::Store::seal`].
pub async fn seal(desk: &Desk) -> Result<[u8; 32], Trouble> {
    rows::bytes(&desk.one(SEAL, &[]).await?, 0)
}

/// See [`crate::store::Store::ping`].
pub async fn ping(desk: &Desk) -> Result<(), Trouble> {
    desk.one(PING, &[]).await.map(drop)
}
