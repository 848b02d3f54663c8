//! Tests of attempts: next state and payload.

use super::*;
use postrider_core::clock::from_millis;
use postrider_core::event::{EventKey, EventType};
use postrider_core::id::{DeliveryId, MessageId};

fn at(seconds: i64) -> Timestamp {
    from_millis(1_784_642_589_120 + seconds * 1_000)
}

fn claimed_event(tries: u32) -> ClaimedEvent {
    let event = Event {
        key: EventKey {
            delivery: DeliveryId::from_position(7, 1),
            sequence: 2,
        },
        message: MessageId::from_bytes([7; 16]),
        target: EventTarget::ApiKey("shop".to_owned()),
        channel: "sms".parse().unwrap(),
        spelling: "0912".to_owned(),
        event_type: EventType::Failed,
        failure: Some(Failure::Rejected),
        reason: Some("no".to_owned()),
        provider: Some("red".parse().unwrap()),
        at: at(0),
        status: EventStatus::Waiting { due_at: at(0) },
        tries,
        last_result: None,
    };
    ClaimedEvent { event, claims: 3 }
}

fn http_response(status: u16, retry_after: Option<u64>) -> WebhookResult {
    WebhookResult::Response {
        status,
        retry_after: retry_after.map(Duration::from_secs),
        body_excerpt: String::new(),
    }
}

fn state_after(posted: WebhookResult, tries: u32, now: Timestamp) -> EventStatus {
    let (fate, answer, _) = classify_response(posted);
    next_event_state(
        &EventsConfig::default(),
        &claimed_event(tries),
        fate,
        answer,
        now,
        0.5,
    )
    .status
}

#[test]
fn waits_follow_the_schedule_of_the_specification_and_end() {
    let mut now = at(0);
    let mut hours = Vec::new();
    for tries in 0..9 {
        let EventStatus::Waiting { due_at } = state_after(http_response(500, None), tries, now) else {
            panic!("given up after {tries}");
        };
        hours.push((due_at - now).num_minutes());
        now = due_at;
    }
    assert_eq!(hours, [0, 5, 30, 120, 300, 600, 840, 1_200, 1_440]);
    assert_eq!(
        state_after(http_response(500, None), 9, now),
        EventStatus::Dead { at: now }
    );
}

#[test]
fn answers_are_told_apart() {
    let waits = |posted| matches!(state_after(posted, 0, at(1)), EventStatus::Waiting { .. });
    for status in [301, 307, 400, 401, 404, 429, 500, 503] {
        assert!(waits(http_response(status, None)), "{status}");
    }
    assert!(waits(WebhookResult::Failed("refused".to_owned())));
    assert!(waits(WebhookResult::UntrustedCertificate("expired".to_owned())));
    assert_eq!(
        state_after(http_response(202, None), 0, at(1)),
        EventStatus::Delivered { at: at(1) }
    );
    assert_eq!(
        state_after(http_response(410, None), 0, at(1)),
        EventStatus::Dead { at: at(1) }
    );
    let forbidden = WebhookResult::Forbidden("private".to_owned());
    assert_eq!(state_after(forbidden, 0, at(1)), EventStatus::Dead { at: at(1) });
    let asked = state_after(http_response(503, Some(90)), 0, at(1));
    assert_eq!(asked, EventStatus::Waiting { due_at: at(91) });
}

#[test]
fn what_is_too_old_is_given_up_however_seldom_it_was_tried() {
    let old = at(96 * 3_600);
    assert_eq!(
        state_after(http_response(500, None), 0, old),
        EventStatus::Dead { at: old }
    );
}

#[test]
fn what_is_told_has_no_text_of_the_message_and_is_always_the_same() {
    let event = claimed_event(0).event;
    let told: serde_json::Value = serde_json::from_str(&render_payload(&event)).unwrap();
    let expected = json!({
        "type": "message.failed",
        "timestamp": "2026-07-21T14:03:09.120Z",
        "data": {
            "message_id": "07070707-0707-0707-0707-070707070707",
            "channel": "sms", "to": "0912", "status": "failed", "failure": "rejected", "reason": "no",
            "provider": "red", "sequence": 2,
        },
    });
    assert_eq!(told, expected);
    assert_eq!(render_payload(&event), render_payload(&claimed_event(5).event));
    assert_eq!(event.id().to_string(), "evt_07070707070707070707070707070707_1_2");
}

#[test]
fn a_key_signs_with_its_own_secrets_else_with_those_for_all() {
    let read = |text: &str| SigningSecrets::parse(&[text]).unwrap();
    let (one, other) = (
        read("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        read("whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="),
    );
    let key = |secrets: &SigningSecrets| ApiKey {
        name: "shop".to_owned(),
        sha256: [0; 32],
        scopes: Vec::new(),
        user_per_hour: None,
        events: crate::config::ApiKeyEvents {
            url: None,
            secrets: secrets.clone(),
        },
    };
    let none = SigningSecrets::default();
    let of_all = |secrets: &SigningSecrets| EventsConfig {
        secrets: secrets.clone(),
        ..EventsConfig::default()
    };
    assert_eq!(signing_secrets(&of_all(&one), Some(&key(&other))), Some(&other));
    assert_eq!(signing_secrets(&of_all(&one), Some(&key(&none))), Some(&one));
    assert_eq!(signing_secrets(&of_all(&one), None), Some(&one));
    assert_eq!(signing_secrets(&of_all(&none), Some(&key(&none))), None);
}
