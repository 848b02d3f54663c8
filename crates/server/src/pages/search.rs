//! One number's messages, newest first, live from the store.
//!
//! A number that cannot be read gets a friendly sentence, never an error. Search pages are not cached.

use super::format;
use crate::form;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::error::Result;
use postrider_core::message::{Delivery, Message};
use postrider_engine::gateway::Gateway;
use postrider_store::MessageQuery;

/// Messages on one page.
const PAGE_MESSAGES: usize = 25;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// How much of a search is repeated back.
const TYPED_CHARS_MAX: usize = 64;

/// What is shown of a search that is no text.
const UNREADABLE_TEXT: &str = "\u{FFFD}";

/// What the address bar says.
#[derive(Debug, Default)]
pub(super) struct SearchParams {
    /// The number, as typed; empty when nothing was.
    search: String,
    /// Only messages older than this one's running number.
    before: Option<i64>,
}

/// What a search came to.
pub(super) enum NumberSearchResults {
    /// What was typed is no number.
    Unreadable { typed: String },
    /// The number's messages, maybe none.
    Found(NumberSearchPage),
}

/// A page of one number's messages.
pub(super) struct NumberSearchPage {
    pub(super) address: String,
    pub(super) typed: String,
    pub(super) rows: Vec<NumberSearchHit>,
    /// Whether newer ones were left out.
    pub(super) has_newer: bool,
    /// The cursor of the next page.
    pub(super) next: Option<i64>,
}

/// A delivery to the number.
pub(super) struct NumberSearchHit {
    pub(super) id: String,
    pub(super) created: String,
    pub(super) state: &'static str,
    pub(super) channel: String,
    pub(super) provider: String,
    pub(super) tries: u32,
    pub(super) body: String,
}

impl SearchParams {
    /// Reads the query; none when it asks for more than one thing. What is garbled is no number either.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let encoded = query.as_bytes();
        if ["search", "before"]
            .iter()
            .any(|name| form::values(encoded, name).count() > 1)
        {
            return None;
        }
        let search = form::phone_number(encoded, "search");
        let before = form::field(encoded, "before").ok();
        Some(Self {
            search: search.map_or_else(|_| UNREADABLE_TEXT.to_owned(), |typed| typed.trim().to_owned()),
            before: before.and_then(|before| before.parse().ok()),
        })
    }

    /// What was typed; none when nothing was.
    pub(super) fn typed(&self) -> Option<&str> {
        Some(self.search.as_str()).filter(|typed| !typed.is_empty())
    }
}

/// Looks the number up.
pub(super) async fn search_number(
    gateway: &Gateway,
    typed: &str,
    asked: &SearchParams,
) -> Result<NumberSearchResults> {
    let shown: String = typed.chars().take(TYPED_CHARS_MAX).collect();
    let kind = if typed.contains('@') {
        AddressKind::Email
    } else {
        AddressKind::Phone
    };
    let Ok(address) = parse_address(kind, typed, &gateway.config.phone) else {
        return Ok(NumberSearchResults::Unreadable { typed: shown });
    };
    let before = asked.before;
    let query = MessageQuery {
        to: Some(address.clone()),
        before,
        limit: PAGE_MESSAGES,
        ..MessageQuery::default()
    };
    let page = gateway.store.search(query).await?;
    Ok(NumberSearchResults::Found(NumberSearchPage {
        rows: page
            .messages
            .iter()
            .flat_map(|message| search_hits(message, &address))
            .collect(),
        address: format::address(&address, gateway.config.mask_numbers),
        typed: shown,
        has_newer: before.is_some(),
        next: page.next,
    }))
}

fn search_hits<'a>(message: &'a Message, address: &'a str) -> impl Iterator<Item = NumberSearchHit> + 'a {
    message
        .deliveries
        .iter()
        .filter(move |delivery| delivery.address == address)
        .map(|delivery| search_hit(message, delivery))
}

fn search_hit(message: &Message, delivery: &Delivery) -> NumberSearchHit {
    let provider = delivery.provider.as_ref();
    NumberSearchHit {
        id: message.id.to_string(),
        created: format::time(message.created_at),
        state: delivery.state.kind().as_str(),
        channel: delivery.channel.to_string(),
        provider: provider.map_or_else(|| format::NOT_AVAILABLE.to_owned(), ToString::to_string),
        tries: delivery.tries,
        body: format::shorten(&message.body, BODY_CHARS_MAX),
    }
}
