//! What was sent to one person or to all: totals by day and channel, and the newest messages, live from the store.
//!
//! A form with a name and two days, no script. Addresses are masked as on the other pages.

use askama::Template;
use form_urlencoded::Serializer;

use super::frame::Frame;
use super::words;
use crate::domain::message::{Delivery, Message};
use crate::error::Result;
use crate::gateway::Gateway;
use crate::http::form;
use crate::http::usage::{Asked, TotalView};
use crate::store::{Page, UsageTotals};

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
    frame: Frame,
    typed: Typed,
    wrong: Vec<String>,
    found: Option<Found>,
}

/// What stands in the form.
#[derive(Default)]
struct Typed {
    user_id: String,
    since: String,
    until: String,
}

/// What was found.
struct Found {
    rows: Vec<Row>,
    totals: Vec<TotalView>,
    /// Whether `totals` is not all.
    more_totals: bool,
    /// Whether newer messages were left out.
    later: bool,
    /// The same question without a place in it.
    question: String,
    /// The cursor of the next page.
    next: Option<i64>,
}

/// A delivery.
struct Row {
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
pub(super) async fn page(gateway: &Gateway, frame: Frame, query: &str) -> Result<(bool, UsagePage)> {
    let typed = Typed::read(query);
    let mut asked = match Asked::read(&gateway.config.limits, query) {
        Ok(asked) => asked.query,
        Err(violations) => {
            let wrong = violations.into_iter();
            let wrong = wrong.map(|wrong| format!("{} {}", wrong.field, wrong.detail));
            let page = UsagePage {
                frame,
                typed,
                wrong: wrong.collect(),
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
    let question = typed.question();
    let page = UsagePage {
        frame,
        typed,
        wrong: Vec::new(),
        found: Some(Found::new(
            &messages,
            totals,
            later,
            question,
            gateway.config.mask_numbers,
        )),
    };
    Ok((true, page))
}

impl Typed {
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

    fn question(&self) -> String {
        let fields = [
            ("user_id", &self.user_id),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let said = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Serializer::new(String::new()).extend_pairs(said).finish()
    }
}

impl Found {
    fn new(page: &Page, totals: UsageTotals, later: bool, question: String, mask: bool) -> Self {
        let complete = later || totals.complete;
        let mut lines = totals.lines;
        let more_totals = !complete || lines.len() > TOTALS_MAX;
        lines.truncate(TOTALS_MAX);
        let mut rows = Vec::with_capacity(page.messages.len());
        for message in &page.messages {
            let deliveries = message.deliveries.iter();
            rows.extend(deliveries.map(|delivery| Row::new(message, delivery, mask)));
        }
        Self {
            rows,
            totals: lines.into_iter().map(TotalView::from).collect(),
            more_totals,
            later,
            question,
            next: page.next,
        }
    }

    /// Where the next page is.
    fn older(&self) -> Option<String> {
        let cursor = crate::http::cursor::of(self.next?);
        let mark = if self.question.is_empty() { "" } else { "&" };
        Some(format!("/usage?{}{mark}cursor={cursor}", self.question))
    }
}

impl Row {
    fn new(message: &Message, delivery: &Delivery, mask: bool) -> Self {
        let provider = delivery.provider.as_ref();
        Self {
            id: message.id.to_string(),
            created: words::moment(message.created_at),
            user: message.user.clone().unwrap_or_else(|| words::NONE.to_owned()),
            channel: delivery.channel.to_string(),
            to: words::address(&delivery.address, mask),
            provider: provider.map_or_else(|| words::NONE.to_owned(), ToString::to_string),
            state: delivery.state.standing().word(),
            tries: delivery.tries,
            body: words::shortened(&message.body, BODY_CHARS_MAX),
        }
    }
}
