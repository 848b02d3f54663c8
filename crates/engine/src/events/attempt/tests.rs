//! Tests of attempts: next state and payload.

use super::*;
use crate::config::ApiKey;
use postrider_core::clock::from_millis;
use postrider_core::event::{EventKey, EventType};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_providers::webhook::WebhookResult;
use std::time::Duration;

fn at(seconds: i64) -> Timestamp {
    from_millis(1_784_642_589_120 + seconds * 1_000)
}

fn claimed_event(tries: u32) -> ClaimedEvent {
    let event = Event {
        key: EventKey { delivery: DeliveryId::from_position(7, 1), sequence: 2 },
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

fn state_after(response: WebhookResult, tries: u32, now: Timestamp) -> EventStatus {
    let CallVerdict { outcome, description, .. } = CallVerdict::from_result(response);
    next_event_state(&EventsConfig::default(), &claimed_event(tries), outcome, description, now, 0.5).status
}

#[test]
fn delays_follow_the_retry_schedule_and_end() {
    let mut now = at(0);
    let mut minutes = Vec::new();
    for tries in 0..9 {
        let EventStatus::Waiting { due_at } = state_after(http_response(500, None), tries, now) else {
            panic!("dead after {tries} attempts");
        };
        minutes.push((due_at - now).num_minutes());
        now = due_at;
    }
    assert_eq!(minutes, [0, 5, 30, 120, 300, 600, 840, 1_200, 1_440]);
    assert_eq!(state_after(http_response(500, None), 9, now), EventStatus::Dead { at: now });
}

#[test]
fn responses_are_classified() {
    let is_retried = |response| matches!(state_after(response, 0, at(1)), EventStatus::Waiting { .. });
    for status in [301, 307, 400, 401, 404, 429, 500, 503] {
        assert!(is_retried(http_response(status, None)), "{status}");
    }
    assert!(is_retried(WebhookResult::Failed("refused".to_owned())));
    assert!(is_retried(WebhookResult::UntrustedCertificate("expired".to_owned())));
    assert_eq!(state_after(http_response(202, None), 0, at(1)), EventStatus::Delivered { at: at(1) });
    assert_eq!(state_after(http_response(410, None), 0, at(1)), EventStatus::Dead { at: at(1) });
    let forbidden = WebhookResult::Forbidden("private".to_owned());
    assert_eq!(state_after(forbidden, 0, at(1)), EventStatus::Dead { at: at(1) });
    let state_after_wait = state_after(http_response(503, Some(90)), 0, at(1));
    assert_eq!(state_after_wait, EventStatus::Waiting { due_at: at(91) });
}

#[test]
fn an_event_past_its_maximum_age_is_dead_whatever_the_number_of_attempts() {
    let age_max_passed_at = at(96 * 3_600);
    assert_eq!(
        state_after(http_response(500, None), 0, age_max_passed_at),
        EventStatus::Dead { at: age_max_passed_at }
    );
}

#[test]
fn the_payload_has_no_message_body_and_is_the_same_for_each_attempt() {
    let event = claimed_event(0).event;
    let payload: serde_json::Value = serde_json::from_str(&render_payload(&event)).unwrap();
    let expected = json!({
        "type": "message.failed",
        "timestamp": "2026-07-21T14:03:09.120Z",
        "data": {
            "message_id": "07070707-0707-0707-0707-070707070707",
            "channel": "sms", "to": "0912", "status": "failed", "failure": "rejected", "reason": "no",
            "provider": "red", "sequence": 2,
        },
    });
    assert_eq!(payload, expected);
    assert_eq!(render_payload(&event), render_payload(&claimed_event(5).event));
    assert_eq!(event.id().to_string(), "evt_07070707070707070707070707070707_1_2");
}

#[test]
fn the_secrets_of_an_api_key_precede_those_of_the_events_section() {
    let parse = |text: &str| SigningSecrets::parse(&[text]).unwrap();
    let (general_secrets, key_secrets) = (
        parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        parse("whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="),
    );
    let key = |secrets: &SigningSecrets| ApiKey {
        name: "shop".to_owned(),
        sha256: Some([0; 32]),
        scopes: Vec::new(),
        user_per_hour: None,
        limits: Default::default(),
        is_shared: false,
        account: Default::default(),
        events: crate::config::ApiKeyEvents { url: None, secrets: secrets.clone() },
    };
    let none = SigningSecrets::default();
    let general =
        |secrets: &SigningSecrets| EventsConfig { secrets: secrets.clone(), ..EventsConfig::default() };
    assert_eq!(signing_secrets(&general(&general_secrets), Some(&key(&key_secrets))), Some(&key_secrets));
    assert_eq!(signing_secrets(&general(&general_secrets), Some(&key(&none))), Some(&general_secrets));
    assert_eq!(signing_secrets(&general(&general_secrets), None), Some(&general_secrets));
    assert_eq!(signing_secrets(&general(&none), Some(&key(&none))), None);
}
