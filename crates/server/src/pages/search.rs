//! The messages of one number, newest first, read from the store.
//!
//! A text that is not a phone number gets an explanation instead of an error page.

use super::format;
use super::message_row::MessageRow;
use crate::auth::Caller;
use crate::form;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::error::Result;
use postrider_engine::gateway::Gateway;
use postrider_store::MessageQuery;

/// Messages on one page.
const PAGE_MESSAGES: usize = 25;

/// Maximum number of characters of the search text that the page repeats.
const TYPED_CHARS_MAX: usize = 64;

/// Shown for a search text that cannot be decoded.
const UNREADABLE_TEXT: &str = "\u{FFFD}";

/// Query parameters of `/`.
#[derive(Debug, Default)]
pub(super) struct SearchParams {
    /// The number, as typed; empty without a search.
    search: String,
    /// Only messages with a lower message number.
    before: Option<i64>,
}

/// Result of a search for a number.
pub(super) enum NumberSearchResults {
    /// The typed text is neither a phone number nor an e-mail address.
    Unreadable { typed: String },
    /// The messages of the number, possibly none.
    Found(NumberSearchPage),
}

/// A page of the messages of one number.
pub(super) struct NumberSearchPage {
    pub(super) address: String,
    pub(super) typed: String,
    pub(super) rows: Vec<MessageRow>,
    /// Set on every page except the first.
    pub(super) has_newer: bool,
    /// Cursor of the next page.
    pub(super) next: Option<i64>,
}

impl SearchParams {
    /// Parses the query; `None` if a parameter is repeated. A number that cannot be decoded counts as unreadable.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let encoded_query = query.as_bytes();
        if ["search", "before"].iter().any(|name| form::values(encoded_query, name).count() > 1) {
            return None;
        }
        let typed_number = form::phone_number(encoded_query, "search");
        let typed_cursor = form::field(encoded_query, "before").ok();
        Some(Self {
            search: typed_number
                .map_or_else(|_| UNREADABLE_TEXT.to_owned(), |typed_number| typed_number.trim().to_owned()),
            before: typed_cursor.and_then(|typed| typed.parse().ok()),
        })
    }

    /// Returns the typed text; `None` if it is empty.
    pub(super) fn typed(&self) -> Option<&str> {
        Some(self.search.as_str()).filter(|typed| !typed.is_empty())
    }
}

/// Searches the messages of a number or an e-mail address.
pub(super) async fn search_number(
    gateway: &Gateway,
    caller: &Caller,
    typed_number: &str,
    params: &SearchParams,
) -> Result<NumberSearchResults> {
    let shown_text: String = typed_number.chars().take(TYPED_CHARS_MAX).collect();
    let address_kind = if typed_number.contains('@') { AddressKind::Email } else { AddressKind::Phone };
    let Ok(address) = parse_address(address_kind, typed_number, &gateway.config.phone) else {
        return Ok(NumberSearchResults::Unreadable { typed: shown_text });
    };
    let page_cursor = params.before;
    let query = MessageQuery {
        to: Some(address.clone()),
        owner: caller.owner_filter().map(str::to_owned),
        before: page_cursor,
        limit: PAGE_MESSAGES,
        ..MessageQuery::default()
    };
    let messages = gateway.store.search(query).await?;
    let mask = gateway.config.mask_numbers;
    let mut rows = Vec::new();
    for message in &messages.messages {
        let matching = message.deliveries.iter().filter(|delivery| delivery.address == address);
        rows.extend(matching.map(|delivery| MessageRow::new(message, delivery, mask)));
    }
    Ok(NumberSearchResults::Found(NumberSearchPage {
        rows,
        address: format::address(&address, mask),
        typed: shown_text,
        has_newer: page_cursor.is_some(),
        next: messages.next,
    }))
}
