//! What operators and clients change by hand: calling off, sending again, recipients, places of providers.
//!
//! Never begins or ends a transaction.

use std::collections::HashMap;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::look;
use super::rows::{self, Facts, kept};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::{Failure, State};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::Nudge;
use crate::domain::recipient::{Recipient, Standing};
use crate::store::{Cancelled, ProviderPlace};

static CANCEL: &str = include_str!("../../../sql/postgres/cancel.sql");
static REVIVE_FAILED: &str = include_str!("../../../sql/postgres/revive_failed.sql");
static REVIVE_WAITING: &str = include_str!("../../../sql/postgres/revive_waiting.sql");
static RECIPIENT: &str = include_str!("../../../sql/postgres/recipient.sql");
static RECIPIENT_SET: &str = include_str!("../../../sql/postgres/recipient_set.sql");
static PROVIDER: &str = include_str!("../../../sql/postgres/provider_name.sql");
static PING: &str = include_str!("../../../sql/postgres/ping.sql");
static SEAL: &str = include_str!("../../../sql/postgres/seal.sql");

/// See [`crate::store::Store::cancel`].
pub async fn cancel(desk: &Desk, id: MessageId, now: Timestamp) -> Result<Cancelled, Trouble> {
    let Some(number) = look::number(desk, id).await? else {
        return Ok(Cancelled::Missing);
    };
    let waiting = State::Waiting {
        due_at: now,
        reason: None,
    };
    let Some(called_off) = waiting.cancel(now) else {
        return Ok(Cancelled::TooLate);
    };
    let facts = Facts::of(&called_off);
    let (first, last) = rows::range(number);
    let values = bind![first, last, facts.failure, facts.reason, facts.ended_at];
    let changed = desk.run(CANCEL, values).await?;
    Ok(match usize::try_from(changed).unwrap_or(usize::MAX) {
        0 => Cancelled::TooLate,
        changed => Cancelled::Done(changed),
    })
}

/// See [`crate::store::Store::revive`].
pub async fn revive(
    desk: &Desk,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Nudge>, Trouble> {
    let failed = State::failed(Failure::Exhausted, "", now);
    let Some(revived) = failed.revive(now) else {
        return Ok(Vec::new());
    };
    let reason = Facts::of(&revived).reason;
    let (due_at, expires_at) = (now.timestamp_millis(), expires_at.timestamp_millis());
    let numbers = ids.iter().map(|id| id.0).collect::<Vec<_>>();
    // The waiting first, or the failed that have just begun to wait would be asked twice.
    let mut found = desk.rows(REVIVE_WAITING, bind![numbers, due_at]).await?;
    found.extend(
        desk.rows(REVIVE_FAILED, bind![numbers, due_at, reason, expires_at])
            .await?,
    );
    let changed = found.iter().map(|row| {
        Ok((
            rows::delivery_id(row, 0)?,
            (rows::priority(row, 1)?, rows::name(row, 2)?),
        ))
    });
    let mut changed = changed.collect::<Result<HashMap<_, _>, Trouble>>()?;
    let nudge = |id: &DeliveryId| {
        let (priority, channel) = changed.remove(id)?;
        Some(Nudge {
            id: *id,
            channel,
            due_at: now,
            priority,
        })
    };
    Ok(ids.iter().filter_map(nudge).collect())
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
    Ok(())
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
