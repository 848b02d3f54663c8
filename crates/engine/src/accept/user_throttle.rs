//! Determines the user throttles of a message: subject, scope and limit.
//!
//! The limit of the API key precedes the limit of the channel, which precedes the general limit; each scope is counted
//! separately. The store counts the messages.

use postrider_core::{channel::Channel, message::NewDelivery, user_throttle::UserThrottle};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::request::AcceptRequest;
use crate::gateway::Gateway;

/// Time for which a message counts for the throttle.
const THROTTLE_WINDOW: Duration = Duration::from_secs(3600);

/// Returns the throttles of a message with these deliveries: each subject once, and no throttle if the message expects no
/// answer.
pub(super) fn user_throttles(
    gateway: &Gateway,
    request: &AcceptRequest,
    deliveries: &[NewDelivery],
) -> Vec<UserThrottle> {
    let api_key = gateway.api_key(&request.api_key_name);
    let key_limit = api_key.as_ref().and_then(|key| Some((key.name.as_str(), key.user_per_hour?)));
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
        let subject = throttle_subject(request.user.as_deref(), &delivery.address, scope);
        if limit > 0 && throttles.iter().all(|throttle| throttle.subject != subject) {
            throttles.push(UserThrottle { subject, limit, window: THROTTLE_WINDOW });
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
    if let Some((key_name, limit)) = key_limit {
        return (("key", key_name), limit);
    }
    match channel.user_per_hour {
        Some(limit) => (("channel", channel.name.as_str()), limit),
        None => (("", ""), default_limit),
    }
}

/// Returns the hashed subject: the client's user id, otherwise the address.
fn throttle_subject(user: Option<&str>, address: &str, scope: (&str, &str)) -> [u8; 32] {
    let (id_kind, id) = user.map_or(("address", address), |user| ("user", user));
    let mut hash = Sha256::new();
    for subject_field in [id_kind, id, scope.0, scope.1] {
        hash.update(subject_field.len().to_le_bytes());
        hash.update(subject_field);
    }
    hash.finalize().into()
}
