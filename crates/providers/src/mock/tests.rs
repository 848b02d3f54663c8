use std::collections::HashSet;

use super::*;
use crate::{CallLimits, conformance};

fn mock_provider(settings: &str) -> MockProvider {
    let settings = MockSettings::read(settings.parse().unwrap()).unwrap();
    MockProvider::new(&conformance::sample_context(), &settings).unwrap()
}

fn settings_error(settings: &str) -> String {
    MockSettings::read(settings.parse().unwrap())
        .unwrap_err()
        .to_string()
}

async fn send_outcomes(mock: &MockProvider, count: usize) -> Vec<&'static str> {
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        words.push(mock.send(&conformance::sample_message()).await.outcome.as_str());
    }
    words
}

#[tokio::test]
async fn keeps_the_contract() {
    for settings in [
        "",
        "failure_rate = 1",
        "receipts = \"delivered\"",
        "unknown = 0.5",
    ] {
        conformance::check_provider(&mock_provider(settings)).await;
    }
}

#[tokio::test]
async fn shares_come_out_as_told() {
    let mock = mock_provider("seed = 7\nfailure_rate = 0.2\nthrottled = 0.1\nunknown = 0.05");
    let words = send_outcomes(&mock, 10_000).await;
    for (word, share) in [
        ("unavailable", 2_000),
        ("throttled", 1_000),
        ("unknown", 500),
        ("accepted", 6_500),
    ] {
        let count = words.iter().filter(|found| **found == word).count();
        assert!(count.abs_diff(share) < 200, "{word}: {count}");
    }
}

#[tokio::test]
async fn the_same_seed_replays_the_same_luck() {
    let settings = "seed = 42\nfailure_rate = 0.5";
    assert_eq!(
        send_outcomes(&mock_provider(settings), 100).await,
        send_outcomes(&mock_provider(settings), 100).await
    );
}

#[tokio::test]
async fn luck_may_go_by_the_message_whatever_the_order_of_the_calls() {
    let mock = mock_provider("seed = 42\nseed_by = \"message\"\nfailure_rate = 0.5");
    let mut words = Vec::new();
    for number in (0..200).chain((0..200).rev()) {
        let parcel = OutboundMessage {
            delivery_id: postrider_core::id::DeliveryId::from_position(number, 0),
            ..conformance::sample_message()
        };
        words.push(mock.send(&parcel).await.outcome.as_str());
    }
    let back = words.split_off(200);
    assert!(words.iter().eq(back.iter().rev()));
    let failed = words.iter().filter(|word| **word == "unavailable").count();
    assert!((60..140).contains(&failed), "{failed}");
}

#[tokio::test]
async fn an_address_meets_its_fate() {
    let mock = mock_provider("[fates]\n\"+989122222222\" = \"rejected\"\n\"0912\" = \"invalid_recipient\"");
    let mut parcel = conformance::sample_message();
    for (to, spelling, word) in [
        ("+989122222222", "x", "rejected"),
        ("x", "0912", "invalid_recipient"),
        ("x", "x", "accepted"),
    ] {
        parcel.to = to.to_owned();
        parcel.spelling = spelling.to_owned();
        assert_eq!(mock.send(&parcel).await.outcome.as_str(), word);
    }
}

#[tokio::test]
async fn references_are_never_the_same() {
    let mock = mock_provider("");
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let Outcome::Accepted {
            reference: Some(reference),
        } = mock.send(&conformance::sample_message()).await.outcome
        else {
            panic!("a mock without settings accepts everything");
        };
        assert!(seen.insert(reference));
    }
}

async fn receive_receipts(mock: &MockProvider) -> Vec<Receipt> {
    let receipt = |incoming| match incoming {
        CallbackItem::Receipt(receipt) => receipt,
        other => panic!("nobody writes to a mock: {other:?}"),
    };
    mock.receive().await.into_iter().map(receipt).collect()
}

#[tokio::test]
async fn receipts_follow_what_was_accepted() {
    let mock = mock_provider("receipts = { delivered = 1.0, opened = 1.0 }\nreceipt_delay = \"20ms\"");
    let answer = mock.send(&conformance::sample_message()).await;
    let receipts = receive_receipts(&mock).await;
    let Outcome::Accepted { reference } = answer.outcome else {
        panic!("a mock without shares accepts everything");
    };
    let verdicts: Vec<_> = receipts.iter().map(|receipt| receipt.status.as_str()).collect();
    assert_eq!(verdicts, ["delivered", "opened"]);
    assert!(
        receipts
            .iter()
            .all(|receipt| Some(&receipt.reference) == reference.as_ref())
    );
}

#[tokio::test]
async fn a_fate_can_be_a_receipt() {
    let mock = mock_provider("fates = { \"+989122222222\" = \"invalid\" }");
    assert_eq!(
        mock.send(&conformance::sample_message()).await.outcome.as_str(),
        "accepted"
    );
    assert_eq!(receive_receipts(&mock).await[0].status.as_str(), "invalid");
}

#[tokio::test]
async fn a_receipt_that_was_waited_for_in_vain_comes_to_the_next_who_waits() {
    let mock = mock_provider("receipts = \"delivered\"\nreceipt_delay = \"100ms\"");
    mock.send(&conformance::sample_message()).await;
    let hasty = tokio::time::timeout(Duration::from_millis(1), mock.receive()).await;
    assert!(hasty.is_err());
    assert_eq!(mock.receive().await.len(), 1);
}

#[tokio::test]
async fn a_call_past_the_limit_is_unknown() {
    let settings = MockSettings::read("mean_time = \"1h\"\nseed = 1".parse().unwrap()).unwrap();
    let context = AdapterContext {
        limits: CallLimits {
            call_timeout: Duration::from_millis(5),
            ..conformance::sample_limits()
        },
        ..conformance::sample_context()
    };
    let mock = MockProvider::new(&context, &settings).unwrap();
    assert_eq!(send_outcomes(&mock, 1).await, ["unknown"]);
}

#[test]
fn wrong_settings_name_the_key_and_the_remedy() {
    for (settings, parts) in [
        ("failure_rat = 0.1", ["failure_rat", "expected one of"]),
        ("failure_rate = 1.5", ["failure_rate", "from 0 to 1"]),
        ("failure_rate = \"much\"", ["failure_rate", "expected"]),
        ("unknown = nan", ["unknown", "from 0 to 1"]),
        (
            "failure_rate = 0.6\nrejected = 0.6",
            ["failure_rate, rejected", "lower them"],
        ),
        ("mean_time = \"20\"", ["mean_time", "\"500ms\""]),
        ("receipts = \"some\"", ["receipts", "\"delivered\""]),
        (
            "receipts = { delivered = 2 }",
            ["receipts.delivered", "from 0 to 1"],
        ),
        ("receipts = { deliverd = 1 }", ["receipts", "deliverd"]),
        ("fates = { \"1\" = \"lost\" }", ["fates.1", "invalid_recipient"]),
    ] {
        let error = settings_error(settings);
        assert!(
            parts.iter().all(|part| error.contains(part)),
            "{settings}: {error}"
        );
    }
}

#[test]
fn shares_that_add_up_to_one_are_taken() {
    mock_provider("failure_rate = 0.7\nrejected = 0.2\nunknown = 0.1");
}
