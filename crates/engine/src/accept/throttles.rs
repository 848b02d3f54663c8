//! Determines the throttles of a message: the user throttles and the spending limits of the API key.
//!
//! For users, the limit of the API key precedes the limit of the channel, which precedes the general limit; each scope is counted
//! separately. The store counts the messages.

use postrider_core::user_throttle::{ThrottleCounting, UserThrottle};
use postrider_core::{channel::Channel, clock::Timestamp, message::NewDelivery};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::request::{AcceptError, AcceptRequest};
use crate::config::ApiKey;
use crate::gateway::Gateway;

/// Time for which a message counts for the throttle.
const THROTTLE_WINDOW: Duration = Duration::from_secs(3600);

/// Windows of the spending limits.
const SPENDING_MINUTE: Duration = Duration::from_secs(60);
const SPENDING_DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns the throttles of a message with these deliveries, each subject once.
pub(super) fn throttles_of(
    gateway: &Gateway,
    request: &AcceptRequest,
    deliveries: &[NewDelivery],
) -> Vec<UserThrottle> {
    let api_key = gateway.api_key(&request.api_key_name);
    let mut throttles = user_throttles(gateway, request, deliveries, api_key.as_deref());
    if let Some(key) = api_key
        && request.broadcast_owner.is_none()
    {
        throttles.extend(spending_limits(&key, sent_parts(deliveries)));
    }
    throttles
}

/// Counts the text parts of a message for the rate of its account in this process.
///
/// # Errors
/// The rate is reached.
pub(super) fn check_rate(
    gateway: &Gateway,
    request: &AcceptRequest,
    deliveries: &[NewDelivery],
    now: Timestamp,
) -> Result<(), AcceptError> {
    match gateway.api_key(&request.api_key_name) {
        Some(key) if key.account.rate.is_some() && request.broadcast_owner.is_none() => gateway
            .account_rates
            .try_acquire(&key, sent_parts(deliveries), now)
            .map_err(|retry_after| AcceptError::SpendingLimit { retry_after }),
        _ => Ok(()),
    }
}

/// Returns the number of text parts that all deliveries together send.
fn sent_parts(deliveries: &[NewDelivery]) -> u32 {
    let sent_deliveries = deliveries.iter().filter(|delivery| delivery.rejection_reason.is_none());
    sent_deliveries.map(|delivery| delivery.parts).fold(0, u32::saturating_add)
}

/// Returns the spending limits of an API key for a request of `parts` text parts.
pub(crate) fn spending_limits(key: &ApiKey, parts: u32) -> Vec<UserThrottle> {
    let (of_window, of_month) = (ThrottleCounting::Parts(parts), ThrottleCounting::PartsOfMonth(parts));
    let limits = &key.limits;
    [
        ("minute", limits.per_minute, SPENDING_MINUTE, of_window),
        ("day", limits.per_day, SPENDING_DAY, of_window),
        // The calendar decides the length of a month, so the window does not count.
        ("month", limits.per_month, UserThrottle::WINDOW_MAX, of_month),
    ]
    .into_iter()
    .filter_map(|(scope, limit, window, counting)| {
        let subject = hash_subject(&["spending", &key.name, scope]);
        Some(UserThrottle { subject, limit: limit?, window, counting })
    })
    .collect()
}

/// Returns the user throttles: none if the message expects no answer.
fn user_throttles(
    gateway: &Gateway,
    request: &AcceptRequest,
    deliveries: &[NewDelivery],
    api_key: Option<&ApiKey>,
) -> Vec<UserThrottle> {
    let owner = match (&request.broadcast_owner, api_key) {
        (Some(owner), _) => owner,
        (None, key) => key.map_or("", ApiKey::owner),
    };
    let key_limit = api_key.and_then(|key| Some((key.name.as_str(), key.user_per_hour?)));
    let mut throttles = Vec::<UserThrottle>::new();
    for delivery in deliveries {
        let Some(route) = gateway.route(delivery.channel.as_str()) else {
            continue;
        };
        let channel = &route.channel;
        if delivery.rejection_reason.is_some() || !request.expects_reply.unwrap_or(channel.expects_reply) {
            continue;
        }
        let (scope, limit) = throttle_scope(key_limit, channel, gateway.config.user_per_hour);
        let subject = throttle_subject(request.user.as_deref(), owner, &delivery.address, scope);
        if limit > 0 && throttles.iter().all(|throttle| throttle.subject != subject) {
            let counting = ThrottleCounting::Messages;
            throttles.push(UserThrottle { subject, limit, window: THROTTLE_WINDOW, counting });
        }
    }
    throttles
}

/// Returns the scope in which messages are counted together, and its limit.
fn throttle_scope<'a>(
    key_limit: Option<(&'a str, u32)>,
    channel: &'a Channel,
    default_limit: u32,
) -> ((&'static str, &'a str), u32) {
    if let Some((key_name, hourly_limit)) = key_limit {
        return (("key", key_name), hourly_limit);
    }
    match channel.user_per_hour {
        Some(hourly_limit) => (("channel", channel.name.as_str()), hourly_limit),
        None => (("", ""), default_limit),
    }
}

/// Returns the hash of the subject that is limited: the client's user id together with its owner, or the address if
/// there is no user id.
fn throttle_subject(user: Option<&str>, owner: &str, address: &str, scope: (&str, &str)) -> [u8; 32] {
    match user {
        Some(user) => hash_subject(&["user", owner, user, scope.0, scope.1]),
        None => hash_subject(&["address", address, scope.0, scope.1]),
    }
}

fn hash_subject(fields: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for subject_field in fields {
        hash.update(subject_field.len().to_le_bytes());
        hash.update(subject_field);
    }
    hash.finalize().into()
}
