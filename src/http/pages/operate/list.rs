//! `/operate/messages?q=`: the deliveries an operator looks for, with what can be done about them.
//!
//! One page is a bounded look; where it had to stop early it says so and offers to go on.

use askama::Template;
use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::super::frame::{self, Frame};
use super::super::words;
use super::act::{ALL_MAX, Notice};
use super::{Desk, Operator, query};
use crate::clock::Timestamp;
use crate::domain::delivery::State;
use crate::error::Result;
use crate::flow::find::{self, EXAMINED_MAX, Line};
use crate::gateway::Gateway;
use crate::http::form;

/// Deliveries on one page.
const PAGE_LINES: usize = 25;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// The page at `/operate/messages`.
#[derive(Template)]
#[template(path = "operate_list.html", whitespace = "minimize")]
struct ListPage {
    frame: Frame,
    token: String,
    operator: String,
    notice: Option<Notice>,
    now: String,
    typed: String,
    before: Option<i64>,
    wrong: Vec<String>,
    rows: Vec<Row>,
    next: Option<i64>,
    is_cut: bool,
    examined_max: String,
    all_max: String,
}

/// A delivery in a list.
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) message: String,
    pub(super) created: String,
    pub(super) state: &'static str,
    pub(super) failure: Option<String>,
    pub(super) reason: String,
    pub(super) channel: String,
    pub(super) address: String,
    pub(super) user: String,
    pub(super) provider: String,
    pub(super) code: String,
    pub(super) may_be_twice: bool,
    pub(super) tries: u32,
    pub(super) body: String,
    pub(super) may_resend: bool,
    pub(super) may_cancel: bool,
}

/// The page of that address.
pub(super) async fn page(
    gateway: &Gateway,
    desk: &Desk,
    operator: &Operator<'_>,
    asked: &str,
) -> Result<Response<Body>> {
    let encoded = asked.as_bytes();
    let (typed, asked_for) = match form::number(encoded, "q") {
        Ok(typed) => {
            let typed = typed.trim().to_owned();
            let asked_for = query::read(gateway, &typed);
            (typed, asked_for)
        }
        Err(garbled) => (
            String::new(),
            Err(vec![format!("The search cannot be read: {garbled}.")]),
        ),
    };
    let before = form::field(encoded, "before").ok();
    let before = before.and_then(|before| before.parse().ok());
    let now = gateway.clock.now();
    let (found, wrong) = match asked_for {
        Ok(wanted) => (
            find::deliveries(gateway, &wanted, before, PAGE_LINES).await?,
            Vec::new(),
        ),
        Err(wrong) => (find::Found::default(), wrong),
    };
    let status = if wrong.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let report = super::report(gateway, &desk.newest).await;
    let mask = gateway.config.mask_numbers;
    let page = ListPage {
        frame: Frame::live("Deliveries", gateway.is_sandbox(), report.as_ref()),
        token: operator.token.clone(),
        operator: operator.name.to_owned(),
        notice: Notice::read(asked),
        now: words::moment(now),
        typed: typed.chars().take(query::CHARS_MAX).collect(),
        before,
        wrong,
        rows: found.lines.iter().map(|line| Row::of(line, mask, now)).collect(),
        next: found.next,
        is_cut: found.is_cut,
        examined_max: words::count(u64::try_from(EXAMINED_MAX).unwrap_or(u64::MAX)),
        all_max: words::count(u64::try_from(ALL_MAX).unwrap_or(u64::MAX)),
    };
    frame::operated(status, &page)
}

impl Row {
    /// The line as of `now`.
    pub(super) fn of(line: &Line, mask: bool, now: Timestamp) -> Self {
        let delivery = &line.delivery;
        let call = line.call.as_ref();
        let asked = call.and_then(|call| call.provider.as_ref());
        let provider = delivery.provider.as_ref().or(asked);
        let (failure, reason) = match &delivery.state {
            State::Failed { failure, reason, .. } => (Some(words::spoken(failure.word())), reason.clone()),
            State::Waiting { reason, .. } => (None, reason.clone().unwrap_or_default()),
            State::Sent { .. } | State::Delivered { .. } => (None, String::new()),
        };
        Self {
            id: delivery.id.0,
            message: line.message.to_string(),
            created: words::moment(line.created_at),
            state: delivery.state.standing().word(),
            failure,
            reason,
            channel: delivery.channel.to_string(),
            address: words::address(&delivery.address, mask),
            user: line.user.clone().unwrap_or_default(),
            provider: provider.map_or_else(|| words::NONE.to_owned(), ToString::to_string),
            code: call.and_then(|call| call.code.clone()).unwrap_or_default(),
            may_be_twice: call.is_some_and(|call| call.may_be_twice),
            tries: delivery.tries,
            body: words::shortened(&line.body, BODY_CHARS_MAX),
            may_resend: delivery.state.revive(now).is_some(),
            may_cancel: delivery.state.cancel(now).is_some(),
        }
    }
}
