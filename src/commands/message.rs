//! `console message ID`: the timeline of one message, oldest entry first, and the next step of each delivery.
//!
//! Phone numbers are masked unless the configuration shows them.

use std::fmt::Write;

use super::{
    displayed_address, format_count, format_time, open_gateway, print_text, replace_control_characters,
};
use crate::cli::{Cli, MessageArgs};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::message::{Delivery, Message, RecordedAttempt};
use postrider_engine::config::Config;

/// Prints the timeline.
pub async fn run(cli: &Cli, arguments: &MessageArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let Some(message) = gateway.store.find_message(arguments.id).await? else {
        let message_id = arguments.id;
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("no message {message_id} in this store; is --config the one it was sent with?"),
        ));
    };
    print_text(format_timeline(&message, &gateway.config, gateway.clock.now()))
}

/// Formats the timeline. Writing into a string cannot fail, so results of `write!` are dropped.
fn format_timeline(message: &Message, config: &Config, now: Timestamp) -> String {
    let mut timeline = String::new();
    let _ = writeln!(timeline, "message  {}", message.id);
    let _ = writeln!(timeline, "accepted {}", format_time(message.created_at));
    if let Some(user) = &message.user {
        let _ = writeln!(timeline, "user     {}", replace_control_characters(user));
    }
    if let Some(subject) = &message.subject {
        let _ = writeln!(timeline, "subject  {}", replace_control_characters(subject));
    }
    let _ = writeln!(timeline, "body     {}", replace_control_characters(&message.body));
    for delivery in &message.deliveries {
        let displayed = |address: &str| displayed_address(address, config);
        let address = displayed(&delivery.address);
        let part_count = format_count(u64::from(delivery.parts), "part");
        let _ = writeln!(
            timeline,
            "\n{} to {}, {part_count}",
            delivery.channel,
            replace_control_characters(&address)
        );
        for attempt in &delivery.attempts {
            let address = attempt.address.as_deref().map(displayed);
            let _ = writeln!(timeline, "  {}", format_attempt(attempt, address.as_deref()));
        }
        let _ = writeln!(timeline, "  {}", format_delivery_state(delivery));
        if let Some(opened_at) = delivery.opened_at {
            let _ = writeln!(timeline, "  {}  opened", format_time(opened_at));
        }
        let _ = writeln!(timeline, "  next: {}", delivery.state.describe_next_step(now));
    }
    timeline
}

fn format_attempt(attempt: &RecordedAttempt, address: Option<&str>) -> String {
    let provider = attempt.provider.as_ref().map_or("unknown provider", |name| name.as_str());
    let mut attempt_line = format!(
        "{}  round {}: {provider}: {} in {} ms",
        format_time(attempt.at),
        attempt.round,
        attempt.outcome,
        attempt.duration_ms
    );
    if let Some(address) = address {
        let _ = write!(attempt_line, " to {}", replace_control_characters(address));
    }
    let details: Vec<String> = [&attempt.code, &attempt.reason]
        .into_iter()
        .flatten()
        .map(|detail| replace_control_characters(detail))
        .collect();
    if !details.is_empty() {
        let _ = write!(attempt_line, " ({})", details.join(": "));
    }
    attempt_line
}

fn format_delivery_state(delivery: &Delivery) -> String {
    let (at, state) = match &delivery.state {
        DeliveryState::Waiting { due_at, .. } => (due_at, "waiting, due at this time".to_owned()),
        DeliveryState::Sent { provider, reference, at } => match reference {
            Some(reference) => {
                (at, format!("sent through {provider}, reference {}", replace_control_characters(reference)))
            }
            None => (at, format!("sent through {provider}")),
        },
        DeliveryState::Delivered { at } => (at, "delivered".to_owned()),
        DeliveryState::Failed { failure, reason, at } => {
            (at, format!("failed, {}: {}", failure.as_str(), replace_control_characters(reason)))
        }
    };
    format!("{}  {state}", format_time(*at))
}

#[cfg(test)]
mod tests;
