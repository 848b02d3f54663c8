//! `console message ID`: all that happened to one message, oldest first, and what happens next.
//!
//! Numbers are masked unless the configuration shows them.

use std::fmt::Write;

use super::{format_count, format_time, open_gateway, print_text, replace_control_characters};
use crate::cli::{Cli, MessageArgs as Arguments};
use postrider_core::address::mask_address;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::message::{Delivery, Message, RecordedAttempt};

/// Prints the timeline.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let Some(message) = gateway.store.find_message(arguments.id).await? else {
        let id = arguments.id;
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("there is no message {id} in this store; is --config the one it was sent with?"),
        ));
    };
    print_text(format_timeline(
        &message,
        gateway.config.mask_numbers,
        gateway.clock.now(),
    ))
}

/// Writing into a string cannot fail, so results of `write!` are dropped here.
fn format_timeline(message: &Message, masked: bool, now: Timestamp) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "message  {}", message.id);
    let _ = writeln!(text, "accepted {}", format_time(message.created_at));
    if let Some(user) = &message.user {
        let _ = writeln!(text, "user     {}", replace_control_characters(user));
    }
    if let Some(subject) = &message.subject {
        let _ = writeln!(text, "subject  {}", replace_control_characters(subject));
    }
    let _ = writeln!(text, "body     {}", replace_control_characters(&message.body));
    for delivery in &message.deliveries {
        let shown = |address: &str| {
            if masked {
                mask_address(address)
            } else {
                address.to_owned()
            }
        };
        let to = shown(&delivery.address);
        let parts = format_count(u64::from(delivery.parts), "part");
        let _ = writeln!(
            text,
            "\n{} to {}, {parts}",
            delivery.channel,
            replace_control_characters(&to)
        );
        for attempt in &delivery.attempts {
            let to = attempt.address.as_deref().map(shown);
            let _ = writeln!(text, "  {}", format_attempt(attempt, to.as_deref()));
        }
        let _ = writeln!(text, "  {}", format_delivery_state(delivery));
        if let Some(opened_at) = delivery.opened_at {
            let _ = writeln!(text, "  {}  opened", format_time(opened_at));
        }
        let _ = writeln!(text, "  next: {}", delivery.state.describe_next_step(now));
    }
    text
}

fn format_attempt(attempt: &RecordedAttempt, to: Option<&str>) -> String {
    let provider = attempt
        .provider
        .as_ref()
        .map_or("nobody knows who", |name| name.as_str());
    let mut line = format!(
        "{}  round {}: {provider}: {} in {} ms",
        format_time(attempt.at),
        attempt.round,
        attempt.outcome,
        attempt.duration_ms
    );
    if let Some(to) = to {
        let _ = write!(line, " to {}", replace_control_characters(to));
    }
    let details = [&attempt.code, &attempt.reason];
    let details: Vec<String> = details
        .into_iter()
        .flatten()
        .map(|detail| replace_control_characters(detail))
        .collect();
    if !details.is_empty() {
        let _ = write!(line, " ({})", details.join(": "));
    }
    line
}

fn format_delivery_state(delivery: &Delivery) -> String {
    use postrider_core::delivery::DeliveryState;
    let (at, words) = match &delivery.state {
        DeliveryState::Waiting { due_at, .. } => (due_at, "waiting, due then".to_owned()),
        DeliveryState::Sent {
            provider,
            reference,
            at,
        } => match reference {
            Some(reference) => (
                at,
                format!(
                    "sent through {provider}, reference {}",
                    replace_control_characters(reference)
                ),
            ),
            None => (at, format!("sent through {provider}")),
        },
        DeliveryState::Delivered { at } => (at, "delivered".to_owned()),
        DeliveryState::Failed { failure, reason, at } => (
            at,
            format!(
                "failed, {}: {}",
                failure.as_str(),
                replace_control_characters(reason)
            ),
        ),
    };
    format!("{}  {words}", format_time(*at))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;
    use postrider_core::delivery::DeliveryState;
    use postrider_core::id::{DeliveryId, MessageId};

    fn at(second: i64) -> Timestamp {
        postrider_core::clock::from_millis(1_777_000_000_000 + second * 1_000)
    }

    fn message(body: &str) -> Message {
        Message {
            id: MessageId::from_str("019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69").unwrap(),
            number: 1,
            subject: None,
            body: body.to_owned(),
            user: None,
            created_at: at(0),
            deliveries: vec![Delivery {
                id: DeliveryId::from_position(1, 0),
                channel: "sms".parse().unwrap(),
                address: "+989122222222".to_owned(),
                spelling: "09122222222".to_owned(),
                parts: 1,
                state: DeliveryState::Delivered { at: at(3) },
                round: 1,
                tries: 1,
                provider: Some("blue".parse().unwrap()),
                reference: Some("b-1".to_owned()),
                expires_at: at(9_999),
                opened_at: None,
                attempts: vec![RecordedAttempt {
                    round: 1,
                    provider: Some("red".parse().unwrap()),
                    outcome: "unavailable".to_owned(),
                    code: Some("HTTP 503".to_owned()),
                    reason: Some("down".to_owned()),
                    at: at(1),
                    duration_ms: 12,
                    address: None,
                }],
            }],
        }
    }

    #[test]
    fn the_timeline_tells_attempts_state_and_next_step_in_order() {
        let text = format_timeline(&message("hello"), true, at(10));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "body     hello");
        assert!(
            lines[5].ends_with("round 1: red: unavailable in 12 ms (HTTP 503: down)"),
            "{text}"
        );
        assert!(lines[6].ends_with("delivered"), "{text}");
        assert!(lines[7].starts_with("  next: none"), "{text}");
    }

    #[test]
    fn numbers_are_masked_unless_the_configuration_shows_them() {
        assert!(!format_timeline(&message("hello"), true, at(10)).contains("+989122222222"));
        assert!(format_timeline(&message("hello"), false, at(10)).contains("+989122222222"));
    }

    #[test]
    fn a_body_cannot_give_orders_to_the_terminal() {
        assert!(!format_timeline(&message("\x1b[2Jgone\nnext: ok"), true, at(10)).contains('\x1b'));
        assert!(format_timeline(&message("a\nb"), true, at(10)).contains("body     a b\n"));
    }
}
