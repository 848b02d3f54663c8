use super::*;
use crate::events::callback::test_events::{callback, delivered, event, facts, failed, sent};
use postrider_core::callback::CallbackFormat;

const ID: &str = "abababab-abab-abab-abab-abababababab";

fn built(event: &Event, level: JasminLevel, method: CallbackMethod, url: &str) -> CallbackCall {
    build(event, &callback(CallbackFormat::Jasmin { level, method }, url, &[]), level, method, &facts())
        .unwrap()
}

#[test]
fn the_answer_of_the_provider_is_level_1() {
    let call = built(&sent(), JasminLevel::Both, CallbackMethod::Post, "http://app/dlr");
    let body = format!("id={ID}&level=1&message_status=ESME_ROK&connector=red");
    assert_eq!(
        (call.method.as_str(), call.url.as_str(), call.body),
        ("POST", "http://app/dlr", body.clone())
    );
    let expected_headers = [
        ("user-agent", "Jasmin gateway/1.0 DLRThrower"),
        ("accept", "text/plain"),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    assert_eq!(call.headers, expected_headers.map(|(name, value)| (name, value.to_owned())));
    for (url, separator) in [("http://app/dlr", "?"), ("http://app/dlr?x=1", "&")] {
        let call = built(&sent(), JasminLevel::Provider, CallbackMethod::Get, url);
        assert_eq!((call.method.as_str(), call.body.as_str()), ("GET", ""));
        assert_eq!(call.url, format!("{url}{separator}{body}"));
    }
}

#[test]
fn the_final_state_is_level_2_with_the_fields_of_the_receipt() {
    let call = built(&delivered(), JasminLevel::Both, CallbackMethod::Post, "http://app/dlr");
    let body = format!(
        "id={ID}&level=2&message_status=DELIVRD&connector=00abc001&id_smsc=00abc001&sub=001&dlvrd=001\
         &subdate=2611301722&donedate=2611301724&err=000&text=ND"
    );
    assert_eq!(call.body, body);
    let format = CallbackFormat::Jasmin { level: JasminLevel::Terminal, method: CallbackMethod::Post };
    let unknown_facts = DeliveryFacts::default();
    let callback = callback(format, "http://app/", &[]);
    let call = build(&delivered(), &callback, JasminLevel::Terminal, CallbackMethod::Post, &unknown_facts);
    assert!(call.unwrap().body.contains("connector=ND&id_smsc=ND&sub=001&dlvrd=001&subdate=ND"));
}

#[test]
fn levels_select_events() {
    use JasminLevel::{Both, Provider, Terminal};
    let final_states =
        |status| [(Provider, None), (Terminal, Some(("2", status))), (Both, Some(("2", status)))];
    for (event, expected) in [
        (sent(), [(Provider, Some(("1", "ESME_ROK"))), (Terminal, None), (Both, Some(("1", "ESME_ROK")))]),
        (delivered(), final_states("DELIVRD")),
        (failed(Failure::Bounced, 2), final_states("UNDELIV")),
        (failed(Failure::InvalidRecipient, 2), final_states("UNDELIV")),
        (failed(Failure::Expired, 2), final_states("EXPIRED")),
        (failed(Failure::Cancelled, 2), final_states("DELETED")),
        (failed(Failure::Unknown, 2), final_states("UNKNOWN")),
        (failed(Failure::Rejected, 2), final_states("REJECTD")),
        (event(EventType::Waiting, None, 2), [(Provider, None), (Terminal, None), (Both, None)]),
        (event(EventType::Opened, None, 3), [(Provider, None), (Terminal, None), (Both, None)]),
    ] {
        for (level, expected) in expected {
            assert_eq!(level_and_status(&event, level), expected, "{event:?} {level:?}");
        }
    }
}

#[test]
fn a_message_that_was_never_sent_has_a_negative_answer() {
    use JasminLevel::{Both, Provider, Terminal};
    for (failure, level, expected) in [
        (Failure::InvalidRecipient, Both, ("1", "ESME_RINVDSTADR")),
        (Failure::InvalidRecipient, Provider, ("1", "ESME_RINVDSTADR")),
        (Failure::InvalidRecipient, Terminal, ("2", "UNDELIV")),
        (Failure::Rejected, Both, ("1", "ESME_RSUBMITFAIL")),
        (Failure::Rejected, Terminal, ("2", "REJECTD")),
        (Failure::Expired, Both, ("2", "EXPIRED")),
        (Failure::Expired, Provider, ("1", "ESME_RSUBMITFAIL")),
        (Failure::Exhausted, Provider, ("1", "ESME_RSUBMITFAIL")),
        (Failure::Cancelled, Terminal, ("2", "DELETED")),
    ] {
        assert_eq!(level_and_status(&failed(failure, 1), level), Some(expected), "{failure:?} {level:?}");
    }
}

#[test]
fn only_the_acknowledgement_confirms() {
    let judged = |status, body: &str| {
        judge(WebhookResult::Response { status, retry_after: None, body_excerpt: body.to_owned() }).outcome
    };
    for (status, body) in [(200, "ACK/Jasmin"), (202, " ACK/Jasmin\n"), (302, "ACK/Jasmin")] {
        assert_eq!(judged(status, body), EventOutcome::Delivered, "{status} {body}");
    }
    for (status, body) in [
        (200, ""),
        (200, "OK"),
        (200, "ack/jasmin"),
        (200, "ACK/Jasmin."),
        (400, "ACK/Jasmin"),
        (500, "ACK/Jasmin"),
    ] {
        assert_eq!(judged(status, body), EventOutcome::Retry(None), "{status} {body}");
    }
    assert_eq!(judged(404, "ACK/Jasmin"), EventOutcome::Dead);
    assert_eq!(judged(410, ""), EventOutcome::Dead);
    assert_eq!(judge(WebhookResult::Failed("refused".to_owned())).outcome, EventOutcome::Retry(None));
    assert_eq!(judge(WebhookResult::Forbidden("private".to_owned())).outcome, EventOutcome::Dead);
}
