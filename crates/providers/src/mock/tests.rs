//! Tests of the mock provider.

use std::collections::HashSet;

use super::*;
use crate::CallLimits;
use crate::testing::conformance;

fn mock_provider(settings: &str) -> MockProvider {
    let settings = MockSettings::read(settings.parse().unwrap()).unwrap();
    MockProvider::new(&conformance::sample_context(), &settings).unwrap()
}

fn settings_error(settings: &str) -> String {
    MockSettings::read(settings.parse().unwrap()).unwrap_err().to_string()
}

async fn send_outcomes(mock: &MockProvider, count: usize) -> Vec<&'static str> {
    let mut outcomes = Vec::with_capacity(count);
    for _ in 0..count {
        outcomes.push(mock.send(&conformance::sample_message()).await.outcome.as_str());
    }
    outcomes
}

#[tokio::test]
async fn the_adapter_conforms() {
    for settings in ["", "failure_rate = 1", "receipts = \"delivered\"", "unknown = 0.5"] {
        conformance::check_provider(&mock_provider(settings)).await;
    }
}

#[tokio::test]
async fn outcomes_have_the_configured_shares() {
    let mock = mock_provider("seed = 7\nfailure_rate = 0.2\nthrottled = 0.1\nunknown = 0.05");
    let outcomes = send_outcomes(&mock, 10_000).await;
    for (outcome, share) in
        [("unavailable", 2_000), ("throttled", 1_000), ("unknown", 500), ("accepted", 6_500)]
    {
        let count = outcomes.iter().filter(|found| **found == outcome).count();
        assert!(count.abs_diff(share) < 200, "{outcome}: {count}");
    }
}

#[tokio::test]
async fn the_same_seed_has_the_same_results() {
    let settings = "seed = 42\nfailure_rate = 0.5";
    assert_eq!(
        send_outcomes(&mock_provider(settings), 100).await,
        send_outcomes(&mock_provider(settings), 100).await
    );
}

#[tokio::test]
async fn results_seeded_by_message_do_not_depend_on_the_order_of_the_calls() {
    let mock = mock_provider("seed = 42\nseed_by = \"message\"\nfailure_rate = 0.5");
    let mut outcomes = Vec::new();
    for number in (0..200).chain((0..200).rev()) {
        let message = OutboundMessage {
            delivery_id: postrider_core::id::DeliveryId::from_position(number, 0),
            ..conformance::sample_message()
        };
        outcomes.push(mock.send(&message).await.outcome.as_str());
    }
    let reversed = outcomes.split_off(200);
    assert!(outcomes.iter().eq(reversed.iter().rev()));
    let failed = outcomes.iter().filter(|outcome| **outcome == "unavailable").count();
    assert!((60..140).contains(&failed), "{failed}");
}

#[tokio::test]
async fn an_address_has_its_configured_outcome() {
    let mock =
        mock_provider("[outcomes]\n\"+989122222222\" = \"rejected\"\n\"0912\" = \"invalid_recipient\"");
    let mut message = conformance::sample_message();
    for (to, spelling, outcome) in
        [("+989122222222", "x", "rejected"), ("x", "0912", "invalid_recipient"), ("x", "x", "accepted")]
    {
        message.to = to.to_owned();
        message.spelling = spelling.to_owned();
        assert_eq!(mock.send(&message).await.outcome.as_str(), outcome);
    }
}

#[tokio::test]
async fn every_failure_has_the_reason_of_the_mock() {
    for key in ["failure_rate", "deferred", "rejected", "invalid_recipient", "misconfigured", "unknown"] {
        let result = mock_provider(&format!("{key} = 1")).send(&conformance::sample_message()).await;
        assert_eq!(result.outcome.reason(), Some("configured in the mock"), "{key}");
    }
    let bounced = mock_provider("receipts = { bounced = 1 }");
    bounced.send(&conformance::sample_message()).await;
    assert_eq!(receive_receipts(&bounced).await[0].status.reason(), Some("configured in the mock"));
}

