//! Stores inbound messages: their keywords, the route that they take, the message that they answer, and keyword replies.
//!
//! When [`store`] returns `Ok`, the messages are on disk with the opt-outs and opt-ins that they ask for, and with the
//! events that forward them. Storing the same messages again stores nothing and replies nothing twice, if the provider
//! names them.

use postrider_core::address::parse_address;
use postrider_core::event::EventTarget;
use postrider_core::id::MessageId;
use postrider_core::inbound::{InboundMessage, OptAction, OptChange};
use postrider_core::inbound_record::{InboundAction, InboundRecord, NewInbound, StoredInbound};
use postrider_core::keywords::{KeywordAction, Keywords, first_line};
use postrider_core::{clock::Timestamp, error::Result, name::ConfigName};
use postrider_store::MessageQuery;

use crate::accept::{self, AcceptError, AcceptRequest, RequestIdempotencyKey};
use crate::config::InboundRoute;
use crate::gateway::{Gateway, ProviderRuntime, Route};

mod view;

pub use view::InboundView;

/// Number of the latest messages to a person among which the one that a text answers is looked for.
const ANSWERED_MESSAGES_MAX: usize = 20;

/// An inbound message that is ready to be stored.
struct PendingInbound {
    message: NewInbound,
    /// The reply to its keyword.
    reply: Option<KeywordReply>,
}

/// The configured reply to a keyword.
struct KeywordReply {
    channel: ConfigName,
    body: String,
}

/// The keyword of an inbound message on the channels of its provider.
#[derive(Default)]
struct KeywordMatch {
    action: InboundAction,
    changes: Vec<OptChange>,
    reply: Option<KeywordReply>,
}

/// Stores the inbound messages of one callback and replies to their keywords.
///
/// # Errors
///
/// Returns an error if the store fails. The caller then answers the provider so that it repeats the callback.
pub async fn store(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    messages: Vec<InboundMessage>,
) -> Result<()> {
    let mut pending = Vec::with_capacity(messages.len());
    for message in messages {
        pending.push(prepare(gateway, runtime, message).await?);
    }
    if pending.is_empty() {
        return Ok(());
    }
    let (messages, replies): (Vec<_>, Vec<_>) =
        pending.into_iter().map(|pending| (pending.message, pending.reply)).unzip();
    let stored = gateway.store.store_inbound(messages.clone()).await?;
    if messages.iter().any(|message| message.event_target.is_some()) {
        gateway.events_pending.notify_one();
    }
    for ((message, reply), stored) in messages.iter().zip(replies).zip(&stored) {
        count(gateway, message, stored);
        if let Some(reply) = reply {
            send_reply(gateway, message, stored, reply).await?;
        }
    }
    Ok(())
}

/// Makes the record of a message.
async fn prepare(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    message: InboundMessage,
) -> Result<PendingInbound> {
    let received_at = gateway.clock.now();
    let keyword = find_keyword(gateway, runtime, &message);
    let sender = parse_sender(gateway, runtime, &message.from);
    let inbound_routes = &gateway.config.inbound_routes;
    let route = inbound_routes.iter().find(|route| route.is_match(&runtime.name, &message));
    let in_reply_to = match &sender {
        Some((_, address)) => find_answered_message(gateway, runtime, address).await?,
        None => None,
    };
    let target = route.and_then(|route| route.target.as_ref());
    let event_target = route.filter(|route| route.target.is_some()).map(event_target_of);
    let keyword_channel = keyword.reply.as_ref().map(|reply| reply.channel.clone());
    let (sender_channel, from) = match sender {
        Some((channel, address)) => (Some(channel), address),
        None => (None, message.from),
    };
    let record = InboundRecord {
        id: MessageId::new(received_at, gateway.random.bytes()),
        provider: runtime.name.clone(),
        reference: message.reference,
        channel: keyword_channel.or(sender_channel),
        from,
        to: message.to,
        body: message.body,
        is_incomplete: message.is_incomplete,
        sent_at: message.at,
        received_at,
        action: keyword.action,
        in_reply_to,
        account: route.map(|route| route.account.clone()).unwrap_or_default(),
        route: route.map(|route| route.name.clone()),
        target: target.map(|target| target.kind()),
        forwarded_at: None,
    };
    let message = NewInbound { record, changes: keyword.changes, event_target };
    Ok(PendingInbound { message, reply: keyword.reply })
}

