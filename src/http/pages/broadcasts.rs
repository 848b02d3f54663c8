//! `/broadcasts` and `/broadcasts/{id}`: what was published to many users, and what became of it, live from the store.
//!
//! Shows counts and the body, no address. Changes nothing.

use askama::Template;

use super::frame::Frame;
use super::words;
use crate::domain::broadcast::{Broadcast, BroadcastId, Tally};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::http::{cursor, form};

/// Broadcasts on one page.
const PAGE_BROADCASTS: usize = 25;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// The page at `/broadcasts`.
#[derive(Template)]
#[template(path = "broadcasts.html", whitespace = "minimize")]
pub(super) struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    /// Whether newer ones were left out.
    later: bool,
    /// The cursor of the next page.
    next: Option<String>,
}

/// A broadcast in the list.
struct Row {
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
    frame: Frame,
    id: String,
    created: String,
    channel: String,
    body: String,
    audience: &'static str,
    is_spread: bool,
    progress: String,
    received_ratio: String,
    opened_ratio: String,
    users: Vec<Count>,
    messages: Vec<Count>,
    /// Where the messages are listed.
    list: String,
}

/// A count and what it says.
struct Count {
    name: &'static str,
    /// The class of its mark; empty for none.
    mark: &'static str,
    count: String,
    meaning: &'static str,
}

impl Count {
    fn new(name: &'static str, mark: &'static str, count: u64, meaning: &'static str) -> Self {
        Self {
            name,
            mark,
            count: words::count(count),
            meaning,
        }
    }
}

/// The list that a query asks for; a cursor that is none begins at the newest.
pub(super) async fn list(gateway: &Gateway, frame: Frame, query: &str) -> Result<ListPage> {
    let before = form::field(query.as_bytes(), "cursor").ok();
    let before = before.and_then(|text| cursor::number(&text));
    let mut found = gateway.store.broadcasts(before, PAGE_BROADCASTS + 1).await?;
    let more = found.len() > PAGE_BROADCASTS;
    found.truncate(PAGE_BROADCASTS);
    let last = found.last().filter(|_| more);
    Ok(ListPage {
        frame,
        next: last.map(|last| cursor::of(last.number)),
        later: before.is_some(),
        rows: found.iter().map(|one| Row::new(gateway, one)).collect(),
    })
}

impl Row {
    fn new(gateway: &Gateway, broadcast: &Broadcast) -> Self {
        Self {
            id: broadcast.id.to_string(),
            created: words::moment(broadcast.created_at),
            channel: broadcast.channel.to_string(),
            audience: audience(broadcast),
            users: words::count(broadcast.users),
            progress: progress(gateway, broadcast),
            body: words::shortened(&broadcast.body, BODY_CHARS_MAX),
        }
    }
}

/// The page of one broadcast; none when there is none of that id.
pub(super) async fn one(gateway: &Gateway, frame: Frame, id: BroadcastId) -> Result<Option<BroadcastPage>> {
    let found = gateway.store.broadcast(id).await?;
    Ok(found.map(|(broadcast, tally)| BroadcastPage::new(gateway, frame, broadcast, &tally)))
}

impl BroadcastPage {
    fn new(gateway: &Gateway, frame: Frame, broadcast: Broadcast, tally: &Tally) -> Self {
        let or_dash = |ratio: Option<String>| ratio.unwrap_or_else(|| words::NONE.to_owned());
        let forgotten = broadcast.messages.saturating_sub(tally.messages);
        let mut users = vec![
            Count::new("users", "", broadcast.users, "to whom it goes"),
            Count::new("sent", "sent", tally.messages, "to whom there is a message"),
            Count::new(
                "unreachable",
                "failed",
                broadcast.unreachable,
                "without an address on the channel",
            ),
            Count::new(
                "refused",
                "failed",
                broadcast.refused,
                "who may not be written to, or have had enough",
            ),
        ];
        if forgotten > 0 {
            users.push(Count::new("forgotten", "", forgotten, "whose message was pruned"));
        }
        let messages = vec![
            Count::new("received", "delivered", tally.received, "arrived"),
            Count::new("opened", "delivered", tally.opened, "of these, were opened"),
            Count::new(
                "unconfirmed",
                "sent",
                tally.unconfirmed,
                "a provider has them, and nobody has said that they arrived",
            ),
            Count::new("waiting", "waiting", tally.waiting, "wait to be sent"),
            Count::new("failed", "failed", tally.failed, "will not arrive"),
        ];
        Self {
            frame,
            id: broadcast.id.to_string(),
            created: words::moment(broadcast.created_at),
            channel: broadcast.channel.to_string(),
            audience: audience(&broadcast),
            is_spread: broadcast.is_spread,
            progress: progress(gateway, &broadcast),
            received_ratio: or_dash(tally.received_ratio()),
            opened_ratio: or_dash(tally.opened_ratio()),
            users,
            messages,
            list: format!(
                "/usage?since={0}&until={0}",
                broadcast.created_at.format("%Y-%m-%d")
            ),
            body: broadcast.body,
        }
    }
}

fn audience(broadcast: &Broadcast) -> &'static str {
    if broadcast.is_to_all {
        "all who had registered"
    } else {
        "users named one by one"
    }
}

/// How far it is, in words.
fn progress(gateway: &Gateway, broadcast: &Broadcast) -> String {
    if broadcast.is_spread {
        return "finished".to_owned();
    }
    let looked_at = broadcast.messages + broadcast.unreachable + broadcast.refused;
    let (looked_at, users) = (words::count(looked_at), words::count(broadcast.users));
    let waits = match gateway.route(broadcast.channel.as_str()) {
        Some(_) => "",
        None => ", waiting for a configuration that has the channel",
    };
    format!("{looked_at} of {users} users{waits}")
}
