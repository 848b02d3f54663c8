//! Every end of a round under every policy, and every receipt in every state.

mod expiry;
mod receipts;

use chrono::TimeDelta;

use super::*;

const RANDOM: f64 = 1.0;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn red() -> ConfigName {
    "red".parse().unwrap()
}

/// A delivery after 1 of at most 3 tries, at second 100 of 1,000, with delays of 30 s.
struct RoundCase {
    unknown_attempts: u32,
    unknown_retries: u32,
    at_most_once: bool,
    tries: u32,
    expires_at: i64,
    client_expires_at: Option<i64>,
}

impl Default for RoundCase {
    fn default() -> Self {
        Self {
            unknown_attempts: 0,
            unknown_retries: 1,
            at_most_once: false,
            tries: 1,
            expires_at: 1_000,
            client_expires_at: None,
        }
    }
}

impl RoundCase {
    fn transition(&self, end: RoundEnd) -> DeliveryTransition {
        let retry = RetryPolicy {
            base: Duration::from_secs(30),
            factor: 1.0,
            tries_max: 3,
            ..RetryPolicy::default()
        };
        let rules = DeliveryRules {
            tries: self.tries,
            unknown_attempts: self.unknown_attempts,
            unknown_retries: self.unknown_retries,
            at_most_once: self.at_most_once,
            expires_at: at(self.expires_at),
            client_expires_at: self.client_expires_at.map(at),
            retry: &retry,
        };
        DeliveryState::after(end, &rules, at(100), RANDOM)
    }

    fn after(&self, end: RoundEnd) -> (String, u32) {
        let next = self.transition(end);
        (state_summary(&next.state), next.tries)
    }
}

/// Returns the state in one line.
fn state_summary(state: &DeliveryState) -> String {
    match state {
        DeliveryState::Waiting { due_at, .. } => format!("waiting {}", due_at.timestamp()),
        DeliveryState::Sent { provider, reference, .. } => {
            format!("sent {provider} {}", reference.as_deref().unwrap_or("-"))
        }
        DeliveryState::Delivered { .. } => "delivered".to_owned(),
        DeliveryState::Failed { failure, .. } => format!("failed {}", failure.as_str()),
    }
}

fn decided(outcome: Outcome) -> RoundEnd {
    RoundEnd::Decided { provider: red(), outcome }
}

fn reason() -> String {
    "down".to_owned()
}

fn seconds(count: u64) -> Option<Duration> {
    Some(Duration::from_secs(count))
}

