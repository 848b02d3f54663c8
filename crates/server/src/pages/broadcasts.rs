//! `/broadcasts` and `/broadcasts/{id}`: what was published to many users, and what became of it, live from the store.
//!
//! Shows counts and the body, no address. Changes nothing.

use askama::Template;

use super::format;
use super::layout::PageLayout;
use crate::{cursor, form};
use postrider_core::broadcast::{Broadcast, BroadcastCounts, BroadcastId};
use postrider_core::error::Result;
use postrider_engine::gateway::Gateway;

/// Broadcasts on one page.
const PAGE_BROADCASTS: usize = 25;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// The page at `/broadcasts`.
#[derive(Template)]
#[template(path = "broadcasts.html", whitespace = "minimize")]
pub(super) struct BroadcastListPage {
    layout: PageLayout,
    rows: Vec<BroadcastRow>,
    /// Whether newer ones were left out.
    has_newer: bool,
    /// The cursor of the next page.
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
pub(super) struct BroadcastPage {
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
    /// Where the messages are listed.
    messages_path: String,
}

/// A count and what it says.
struct BroadcastCount {
    name: &'static str,
    /// The class of its mark; empty for none.
    css_class: &'static str,
    count: String,
    meaning: &'static str,
}

impl BroadcastCount {
    fn new(name: &'static str, mark: &'static str, count: u64, meaning: &'static str) -> Self {
        Self {
            name,
            css_class: mark,
            count: format::count(count),
            meaning,
        }
    }
}

/// The list that a query asks for; a cursor that is none begins at the newest.
pub(super) async fn broadcast_list(
    gateway: &Gateway,
    frame: PageLayout,
    query: &str,
) -> Result<BroadcastListPage> {
    let before = form::field(query.as_bytes(), "cursor").ok();
    let before = before.and_then(|text| cursor::decode(&text));
    let mut found = gateway.store.broadcasts(before, PAGE_BROADCASTS + 1).await?;
    let more = found.len() > PAGE_BROADCASTS;
    found.truncate(PAGE_BROADCASTS);
    let last = found.last().filter(|_| more);
    Ok(BroadcastListPage {
        layout: frame,
        next: last.map(|last| cursor::encode(last.number)),
        has_newer: before.is_some(),
        rows: found.iter().map(|one| BroadcastRow::new(gateway, one)).collect(),
    })
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
            body: format::shorten(&broadcast.body, BODY_CHARS_MAX),
        }
    }
}

/// The page of one broadcast; none when there is none of that id.
pub(super) async fn broadcast_page(
    gateway: &Gateway,
    frame: PageLayout,
    id: BroadcastId,
) -> Result<Option<BroadcastPage>> {
    let found = gateway.store.broadcast(id).await?;
    Ok(found.map(|(broadcast, tally)| BroadcastPage::new(gateway, frame, broadcast, &tally)))
}

impl BroadcastPage {
    fn new(gateway: &Gateway, frame: PageLayout, broadcast: Broadcast, tally: &BroadcastCounts) -> Self {
        let or_dash = |ratio: Option<String>| ratio.unwrap_or_else(|| format::NOT_AVAILABLE.to_owned());
        let forgotten = broadcast.messages.saturating_sub(tally.messages);
        let mut users = vec![
            BroadcastCount::new("users", "", broadcast.users, "to whom it goes"),
            BroadcastCount::new("sent", "sent", tally.messages, "to whom there is a message"),
            BroadcastCount::new(
                "unreachable",
                "failed",
                broadcast.unreachable,
                "without an address on the channel",
            ),
            BroadcastCount::new(
                "refused",
                "failed",
                broadcast.refused,
                "who may not be written to, or have had enough",
            ),
        ];
        if forgotten > 0 {
            users.push(BroadcastCount::new(
                "forgotten",
                "",
                forgotten,
                "whose message was pruned",
            ));
        }
        let messages = vec![
            BroadcastCount::new("received", "delivered", tally.received, "arrived"),
            BroadcastCount::new("opened", "delivered", tally.opened, "of these, were opened"),
            BroadcastCount::new(
                "unconfirmed",
                "sent",
                tally.unconfirmed,
                "a provider has them, and nobody has said that they arrived",
            ),
            BroadcastCount::new("waiting", "waiting", tally.waiting, "wait to be sent"),
            BroadcastCount::new("failed", "failed", tally.failed, "will not arrive"),
        ];
        Self {
            layout: frame,
            id: broadcast.id.to_string(),
            created: format::time(broadcast.created_at),
            channel: broadcast.channel.to_string(),
            audience: audience_text(&broadcast),
            is_fanned_out: broadcast.is_fanned_out,
            progress: progress_text(gateway, &broadcast),
            received_ratio: or_dash(tally.received_ratio()),
            opened_ratio: or_dash(tally.opened_ratio()),
            users,
            messages,
            messages_path: format!(
                "/usage?since={0}&until={0}",
                broadcast.created_at.format("%Y-%m-%d")
            ),
            body: broadcast.body,
        }
    }
}

fn audience_text(broadcast: &Broadcast) -> &'static str {
    if broadcast.is_to_all {
        "all who had registered"
    } else {
        "users named one by one"
    }
}

/// How far it is, in words.
fn progress_text(gateway: &Gateway, broadcast: &Broadcast) -> String {
    if broadcast.is_fanned_out {
        return "finished".to_owned();
    }
    let looked_at = broadcast.messages + broadcast.unreachable + broadcast.refused;
    let (looked_at, users) = (format::count(looked_at), format::count(broadcast.users));
    let waits = match gateway.route(broadcast.channel.as_str()) {
        Some(_) => "",
        None => ", waiting for a configuration that has the channel",
    };
    format!("{looked_at} of {users} users{waits}")
}
