//! One number's messages, newest first, live from the store.
//!
//! A number that cannot be read gets a friendly sentence, never an error. Search pages are not cached.

use super::words;
use crate::domain::message::{Delivery, Message};
use crate::domain::recipient::{self, AddressKind};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::http::form;
use crate::store::Query;

/// Messages on one page.
const PAGE_MESSAGES: usize = 25;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// How much of a search is repeated back.
const TYPED_CHARS_MAX: usize = 64;

/// What is shown of a search that is no text.
const GARBLED: &str = "\u{FFFD}";

/// What the address bar says.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The number, as typed; empty when nothing was.
    search: String,
    /// Only messages older than this one's running number.
    before: Option<i64>,
}

/// What a search came to.
pub(super) enum Results {
    /// What was typed is no number.
    Unreadable { typed: String },
    /// The number's messages, maybe none.
    Found(Found),
}

/// A page of one number's messages.
pub(super) struct Found {
    pub(super) address: String,
    pub(super) typed: String,
    pub(super) rows: Vec<Row>,
    /// Whether newer ones were left out.
    pub(super) later: bool,
    /// The cursor of the next page.
    pub(super) next: Option<i64>,
}

/// A delivery to the number.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) created: String,
    pub(super) state: &'static str,
    pub(super) channel: String,
    pub(super) provider: String,
    pub(super) tries: u32,
    pub(super) body: String,
}

impl Asked {
    /// Reads the query; none when it asks for more than one thing. What is garbled is no number either.
    pub(super) fn read(query: &str) -> Option<Self> {
        let encoded = query.as_bytes();
        if ["search", "before"]
            .iter()
            .any(|name| form::values(encoded, name).count() > 1)
        {
            return None;
        }
        let search = form::number(encoded, "search");
        let before = form::field(encoded, "before").ok();
        Some(Self {
            search: search.map_or_else(|_| GARBLED.to_owned(), |typed| typed.trim().to_owned()),
            before: before.and_then(|before| before.parse().ok()),
        })
    }

    /// What was typed; none when nothing was.
    pub(super) fn typed(&self) -> Option<&str> {
        Some(self.search.as_str()).filter(|typed| !typed.is_empty())
    }
}

/// Looks the number up.
pub(super) async fn run(gateway: &Gateway, typed: &str, asked: &Asked) -> Result<Results> {
    let shown: String = typed.chars().take(TYPED_CHARS_MAX).collect();
    let kind = if typed.contains('@') {
        AddressKind::Email
    } else {
        AddressKind::Phone
    };
    let Ok(address) = recipient::read(kind, typed, &gateway.config.phone) else {
        return Ok(Results::Unreadable { typed: shown });
    };
    let before = asked.before;
    let query = Query {
        to: Some(address.clone()),
        before,
        limit: PAGE_MESSAGES,
        ..Query::default()
    };
    let page = gateway.store.search(query).await?;
    Ok(Results::Found(Found {
        rows: page
            .messages
            .iter()
            .flat_map(|message| rows(message, &address))
            .collect(),
        address: words::address(&address, gateway.config.mask_numbers),
        typed: shown,
        later: before.is_some(),
        next: page.next,
    }))
}

fn rows<'a>(message: &'a Message, address: &'a str) -> impl Iterator<Item = Row> + 'a {
    message
        .deliveries
        .iter()
        .filter(move |delivery| delivery.address == address)
        .map(|delivery| row(message, delivery))
}

fn row(message: &Message, delivery: &Delivery) -> Row {
    let provider = delivery.provider.as_ref();
    Row {
        id: message.id.to_string(),
        created: words::moment(message.created_at),
        state: delivery.state.standing().word(),
        channel: delivery.channel.to_string(),
        provider: provider.map_or_else(|| words::NONE.to_owned(), ToString::to_string),
        tries: delivery.tries,
        body: words::shortened(&message.body, BODY_CHARS_MAX),
    }
}
