//! The timeline of one message: its text, the state of each delivery, and every attempt.
//!
//! The page reads the store. Timeline entries are in order of time; each delivery says its next step.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use super::format;
use super::layout::{self, IdPath, PageLayout, PageResult};
use super::report_cache::ReportCache;
use crate::auth::Caller;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::id::MessageId;
use postrider_core::message::{Delivery, Message, RecordedAttempt};
use postrider_engine::gateway::Gateway;

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

/// One delivery with its timeline.
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
    timeline: Vec<TimelineEntry>,
}

/// One row of the timeline.
#[derive(Default)]
struct TimelineEntry {
    at: String,
    event: String,
    /// CSS class of the state mark.
    css_class: &'static str,
    provider: String,
    code: String,
    reason: String,
    duration: String,
}

/// Handles `GET /messages/{id}`.
pub(super) async fn message_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(caller): Extension<Caller>,
    message_id: IdPath,
) -> PageResult {
    let stored = match layout::parse_id::<MessageId>(message_id) {
        Some(message_id) => gateway.store.find_message(message_id).await?,
        None => None,
    };
    let Some(message) = stored.filter(|message| caller.can_access(&message.owner)) else {
        return Ok(layout::error_page(
            StatusCode::NOT_FOUND,
            "Message not found",
            "It may have been pruned, or its id is incomplete. Search for the number it went to.",
        ));
    };
    let layout = reports.layout(&gateway, "Message").await;
    let page = MessagePage::new(layout, &message, gateway.config.mask_numbers, gateway.clock.now());
    Ok(layout::render_page(StatusCode::OK, &page)?)
}

impl MessagePage {
    /// Builds the page as of `now`.
    pub(super) fn new(layout: PageLayout, message: &Message, mask: bool, now: Timestamp) -> Self {
        Self {
            layout,
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
    fn of(delivery: &Delivery, accepted_at: Timestamp, mask: bool, now: Timestamp) -> Self {
        let provider = delivery.provider.as_ref();
        let failure_text = match &delivery.state {
            DeliveryState::Failed { failure, .. } => Some(format::humanize(failure.as_str())),
            DeliveryState::Waiting { .. } | DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => {
                None
            }
        };
        Self {
            channel: delivery.channel.to_string(),
            address: format::address(&delivery.address, mask),
            state: delivery.state.kind().as_str(),
            failure: failure_text,
            next_step: delivery.state.describe_next_step(now),
            parts: delivery.parts,
            rounds: delivery.round,
            tries: delivery.tries,
            provider: format::or_dash(provider),
            reference: delivery.reference.clone(),
            expires: format::time(delivery.expires_at),
            timeline: timeline_entries(delivery, accepted_at, mask),
        }
    }
}

fn timeline_entries(delivery: &Delivery, accepted_at: Timestamp, mask: bool) -> Vec<TimelineEntry> {
    let accepted = TimelineEntry::without_details(accepted_at, "accepted and stored", "accepted");
    let attempts = delivery.attempts.iter().map(|attempt| TimelineEntry::from_attempt(attempt, mask));
    let final_state = final_entry(&delivery.state);
    let opened = delivery.opened_at.map(|at| TimelineEntry {
        provider: delivery.provider.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..TimelineEntry::without_details(at, "receipt: opened", "delivered")
    });
    std::iter::once(accepted).chain(attempts).chain(final_state).chain(opened).collect()
}

/// Returns the entry of the final state, unless an attempt already shows it.
fn final_entry(state: &DeliveryState) -> Option<TimelineEntry> {
    match state {
        DeliveryState::Waiting { .. } | DeliveryState::Sent { .. } => None,
        DeliveryState::Delivered { at } => {
            Some(TimelineEntry::without_details(*at, "receipt: delivered", "delivered"))
        }
        DeliveryState::Failed { failure, reason, at } => Some(TimelineEntry {
            reason: reason.clone(),
            ..TimelineEntry::without_details(
                *at,
                format!("failed: {}", format::humanize(failure.as_str())),
                "failed",
            )
        }),
    }
}

impl TimelineEntry {
    fn without_details(at: Timestamp, event: impl Into<String>, css_class: &'static str) -> Self {
        Self { at: format::time_ms(at), event: event.into(), css_class, ..Self::default() }
    }

    fn from_attempt(attempt: &RecordedAttempt, mask: bool) -> Self {
        let provider = attempt.provider.as_ref();
        let css_class = match attempt.outcome.as_str() {
            "accepted" => "sent",
            "rejected" | "invalid_recipient" => "failed",
            "unknown" => "unknown",
            _ => "waiting",
        };
        let address = attempt.address.as_deref();
        let to =
            address.map(|address| format!(", to {}", format::address(address, mask))).unwrap_or_default();
        Self {
            provider: provider.map_or_else(|| "unknown".to_owned(), ToString::to_string),
            code: attempt.code.clone().unwrap_or_default(),
            reason: attempt.reason.clone().unwrap_or_default(),
            duration: format::duration(attempt.duration_ms),
            ..Self::without_details(
                attempt.at,
                format!("round {}: {}{to}", attempt.round, format::humanize(&attempt.outcome)),
                css_class,
            )
        }
    }
}
