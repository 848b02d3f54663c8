//! What a provider is: one suite that every adapter passes.
//!
//! Failure is an outcome, never an error and never a panic, whatever the parcel; a stranger's call never gives
//! a receipt. What the outcomes must be is each adapter's own test.

use std::time::Duration;

use super::{Call, CallLimits, Parcel, Provider};
use crate::clock::from_millis;
use crate::domain::id::{DeliveryId, MessageId};

/// Limits that a test on a slow machine can live with.
pub fn limits() -> CallLimits {
    CallLimits {
        connect: Duration::from_secs(5),
        call: Duration::from_secs(20),
        answer_bytes_max: 64 * 1024,
    }
}

/// A message like any other.
pub fn parcel() -> Parcel {
    Parcel {
        delivery: DeliveryId::of(7, 1),
        message: MessageId::new(from_millis(1_700_000_000_000), [7; 10]),
        round: 2,
        to: "+989122222222".to_owned(),
        spelling: "0912 222 2222".to_owned(),
        subject: Some("Grüße & 50%".to_owned()),
        body: "Hello, wörld & 100% \"سلام\"".to_owned(),
        parts: 1,
        expires_at: from_millis(1_700_000_000_000 + 86_400_000),
    }
}

/// A provider's call to us, as yet without any sense.
pub fn call() -> Call {
    Call {
        method: "POST".to_owned(),
        url: "https://postrider.example/v1/receipts/blue".to_owned(),
        heard_at: from_millis(1_700_000_000_000),
        ..Call::default()
    }
}

/// Holds a provider to the contract.
pub async fn holds(provider: &dyn Provider) {
    every_body_comes_to_an_outcome(provider).await;
    garbage_is_never_a_receipt(provider);
    assert!(!provider.place().0.is_empty(), "an operator sees where it is");
}

async fn every_body_comes_to_an_outcome(provider: &dyn Provider) {
    let huge = "ab \u{1F600}".repeat(20_000);
    let control = (0..0x20_u8).map(char::from).collect::<String>();
    let odd = "{to} {{body}} ${env:HOME} %00 <&\"'> \\ \u{202e}\u{feff}\u{ffff} \r\n.\r\n";
    for body in ["", ".", "..", "../..", odd, &control, &huge] {
        let answer = provider
            .send(&Parcel {
                subject: Some(body.replace(['\r', '\n'], " ")),
                body: body.to_owned(),
                ..parcel()
            })
            .await;
        assert!(!answer.outcome.word().is_empty());
    }
    for to in ["", "..", "\r\nX: y", "anna@example.org", "+98 912 \"'"] {
        let parcel = Parcel {
            to: to.to_owned(),
            spelling: to.to_owned(),
            subject: None,
            ..parcel()
        };
        let answer = provider.send(&parcel).await;
        assert!(!answer.outcome.word().is_empty());
    }
}

fn garbage_is_never_a_receipt(provider: &dyn Provider) {
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "null",
        "{}",
        "[]",
        "{\"status\":",
        "\u{0}\u{0}",
        "%zz=%",
        "a=b&c",
        &deep,
    ] {
        refuses(
            provider,
            &Call {
                body: body.into(),
                ..call()
            },
        );
        refuses(
            provider,
            &Call {
                query: body.into(),
                ..call()
            },
        );
    }
    refuses(
        provider,
        &Call {
            body: vec![0xff, 0xfe, 0x80],
            ..call()
        },
    );
}

fn refuses(provider: &dyn Provider, call: &Call) {
    let heard = provider.receipts(call);
    assert!(heard.is_err(), "{call:?} is no receipt, and yet: {heard:?}");
}
