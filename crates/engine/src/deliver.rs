//! Delivers messages: claims due deliveries, tries the providers of the channel, and records the round.
//!
//! Each step may be repeated: only one claim of a delivery succeeds, and only the newest claim can record a round.

use postrider_core::address::{PhoneRules, outgoing_address};
use postrider_core::attempt::{Attempt, Outcome};
use postrider_core::clock::{Timestamp, saturating_add};
use postrider_core::delivery::{DeliveryRules, DeliveryState, DeliveryTransition, RoundEnd};
use postrider_core::error::{Error, ErrorKind};
use postrider_core::retry::{RetryPolicy, UnknownPolicy};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::{id::DeliveryId, name::ConfigName, queue_entry::QueueEntry};
use std::{sync::LazyLock, time::Duration};

use crate::gateway::{Gateway, ProviderBusy, ProviderRuntime, Route, STORE_RETRY_DELAY};
use crate::{due::find_due, provider_runtime::CallPermit};
use addresses::{ChosenAddress, DeliveryAddresses};
use postrider_providers::OutboundMessage;

mod addresses;

/// Delay before a delivery of an unconfigured channel is tried again.
const NOT_CONFIGURED_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Minimum delay before a delivery for which no provider was available is tried again.
const NO_PROVIDER_RETRY_DELAY_MIN: Duration = Duration::from_millis(250);

/// A claimed delivery and the end of its lease.
pub struct LeasedDelivery {
    /// The claimed delivery.
    pub claimed: ClaimedDelivery,
    /// No other worker can claim the delivery before this time.
    pub lease_expires_at: Timestamp,
}

/// Result of [`step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliverStep {
    /// Number of deliveries that went through a round.
    Processed(usize),
    /// No delivery was due.
    Idle,
}

/// Claims at most `limit` deliveries and takes each through one round. Waits up to `wait` for a due delivery.
pub async fn step(gateway: &Gateway, limit: usize, wait: Duration) -> DeliverStep {
    let due = find_due(gateway, &limit, wait).await;
    let claims = claim(gateway, due.ids).await;
    let claim_count = claims.len();
    for delivery in claims {
        run_round(gateway, delivery).await;
    }
    if claim_count == 0 { DeliverStep::Idle } else { DeliverStep::Processed(claim_count) }
}

/// Claims the deliveries with these ids and returns those that this worker won. The caller must take each delivery
/// through a round; a dropped claim counts as outcome `unknown`.
pub async fn claim(gateway: &Gateway, ids: Vec<DeliveryId>) -> Vec<LeasedDelivery> {
    if ids.is_empty() {
        return Vec::new();
    }
    let (now, lease) = (gateway.clock.now(), gateway.config.work.lease);
    let lease_expires_at = saturating_add(now, lease);
    match gateway.store.claim(ids, now, lease).await {
        Ok(deliveries) => {
            deliveries.into_iter().map(|claimed| LeasedDelivery { claimed, lease_expires_at }).collect()
        }
        Err(error) => {
            gateway.back_off_after_store_error("deliver: claim failed", &error).await;
            Vec::new()
        }
    }
}

/// Takes a claimed delivery through one round over the providers of its channel and records the result.
pub async fn run_round(gateway: &Gateway, claim: LeasedDelivery) {
    let (attempts, transition) = attempt_delivery(gateway, &claim).await;
    let ClaimedDelivery { id, channel, priority, event_target, round, .. } = claim.claimed;
    let new_state = transition.state.clone();
    let has_event_target = event_target.is_some();
    let completed_round = CompletedRound {
        id,
        round,
        attempts,
        state: transition.state,
        tries: transition.tries,
        at: gateway.clock.now(),
        event_target,
    };
    match record_round(gateway, completed_round).await {
        Ok(Some(recorded @ (RecordResult::Stored | RecordResult::MovedByReceipt(_)))) => {
            gateway.count_state_change(&channel, new_state.kind());
            if let RecordResult::MovedByReceipt(receipt_state) = recorded {
                gateway.count_state_change(&channel, receipt_state);
            }
            if has_event_target {
                gateway.events_pending.notify_one();
            }
            if let DeliveryState::Waiting { due_at, .. } = new_state {
                gateway.queue.push(&[QueueEntry { id, channel, due_at, priority }]);
            }
        }
        Ok(_) => {
            log::warn!("deliver: round not recorded, delivery was claimed by another worker; delivery={id}");
        }
        Err(error) => {
            let log_message = "deliver: recording a round failed, the attempt will count as unknown";
            gateway.back_off_after_store_error(log_message, &error).await;
        }
    }
}

