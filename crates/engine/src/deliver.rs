//! Delivers messages: claims due deliveries, tries the providers of the channel, and records the round.
//!
//! Each step may be repeated: only one claim of a delivery succeeds, and only the newest claim can record a round.

use postrider_core::address::{PhoneRules, outgoing_address};
use postrider_core::attempt::{Attempt, LOST_ROUND_REASON, Outcome};
use postrider_core::circuit_breaker::ProbeUrgency;
use postrider_core::clock::{Timestamp, saturating_add};
use postrider_core::delivery::{DeliveryRules, DeliveryState, DeliveryTransition, RoundEnd, is_near_expiry};
use postrider_core::error::{Error, ErrorKind};
use postrider_core::recipient::RecipientStatus;
use postrider_core::retry::{RetryPolicy, UNKNOWN_RETRIES_DEFAULT};
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::{id::DeliveryId, name::ConfigName, queue_entry::QueueEntry};
use std::{sync::LazyLock, time::Duration};

use crate::due::find_due;
use crate::gateway::{Gateway, ProviderBusy, ProviderRuntime, Route, STORE_RETRY_DELAY};
use crate::provider_runtime::{BUSY_RETRY_MIN, CallPermit};
use addresses::{ChosenAddress, DeliveryAddresses};
use postrider_providers::OutboundMessage;

mod addresses;

/// Delay before a delivery of an unconfigured channel is tried again.
const NOT_CONFIGURED_RETRY_DELAY: Duration = Duration::from_secs(60);

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
/// through a round; a claim without a recorded round counts as outcome `unknown`.
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
        expires_at: transition.expires_at,
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
        Ok(Some(RecordResult::AlreadySettled)) => {
            log::info!("deliver: a receipt settled the delivery during the call; delivery={id}");
        }
        Ok(Some(RecordResult::Superseded) | None) => {
            log::warn!("deliver: round not recorded, delivery was claimed by another worker; delivery={id}");
        }
        Err(error) => {
            let log_message = "deliver: recording a round failed, the attempt will count as unknown";
            gateway.back_off_after_store_error(log_message, &error).await;
        }
    }
}

/// Records a round. If the store is unavailable, tries again until the lease may have ended, because a message whose
/// round is not recorded is sent again.
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

/// Tries the providers and returns the attempts and the new state. Every call to a provider is made by this function.
async fn attempt_delivery(gateway: &Gateway, claim: &LeasedDelivery) -> (Vec<Attempt>, DeliveryTransition) {
    let (now, claimed) = (gateway.clock.now(), &claim.claimed);
    let Some(route) = gateway.route(claimed.channel.as_str()) else {
        let round_end = RoundEnd::NoProviderAvailable {
            retry_after: NOT_CONFIGURED_RETRY_DELAY,
            reason: format!("channel {} is not configured", claimed.channel),
            is_requested_by_provider: false,
        };
        let rules = delivery_rules(claimed, &DEFAULT_RETRY, UNKNOWN_RETRIES_DEFAULT);
        let attempts = (0..claimed.unrecorded_claims).map(|_| lost_attempt(now)).collect();
        return (attempts, DeliveryState::after(round_end, &rules, now, 1.0));
    };
    let mut rules = delivery_rules(claimed, &route.channel.retry, route.unknown_retries(None));
    let mut attempts = Vec::new();
    for earlier_rounds in 1..=claimed.unrecorded_claims {
        attempts.push(lost_attempt(now));
        log_unknown(route, claimed, None, LOST_ROUND_REASON, now);
        let transition = DeliveryState::after(RoundEnd::ClaimLost, &rules, now, gateway.random.fraction());
        rules.tries = transition.tries;
        rules.unknown_attempts += 1;
        if matches!(transition.state, DeliveryState::Failed { .. }) {
            // Every round that may have sent a copy is shown, also those after the one that ends the delivery.
            attempts.extend((earlier_rounds..claimed.unrecorded_claims).map(|_| lost_attempt(now)));
            return (attempts, transition);
        }
    }
    let round_end = if now >= claimed.expires_at {
        RoundEnd::Expired
    } else {
        try_providers(gateway, route, claim, &mut attempts).await
    };
    let now = gateway.clock.now();
    if let RoundEnd::Decided { provider, outcome: Outcome::Unknown { reason } } = &round_end {
        rules.unknown_retries = route.unknown_retries(Some(provider));
        log_unknown(route, claimed, Some(provider), reason, now);
    }
    if may_not_repeat(&round_end, route) {
        rules.unknown_retries = 0;
    }
    (attempts, DeliveryState::after(round_end, &rules, now, gateway.random.fraction()))
}

/// Retry policy of a delivery over an unconfigured channel. The delivery waits, because the channel may be configured
/// again.
static DEFAULT_RETRY: LazyLock<RetryPolicy> = LazyLock::new(RetryPolicy::default);

