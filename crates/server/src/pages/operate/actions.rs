//! What an operator changes: deliveries are sent again or called off, a provider is put to rest or woken.
//!
//! Deliveries are named one by one in the page that asks for confirmation, so what is done is what was counted there: those
//! that could be changed then. The store has the last word on each. Whoever has done what is in the log.

use askama::Template;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::format;
use super::super::layout::{self, PageLayout};
use super::delivery_list::DeliveryRow;
use super::{OperateState, Operator, search_query};
use crate::{form, session};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_engine::gateway::Gateway;
use postrider_engine::resend;
use postrider_engine::search::{self, DeliverySearchHit};
use postrider_engine::shared_health;

/// How many deliveries are changed at once at most; a terminal is the place for more.
pub(super) const ACTION_DELIVERIES_MAX: usize = 1_000;

/// How often it is looked on when all found are meant, so that nobody waits for long.
const SEARCH_PAGES_MAX: usize = 10;

/// How many of those that are to be changed are shown.
const PREVIEW_ROWS_MAX: usize = 5;

/// What can be done to deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeliveryAction {
    Resend,
    Cancel,
}

/// Which deliveries are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ActionTarget {
    Selected,
    All,
    One(DeliveryId),
}

impl DeliveryAction {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "resend" => Some(Self::Resend),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Cancel => "cancel",
        }
    }

    /// Whether it would change that delivery, as far as can be seen now.
    fn applies_to(self, line: &DeliverySearchHit, gateway: &Gateway) -> bool {
        let now = gateway.clock.now();
        match self {
            Self::Resend => line.delivery.state.requeue(now).is_some(),
            Self::Cancel => line.delivery.state.cancel(now).is_some(),
        }
    }
}

/// What was done, as the next page says it.
pub(super) enum Notice {
    /// So many of so many deliveries were changed.
    Changed {
        /// Whether they are sent again; else they were called off.
        resent: bool,
        /// How many were changed.
        changed: String,
        /// How many were left as they are.
        unchanged: String,
    },
    /// A provider was put to rest.
    Paused(String),
    /// A provider was woken.
    Resumed(String),
    /// Nothing was meant.
    Nothing,
    /// Nothing among so many can be changed; there are older ones.
    NothingInNewest(String),
}

impl Notice {
    /// Reads what an earlier answer put into the address; none when there is nothing, or nothing of ours.
    pub(super) fn from_query(query: &str) -> Option<Self> {
        let text = |name| form::field(query.as_bytes(), name).unwrap_or_default();
        let number = |name| text(name).parse::<u64>().unwrap_or_default();
        let provider = || {
            text("provider")
                .parse::<ConfigName>()
                .ok()
                .map(|name| name.to_string())
        };
        match text("done").as_ref() {
            word @ ("resend" | "cancel") => Some(Self::Changed {
                resent: word == "resend",
                changed: format::count(number("changed")),
                unchanged: format::count(number("of").saturating_sub(number("changed"))),
            }),
            "rest" => provider().map(Self::Paused),
            "wake" => provider().map(Self::Resumed),
            "nothing" => Some(Self::Nothing),
            "nothing-near" => Some(Self::NothingInNewest(format::count(number("of")))),
            _ => None,
        }
    }
}

/// The page that asks once more.
#[derive(Template)]
#[template(path = "operate_confirm.html", whitespace = "minimize")]
struct ConfirmPage {
    layout: PageLayout,
    token: String,
    typed: String,
    action: &'static str,
    count: String,
    ids: String,
    /// What was looked for, where all that is found is meant.
    search: Option<String>,
    rows: Vec<DeliveryRow>,
    shows_all: bool,
    has_more: bool,
}

