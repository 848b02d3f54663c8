//! The operator's actions: send deliveries again or cancel them, pause or resume a provider.
//!
//! The confirmation page lists the deliveries by id. The store decides for each delivery whether the change is still
//! possible.
//! Every action is logged with the name of the operator's API key.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::layout::{self, PageResult};
use super::live_updates::LiveUpdates;
use super::operator::{Operator, OperatorForm};
use crate::{form, session};
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_engine::gateway::Gateway;
use postrider_engine::resend;
use postrider_engine::search::DeliverySearchHit;
use postrider_engine::shared_health;

/// Maximum number of deliveries in one action; `console resend:msg` has no limit.
pub(super) const ACTION_DELIVERIES_MAX: usize = 1_000;

/// An action on deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeliveryAction {
    Resend,
    Cancel,
}

/// The deliveries of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActionTarget {
    Selected,
    All,
    One(DeliveryId),
}

impl DeliveryAction {
    fn parse(name: &str) -> Option<Self> {
        [Self::Resend, Self::Cancel].into_iter().find(|action| action.as_str() == name)
    }

    /// Returns the name of the action in forms, queries and logs.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Cancel => "cancel",
        }
    }

    /// Returns whether the action would change this delivery now.
    pub(super) fn applies_to(self, hit: &DeliverySearchHit, gateway: &Gateway) -> bool {
        let now = gateway.clock.now();
        match self {
            Self::Resend => hit.delivery.state.requeue(now).is_some(),
            Self::Cancel => hit.delivery.state.cancel(now).is_some(),
        }
    }
}

/// Handles `POST /operate/apply`: applies a confirmed action.
pub(super) async fn apply_action(
    State(gateway): State<Arc<Gateway>>,
    OperatorForm { operator, form }: OperatorForm,
) -> PageResult {
    let typed = form::field(&form, "q").unwrap_or_default();
    let action = DeliveryAction::parse(&form::field(&form, "action").unwrap_or_default());
    let delivery_ids = parse_ids(&form::field(&form, "ids").unwrap_or_default());
    let (Some(action), Some(delivery_ids)) = (action, delivery_ids) else {
        return Ok(invalid_form_page());
    };
    let changed = match action {
        DeliveryAction::Resend => {
            let expires_at = gateway.clock.now() + resend::age_max(&gateway);
            resend::requeue(&gateway, &delivery_ids, expires_at, |_| ()).await?
        }
        DeliveryAction::Cancel => resend::cancel(&gateway, &delivery_ids).await?,
    };
    log::info!(
        "operator action: action={} requested={} changed={changed} by={}",
        action.as_str(),
        delivery_ids.len(),
        operator_name(&operator)
    );
    let path = list_path(&typed, action.as_str(), changed, delivery_ids.len());
    Ok(session::see_other(&path))
}

/// Handles `POST /operate/providers/{provider}/{action}`: pauses or resumes a provider for every process on the store.
pub(super) async fn control_provider(
    State(gateway): State<Arc<Gateway>>,
    Extension(live): Extension<Arc<LiveUpdates>>,
    Path((provider_name, action)): Path<(String, String)>,
    OperatorForm { operator, .. }: OperatorForm,
) -> PageResult {
    let provider = provider_name.parse::<ConfigName>().ok().and_then(|name| gateway.provider(&name));
    let (Some(provider), Some(action)) = (provider, ControlAction::parse(&action)) else {
        return Ok(invalid_form_page());
    };
    let (name, action_name) = (&provider.name, action.as_str());
    let control = ProviderControl {
        provider: name.clone(),
        action,
        requested_by: operator.name.clone(),
        at: gateway.clock.now(),
    };
    gateway.store.save_provider_control(control).await?;
    // The action is also applied in this process at once, so that the next page shows the change.
    if let Err(error) = shared_health::sync_health(&gateway).await {
        log::error!(
            "cannot apply provider control in this process yet: provider={name} error={}",
            error.chain()
        );
    }
    live.invalidate().await;
    log::info!("provider control: provider={name} action={action_name} by={}", operator_name(&operator));
    let path = format!("/operate?done={action_name}&provider={name}#providers");
    Ok(session::see_other(&path))
}

fn operator_name(operator: &Operator) -> &str {
    if operator.name.is_empty() { "anonymous" } else { &operator.name }
}

/// Parses the value of a button: `resend:selected`, `cancel:all`, `resend:123`.
pub(super) fn parse_action(button: &str) -> Option<(DeliveryAction, ActionTarget)> {
    let (action, action_target) = button.split_once(':')?;
    let action_target = match action_target {
        "selected" => ActionTarget::Selected,
        "all" => ActionTarget::All,
        id => ActionTarget::One(DeliveryId(id.parse().ok()?)),
    };
    Some((DeliveryAction::parse(action)?, action_target))
}

/// Returns the ids of the selected deliveries, up to [`ACTION_DELIVERIES_MAX`].
pub(super) fn selected_ids(form: &[u8]) -> Vec<DeliveryId> {
    let decoded_ids = form::values(form, "id").filter_map(|encoded| form::decode(encoded).ok());
    let ids = decoded_ids.filter_map(|id| id.parse().ok()).map(DeliveryId);
    ids.take(ACTION_DELIVERIES_MAX).collect()
}

/// Parses comma-separated ids; `None` if one is invalid or there are more than [`ACTION_DELIVERIES_MAX`].
fn parse_ids(list: &str) -> Option<Vec<DeliveryId>> {
    let delivery_ids = list.split(',').map(|id| id.parse().ok().map(DeliveryId));
    let delivery_ids = delivery_ids.collect::<Option<Vec<_>>>()?;
    (delivery_ids.len() <= ACTION_DELIVERIES_MAX).then_some(delivery_ids)
}

/// Returns the path of the delivery list with the notice about an action.
pub(super) fn list_path(typed: &str, done: &str, changed: usize, of: usize) -> String {
    let typed = utf8_percent_encode(typed, NON_ALPHANUMERIC);
    format!("/operate/messages?q={typed}&done={done}&changed={changed}&of={of}")
}

/// Returns the page for a form that this gateway cannot have sent.
pub(super) fn invalid_form_page() -> Response<Body> {
    layout::error_page(
        StatusCode::BAD_REQUEST,
        "Invalid form",
        "The action or its target is missing. Nothing was changed. Reload the page and try again.",
    )
}
