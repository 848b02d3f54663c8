//! What was sent to one person or to all: totals by day and channel, and the newest messages, live from the store.
//!
//! A form with a name and two days, no script. Addresses are masked as on the other pages.

use askama::Template;
use form_urlencoded::Serializer;

use super::format;
use super::layout::PageLayout;
use crate::form;
use crate::usage::{UsageParams, UsageTotalRow};
use postrider_core::error::Result;
use postrider_core::message::{Delivery, Message};
use postrider_engine::gateway::Gateway;
use postrider_store::{MessageList, UsageTotals};

/// Messages on one page.
const PAGE_MESSAGES: usize = 25;

/// Lines of totals on one page.
const TOTALS_MAX: usize = 100;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// How much of what was typed is repeated back.
const TYPED_CHARS_MAX: usize = 255;

/// The page at `/usage`.
#[derive(Template)]
#[template(path = "usage.html", whitespace = "minimize")]
pub(super) struct UsagePage {
    layout: PageLayout,
    typed: UsageForm,
    errors: Vec<String>,
    found: Option<UsageResults>,
}

/// What stands in the form.
#[derive(Default)]
struct UsageForm {
    user_id: String,
    since: String,
    until: String,
}

/// What was found.
struct UsageResults {
    rows: Vec<UsageTableRow>,
    totals: Vec<UsageTotalRow>,
    /// Whether `totals` is not all.
    has_more_totals: bool,
    /// Whether newer messages were left out.
    has_newer: bool,
    /// The same question without a place in it.
    query_string: String,
    /// The cursor of the next page.
    next: Option<i64>,
}

/// A delivery.
struct UsageTableRow {
    id: String,
    created: String,
    user: String,
    channel: String,
    to: String,
    provider: String,
    state: &'static str,
    tries: u32,
    body: String,
}

/// The page for that query, and whether the query could be read.
pub(super) async fn usage_page(
    gateway: &Gateway,
    frame: PageLayout,
    query: &str,
) -> Result<(bool, UsagePage)> {
    let typed = UsageForm::read(query);
    let mut asked = match UsageParams::parse(&gateway.config.limits, query) {
        Ok(asked) => asked.query,
        Err(violations) => {
            let wrong = violations.into_iter();
            let wrong = wrong.map(|wrong| format!("{} {}", wrong.field, wrong.detail));
            let page = UsagePage {
                layout: frame,
                typed,
                errors: wrong.collect(),
                found: None,
            };
            return Ok((false, page));
        }
    };
    asked.limit = PAGE_MESSAGES;
    let later = asked.before.is_some();
    let (messages, totals) = if later {
        (gateway.store.usage(asked).await?, UsageTotals::default())
    } else {
        let (messages, totals) = tokio::join!(
            gateway.store.usage(asked.clone()),
            gateway.store.usage_totals(asked)
        );
        (messages?, totals?)
    };
    let question = typed.query_string();
    let page = UsagePage {
        layout: frame,
        typed,
        errors: Vec::new(),
        found: Some(UsageResults::new(
            &messages,
            totals,
            later,
            question,
            gateway.config.mask_numbers,
        )),
    };
    Ok((true, page))
}

impl UsageForm {
    fn read(query: &str) -> Self {
        let field = |name| {
            let text = form::field(query.as_bytes(), name).unwrap_or_default();
            text.chars().take(TYPED_CHARS_MAX).collect()
        };
        Self {
            user_id: field("user_id"),
            since: field("since"),
            until: field("until"),
        }
    }

    fn query_string(&self) -> String {
        let fields = [
            ("user_id", &self.user_id),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let said = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Serializer::new(String::new()).extend_pairs(said).finish()
    }
}

impl UsageResults {
    fn new(page: &MessageList, totals: UsageTotals, later: bool, question: String, mask: bool) -> Self {
        let complete = later || totals.is_complete;
        let mut lines = totals.rows;
        let more_totals = !complete || lines.len() > TOTALS_MAX;
        lines.truncate(TOTALS_MAX);
        let mut rows = Vec::with_capacity(page.messages.len());
        for message in &page.messages {
            let deliveries = message.deliveries.iter();
            rows.extend(deliveries.map(|delivery| UsageTableRow::new(message, delivery, mask)));
        }
        Self {
            rows,
            totals: lines.into_iter().map(UsageTotalRow::from).collect(),
            has_more_totals: more_totals,
            has_newer: later,
            query_string: question,
            next: page.next,
        }
    }

    /// Where the next page is.
    fn older_page_path(&self) -> Option<String> {
        let cursor = crate::cursor::encode(self.next?);
        let mark = if self.query_string.is_empty() { "" } else { "&" };
        Some(format!("/usage?{}{mark}cursor={cursor}", self.query_string))
    }
}

impl UsageTableRow {
    fn new(message: &Message, delivery: &Delivery, mask: bool) -> Self {
        let provider = delivery.provider.as_ref();
        Self {
            id: message.id.to_string(),
            created: format::time(message.created_at),
            user: message
                .user
                .clone()
                .unwrap_or_else(|| format::NOT_AVAILABLE.to_owned()),
            channel: delivery.channel.to_string(),
            to: format::address(&delivery.address, mask),
            provider: provider.map_or_else(|| format::NOT_AVAILABLE.to_owned(), ToString::to_string),
            state: delivery.state.kind().as_str(),
            tries: delivery.tries,
            body: format::shorten(&message.body, BODY_CHARS_MAX),
        }
    }
}