/// Asks whether that is really meant.
pub(super) async fn confirm(
    gateway: &Gateway,
    desk: &OperateState,
    operator: &Operator<'_>,
    form: &[u8],
) -> Result<Response<Body>> {
    // An empty search finds everything, so one that cannot be read must not pass for it.
    let Some(Ok(typed)) = form::raw_value(form, "q").map(form::decode) else {
        return Ok(invalid_form_page());
    };
    let Some((deed, target)) = parse_action(&form::field(form, "act").unwrap_or_default()) else {
        return Ok(invalid_form_page());
    };
    let (ids, rows, is_more) = match target {
        ActionTarget::One(id) => selected_deliveries(gateway, &[id], deed).await?,
        ActionTarget::Selected => selected_deliveries(gateway, &selected_ids(form), deed).await?,
        ActionTarget::All => match search_query::parse_search(gateway, &typed) {
            Ok(wanted) => matching_deliveries(gateway, wanted, deed).await?,
            Err(_) => return Ok(invalid_form_page()),
        },
    };
    if ids.is_empty() {
        let near = SEARCH_PAGES_MAX * search::MESSAGES_EXAMINED_MAX;
        let done = if is_more { "nothing-near" } else { "nothing" };
        return Ok(session::see_other(&list_path(&typed, done, 0, near)));
    }
    let report = super::newest_report(gateway, &desk.newest).await;
    let page = ConfirmPage {
        layout: PageLayout::new_live("Are you sure?", gateway.is_test_mode(), report.as_ref()),
        token: operator.token.clone(),
        search: (target == ActionTarget::All).then(|| typed.to_string()),
        typed: typed.into_owned(),
        action: deed.as_str(),
        count: format::count(u64::try_from(ids.len()).unwrap_or(u64::MAX)),
        ids: ids
            .iter()
            .map(|id| id.0.to_string())
            .collect::<Vec<_>>()
            .join(","),
        shows_all: rows.len() == ids.len(),
        rows,
        has_more: is_more,
    };
    layout::operator_page(StatusCode::OK, &page)
}

/// Those of the deliveries that can be changed, and the first few of them.
async fn selected_deliveries(
    gateway: &Gateway,
    ids: &[DeliveryId],
    deed: DeliveryAction,
) -> Result<(Vec<DeliveryId>, Vec<DeliveryRow>, bool)> {
    let (mask, now) = (gateway.config.mask_numbers, gateway.clock.now());
    let mut lines = search::find_by_ids(gateway, ids).await?;
    lines.retain(|line| deed.applies_to(line, gateway));
    let shown = lines.iter().take(PREVIEW_ROWS_MAX);
    let rows = shown.map(|line| DeliveryRow::of(line, mask, now)).collect();
    Ok((lines.iter().map(|line| line.delivery.id).collect(), rows, false))
}

/// All that are found and that can be changed, up to the limit; the first few of them; whether there may be more.
async fn matching_deliveries(
    gateway: &Gateway,
    mut wanted: search::DeliverySearchFilter,
    deed: DeliveryAction,
) -> Result<(Vec<DeliveryId>, Vec<DeliveryRow>, bool)> {
    // Only what waits can be called off, and the store finds that however much has ended.
    if deed == DeliveryAction::Cancel && wanted.state.is_none() {
        wanted.state = Some(search::StateFilter::State(DeliveryStateKind::Waiting));
    }
    let (mask, now) = (gateway.config.mask_numbers, gateway.clock.now());
    let (mut ids, mut rows, mut before) = (Vec::new(), Vec::new(), None);
    for _ in 0..SEARCH_PAGES_MAX {
        let found = search::search_deliveries(gateway, &wanted, before, ACTION_DELIVERIES_MAX).await?;
        for line in found.hits.iter().filter(|line| deed.applies_to(line, gateway)) {
            if rows.len() < PREVIEW_ROWS_MAX {
                rows.push(DeliveryRow::of(line, mask, now));
            }
            ids.push(line.delivery.id);
        }
        before = found.next;
        if before.is_none() || ids.len() >= ACTION_DELIVERIES_MAX {
            break;
        }
    }
    let is_more = before.is_some() || ids.len() > ACTION_DELIVERIES_MAX;
    ids.truncate(ACTION_DELIVERIES_MAX);
    Ok((ids, rows, is_more))
}

/// Does what was asked for and confirmed.
pub(super) async fn apply_action(
    gateway: &Gateway,
    operator: &Operator<'_>,
    form: &[u8],
) -> Result<Response<Body>> {
    let typed = form::field(form, "q").unwrap_or_default();
    let deed = DeliveryAction::parse(&form::field(form, "act").unwrap_or_default());
    let ids = parse_ids(&form::field(form, "ids").unwrap_or_default());
    let (Some(deed), Some(ids)) = (deed, ids) else {
        return Ok(invalid_form_page());
    };
    let changed = match deed {
        DeliveryAction::Resend => {
            let expires_at = gateway.clock.now() + resend::age_max(gateway);
            resend::requeue(gateway, &ids, expires_at, |_| ()).await?
        }
        DeliveryAction::Cancel => resend::cancel(gateway, &ids).await?,
    };
    let (who, word, of) = (operator_name(operator), deed.as_str(), ids.len());
    log::info!("{who} asked to {word} {of} deliveries; {changed} were changed");
    Ok(session::see_other(&list_path(&typed, word, changed, of)))
}

