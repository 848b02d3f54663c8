//! What a provider is: one suite that every adapter passes.
//!
//! Failure is an outcome, never an error and never a panic, whatever the parcel; a stranger's call never gives
//! a receipt. What the outcomes must be is each adapter's own test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::time::Duration;

use super::{AdapterContext, CallLimits, CallbackRequest, HttpClientPool, OutboundMessage, Provider};
use postrider_core::clock::{Clock, from_millis};
use postrider_core::id::{DeliveryId, MessageId};

/// Limits that a test on a slow machine can live with.
pub fn sample_limits() -> CallLimits {
    CallLimits {
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(20),
        response_bytes_max: 64 * 1024,
    }
}

/// Returns the context of a provider `blue` with the system clock.
pub fn sample_context() -> AdapterContext {
    AdapterContext {
        name: "blue".parse().unwrap(),
        limits: sample_limits(),
        public_url: "https://gw.example.org".to_owned(),
        callback_token: "t-1".to_owned(),
        http_clients: HttpClientPool::new().unwrap(),
        clock: Clock::System,
    }
}

/// A message like any other.
pub fn sample_message() -> OutboundMessage {
    OutboundMessage {
        delivery_id: DeliveryId::from_position(7, 1),
        message_id: MessageId::new(from_millis(1_700_000_000_000), [7; 10]),
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
pub fn sample_callback() -> CallbackRequest {
    CallbackRequest {
        method: "POST".to_owned(),
        url: "https://postrider.example/v1/receipts/blue".to_owned(),
        received_at: from_millis(1_700_000_000_000),
        ..CallbackRequest::default()
    }
}

/// Holds a provider to the contract.
pub async fn check_provider(provider: &dyn Provider) {
    check_every_body_yields_an_outcome(provider).await;
    check_garbage_is_refused(provider);
    assert!(!provider.endpoint().0.is_empty(), "an operator sees where it is");
}

async fn check_every_body_yields_an_outcome(provider: &dyn Provider) {
    let huge = "ab \u{1F600}".repeat(20_000);
    let control = (0..0x20_u8).map(char::from).collect::<String>();
    let odd = "{to} {{body}} ${env:HOME} %00 <&\"'> \\ \u{202e}\u{feff}\u{ffff} \r\n.\r\n";
    for body in ["", ".", "..", "../..", odd, &control, &huge] {
        let answer = provider
            .send(&OutboundMessage {
                subject: Some(body.replace(['\r', '\n'], " ")),
                body: body.to_owned(),
                ..sample_message()
            })
            .await;
        assert!(!answer.outcome.as_str().is_empty());
    }
    for to in ["", "..", "\r\nX: y", "anna@example.org", "+98 912 \"'"] {
        let parcel = OutboundMessage {
            to: to.to_owned(),
            spelling: to.to_owned(),
            subject: None,
            ..sample_message()
        };
        let answer = provider.send(&parcel).await;
        assert!(!answer.outcome.as_str().is_empty());
    }
}

fn check_garbage_is_refused(provider: &dyn Provider) {
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
        assert_refused(
            provider,
            &CallbackRequest {
                body: body.into(),
                ..sample_callback()
            },
        );
        assert_refused(
            provider,
            &CallbackRequest {
                query: body.into(),
                ..sample_callback()
            },
        );
    }
    assert_refused(
        provider,
        &CallbackRequest {
            body: vec![0xff, 0xfe, 0x80],
            ..sample_callback()
        },
    );
}

fn assert_refused(provider: &dyn Provider, call: &CallbackRequest) {
    let heard = provider.parse_callback_sync(call);
    assert!(heard.is_err(), "{call:?} is no receipt, and yet: {heard:?}");
}
