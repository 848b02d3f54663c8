//! `/operate/messages?q=`: the deliveries an operator looks for, with what can be done about them.
//!
//! One page is a bounded look; where it had to stop early it says so and offers to go on.

use askama::Template;
use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::super::format;
use super::super::layout::{self, PageLayout};
use super::actions::{ACTION_DELIVERIES_MAX, Notice};
use super::{OperateState, Operator, search_query};
use crate::form;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::error::Result;
use postrider_engine::gateway::Gateway;
use postrider_engine::search::{self, DeliverySearchHit, MESSAGES_EXAMINED_MAX};

/// Deliveries on one page.
const PAGE_DELIVERIES: usize = 25;

/// How much of a body a line shows.
const BODY_CHARS_MAX: usize = 60;

/// The page at `/operate/messages`.
#[derive(Template)]
#[template(path = "operate_list.html", whitespace = "minimize")]
struct DeliveryListPage {
    layout: PageLayout,
    token: String,
    operator: String,
    notice: Option<Notice>,
    now: String,
    typed: String,
    before: Option<i64>,
    errors: Vec<String>,
    rows: Vec<DeliveryRow>,
    next: Option<i64>,
    is_truncated: bool,
    examined_max: String,
    action_max: String,
}

/// A delivery in a list.
pub(super) struct DeliveryRow {
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
    pub(super) maybe_sent_twice: bool,
    pub(super) tries: u32,
    pub(super) body: String,
    pub(super) can_resend: bool,
    pub(super) can_cancel: bool,
}

/// The page of that address.
pub(super) async fn delivery_list_page(
    gateway: &Gateway,
    desk: &OperateState,
    operator: &Operator<'_>,
    asked: &str,
) -> Result<Response<Body>> {
    let encoded = asked.as_bytes();
    let (typed, asked_for) = match form::phone_number(encoded, "q") {
        Ok(typed) => {
            let typed = typed.trim().to_owned();
            let asked_for = search_query::parse_search(gateway, &typed);
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
            search::search_deliveries(gateway, &wanted, before, PAGE_DELIVERIES).await?,
            Vec::new(),
        ),
        Err(wrong) => (search::DeliverySearchResults::default(), wrong),
    };
    let status = if wrong.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let report = super::newest_report(gateway, &desk.newest).await;
    let mask = gateway.config.mask_numbers;
    let page = DeliveryListPage {
        layout: PageLayout::new_live("Deliveries", gateway.is_test_mode(), report.as_ref()),
        token: operator.token.clone(),
        operator: operator.name.to_owned(),
        notice: Notice::from_query(asked),
        now: format::time(now),
        typed: typed.chars().take(search_query::SEARCH_CHARS_MAX).collect(),
        before,
        errors: wrong,
        rows: found
            .hits
            .iter()
            .map(|line| DeliveryRow::of(line, mask, now))
            .collect(),
        next: found.next,
        is_truncated: found.is_truncated,
        examined_max: format::count(u64::try_from(MESSAGES_EXAMINED_MAX).unwrap_or(u64::MAX)),
        action_max: format::count(u64::try_from(ACTION_DELIVERIES_MAX).unwrap_or(u64::MAX)),
    };
    layout::operator_page(status, &page)
}

impl DeliveryRow {
    /// The line as of `now`.
    pub(super) fn of(line: &DeliverySearchHit, mask: bool, now: Timestamp) -> Self {
        let delivery = &line.delivery;
        let call = line.last_attempt.as_ref();
        let asked = call.and_then(|call| call.provider.as_ref());
        let provider = delivery.provider.as_ref().or(asked);
        let (failure, reason) = match &delivery.state {
            DeliveryState::Failed { failure, reason, .. } => {
                (Some(format::humanize(failure.as_str())), reason.clone())
            }
            DeliveryState::Waiting { reason, .. } => (None, reason.clone().unwrap_or_default()),
            DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => (None, String::new()),
        };
        Self {
            id: delivery.id.0,
            message: line.message.to_string(),
            created: format::time(line.created_at),
            state: delivery.state.kind().as_str(),
            failure,
            reason,
            channel: delivery.channel.to_string(),
            address: format::address(&delivery.address, mask),
            user: line.user.clone().unwrap_or_default(),
            provider: provider.map_or_else(|| format::NOT_AVAILABLE.to_owned(), ToString::to_string),
            code: call.and_then(|call| call.code.clone()).unwrap_or_default(),
            maybe_sent_twice: call.is_some_and(|call| call.has_unknown_attempt),
            tries: delivery.tries,
            body: format::shorten(&line.body, BODY_CHARS_MAX),
            can_resend: delivery.state.requeue(now).is_some(),
            can_cancel: delivery.state.cancel(now).is_some(),
        }
    }
}