fn event_target_of(route: &InboundRoute) -> EventTarget {
    EventTarget::InboundRoute(route.name.clone())
}

/// Looks for a keyword on every channel that uses the provider.
///
/// A change of status counts more than a request for help. The person gets one reply, over the first channel that has one.
fn find_keyword(gateway: &Gateway, runtime: &ProviderRuntime, message: &InboundMessage) -> KeywordMatch {
    let mut found = KeywordMatch::default();
    for route in gateway.routes_of_provider(&runtime.name) {
        let keywords = gateway.config.keywords.find(&route.channel.name, &message.to);
        let Some(keyword_action) = keywords.action_of(&message.body) else {
            continue;
        };
        let (action, reply) = action_and_reply(keywords, keyword_action);
        if action > found.action {
            (found.action, found.reply) = (action, None);
        }
        if action == found.action && found.reply.is_none() {
            let channel = route.channel.name.clone();
            found.reply = reply.map(|body| KeywordReply { channel, body: body.clone() });
        }
        let opt_action = match keyword_action {
            KeywordAction::OptOut => OptAction::OptOut,
            KeywordAction::OptIn => OptAction::OptIn,
            KeywordAction::Help => continue,
        };
        let request = ProviderOptRequest::from_inbound(message, opt_action);
        found.changes.extend(opt_changes(gateway, runtime, route, &request));
    }
    found
}

fn action_and_reply(keywords: &Keywords, action: KeywordAction) -> (InboundAction, Option<&String>) {
    match action {
        KeywordAction::OptOut => (InboundAction::OptOut, keywords.opt_out_reply.as_ref()),
        KeywordAction::OptIn => (InboundAction::OptIn, keywords.opt_in_reply.as_ref()),
        KeywordAction::Help => (InboundAction::Help, keywords.help_reply.as_ref()),
    }
}

/// Returns the first channel of the provider on which the sender is an address, and the normalised address.
fn parse_sender(gateway: &Gateway, runtime: &ProviderRuntime, from: &str) -> Option<(ConfigName, String)> {
    gateway.routes_of_provider(&runtime.name).find_map(|route| {
        let address = addresses_on(gateway, runtime, route, from).into_iter().next()?;
        Some((route.channel.name.clone(), address))
    })
}

/// Returns the last message to an address that was sent over a channel of the provider.
async fn find_answered_message(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    address: &str,
) -> Result<Option<MessageId>> {
    let query = MessageQuery {
        to: Some(address.to_owned()),
        limit: ANSWERED_MESSAGES_MAX,
        ..MessageQuery::default()
    };
    let messages = gateway.store.search(query).await?.messages;
    let has_channel = |channel: &ConfigName| {
        gateway.routes_of_provider(&runtime.name).any(|route| route.channel.name == *channel)
    };
    let answered = messages.iter().find(|message| {
        message.deliveries.iter().any(|delivery| {
            // Without a provider nothing has been sent.
            delivery.provider.is_some() && delivery.address == address && has_channel(&delivery.channel)
        })
    });
    Ok(answered.map(|message| message.id))
}

fn count(gateway: &Gateway, message: &NewInbound, stored: &StoredInbound) {
    let record = &message.record;
    let metrics = &gateway.metrics;
    if !stored.is_new {
        return metrics.count_inbound_message("repeated");
    }
    if record.is_incomplete {
        metrics.count_inbound_message("incomplete");
    }
    match record.action {
        InboundAction::OptOut | InboundAction::OptIn => {
            count_opt_changes(gateway, &message.changes, &stored.is_applied);
        }
        InboundAction::Help => metrics.count_inbound_message("help"),
        InboundAction::None if record.target.is_some() => metrics.count_inbound_message("routed"),
        InboundAction::None => metrics.count_inbound_message("kept"),
    }
}

