//! One event: where it goes, what it says, and what its receiver's answer makes of it.
//!
//! Makes one call and decides; the store is written by whoever asked.

use std::time::Duration;

use chrono::SecondsFormat;
use reqwest::Url;
use serde_json::json;

use super::receivers::Manner;
use crate::clock::Timestamp;
use crate::config::{Config, Events, Key};
use crate::domain::delivery::Failure;
use crate::domain::event::{ClaimedEvent, Event, EventEnd, EventStanding, Watch};
use crate::domain::retry::later;
use crate::gateway::Gateway;
use crate::provider::webhook::{Courier, Letter, Posted, Secrets};

/// What came of telling an event.
pub struct Told {
    /// For the store.
    pub end: EventEnd,
    /// How the receiver took it.
    pub manner: Manner,
    /// Whether nobody is there any more.
    pub is_gone: bool,
}

/// What is to become of an event.
#[derive(Clone, Copy)]
enum Fate {
    Taken,
    Again(Option<Duration>),
    Dead,
}

/// Tells a claimed event, once.
pub async fn tell(gateway: &Gateway, courier: &Courier, claimed: &ClaimedEvent) -> Told {
    let event = &claimed.event;
    let (fate, answer, is_gone) = match addressed(&gateway.config, courier, event) {
        Err(reason) => (Fate::Dead, reason, false),
        Ok((url, secrets)) => {
            let letter = Letter {
                url: &url,
                secrets,
                id: &event.id().to_string(),
                body: body(event).into_bytes(),
                now: gateway.clock.now(),
            };
            read(courier.post(letter).await)
        }
    };
    let manner = match fate {
        Fate::Taken => Manner::Well,
        Fate::Again(wait) => Manner::Badly(wait),
        // What is wrong with one address says nothing of the others of the host.
        Fate::Dead => Manner::Well,
    };
    let now = gateway.clock.now();
    let end = end(
        &gateway.config.events,
        claimed,
        fate,
        answer,
        now,
        gateway.dice.luck(),
    );
    Told { end, manner, is_gone }
}

/// Where an event goes and what it is signed with, by the configuration as it is now.
fn addressed<'c>(config: &'c Config, courier: &Courier, event: &Event) -> Result<(Url, &'c Secrets), String> {
    let key_of = |name: &str| config.keys.iter().find(|key| key.name == name);
    let (text, key) = match &event.watch {
        Watch::Callback { url, key } => (url.as_str(), key_of(key)),
        Watch::Key(name) => {
            let key = key_of(name).ok_or_else(|| format!("the configuration has no key {name}"))?;
            let url = key.events.url.as_deref();
            let missing = || format!("the key {name} has no events_url any more");
            (url.ok_or_else(missing)?, Some(key))
        }
    };
    let secrets =
        secrets(&config.events, key).ok_or("the configuration has no secrets to sign events with")?;
    Ok((courier.address(text)?, secrets))
}

/// The key's own, else those for all.
pub fn secrets<'c>(events: &'c Events, key: Option<&'c Key>) -> Option<&'c Secrets> {
    let own = key.map(|key| &key.events.secrets).filter(|own| !own.are_none());
    own.or(Some(&events.secrets))
        .filter(|secrets| !secrets.are_none())
}

/// What a call's end means: 2xx is taken, 410 is the end, everything else is tried again.
fn read(posted: Posted) -> (Fate, String, bool) {
    match posted {
        Posted::Answered {
            status,
            retry_after,
            words,
        } => {
            let answer = if words.is_empty() {
                format!("HTTP {status}")
            } else {
                format!("HTTP {status}: {words}")
            };
            match status {
                200..=299 => (Fate::Taken, format!("HTTP {status}"), false),
                410 => (Fate::Dead, answer, true),
                _ => (Fate::Again(retry_after), answer, false),
            }
        }
        Posted::Forbidden(reason) => (Fate::Dead, reason, false),
        Posted::Untrusted(reason) | Posted::Failed(reason) => (Fate::Again(None), reason, false),
    }
}

/// After the last wait, or at the greatest age, an event is dead.
fn end(
    events: &Events,
    claimed: &ClaimedEvent,
    fate: Fate,
    answer: String,
    now: Timestamp,
    luck: f64,
) -> EventEnd {
    let event = &claimed.event;
    let mut tries = event.tries;
    let standing = match fate {
        Fate::Taken => EventStanding::Taken { at: now },
        Fate::Dead => EventStanding::Dead { at: now },
        Fate::Again(wanted) => {
            tries = tries.saturating_add(1);
            let place = usize::try_from(tries).unwrap_or(usize::MAX) - 1;
            let next = events.waits.get(place).map(|wait| {
                let spread = wait.mul_f64(0.9 + 0.2 * luck.clamp(0.0, 1.0));
                later(now, spread.max(wanted.unwrap_or_default()))
            });
            match next {
                Some(due_at) if due_at <= later(event.at, events.age_max) => {
                    EventStanding::Waiting { due_at }
                }
                _ => EventStanding::Dead { at: now },
            }
        }
    };
    EventEnd {
        key: event.key,
        claims: claimed.claims,
        standing,
        tries,
        answer,
    }
}

/// What is told: which message, over which channel, what happened and when. The same bytes at every call.
pub fn body(event: &Event) -> String {
    json!({
        "type": format!("message.{}", event.what.word()),
        "timestamp": event.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "data": {
            "message_id": event.message.to_string(),
            "channel": event.channel.to_string(),
            "to": event.spelling,
            "status": event.what.word(),
            "failure": event.failure.map(Failure::word),
            "reason": event.reason,
            "provider": event.provider.as_ref().map(ToString::to_string),
            "sequence": event.key.sequence,
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests;