/// A state in one line, and the tries used up so far.
type ExpectedState = (&'static str, u32);

/// Every end of a round with the state that follows with one copy allowed after silence, and with none.
fn all_round_ends() -> Vec<(RoundEnd, ExpectedState, ExpectedState)> {
    let same = |end, next| (end, next, next);
    let reference = Some("r-1".to_owned());
    vec![
        same(decided(Outcome::Accepted { reference }), ("sent red r-1", 2)),
        same(decided(Outcome::Accepted { reference: None }), ("sent red -", 2)),
        same(decided(Outcome::Deferred { reason: reason(), retry_after: None }), ("waiting 130", 2)),
        same(decided(Outcome::Deferred { reason: reason(), retry_after: seconds(5) }), ("waiting 130", 2)),
        same(decided(Outcome::Deferred { reason: reason(), retry_after: seconds(90) }), ("waiting 190", 2)),
        same(decided(Outcome::Unavailable { reason: reason() }), ("waiting 130", 2)),
        same(decided(Outcome::Misconfigured { reason: reason() }), ("waiting 130", 2)),
        same(decided(Outcome::Throttled { retry_after: None }), ("waiting 130", 1)),
        same(decided(Outcome::Throttled { retry_after: seconds(7) }), ("waiting 107", 1)),
        same(decided(Outcome::Rejected { reason: reason() }), ("failed rejected", 2)),
        same(decided(Outcome::InvalidRecipient { reason: reason() }), ("failed invalid_recipient", 2)),
        (decided(Outcome::Unknown { reason: reason() }), ("waiting 130", 2), ("failed unknown", 2)),
        (RoundEnd::ClaimLost, ("waiting 130", 2), ("failed unknown", 2)),
        same(RoundEnd::AllFailed { reason: reason() }, ("waiting 130", 2)),
        same(
            RoundEnd::NoProviderAvailable {
                retry_after: Duration::from_secs(9),
                reason: reason(),
                is_requested_by_provider: false,
            },
            ("waiting 109", 1),
        ),
        same(RoundEnd::Expired, ("failed expired", 1)),
        same(RoundEnd::NoUsableAddress { reason: reason() }, ("failed invalid_recipient", 1)),
    ]
}

#[test]
fn each_end_of_a_round_leads_to_its_state() {
    for (end, resend, hold) in all_round_ends() {
        for (unknown_retries, (state, tries)) in [(1, resend), (0, hold)] {
            let case = RoundCase { unknown_retries, ..RoundCase::default() };
            assert_eq!(case.after(end.clone()), (state.to_owned(), tries), "{end:?} {unknown_retries}");
        }
        let at_most_once = RoundCase { at_most_once: true, unknown_retries: 9, ..RoundCase::default() };
        assert_eq!(at_most_once.after(end.clone()), (hold.0.to_owned(), hold.1), "{end:?} at most once");
    }
}

#[test]
fn a_message_is_sent_again_after_silence_as_often_as_configured_and_says_why_it_stops() {
    let silence = || decided(Outcome::Unknown { reason: "no answer within 1s".to_owned() });
    for (unknown_attempts, unknown_retries, expected) in
        [(0, 1, "waiting 130"), (1, 1, "failed unknown"), (1, 2, "waiting 130"), (2, 2, "failed unknown")]
    {
        let case = RoundCase { unknown_attempts, unknown_retries, ..RoundCase::default() };
        assert_eq!(case.after(silence()).0, expected, "{unknown_attempts} of {unknown_retries}");
        assert_eq!(case.after(RoundEnd::ClaimLost).0, expected, "{unknown_attempts} of {unknown_retries}");
    }
    let reason_of = |case: RoundCase| match case.transition(silence()).state {
        DeliveryState::Failed { reason, .. } => reason,
        state => panic!("{state:?}"),
    };
    assert_eq!(
        reason_of(RoundCase { unknown_attempts: 1, ..RoundCase::default() }),
        "not sent again, attempts without an answer: 2, unknown_retries = 1: no answer within 1s"
    );
    assert_eq!(
        reason_of(RoundCase { at_most_once: true, ..RoundCase::default() }),
        "not sent again, the message is at_most_once: no answer within 1s"
    );
}

#[test]
fn no_delivery_waits_after_the_last_try() {
    for (end, (state, tries), _) in all_round_ends() {
        let last = RoundCase { tries: 2, ..RoundCase::default() }.after(end.clone());
        let expected = match (state.starts_with("waiting"), tries) {
            (true, 2) => "failed exhausted",
            _ => state,
        };
        assert_eq!(last, (expected.to_owned(), tries + 1), "{end:?}");
    }
}

fn states() -> [DeliveryState; 4] {
    [
        DeliveryState::Waiting { due_at: at(0), reason: None },
        DeliveryState::Sent { provider: red(), reference: None, at: at(0) },
        DeliveryState::Delivered { at: at(0) },
        DeliveryState::failed(Failure::Rejected, "no", at(0)),
    ]
}

#[test]
fn only_waiting_deliveries_are_cancelled_and_failed_or_waiting_ones_requeued() {
    let after = |change: fn(&DeliveryState, DateTime<Utc>) -> Option<DeliveryState>| {
        states().map(|state| change(&state, at(9)).map_or("-".to_owned(), |next| state_summary(&next)))
    };
    assert_eq!(after(DeliveryState::cancel), ["failed cancelled", "-", "-", "-"]);
    assert_eq!(after(DeliveryState::requeue), ["-", "-", "-", "waiting 9"]);
    let waits = |due| DeliveryState::Waiting { due_at: at(due), reason: Some("down".to_owned()) };
    assert_eq!(waits(10).requeue(at(9)), Some(waits(9)));
    assert_eq!(waits(9).requeue(at(9)), None);
    for failure in Failure::ALL {
        let is_requeued = DeliveryState::failed(failure, "why", at(1)).requeue(at(9)).is_some();
        let is_final = matches!(failure, Failure::Cancelled | Failure::Suppressed);
        assert_eq!(is_requeued, !is_final, "{failure:?}");
    }
}

#[test]
fn the_next_step_is_described() {
    let waiting = DeliveryState::Waiting { due_at: at(60), reason: Some(reason()) };
    assert_eq!(waiting.describe_next_step(at(0)), "tried at 1970-01-01 00:01:00 UTC; waits because: down");
    assert!(waiting.describe_next_step(at(60)).starts_with("due now"));
    let [_, sent, delivered, failed] = states().map(|state| state.describe_next_step(at(0)));
    assert_eq!(sent, "none, unless red sends a receipt");
    let reason = "cancelled before it was sent".to_owned();
    let cancelled = DeliveryState::Failed { failure: Failure::Cancelled, reason, at: at(0) };
    assert_eq!(cancelled.describe_next_step(at(0)), "none: cancelled before it was sent");
    assert_eq!(delivered, "none: delivered");
    assert_eq!(failed, "none: the provider rejects this message (no)");
}

#[test]
fn names_parse_to_their_values() {
    assert_eq!(
        Failure::ALL.map(Failure::as_str).join(" "),
        "rejected invalid_recipient suppressed exhausted expired bounced cancelled unknown"
    );
    assert_eq!(
        DeliveryStateKind::ALL.map(DeliveryStateKind::as_str),
        ["waiting", "sent", "delivered", "failed"]
    );
    assert_eq!(
        Outcome::NAMES.join(" "),
        "accepted deferred unavailable throttled rejected invalid_recipient misconfigured unknown"
    );
    for failure in Failure::ALL {
        assert_eq!(Failure::parse(failure.as_str()), Some(failure));
    }
    for kind in DeliveryStateKind::ALL {
        assert_eq!(DeliveryStateKind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(Failure::parse("lost"), None);
    assert_eq!(DeliveryStateKind::parse("lost"), None);
}
