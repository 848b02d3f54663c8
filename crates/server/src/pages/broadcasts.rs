//! `/broadcasts` and `/broadcasts/{id}`: broadcasts with their counts, read from the store.
//!
//! The pages show counts and the message body, but no address.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::format;
use super::layout::{self, IdPath, PageLayout, PageResult};
use super::report_cache::ReportCache;
use crate::auth::Caller;
use crate::{cursor, form};
use postrider_core::broadcast::{Broadcast, BroadcastCounts, BroadcastId};
use postrider_engine::gateway::Gateway;

/// Broadcasts on one page.
const PAGE_BROADCASTS: usize = 25;

/// The page at `/broadcasts`.
#[derive(Template)]
#[template(path = "broadcasts.html", whitespace = "minimize")]
struct BroadcastListPage {
    layout: PageLayout,
    rows: Vec<BroadcastRow>,
    /// Set on every page except the first.
    has_newer: bool,
    /// Cursor of the next page.
    next: Option<String>,
}

/// A broadcast in the list.
struct BroadcastRow {
    id: String,
    created: String,
    channel: String,
    audience: &'static str,
    users: String,
    progress: String,
    body: String,
}

/// The page at `/broadcasts/{id}`.
#[derive(Template)]
#[template(path = "broadcast.html", whitespace = "minimize")]
struct BroadcastPage {
    layout: PageLayout,
    id: String,
    created: String,
    channel: String,
    body: String,
    audience: &'static str,
    is_fanned_out: bool,
    progress: String,
    received_ratio: String,
    opened_ratio: String,
    users: Vec<BroadcastCount>,
    messages: Vec<BroadcastCount>,
    /// Path of the usage page with the messages of the day of the broadcast.
    messages_path: String,
}

/// A count of users or messages, with its meaning.
struct BroadcastCount {
    name: &'static str,
    /// CSS class of the state mark; empty for none.
    css_class: &'static str,
    count: String,
    meaning: String,
}

/// Handles `GET /broadcasts`. An invalid cursor shows the first page.
pub(super) async fn broadcast_list(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> PageResult {
    let typed_cursor = form::field(uri.query().unwrap_or_default().as_bytes(), "cursor").ok();
    let page_cursor = typed_cursor.and_then(|typed| cursor::parse(&typed).ok());
    let mut broadcasts =
        gateway.store.broadcasts(caller.owner_filter(), page_cursor, PAGE_BROADCASTS + 1).await?;
    let has_older = broadcasts.len() > PAGE_BROADCASTS;
    broadcasts.truncate(PAGE_BROADCASTS);
    let last_shown = broadcasts.last().filter(|_| has_older);
    let page = BroadcastListPage {
        layout: reports.layout(&gateway, "Broadcasts").await,
        next: last_shown.map(|broadcast| cursor::encode(broadcast.number)),
        has_newer: page_cursor.is_some(),
        rows: broadcasts.iter().map(|broadcast| BroadcastRow::new(&gateway, broadcast)).collect(),
    };
    Ok(layout::render_page(StatusCode::OK, &page)?)
}

/// Handles `GET /broadcasts/{id}`.
pub(super) async fn broadcast_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    Extension(caller): Extension<Caller>,
    broadcast_id: IdPath,
) -> PageResult {
    let stored = match layout::parse_id::<BroadcastId>(broadcast_id) {
        Some(broadcast_id) => gateway.store.broadcast(broadcast_id).await?,
        None => None,
    };
    let Some((broadcast, counts)) = stored.filter(|(found, _)| caller.can_access(&found.owner)) else {
        return Ok(layout::error_page(
            StatusCode::NOT_FOUND,
            "Broadcast not found",
            "It may have been pruned, or its id is incomplete. See the list of broadcasts.",
        ));
    };
    let layout = reports.layout(&gateway, "Broadcast").await;
    Ok(layout::render_page(StatusCode::OK, &BroadcastPage::new(&gateway, layout, broadcast, &counts))?)
}

impl BroadcastRow {
    fn new(gateway: &Gateway, broadcast: &Broadcast) -> Self {
        Self {
            id: broadcast.id.to_string(),
            created: format::time(broadcast.created_at),
            channel: broadcast.channel.to_string(),
            audience: audience_text(broadcast),
            users: format::count(broadcast.users),
            progress: progress_text(gateway, broadcast),
            body: format::body_preview(&broadcast.body),
        }
    }
}

