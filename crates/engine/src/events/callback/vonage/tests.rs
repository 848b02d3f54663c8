use super::*;
use crate::events::callback::test_events::{callback, delivered, event, failed, sent};
use postrider_core::callback::CallbackFormat;
use serde_json::json;

#[test]
fn a_receipt_has_the_fields_of_the_reference() {
    let fields = [("to", "AcmeInc"), ("api-key", "abcd1234"), ("client-ref", "01J9ZC5T")];
    let callback = callback(CallbackFormat::Vonage, "https://gw.example.org/dlr", &fields);
    let call = build(&delivered(), &callback).unwrap();
    let expected = json!({
        "msisdn": "15005550001", "to": "AcmeInc", "network-code": "", "messageId": "AB".repeat(16),
        "price": "0.00000000", "status": "delivered", "scts": "2611301724", "err-code": "0",
        "api-key": "abcd1234", "client-ref": "01J9ZC5T", "message-timestamp": "2026-11-30 17:24:00",
    });
    assert_eq!(serde_json::from_str::<Value>(&call.body).unwrap(), expected);
    assert_eq!((call.method.as_str(), call.url.as_str()), ("POST", "https://gw.example.org/dlr"));
    assert_eq!(call.headers, [("content-type", "application/json".to_owned())]);
}

#[test]
fn only_final_states_are_told() {
    let callback = callback(CallbackFormat::Vonage, "https://gw.example.org/dlr", &[]);
    for event in [sent(), event(EventType::Waiting, None, 2), event(EventType::Opened, None, 3)] {
        assert_eq!(build(&event, &callback), Err(NoCall::NotAskedFor), "{event:?}");
    }
    for (failure, expected) in [
        (Failure::Bounced, ("failed", "1")),
        (Failure::Exhausted, ("failed", "1")),
        (Failure::InvalidRecipient, ("failed", "3")),
        (Failure::Rejected, ("rejected", "10")),
        (Failure::Suppressed, ("rejected", "9")),
        (Failure::Expired, ("expired", "1")),
        (Failure::Unknown, ("unknown", "1")),
        (Failure::Cancelled, ("failed", "1")),
    ] {
        assert_eq!(status_and_error(&failed(failure, 2)), Some(expected), "{failure:?}");
    }
}