fn delivery_rules<'r>(
    claimed: &ClaimedDelivery,
    retry: &'r RetryPolicy,
    unknown_retries: u32,
) -> DeliveryRules<'r> {
    DeliveryRules {
        tries: claimed.tries,
        unknown_attempts: claimed.unknown_attempts,
        unknown_retries,
        at_most_once: claimed.at_most_once,
        expires_at: claimed.expires_at,
        client_expires_at: claimed.client_expires_at,
        retry,
    }
}

/// Logs the first attempt without an answer; at most one line a minute for each channel.
fn log_unknown(
    route: &Route,
    claimed: &ClaimedDelivery,
    provider: Option<&ConfigName>,
    reason: &str,
    now: Timestamp,
) {
    if !route.may_log_unknown(now) {
        return;
    }
    log::warn!(
        "deliver: no answer after the request had left, the message may arrive twice; delivery={} provider={} \
         channel={} attempts_before={} unknown_retries={} at_most_once={}: {reason}",
        claimed.id,
        provider.map_or("unknown", ConfigName::as_str),
        claimed.channel,
        claimed.unknown_attempts,
        route.unknown_retries(provider),
        claimed.at_most_once,
    );
}

/// Tries the providers of the channel in routing order and returns how the round ended.
///
/// Stops at the first outcome that concerns the message or its last usable address; after an outcome that concerns the
/// provider, the next provider is tried. A provider is skipped if its call could outlast the lease, because another
/// worker may claim the delivery before that call returns and send the message a second time. Shortly before the expiry
/// providers with an open circuit breaker are probed, because the delivery would otherwise expire without a try.
async fn try_providers(
    gateway: &Gateway,
    route: &Route,
    claim: &LeasedDelivery,
    attempts: &mut Vec<Attempt>,
) -> RoundEnd {
    let (now, claimed) = (gateway.clock.now(), &claim.claimed);
    let addresses = DeliveryAddresses::new(claimed, route);
    if !addresses.has_usable_address(route) {
        let reason = addresses::no_usable_address_reason(route);
        return RoundEnd::NoUsableAddress { reason };
    }
    let avoid = provider_to_avoid(route, claimed, &addresses);
    let message = build_outbound_message(claimed, route);
    let mut round = Round {
        gateway,
        route,
        claim,
        attempts,
        addresses,
        message,
        soonest_available: None,
        last_failure: None,
        skip_reasons: Vec::new(),
    };
    let in_order = route.order(avoid, now);
    for runtime in &in_order {
        if let Some(round_end) = round.try_provider(runtime, ProbeUrgency::AfterOpenPeriod).await {
            return round_end;
        }
    }
    if is_near_expiry(now, claimed.expires_at) {
        let was_in_order =
            |runtime: &ProviderRuntime| in_order.iter().any(|tried| tried.name == runtime.name);
        for runtime in route.providers().iter().filter(|runtime| !was_in_order(runtime)) {
            if let Some(round_end) = round.try_provider(runtime, ProbeUrgency::BeforeExpiry).await {
                return round_end;
            }
        }
    }
    round.end(avoid, now)
}

/// One pass over the providers of a channel.
struct Round<'r> {
    gateway: &'r Gateway,
    route: &'r Route,
    claim: &'r LeasedDelivery,
    attempts: &'r mut Vec<Attempt>,
    addresses: DeliveryAddresses<'r>,
    message: OutboundMessage,
    soonest_available: Option<ProviderBusy>,
    last_failure: Option<String>,
    skip_reasons: Vec<String>,
}

impl Round<'_> {
    /// Calls a provider unless it is busy; returns the end of the round if no further provider is tried.
    async fn try_provider(&mut self, runtime: &ProviderRuntime, urgency: ProbeUrgency) -> Option<RoundEnd> {
        let Some(to) = self.addresses.address_for(runtime) else {
            self.skip_reasons.push(addresses::skip_reason(runtime));
            return None;
        };
        set_recipient(&mut self.message, to, &self.gateway.config.phone);
        let permit =
            match acquire_within_lease(self.gateway, runtime, self.claim, &self.message, urgency).await {
                Ok(permit) => permit,
                Err(busy) => {
                    keep_soonest(&mut self.soonest_available, busy);
                    return None;
                }
            };
        self.message.registered_at =
            registration_time(self.gateway, runtime, &self.claim.claimed, to.address).await;
        let mut attempt = runtime.call(permit, &self.message, &self.gateway.clock).await;
        attempt.address = self.addresses.has_contacts().then(|| to.address.to_owned());
        let outcome = attempt.outcome.clone();
        self.attempts.push(attempt);
        if matches!(outcome, Outcome::InvalidRecipient { .. }) {
            self.addresses.mark_invalid(to.address);
        }
        if ends_round(&outcome, &self.addresses, self.route) {
            return Some(RoundEnd::Decided { provider: runtime.name.clone(), outcome });
        }
        match outcome {
            Outcome::Throttled { .. } => {
                let busy = runtime.unavailability(self.gateway.clock.now());
                keep_soonest(&mut self.soonest_available, busy);
            }
            outcome => self.last_failure = Some(describe_failure(runtime, &outcome)),
        }
        None
    }

    /// Returns the end of a round in which no provider decided about the message.
    fn end(self, avoid: Option<&ConfigName>, now: Timestamp) -> RoundEnd {
        if let Some(reason) = self.last_failure {
            return RoundEnd::AllFailed { reason: [vec![reason], self.skip_reasons].concat().join("; ") };
        }
        let is_usable = |runtime: &ProviderRuntime| self.addresses.address_for(runtime).is_some();
        let soonest = self.soonest_available;
        let busy = soonest.unwrap_or_else(|| self.route.soonest_available(avoid, now, is_usable));
        no_provider_available(busy, self.gateway.random.fraction())
    }
}