impl BroadcastPage {
    fn new(
        gateway: &Gateway,
        layout: PageLayout,
        broadcast: Broadcast,
        state_counts: &BroadcastCounts,
    ) -> Self {
        Self {
            layout,
            id: broadcast.id.to_string(),
            created: format::time(broadcast.created_at),
            channel: broadcast.channel.to_string(),
            audience: audience_text(&broadcast),
            is_fanned_out: broadcast.is_fanned_out,
            progress: progress_text(gateway, &broadcast),
            received_ratio: format::or_dash(state_counts.received_ratio()),
            opened_ratio: format::or_dash(state_counts.opened_ratio()),
            users: user_counts(&broadcast, state_counts),
            messages: message_counts(state_counts),
            messages_path: format!("/usage?since={0}&until={0}", broadcast.created_at.format("%Y-%m-%d")),
            body: broadcast.body,
        }
    }
}

fn user_counts(broadcast: &Broadcast, counts: &BroadcastCounts) -> Vec<BroadcastCount> {
    let (unreachable, refused) = (broadcast.unreachable, broadcast.refused);
    let mut users = vec![
        BroadcastCount::new("users", "", broadcast.users, "in the audience"),
        BroadcastCount::new("sent", "sent", counts.messages, "with a message"),
        BroadcastCount::new("unreachable", "failed", unreachable, "without an address on the channel"),
        BroadcastCount::new("refused", "failed", refused, "inactive, opted out, or over their message limit"),
    ];
    let pruned = broadcast.messages.saturating_sub(counts.messages);
    if pruned > 0 {
        users.push(BroadcastCount::new("pruned", "", pruned, "whose message was deleted because of its age"));
    }
    users
}

fn message_counts(state_counts: &BroadcastCounts) -> Vec<BroadcastCount> {
    let unconfirmed = state_counts.unconfirmed;
    vec![
        BroadcastCount::new("received", "delivered", state_counts.received, "arrived"),
        BroadcastCount::new("opened", "delivered", state_counts.opened, "received and opened"),
        BroadcastCount::new("unconfirmed", "sent", unconfirmed, "accepted by a provider, no receipt yet"),
        BroadcastCount::new("waiting", "waiting", state_counts.waiting, waiting_meaning(state_counts)),
        BroadcastCount::new("failed", "failed", state_counts.failed, failed_meaning(state_counts)),
    ]
}

/// Returns when the waiting messages are tried and why one of them waits.
fn waiting_meaning(counts: &BroadcastCounts) -> String {
    let mut meaning = "not sent yet".to_owned();
    if let Some(next_try_at) = counts.next_try_at {
        meaning.push_str(&format!("; next try {} UTC", format::time(next_try_at)));
    }
    if let Some(reason) = &counts.waiting_reason {
        meaning.push_str(&format!("; wait because, for example: {reason}"));
    }
    meaning
}

/// Returns why one of the failed messages failed.
fn failed_meaning(counts: &BroadcastCounts) -> String {
    match &counts.failed_reason {
        Some(reason) => format!("will not arrive, for example: {reason}"),
        None => "will not arrive".to_owned(),
    }
}

impl BroadcastCount {
    fn new(name: &'static str, css_class: &'static str, count: u64, meaning: impl Into<String>) -> Self {
        Self { name, css_class, count: format::count(count), meaning: meaning.into() }
    }
}

fn audience_text(broadcast: &Broadcast) -> &'static str {
    if broadcast.is_to_all { "all registered users" } else { "listed users" }
}

/// Returns the progress of the fan-out as text.
fn progress_text(gateway: &Gateway, broadcast: &Broadcast) -> String {
    if broadcast.is_fanned_out {
        return "finished".to_owned();
    }
    let processed_users = broadcast.messages + broadcast.unreachable + broadcast.refused;
    let (processed, users) = (format::count(processed_users), format::count(broadcast.users));
    let blocked = match gateway.route(broadcast.channel.as_str()) {
        Some(_) => "",
        None => ", waiting for a configuration that has the channel",
    };
    format!("{processed} of {users} users{blocked}")
}
