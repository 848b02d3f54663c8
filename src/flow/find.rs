//! What an operator looks for: deliveries by address, person, state, provider and time, the newest first.
//!
//! The store finds by address, state and time, or by person; the rest is picked out here. So one look goes through a bounded number of
//! messages, says how far it came, and the next one goes on from there. Changes nothing.

use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::{Failure, Standing, State};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Delivery, Message};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::store::{LastCall, Page, Query, UsageQuery};

/// Through how many messages one look goes at most, so that no page keeps the store busy for long.
pub const EXAMINED_MAX: usize = 2_000;

/// How many messages are read at once.
const READ_AT_ONCE: usize = 200;

/// Which deliveries are looked for; what is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// To this normalised address.
    pub to: Option<String>,
    /// To this person, as clients name them.
    pub user: Option<String>,
    /// In this state.
    pub state: Option<Wish>,
    /// This provider took it, or was the last to be asked.
    pub provider: Option<Name>,
    /// Accepted at or after this moment.
    pub since: Option<Timestamp>,
}

/// What state is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// One of the four.
    Standing(Standing),
    /// Failed in this way.
    Failure(Failure),
    /// Whatever its state, the end of one of its calls is unknown.
    MayBeTwice,
}

/// A delivery that was found, with what its message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The message it carries.
    pub message: MessageId,
    /// What the message says.
    pub body: String,
    /// The client's own name for the person.
    pub user: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The delivery.
    pub delivery: Delivery,
    /// The last call made for it.
    pub call: Option<LastCall>,
}

/// What one look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest first. All that were found of one message stand together, so there may be a few more than asked for.
    pub lines: Vec<Line>,
    /// Where the next look goes on; none when there is nothing older.
    pub next: Option<i64>,
    /// Whether it stopped because it had gone through enough, not because it had found enough.
    pub is_cut: bool,
}

/// Looks for about `limit` deliveries among the messages older than `before`.
pub async fn deliveries(
    gateway: &Gateway,
    wanted: &Wanted,
    before: Option<i64>,
    limit: usize,
) -> Result<Found> {
    let mut found = Found::default();
    let mut query = Query {
        to: wanted.to.clone(),
        state: wanted.standing(),
        since: wanted.since,
        before,
        limit: limit.clamp(1, READ_AT_ONCE),
    };
    let mut examined = 0;
    loop {
        let page = read(gateway, wanted, &query).await?;
        examined += page.messages.len();
        let last = page.next;
        let mut groups = picked(gateway, wanted, page.messages)
            .await?
            .into_iter()
            .peekable();
        while let Some((number, lines)) = groups.next() {
            found.lines.extend(lines);
            if found.lines.len() >= limit {
                found.next = Some(number).filter(|_| last.is_some() || groups.peek().is_some());
                return Ok(found);
            }
        }
        let Some(last) = last else {
            return Ok(found);
        };
        if examined >= EXAMINED_MAX {
            (found.next, found.is_cut) = (Some(last), true);
            return Ok(found);
        }
        query.before = Some(last);
        query.limit = READ_AT_ONCE.min(EXAMINED_MAX - examined);
    }
}

/// The deliveries with these ids, in their order; what has been pruned is left out.
pub async fn named(gateway: &Gateway, ids: &[DeliveryId]) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for id in ids {
        let query = Query {
            before: Some(id.message_number().saturating_add(1)),
            limit: 1,
            ..Query::default()
        };
        let messages = gateway.store.search(query).await?.messages.into_iter();
        let all = messages.flat_map(|message| Wanted::default().lines(message));
        lines.extend(all.filter(|line| line.delivery.id == *id));
    }
    Ok(lines)
}

/// A page of messages among which the wanted ones are; those of one person are found by an index of their own.
async fn read(gateway: &Gateway, wanted: &Wanted, query: &Query) -> Result<Page> {
    if query.to.is_some() || wanted.user.is_none() {
        return gateway.store.search(query.clone()).await;
    }
    let of_user = UsageQuery {
        user: wanted.user.clone(),
        since: query.since,
        until: None,
        before: query.before,
        limit: query.limit,
    };
    gateway.store.usage(of_user).await
}

/// The wanted ones of these messages, message by message.
async fn picked(gateway: &Gateway, wanted: &Wanted, messages: Vec<Message>) -> Result<Vec<(i64, Vec<Line>)>> {
    let mut groups = Vec::new();
    for message in messages {
        let number = message.number;
        let lines = wanted.lines(message);
        if !lines.is_empty() {
            groups.push((number, lines));
        }
    }
    let ids: Vec<DeliveryId> = groups
        .iter()
        .flat_map(|(_, lines)| lines.iter().map(|line| line.delivery.id))
        .collect();
    if ids.is_empty() {
        return Ok(groups);
    }
    let mut calls = gateway.store.last_calls(ids).await?;
    calls.sort_by_key(|call| call.id);
    for (_, lines) in &mut groups {
        for line in lines.iter_mut() {
            let place = calls.binary_search_by_key(&line.delivery.id, |call| call.id);
            line.call = place.ok().and_then(|place| calls.get(place).cloned());
        }
        lines.retain(|line| wanted.fits_call(line));
    }
    groups.retain(|(_, lines)| !lines.is_empty());
    Ok(groups)
}

impl Wanted {
    /// What the store can be asked for.
    fn standing(&self) -> Option<Standing> {
        match self.state? {
            Wish::Standing(standing) => Some(standing),
            Wish::Failure(_) => Some(Standing::Failed),
            Wish::MayBeTwice => None,
        }
    }

    /// Those deliveries of the message that fit as far as the message itself tells.
    fn lines(&self, message: Message) -> Vec<Line> {
        if self.user.is_some() && message.user != self.user {
            return Vec::new();
        }
        let (id, body, user, created_at) = (message.id, message.body, message.user, message.created_at);
        let fitting = message
            .deliveries
            .into_iter()
            .filter(|delivery| self.fits(delivery));
        fitting
            .map(|delivery| Line {
                message: id,
                body: body.clone(),
                user: user.clone(),
                created_at,
                delivery,
                call: None,
            })
            .collect()
    }

    fn fits(&self, delivery: &Delivery) -> bool {
        let is_failure = |wish| matches!(&delivery.state, State::Failed { failure, .. } if *failure == wish);
        let state = match self.state {
            None | Some(Wish::MayBeTwice) => true,
            Some(Wish::Standing(standing)) => delivery.state.standing() == standing,
            Some(Wish::Failure(failure)) => is_failure(failure),
        };
        state && self.to.as_ref().is_none_or(|to| *to == delivery.address)
    }

    fn fits_call(&self, line: &Line) -> bool {
        let asked = line.call.as_ref().and_then(|call| call.provider.as_ref());
        let taken = line.delivery.provider.as_ref();
        let is_by = |provider| asked == Some(provider) || taken == Some(provider);
        let may_be_twice = || line.call.as_ref().is_some_and(|call| call.may_be_twice);
        self.provider.as_ref().is_none_or(is_by) && (self.state != Some(Wish::MayBeTwice) || may_be_twice())
    }
}

#[cfg(test)]
mod tests;