/// Puts a provider to rest, or wakes it, for every process on the store.
pub(super) async fn control_provider(
    gateway: &Gateway,
    operator: &Operator<'_>,
    provider: &str,
    word: &str,
) -> Result<Response<Body>> {
    let lane = provider
        .parse::<ConfigName>()
        .ok()
        .and_then(|name| gateway.provider(&name));
    let (Some(lane), Some(word)) = (lane, ControlAction::parse(word)) else {
        return Ok(invalid_form_page());
    };
    let order = ProviderControl {
        provider: lane.name.clone(),
        action: word,
        requested_by: operator.name.to_owned(),
        at: gateway.clock.now(),
    };
    gateway.store.save_provider_control(order).await?;
    // This process need not wait for its next look, and neither does whoever sees the page. The word is kept anyway.
    if let Err(error) = shared_health::sync_health(gateway).await {
        log::error!("{} hears of it a moment later: {}", lane.name, error.chain());
    }
    let (who, word) = (operator_name(operator), word.as_str());
    log::info!("{who} told {} to {word}", lane.name);
    let path = format!("/operate?done={word}&provider={}#providers", lane.name);
    Ok(session::see_other(&path))
}

fn operator_name<'a>(operator: &Operator<'a>) -> &'a str {
    if operator.name.is_empty() {
        "an operator"
    } else {
        operator.name
    }
}

/// `resend:selected`, `cancel:all`, `resend:123`.
fn parse_action(word: &str) -> Option<(DeliveryAction, ActionTarget)> {
    let (deed, target) = word.split_once(':')?;
    let target = match target {
        "selected" => ActionTarget::Selected,
        "all" => ActionTarget::All,
        number => ActionTarget::One(DeliveryId(number.parse().ok()?)),
    };
    Some((DeliveryAction::parse(deed)?, target))
}

fn selected_ids(form: &[u8]) -> Vec<DeliveryId> {
    let decoded = form::values(form, "id").filter_map(|value| form::decode(value).ok());
    let ids = decoded.filter_map(|id| id.parse().ok()).map(DeliveryId);
    ids.take(ACTION_DELIVERIES_MAX).collect()
}

/// The numbers between commas; none when there is anything else, or more than may be changed at once.
fn parse_ids(text: &str) -> Option<Vec<DeliveryId>> {
    let ids = text.split(',').map(|id| id.parse().ok().map(DeliveryId));
    let ids = ids.collect::<Option<Vec<_>>>()?;
    (ids.len() <= ACTION_DELIVERIES_MAX).then_some(ids)
}

fn list_path(typed: &str, done: &str, changed: usize, of: usize) -> String {
    let typed = utf8_percent_encode(typed, NON_ALPHANUMERIC);
    format!("/operate/messages?q={typed}&done={done}&changed={changed}&of={of}")
}

fn invalid_form_page() -> Response<Body> {
    layout::error_page(
        StatusCode::BAD_REQUEST,
        "This cannot be done",
        "The form does not say what to do, or with what. Nothing was changed. Load the page anew and try again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_says_what_to_do_with_what() {
        assert_eq!(
            parse_action("resend:selected"),
            Some((DeliveryAction::Resend, ActionTarget::Selected))
        );
        assert_eq!(
            parse_action("cancel:all"),
            Some((DeliveryAction::Cancel, ActionTarget::All))
        );
        assert_eq!(
            parse_action("cancel:64"),
            Some((DeliveryAction::Cancel, ActionTarget::One(DeliveryId(64))))
        );
        for word in ["", "resend", "resend:", "drop:all", "cancel:x"] {
            assert_eq!(parse_action(word), None, "{word}");
        }
    }

    #[test]
    fn only_numbers_are_changed_and_not_too_many() {
        assert_eq!(parse_ids("64,128"), Some(vec![DeliveryId(64), DeliveryId(128)]));
        assert_eq!(parse_ids("64,x"), None);
        assert_eq!(parse_ids(&["64"; 1_001].join(",")), None);
    }
}
