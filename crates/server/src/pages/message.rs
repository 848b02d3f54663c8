//! The timeline of one message: what it says, where each delivery stands, and every call that was made.
//!
//! Live from the store, in the order things happened, with the next step in words.

use askama::Template;

use super::format;
use super::layout::PageLayout;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::message::{Delivery, Message, RecordedAttempt};
use postrider_core::report::Report;

/// The page at `/messages/{id}`.
#[derive(Template)]
#[template(path = "message.html", whitespace = "minimize")]
pub(super) struct MessagePage {
    layout: PageLayout,
    id: String,
    subject: Option<String>,
    body: String,
    user: Option<String>,
    accepted: String,
    now: String,
    deliveries: Vec<DeliveryTimeline>,
}

/// One delivery with all that happened to it.
struct DeliveryTimeline {
    channel: String,
    address: String,
    state: &'static str,
    failure: Option<String>,
    next_step: String,
    parts: u32,
    rounds: u32,
    tries: u32,
    provider: String,
    reference: Option<String>,
    expires: String,
    entries: Vec<TimelineEntry>,
}

/// Something that happened at one moment.
struct TimelineEntry {
    at: String,
    what: String,
    /// The class of its mark.
    css_class: &'static str,
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
            layout: PageLayout::new("Message", sandbox, report),
            id: message.id.to_string(),
            subject: message.subject.clone(),
            body: message.body.clone(),
            user: message.user.clone(),
            accepted: format::time(message.created_at),
            now: format::time(now),
            deliveries: message
                .deliveries
                .iter()
                .map(|delivery| DeliveryTimeline::of(delivery, message.created_at, mask, now))
                .collect(),
        }
    }
}

impl DeliveryTimeline {
    fn of(delivery: &Delivery, accepted: Timestamp, mask: bool, now: Timestamp) -> Self {
        let provider = delivery.provider.as_ref();
        let failure = match &delivery.state {
            DeliveryState::Failed { failure, .. } => Some(format::humanize(failure.as_str())),
            DeliveryState::Waiting { .. } | DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => {
                None
            }
        };
        Self {
            channel: delivery.channel.to_string(),
            address: format::address(&delivery.address, mask),
            state: delivery.state.kind().as_str(),
            failure,
            next_step: delivery.state.describe_next_step(now),
            parts: delivery.parts,
            rounds: delivery.round,
            tries: delivery.tries,
            provider: provider.map_or_else(|| format::NOT_AVAILABLE.to_owned(), ToString::to_string),
            reference: delivery.reference.clone(),
            expires: format::time(delivery.expires_at),
            entries: timeline_entries(delivery, accepted, mask),
        }
    }
}

fn timeline_entries(delivery: &Delivery, accepted: Timestamp, mask: bool) -> Vec<TimelineEntry> {
    let first = TimelineEntry::bare(accepted, "accepted, and safe on disk", "accepted");
    let calls = delivery
        .attempts
        .iter()
        .map(|attempt| TimelineEntry::from_attempt(attempt, mask));
    let ending = final_entry(&delivery.state);
    let opened = delivery.opened_at.map(|at| TimelineEntry {
        provider: delivery
            .provider
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        ..TimelineEntry::bare(at, "receipt: opened", "delivered")
    });
    std::iter::once(first)
        .chain(calls)
        .chain(ending)
        .chain(opened)
        .collect()
}

/// The state's own moment, where no call has told it already.
fn final_entry(state: &DeliveryState) -> Option<TimelineEntry> {
    match state {
        DeliveryState::Waiting { .. } | DeliveryState::Sent { .. } => None,
        DeliveryState::Delivered { at } => Some(TimelineEntry::bare(*at, "receipt: delivered", "delivered")),
        DeliveryState::Failed { failure, reason, at } => Some(TimelineEntry {
            reason: reason.clone(),
            ..TimelineEntry::bare(
                *at,
                format!("failed: {}", format::humanize(failure.as_str())),
                "failed",
            )
        }),
    }
}

impl TimelineEntry {
    fn bare(at: Timestamp, what: impl Into<String>, mark: &'static str) -> Self {
        Self {
            at: format::time_ms(at),
            what: what.into(),
            css_class: mark,
            provider: String::new(),
            code: String::new(),
            reason: String::new(),
            duration: String::new(),
        }
    }

    fn from_attempt(attempt: &RecordedAttempt, mask: bool) -> Self {
        let provider = attempt.provider.as_ref();
        let mark = match attempt.outcome.as_str() {
            "accepted" => "sent",
            "rejected" | "invalid_recipient" => "failed",
            "unknown" => "unknown",
            _ => "waiting",
        };
        let to = attempt.address.as_deref();
        let to = to.map_or_else(String::new, |to| format!(", to {}", format::address(to, mask)));
        Self {
            provider: provider.map_or_else(|| "nobody knows".to_owned(), ToString::to_string),
            code: attempt.code.clone().unwrap_or_default(),
            reason: attempt.reason.clone().unwrap_or_default(),
            duration: format::duration(attempt.duration_ms),
            ..Self::bare(
                attempt.at,
                format!(
                    "round {}: {}{to}",
                    attempt.round,
                    format::humanize(&attempt.outcome)
                ),
                mark,
            )
        }
    }
}