/// Records a round. While the store is unavailable, retries until the lease may end, because a message whose round is not
/// recorded is sent again.
async fn record_round(gateway: &Gateway, round: CompletedRound) -> Result<Option<RecordResult>, Error> {
    let stopwatch = gateway.clock.stopwatch();
    let mut is_logged = false;
    loop {
        let error = match gateway.store.record(vec![round.clone()]).await {
            Ok(recorded) => return Ok(recorded.into_iter().next()),
            Err(error) => error,
        };
        let is_too_late = stopwatch.elapsed() + STORE_RETRY_DELAY >= gateway.config.work.lease;
        if is_too_late || error.kind() != ErrorKind::Unavailable {
            return Err(error);
        }
        if is_logged {
            gateway.clock.sleep(STORE_RETRY_DELAY).await;
        } else {
            is_logged = true;
            gateway.back_off_after_store_error("deliver: recording a round failed, retrying", &error).await;
        }
    }
}

/// Tries the providers and returns the attempts and the new state. Only this function calls providers.
async fn attempt_delivery(gateway: &Gateway, claim: &LeasedDelivery) -> (Vec<Attempt>, DeliveryTransition) {
    let (now, claimed) = (gateway.clock.now(), &claim.claimed);
    let Some(route) = gateway.route(claimed.channel.as_str()) else {
        let reason = format!("channel {} is not configured", claimed.channel);
        let round_end = RoundEnd::NoProviderAvailable { retry_after: NOT_CONFIGURED_RETRY_DELAY, reason };
        return (Vec::new(), DeliveryState::after(round_end, &rules_without_channel(claimed), now, 1.0));
    };
    let mut rules = DeliveryRules {
        tries: claimed.tries,
        expires_at: claimed.expires_at,
        retry: &route.channel.retry,
        unknown_policy: route.channel.unknown_policy,
    };
    let mut attempts = Vec::new();
    for _ in 0..claimed.unrecorded_claims {
        attempts.push(lost_attempt(now));
        let transition = DeliveryState::after(RoundEnd::ClaimLost, &rules, now, gateway.random.fraction());
        rules.tries = transition.tries;
        if matches!(transition.state, DeliveryState::Failed { .. }) {
            return (attempts, transition);
        }
    }
    let round_end = if now >= claimed.expires_at {
        RoundEnd::Expired
    } else {
        try_providers(gateway, route, claim, &mut attempts).await
    };
    (attempts, DeliveryState::after(round_end, &rules, gateway.clock.now(), gateway.random.fraction()))
}

/// Tries the providers of the channel in routing order and returns how the round ended.
///
/// Stops at the first outcome that concerns the message or its last usable address; after an outcome that concerns the
/// provider, the next provider is tried. A provider is skipped if its call could outlast the lease, because another
/// worker may claim the delivery before that call returns and send the message a second time.
async fn try_providers(
    gateway: &Gateway,
    route: &Route,
    claim: &LeasedDelivery,
    attempts: &mut Vec<Attempt>,
) -> RoundEnd {
    let (now, claimed) = (gateway.clock.now(), &claim.claimed);
    let mut addresses = DeliveryAddresses::new(claimed, route);
    if !addresses.has_usable_address(route) {
        let reason = addresses::no_usable_address_reason(route);
        return RoundEnd::NoUsableAddress { reason };
    }
    let avoid = provider_to_avoid(route, claimed, &addresses);
    let mut message = build_outbound_message(claimed, route);
    let mut soonest_available: Option<ProviderBusy> = None;
    let (mut last_failure, mut skip_reasons) = (None, Vec::new());
    for runtime in route.order(avoid, now) {
        let Some(to) = addresses.address_for(runtime) else {
            skip_reasons.push(addresses::skip_reason(runtime));
            continue;
        };
        let permit = match acquire_within_lease(gateway, runtime, claim).await {
            Ok(permit) => permit,
            Err(busy) => {
                keep_soonest(&mut soonest_available, busy);
                continue;
            }
        };
        set_recipient(&mut message, to, &gateway.config.phone);
        let mut attempt = runtime.call(permit, &message, &gateway.clock).await;
        attempt.address = addresses.has_contacts().then(|| to.address.to_owned());
        let outcome = attempt.outcome.clone();
        attempts.push(attempt);
        if matches!(outcome, Outcome::InvalidRecipient { .. }) {
            addresses.mark_invalid(to.address);
        }
        if ends_round(&outcome, &addresses, route) {
            return RoundEnd::Decided { provider: runtime.name.clone(), outcome };
        }
        match outcome {
            Outcome::Throttled { .. } => {
                keep_soonest(&mut soonest_available, runtime.unavailability(gateway.clock.now()));
            }
            outcome => last_failure = Some(describe_failure(runtime, &outcome)),
        }
    }
    match last_failure {
        Some(reason) => RoundEnd::AllFailed { reason: [vec![reason], skip_reasons].concat().join("; ") },
        None => no_provider_available(
            soonest_available.unwrap_or_else(|| {
                route.soonest_available(avoid, now, |runtime| addresses.address_for(runtime).is_some())
            }),
            gateway.random.fraction(),
        ),
    }
}

