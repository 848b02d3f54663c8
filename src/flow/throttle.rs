//! Which throttles a message has to keep: who is protected, what is counted together, and up to which number.
//!
//! The number of the API key goes before the channel's, the channel's before the general one, and each counts by
//! itself. Counting is the store's.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::accept::Request;
use crate::domain::channel::Channel;
use crate::domain::message::NewDelivery;
use crate::domain::user_throttle::UserThrottle;
use crate::gateway::Gateway;

/// How long a message counts.
const WINDOW: Duration = Duration::from_secs(3600);

/// The throttles of a message with these deliveries, each subject once; none when no answer is expected.
pub(super) fn of(gateway: &Gateway, request: &Request, deliveries: &[NewDelivery]) -> Vec<UserThrottle> {
    let keys = &gateway.config.keys;
    let key = keys.iter().find(|key| key.name == request.caller);
    let of_key = key.and_then(|key| Some((key.name.as_str(), key.user_per_hour?)));
    let mut throttles = Vec::<UserThrottle>::new();
    for delivery in deliveries {
        let Some(route) = gateway.route(delivery.channel.as_str()) else {
            continue;
        };
        let channel = &route.channel;
        if delivery.refusal.is_some() || !request.expects_reply.unwrap_or(channel.expects_reply) {
            continue;
        }
        let (scope, limit) = scope(of_key, channel, gateway.config.user_per_hour);
        let subject = subject(request.user.as_deref(), &delivery.address, scope);
        if limit > 0 && throttles.iter().all(|known| known.subject != subject) {
            throttles.push(UserThrottle {
                subject,
                limit,
                window: WINDOW,
            });
        }
    }
    throttles
}

/// What is counted together, and up to which number.
fn scope<'a>(
    of_key: Option<(&'a str, u32)>,
    channel: &'a Channel,
    usual: u32,
) -> ((&'static str, &'a str), u32) {
    if let Some((key, limit)) = of_key {
        return (("key", key), limit);
    }
    match channel.user_per_hour {
        Some(limit) => (("channel", channel.name.as_str()), limit),
        None => (("", ""), usual),
    }
}

/// The user by the client's own name, or by the address where the client gave none.
fn subject(user: Option<&str>, address: &str, scope: (&str, &str)) -> [u8; 32] {
    let (kind, who) = match user {
        Some(user) => ("user", user),
        None => ("address", address),
    };
    let mut hash = Sha256::new();
    for part in [kind, who, scope.0, scope.1] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