/// Counts opt-outs and opt-ins by their result.
pub fn count_opt_changes(gateway: &Gateway, changes: &[OptChange], is_applied: &[bool]) {
    for (change, is_applied) in changes.iter().zip(is_applied) {
        gateway.metrics.count_inbound_message(match (change.action, is_applied) {
            (OptAction::OptOut, true) => "opted_out",
            (OptAction::OptIn, true) => "opted_in",
            (OptAction::OptOut | OptAction::OptIn, false) => "unchanged",
        });
    }
}

/// Replies to a keyword, once for each stored message. A change of status is confirmed only if it has changed something.
async fn send_reply(
    gateway: &Gateway,
    message: &NewInbound,
    stored: &StoredInbound,
    reply: KeywordReply,
) -> Result<()> {
    let record = &message.record;
    let is_due = match record.action {
        InboundAction::OptOut | InboundAction::OptIn => stored.has_changed_status,
        InboundAction::Help => true,
        InboundAction::None => false,
    };
    if !is_due {
        return Ok(());
    }
    let request = AcceptRequest {
        body: reply.body,
        addresses: vec![(reply.channel.to_string(), record.from.clone())],
        // Counts for the throttle of the user, so that two programs that answer each other stop.
        expects_reply: Some(true),
        ignores_opt_out: record.action == InboundAction::OptOut,
        idempotency_key: Some(reply_key(stored.id, "keyword")),
        ..AcceptRequest::default()
    };
    match accept::accept(gateway, request).await {
        Err(AcceptError::Store(error)) => Err(error),
        // The reasons are the person's: a short code without a number, an opt-out, the throttle.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns the idempotency key of a reply to a stored message. `name` distinguishes its replies.
pub fn reply_key(id: MessageId, name: &str) -> RequestIdempotencyKey {
    RequestIdempotencyKey {
        scope: "inbound".to_owned(),
        key: format!("{id}/{name}"),
        fingerprint: String::new(),
    }
}

/// A request of a person to receive no more messages, or to receive them again.
pub struct ProviderOptRequest {
    /// The change of status.
    pub action: OptAction,
    /// The address, as the provider writes it.
    pub address: String,
    /// The reason, for operators.
    pub reason: String,
    /// The provider's id of the text.
    pub reference: Option<String>,
    /// The time of the request.
    pub at: Timestamp,
}

impl ProviderOptRequest {
    fn from_inbound(message: &InboundMessage, action: OptAction) -> Self {
        Self {
            action,
            reason: format!("sent \"{}\"", first_line(&message.body)),
            address: message.from.clone(),
            reference: message.reference.clone(),
            at: message.at,
        }
    }
}

/// Returns one change for each address kind of the channel that the sender's address can be parsed as.
pub fn opt_changes(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    route: &Route,
    request: &ProviderOptRequest,
) -> Vec<OptChange> {
    let opt_change_of = |address| OptChange {
        channel: route.channel.name.clone(),
        address,
        action: request.action,
        reason: request.reason.clone(),
        provider: runtime.name.clone(),
        reference: request.reference.clone(),
        at: request.at,
    };
    addresses_on(gateway, runtime, route, &request.address).into_iter().map(opt_change_of).collect()
}

/// Returns the normalised addresses that a spelling is on a channel: one for each address kind of the channel that the
/// provider can use.
fn addresses_on(gateway: &Gateway, runtime: &ProviderRuntime, route: &Route, spelling: &str) -> Vec<String> {
    let provider_kind = runtime.adapter().address_kind();
    let usable_kinds = route.address_kinds().iter().filter(|kind| kind.is_usable_by(provider_kind));
    let mut addresses = usable_kinds
        .filter_map(|kind| parse_address(*kind, spelling, &gateway.config.phone).ok())
        .collect::<Vec<_>>();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests;
