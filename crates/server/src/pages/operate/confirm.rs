//! The page that asks for confirmation before deliveries are changed.
//!
//! The form contains the ids of the deliveries, so that exactly the counted deliveries are changed.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;

use super::super::format;
use super::super::layout::{self, PageLayout, PageResult};
use super::super::report_cache::ReportCache;
use super::actions::{
    ACTION_DELIVERIES_MAX, ActionTarget, DeliveryAction, invalid_form_page, list_path, parse_action,
    selected_ids,
};
use super::delivery_row::DeliveryRow;
use super::operator::OperatorForm;
use super::search_query;
use crate::{form, session};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_engine::gateway::Gateway;
use postrider_engine::search;

/// Search pages read for the target "all", which bounds the time to render the confirmation page.
const SEARCH_PAGES_MAX: usize = 10;

/// Deliveries shown on the confirmation page.
const PREVIEW_ROWS_MAX: usize = 5;

/// The confirmation page.
#[derive(Template)]
#[template(path = "operate_confirm.html", whitespace = "minimize")]
struct ConfirmPage {
    layout: PageLayout,
    token: String,
    typed: String,
    action: &'static str,
    count: String,
    ids: String,
    /// The search, if the action changes all its results.
    search: Option<String>,
    rows: Vec<DeliveryRow>,
    shows_all: bool,
    has_more: bool,
}

/// The deliveries that an action would change.
struct Targets {
    /// Ids of these deliveries, at most [`ACTION_DELIVERIES_MAX`].
    ids: Vec<DeliveryId>,
    /// The newest of these deliveries, at most [`PREVIEW_ROWS_MAX`].
    rows: Vec<DeliveryRow>,
    /// Set if more deliveries than these may match.
    has_more: bool,
}

/// Handles `POST /operate/confirm`.
pub(super) async fn confirm_page(
    State(gateway): State<Arc<Gateway>>,
    Extension(reports): Extension<Arc<ReportCache>>,
    OperatorForm { operator, form }: OperatorForm,
) -> PageResult {
    // An empty search matches all deliveries. A search that cannot be decoded must therefore not become an empty
    // search.
    let Some(Ok(typed)) = form::raw_value(&form, "q").map(form::decode) else {
        return Ok(invalid_form_page());
    };
    let Some((action, target)) = parse_action(&form::field(&form, "action").unwrap_or_default()) else {
        return Ok(invalid_form_page());
    };
    let targets = match target {
        ActionTarget::One(id) => selected_deliveries(&gateway, &[id], action).await?,
        ActionTarget::Selected => selected_deliveries(&gateway, &selected_ids(&form), action).await?,
        ActionTarget::All => match search_query::parse_search(&gateway, &typed) {
            Ok(filter) => matching_deliveries(&gateway, filter, action).await?,
            Err(_) => return Ok(invalid_form_page()),
        },
    };
    if targets.ids.is_empty() {
        let examined_max = SEARCH_PAGES_MAX * search::MESSAGES_EXAMINED_MAX;
        let done = if targets.has_more { "nothing-in-newest" } else { "nothing" };
        return Ok(session::see_other(&list_path(&typed, done, 0, examined_max)));
    }
    let ids = targets.ids.iter().map(|id| id.0.to_string());
    let page = ConfirmPage {
        layout: PageLayout { is_live: true, ..reports.layout(&gateway, "Confirm").await },
        token: operator.token,
        search: (target == ActionTarget::All).then(|| typed.to_string()),
        typed: typed.into_owned(),
        action: action.as_str(),
        count: format::count(targets.ids.len()),
        ids: ids.collect::<Vec<_>>().join(","),
        shows_all: targets.rows.len() == targets.ids.len(),
        rows: targets.rows,
        has_more: targets.has_more,
    };
    Ok(layout::operator_page(StatusCode::OK, &page)?)
}

/// Finds which of these deliveries can be changed.
async fn selected_deliveries(
    gateway: &Gateway,
    ids: &[DeliveryId],
    action: DeliveryAction,
) -> Result<Targets> {
    let (mask, now) = (gateway.config.mask_numbers, gateway.clock.now());
    let mut hits = search::find_by_ids(gateway, ids).await?;
    hits.retain(|hit| action.applies_to(hit, gateway));
    let previewed_hits = hits.iter().take(PREVIEW_ROWS_MAX);
    Ok(Targets {
        rows: previewed_hits.map(|hit| DeliveryRow::of(hit, mask, now)).collect(),
        ids: hits.iter().map(|hit| hit.delivery.id).collect(),
        has_more: false,
    })
}

/// Finds the deliveries that match a filter and can be changed.
async fn matching_deliveries(
    gateway: &Gateway,
    mut filter: search::DeliverySearchFilter,
    action: DeliveryAction,
) -> Result<Targets> {
    // Only waiting deliveries can be cancelled, and the store finds those without reading others.
    if action == DeliveryAction::Cancel && filter.state.is_none() {
        filter.state = Some(search::StateFilter::State(DeliveryStateKind::Waiting));
    }
    let (mask, now) = (gateway.config.mask_numbers, gateway.clock.now());
    let (mut ids, mut rows, mut before) = (Vec::new(), Vec::new(), None);
    for _ in 0..SEARCH_PAGES_MAX {
        let results = search::search_deliveries(gateway, &filter, before, ACTION_DELIVERIES_MAX).await?;
        for hit in results.hits.iter().filter(|hit| action.applies_to(hit, gateway)) {
            if rows.len() < PREVIEW_ROWS_MAX {
                rows.push(DeliveryRow::of(hit, mask, now));
            }
            ids.push(hit.delivery.id);
        }
        before = results.next;
        if before.is_none() || ids.len() >= ACTION_DELIVERIES_MAX {
            break;
        }
    }
    let has_more = before.is_some() || ids.len() > ACTION_DELIVERIES_MAX;
    ids.truncate(ACTION_DELIVERIES_MAX);
    Ok(Targets { ids, rows, has_more })
}
