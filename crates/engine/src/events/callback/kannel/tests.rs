use super::*;
use crate::events::callback::test_events::{callback, delivered, event, facts, failed, sent};
use postrider_core::callback::CallbackFormat;

/// The pattern of the recorded request of Kannel 1.4.5.
const PATTERN: &str = "http://app/dlr?my=42&d=%d&a=%a&t=%t&T=%T&p=%p&P=%P&F=%F&n=%n&o=%o";

fn url(event: &Event, mask: u8) -> Result<String, NoCall> {
    let callback = callback(CallbackFormat::Kannel { mask }, PATTERN, &[("P", "Acme"), ("n", "u")]);
    build(event, &callback, mask, &facts()).map(|call| call.url)
}

#[test]
fn reports_are_those_that_kannel_sends() {
    let common = "t=2026-11-30+17:24:00&T=1796059440&p=%2B15005550001&P=Acme&F=00abc001&n=u&o=";
    assert_eq!(url(&sent(), 31).unwrap(), format!("http://app/dlr?my=42&d=8&a=ACK%2F&{common}"));
    let receipt = "id%3A00abc001+sub%3A001+dlvrd%3A001+submit+date%3A2611301722+done+date%3A2611301724\
                   +stat%3ADELIVRD+err%3A000+text%3A";
    let expected = format!("http://app/dlr?my=42&d=1&a={receipt}&{common}");
    assert_eq!(url(&delivered(), 31).unwrap(), expected);
}

#[test]
fn the_request_is_a_get_with_the_user_agent_of_kannel() {
    let callback = callback(CallbackFormat::Kannel { mask: 8 }, PATTERN, &[]);
    let call = build(&sent(), &callback, 8, &facts()).unwrap();
    assert_eq!((call.method.as_str(), call.body.as_str()), ("GET", ""));
    assert_eq!(call.headers, [("user-agent", "Kannel/1.4.5".to_owned())]);
}

#[test]
fn the_value_of_an_event_is_that_of_the_table() {
    for (event, expected) in [
        (sent(), Some(8)),
        (delivered(), Some(1)),
        (event(EventType::Waiting, None, 2), Some(4)),
        (event(EventType::Opened, None, 3), None),
        (failed(Failure::Bounced, 2), Some(2)),
        (failed(Failure::Exhausted, 1), Some(2)),
        (failed(Failure::InvalidRecipient, 2), Some(2)),
        (failed(Failure::InvalidRecipient, 1), Some(16)),
        (failed(Failure::Rejected, 1), Some(16)),
        (failed(Failure::Suppressed, 1), Some(16)),
        (failed(Failure::Expired, 1), Some(2)),
        (failed(Failure::Cancelled, 1), Some(2)),
        (failed(Failure::Unknown, 1), Some(2)),
    ] {
        assert_eq!(dlr_value(&event), expected, "{event:?}");
    }
}

#[test]
fn the_mask_selects_events() {
    for (mask, expected) in [
        (0, vec![]),
        (1, vec![1]),
        (2, vec![2, 16]),
        (4, vec![4]),
        (8, vec![8]),
        (16, vec![16]),
        (19, vec![1, 2, 16]),
        (31, vec![1, 2, 4, 8, 16]),
    ] {
        let told: Vec<u8> = [1, 2, 4, 8, 16].into_iter().filter(|value| is_asked_for(*value, mask)).collect();
        assert_eq!(told, expected, "mask {mask}");
    }
    assert_eq!(url(&sent(), 19), Err(NoCall::NotAskedFor));
}

#[test]
fn refusals_have_the_words_of_kannel() {
    let text = |event: &Event| report_text(event, dlr_value(event).unwrap(), &facts());
    assert_eq!(text(&failed(Failure::InvalidRecipient, 1)), "NACK/0x0000000b/Invalid Destination Address");
    assert_eq!(text(&failed(Failure::Rejected, 1)), "NACK/0x00000045/Submit Failed");
    let expired = "id:00abc001 sub:001 dlvrd:000 submit date:2611301722 done date:2611301724 stat:EXPIRED err:001 text:";
    assert_eq!(text(&failed(Failure::Expired, 2)), expired);
}
