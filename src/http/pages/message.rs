//! The timeline of one message: what it says, where each delivery stands, and every call that was made.
//!
//! Live from the store, in the order things happened, with the next step in words.

use askama::Template;

use super::frame::Frame;
use super::words;
use crate::clock::Timestamp;
use crate::domain::delivery::State;
use crate::domain::message::{Delivery, Message, RecordedAttempt};
use crate::domain::report::Report;

/// The page at `/messages/{id}`.
#[derive(Template)]
#[template(path = "message.html", whitespace = "minimize")]
pub(super) struct MessagePage {
    frame: Frame,
    id: String,
    subject: Option<String>,
    body: String,
    user: Option<String>,
    accepted: String,
    now: String,
    deliveries: Vec<DeliveryView>,
}

/// One delivery with all that happened to it.
struct DeliveryView {
    channel: String,
    address: String,
    state: &'static str,
    failure: Option<String>,
    next: String,
    parts: u32,
    rounds: u32,
    tries: u32,
    provider: String,
    reference: Option<String>,
    expires: String,
    events: Vec<Event>,
}

/// Something that happened at one moment.
struct Event {
    at: String,
    what: String,
    /// The class of its mark.
    mark: &'static str,
    provider: String,
    code: String,
    reason: String,
    duration: String,
}

impl MessagePage {
    /// The timeline as of `now`.
    pub(super) fn new(
        message: &Message,
        report: Option<&Report>,
        sandbox: bool,
        mask: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            frame: Frame::new("Message", sandbox, report),
            id: message.id.to_string(),
            subject: message.subject.clone(),
            body: message.body.clone(),
            user: message.user.clone(),
            accepted: words::moment(message.created_at),
            now: words::moment(now),
            deliveries: message
                .deliveries
                .iter()
                .map(|delivery| DeliveryView::of(delivery, message.created_at, mask, now))
                .collect(),
        }
    }
}

impl DeliveryView {
    fn of(delivery: &Delivery, accepted: Timestamp, mask: bool, now: Timestamp) -> Self {
        let provider = delivery.provider.as_ref();
        let failure = match &delivery.state {
            State::Failed { failure, .. } => Some(words::spoken(failure.word())),
            State::Waiting { .. } | State::Sent { .. } | State::Delivered { .. } => None,
        };
        Self {
            channel: delivery.channel.to_string(),
            address: words::address(&delivery.address, mask),
            state: delivery.state.standing().word(),
            failure,
            next: delivery.state.next_step(now),
            parts: delivery.parts,
            rounds: delivery.round,
            tries: delivery.tries,
            provider: provider.map_or_else(|| words::NONE.to_owned(), ToString::to_string),
            reference: delivery.reference.clone(),
            expires: words::moment(delivery.expires_at),
            events: events(delivery, accepted, mask),
        }
    }
}

fn events(delivery: &Delivery, accepted: Timestamp, mask: bool) -> Vec<Event> {
    let first = Event::plain(accepted, "accepted, and safe on disk", "accepted");
    let calls = delivery.attempts.iter().map(|attempt| Event::call(attempt, mask));
    let ending = ending(&delivery.state);
    let opened = delivery.opened_at.map(|at| Event {
        provider: delivery
            .provider
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ..Event::plain(at, "receipt: opened", "delivered")
    });
    std::iter::once(first)
        .chain(calls)
        .chain(ending)
        .chain(opened)
        .collect()
}

/// The state's own moment, where no call has told it already.
fn ending(state: &State) -> Option<Event> {
    match state {
        State::Waiting { .. } | State::Sent { .. } => None,
        State::Delivered { at } => Some(Event::plain(*at, "receipt: delivered", "delivered")),
        State::Failed { failure, reason, at } => Some(Event {
            reason: reason.clone(),
            ..Event::plain(
                *at,
                format!("failed: {}", words::spoken(failure.word())),
                "failed",
            )
        }),
    }
}

impl Event {
    fn plain(at: Timestamp, what: impl Into<String>, mark: &'static str) -> Self {
        Self {
            at: words::instant(at),
            what: what.into(),
            mark,
            provider: String::new(),
            code: String::new(),
            reason: String::new(),
            duration: String::new(),
        }
    }

    fn call(attempt: &RecordedAttempt, mask: bool) -> Self {
        let provider = attempt.provider.as_ref();
        let mark = match attempt.outcome.as_str() {
            "accepted" => "sent",
            "rejected" | "invalid_recipient" => "failed",
            "unknown" => "unknown",
            _ => "waiting",
        };
        let to = attempt.address.as_deref();
        let to = to.map_or_else(String::new, |to| format!(", to {}", words::address(to, mask)));
        Self {
            provider: provider.map_or_else(|| "nobody knows".to_owned(), ToString::to_string),
            code: attempt.code.clone().unwrap_or_default(),
            reason: attempt.reason.clone().unwrap_or_default(),
            duration: words::duration(attempt.duration_ms),
            ..Self::plain(
                attempt.at,
                format!("round {}: {}{to}", attempt.round, words::spoken(&attempt.outcome)),
                mark,
            )
        }
    }
}