/// Acquires a permit for a call that ends within the lease.
async fn acquire_within_lease<'r>(
    gateway: &Gateway,
    runtime: &'r ProviderRuntime,
    claim: &LeasedDelivery,
) -> Result<CallPermit<'r>, ProviderBusy> {
    let could_outlast_lease =
        || saturating_add(gateway.clock.now(), runtime.call_timeout) > claim.lease_expires_at;
    if could_outlast_lease() {
        return Err(lease_too_short(runtime));
    }
    let permit = runtime.acquire(claim.claimed.parts, gateway.clock.now()).await?;
    // The rate limiter and the probe wait for the store, which can take long.
    if could_outlast_lease() {
        runtime.release(permit, gateway.clock.now());
        return Err(lease_too_short(runtime));
    }
    Ok(permit)
}

/// Returns whether no further provider is tried in this round. An invalid address ends the round only if no provider
/// can use another address of the recipient.
fn ends_round(outcome: &Outcome, addresses: &DeliveryAddresses<'_>, route: &Route) -> bool {
    match outcome {
        Outcome::InvalidRecipient { .. } => !addresses.has_usable_address(route),
        outcome => !outcome.is_about_provider(),
    }
}

/// Returns the provider that the delivery avoids, unless no other provider can use an address of the recipient.
fn provider_to_avoid<'c>(
    route: &Route,
    claimed: &'c ClaimedDelivery,
    addresses: &DeliveryAddresses<'_>,
) -> Option<&'c ConfigName> {
    let avoid = claimed.avoid.as_ref()?;
    let mut other_runtimes = route.providers().iter().filter(|runtime| runtime.name != *avoid);
    other_runtimes.any(|runtime| addresses.address_for(runtime).is_some()).then_some(avoid)
}

fn lease_too_short(runtime: &ProviderRuntime) -> ProviderBusy {
    ProviderBusy {
        retry_after: NO_PROVIDER_RETRY_DELAY_MIN,
        jitter_max: Duration::ZERO,
        reason: format!("not enough lease time left for a call to {}", runtime.name),
    }
}

fn no_provider_available(busy: ProviderBusy, jitter_fraction: f64) -> RoundEnd {
    RoundEnd::NoProviderAvailable {
        retry_after: busy.retry_after.max(NO_PROVIDER_RETRY_DELAY_MIN)
            + busy.jitter_max.mul_f64(jitter_fraction),
        reason: busy.reason,
    }
}

fn keep_soonest(soonest: &mut Option<ProviderBusy>, busy: ProviderBusy) {
    if soonest.as_ref().is_none_or(|current| busy.retry_after < current.retry_after) {
        *soonest = Some(busy);
    }
}

fn describe_failure(runtime: &ProviderRuntime, outcome: &Outcome) -> String {
    format!("{}: {}", runtime.name, outcome.reason().unwrap_or(outcome.as_str()))
}

fn lost_attempt(now: Timestamp) -> Attempt {
    Attempt {
        provider: None,
        outcome: Outcome::Unknown { reason: "the worker stopped during the call".to_owned() },
        code: None,
        at: now,
        duration: Duration::ZERO,
        address: None,
    }
}

fn set_recipient(message: &mut OutboundMessage, to: ChosenAddress<'_>, rules: &PhoneRules) {
    message.to = outgoing_address(to.kind, to.address, to.spelling, rules).into_owned();
    to.spelling.clone_into(&mut message.spelling);
}

/// Builds the outbound message without its recipient.
fn build_outbound_message(claimed: &ClaimedDelivery, route: &Route) -> OutboundMessage {
    OutboundMessage {
        delivery_id: claimed.id,
        message_id: claimed.message,
        round: claimed.round,
        to: String::new(),
        spelling: String::new(),
        subject: claimed.subject.clone().or_else(|| route.channel.subject.clone()),
        body: claimed.body.clone(),
        parts: claimed.parts,
        expires_at: claimed.expires_at,
    }
}

/// Returns the rules of a delivery over an unconfigured channel: the delivery waits, because the channel may be configured
/// again.
fn rules_without_channel(claimed: &ClaimedDelivery) -> DeliveryRules<'static> {
    static RETRY: LazyLock<RetryPolicy> = LazyLock::new(RetryPolicy::default);
    DeliveryRules {
        tries: claimed.tries,
        expires_at: claimed.expires_at,
        retry: &RETRY,
        unknown_policy: UnknownPolicy::Resend,
    }
}

#[cfg(test)]
mod tests;