#[tokio::test]
async fn references_are_unique() {
    let mock = mock_provider("");
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let Outcome::Accepted { reference: Some(reference) } =
            mock.send(&conformance::sample_message()).await.outcome
        else {
            panic!("a mock without settings accepts everything");
        };
        assert!(seen.insert(reference));
    }
}

async fn receive_receipts(mock: &MockProvider) -> Vec<Receipt> {
    let receipt = |item| match item {
        CallbackItem::Receipt(receipt) => receipt,
        other => panic!("expected a receipt: {other:?}"),
    };
    mock.receive().await.into_iter().map(receipt).collect()
}

#[tokio::test]
async fn accepted_messages_get_receipts() {
    let mock = mock_provider("receipts = { delivered = 1.0, opened = 1.0 }\nreceipt_delay = \"20ms\"");
    let result = mock.send(&conformance::sample_message()).await;
    let receipts = receive_receipts(&mock).await;
    let Outcome::Accepted { reference } = result.outcome else {
        panic!("a mock without shares accepts everything");
    };
    let statuses: Vec<_> = receipts.iter().map(|receipt| receipt.status.as_str()).collect();
    assert_eq!(statuses, ["delivered", "opened"]);
    assert!(receipts.iter().all(|receipt| Some(&receipt.reference) == reference.as_ref()));
}

#[tokio::test]
async fn an_address_can_have_a_configured_receipt() {
    let mock = mock_provider("outcomes = { \"+989122222222\" = \"invalid\" }");
    assert_eq!(mock.send(&conformance::sample_message()).await.outcome.as_str(), "accepted");
    assert_eq!(receive_receipts(&mock).await[0].status.as_str(), "invalid");
}

#[tokio::test]
async fn a_cancelled_receive_loses_no_receipt() {
    let mock = mock_provider("receipts = \"delivered\"\nreceipt_delay = \"100ms\"");
    mock.send(&conformance::sample_message()).await;
    let cancelled = tokio::time::timeout(Duration::from_millis(1), mock.receive()).await;
    assert!(cancelled.is_err());
    assert_eq!(mock.receive().await.len(), 1);
}

#[tokio::test]
async fn a_call_past_its_time_limit_is_unknown() {
    let settings = MockSettings::read("mean_time = \"1h\"\nseed = 1".parse().unwrap()).unwrap();
    let context = AdapterContext {
        limits: CallLimits { call_timeout: Duration::from_millis(5), ..conformance::sample_limits() },
        ..conformance::sample_context()
    };
    let mock = MockProvider::new(&context, &settings).unwrap();
    assert_eq!(send_outcomes(&mock, 1).await, ["unknown"]);
}

#[test]
fn invalid_settings_are_rejected_with_key_and_remedy() {
    for (settings, parts) in [
        ("failure_rat = 0.1", ["failure_rat", "expected one of"]),
        ("failure_rate = 1.5", ["failure_rate", "from 0 to 1"]),
        ("failure_rate = \"much\"", ["failure_rate", "expected"]),
        ("unknown = nan", ["unknown", "from 0 to 1"]),
        ("failure_rate = 0.6\nrejected = 0.6", ["failure_rate, rejected", "lower them"]),
        ("mean_time = \"20\"", ["mean_time", "\"500ms\""]),
        ("receipts = \"some\"", ["receipts", "\"delivered\""]),
        ("receipts = { delivered = 2 }", ["receipts.delivered", "from 0 to 1"]),
        ("receipts = { deliverd = 1 }", ["receipts", "deliverd"]),
        ("outcomes = { \"1\" = \"lost\" }", ["outcomes.1", "invalid_recipient"]),
    ] {
        let error = settings_error(settings);
        assert!(parts.iter().all(|part| error.contains(part)), "{settings}: {error}");
    }
}

#[test]
fn shares_with_a_sum_of_one_are_accepted() {
    let settings = "failure_rate = 0.7\nrejected = 0.2\nunknown = 0.1";
    assert!(MockSettings::read(settings.parse().unwrap()).is_ok());
    let one_more = "failure_rate = 0.7\nrejected = 0.2\nunknown = 0.11";
    assert!(settings_error(one_more).contains("lower them"));
}
