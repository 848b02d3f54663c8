//! What an answer makes of an event, and what is told.

use super::*;
use crate::clock::from_millis;
use crate::domain::event::{EventKey, Happening};
use crate::domain::id::{DeliveryId, MessageId};

fn at(seconds: i64) -> Timestamp {
    from_millis(1_784_642_589_120 + seconds * 1_000)
}

fn claimed(tries: u32) -> ClaimedEvent {
    let event = Event {
        key: EventKey {
            delivery: DeliveryId::of(7, 1),
            sequence: 2,
        },
        message: MessageId::from_bytes([7; 16]),
        watch: Watch::Key("shop".to_owned()),
        channel: "sms".parse().unwrap(),
        spelling: "0912".to_owned(),
        what: Happening::Failed,
        failure: Some(Failure::Rejected),
        reason: Some("no".to_owned()),
        provider: Some("red".parse().unwrap()),
        at: at(0),
        standing: EventStanding::Waiting { due_at: at(0) },
        tries,
        answer: None,
    };
    ClaimedEvent { event, claims: 3 }
}

fn answered(status: u16, retry_after: Option<u64>) -> Posted {
    Posted::Answered {
        status,
        retry_after: retry_after.map(Duration::from_secs),
        words: String::new(),
    }
}

fn after(posted: Posted, tries: u32, now: Timestamp) -> EventStanding {
    let (fate, answer, _) = read(posted);
    end(&Events::default(), &claimed(tries), fate, answer, now, 0.5).standing
}

#[test]
fn waits_follow_the_schedule_of_the_specification_and_end() {
    let mut now = at(0);
    let mut hours = Vec::new();
    for tries in 0..9 {
        let EventStanding::Waiting { due_at } = after(answered(500, None), tries, now) else {
            panic!("given up after {tries}");
        };
        hours.push((due_at - now).num_minutes());
        now = due_at;
    }
    assert_eq!(hours, [0, 5, 30, 120, 300, 600, 840, 1_200, 1_440]);
    assert_eq!(
        after(answered(500, None), 9, now),
        EventStanding::Dead { at: now }
    );
}

#[test]
fn answers_are_told_apart() {
    let waits = |posted| matches!(after(posted, 0, at(1)), EventStanding::Waiting { .. });
    for status in [301, 307, 400, 401, 404, 429, 500, 503] {
        assert!(waits(answered(status, None)), "{status}");
    }
    assert!(waits(Posted::Failed("refused".to_owned())));
    assert!(waits(Posted::Untrusted("expired".to_owned())));
    assert_eq!(
        after(answered(202, None), 0, at(1)),
        EventStanding::Taken { at: at(1) }
    );
    assert_eq!(
        after(answered(410, None), 0, at(1)),
        EventStanding::Dead { at: at(1) }
    );
    let forbidden = Posted::Forbidden("private".to_owned());
    assert_eq!(after(forbidden, 0, at(1)), EventStanding::Dead { at: at(1) });
    let asked = after(answered(503, Some(90)), 0, at(1));
    assert_eq!(asked, EventStanding::Waiting { due_at: at(91) });
}

#[test]
fn what_is_too_old_is_given_up_however_seldom_it_was_tried() {
    let old = at(96 * 3_600);
    assert_eq!(
        after(answered(500, None), 0, old),
        EventStanding::Dead { at: old }
    );
}

#[test]
fn what_is_told_has_no_text_of_the_message_and_is_always_the_same() {
    let event = claimed(0).event;
    let told: serde_json::Value = serde_json::from_str(&body(&event)).unwrap();
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
    assert_eq!(body(&event), body(&claimed(5).event));
    assert_eq!(event.id().to_string(), "evt_07070707070707070707070707070707_1_2");
}

#[test]
fn a_key_signs_with_its_own_secrets_else_with_those_for_all() {
    let read = |text: &str| Secrets::read(&[text]).unwrap();
    let (one, other) = (
        read("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        read("whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM="),
    );
    let key = |secrets: &Secrets| Key {
        name: "shop".to_owned(),
        sha256: [0; 32],
        scopes: Vec::new(),
        user_per_hour: None,
        events: crate::config::KeyEvents {
            url: None,
            secrets: secrets.clone(),
        },
    };
    let none = Secrets::default();
    let of_all = |secrets: &Secrets| Events {
        secrets: secrets.clone(),
        ..Events::default()
    };
    assert_eq!(secrets(&of_all(&one), Some(&key(&other))), Some(&other));
    assert_eq!(secrets(&of_all(&one), Some(&key(&none))), Some(&one));
    assert_eq!(secrets(&of_all(&one), None), Some(&one));
    assert_eq!(secrets(&of_all(&none), Some(&key(&none))), None);
}