/// Acquires a permit for a call that ends within the lease.
async fn acquire_within_lease<'r>(
    gateway: &Gateway,
    runtime: &'r ProviderRuntime,
    claim: &LeasedDelivery,
    message: &OutboundMessage,
    urgency: ProbeUrgency,
) -> Result<CallPermit<'r>, ProviderBusy> {
    let could_outlast_lease =
        || saturating_add(gateway.clock.now(), runtime.call_timeout) > claim.lease_expires_at;
    if could_outlast_lease() {
        return Err(lease_too_short(runtime));
    }
    let (parts, now) = (runtime.part_count(message), gateway.clock.now());
    let permit = match urgency {
        ProbeUrgency::AfterOpenPeriod => runtime.acquire(parts, now).await?,
        ProbeUrgency::BeforeExpiry => runtime.acquire_early_probe(parts, now).await?,
    };
    if !runtime.adapter().extra_call_time().is_zero() && !extend_lease(gateway, runtime, claim).await {
        runtime.release(permit, gateway.clock.now());
        return Err(lease_too_short(runtime));
    }
    // The rate limiter and the probe wait for the store, which can take long.
    if could_outlast_lease() {
        runtime.release(permit, gateway.clock.now());
        return Err(lease_too_short(runtime));
    }
    Ok(permit)
}

/// Returns whether the round ended without an answer of a provider that usually has accepted the message when it does
/// not answer.
fn may_not_repeat(round_end: &RoundEnd, route: &Route) -> bool {
    let RoundEnd::Decided { provider, outcome: Outcome::Unknown { .. } } = round_end else { return false };
    let mut runtimes = route.providers().iter();
    runtimes.any(|runtime| runtime.name == *provider && !runtime.adapter().repeats_unknown())
}

/// Extends the lease for a provider whose call can take longer than a lease. Returns false if another worker has
/// claimed the delivery, or if the store is unavailable.
async fn extend_lease(gateway: &Gateway, runtime: &ProviderRuntime, claim: &LeasedDelivery) -> bool {
    let call_ends_at = saturating_add(gateway.clock.now(), runtime.call_time_max());
    let lease_expires_at = saturating_add(call_ends_at, gateway.config.work.lease);
    if lease_expires_at <= claim.lease_expires_at {
        return true;
    }
    match gateway.store.extend_lease(&claim.claimed, lease_expires_at).await {
        Ok(is_extended) => is_extended,
        Err(error) => {
            gateway
                .record_store_error("deliver: extending a lease failed, the provider is not called", &error);
            false
        }
    }
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
        retry_after: BUSY_RETRY_MIN,
        jitter_max: Duration::ZERO,
        is_requested_by_provider: false,
        reason: format!("not enough lease time left for a call to {}", runtime.name),
    }
}

fn no_provider_available(busy: ProviderBusy, jitter_fraction: f64) -> RoundEnd {
    RoundEnd::NoProviderAvailable {
        retry_after: busy.retry_after + busy.jitter_max.mul_f64(jitter_fraction),
        reason: busy.reason,
        is_requested_by_provider: busy.is_requested_by_provider,
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
        outcome: Outcome::Unknown { reason: LOST_ROUND_REASON.to_owned() },
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

/// Returns when an app last registered the address, for an adapter that uses this time. If the read fails, the time is
/// none, and a provider's verdict about the address counts in any case.
async fn registration_time(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    claimed: &ClaimedDelivery,
    address: &str,
) -> Option<Timestamp> {
    if !runtime.adapter().uses_registration_time() {
        return None;
    }
    let recipient = gateway.store.recipient(&claimed.channel, address).await.ok()??;
    (recipient.status == RecipientStatus::Active).then_some(recipient.changed_at)
}

/// Builds the outbound message without its recipient.
fn build_outbound_message(claimed: &ClaimedDelivery, route: &Route) -> OutboundMessage {
    OutboundMessage {
        delivery_id: claimed.id,
        message_id: claimed.message,
        round: claimed.round,
        to: String::new(),
        spelling: String::new(),
        registered_at: None,
        sender: claimed.sender.clone(),
        subject: claimed.subject.clone().or_else(|| route.channel.subject.clone()),
        body: claimed.body.clone(),
        parts: claimed.parts,
        expires_at: claimed.expires_at,
    }
}

#[cfg(test)]
mod tests;
