//! `console send`: accepts one message as the HTTP API does; `serve` need not run.
//!
//! The message is on disk before its id is printed. Any worker on the store delivers the message.

use std::time::Duration;

use super::{flush_queue, load_config, print_line, send_via};
use crate::cli::{Cli, SendArgs};
use postrider_core::clock;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::duration::{format_duration, round_up_to_seconds};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::MessageId;
use postrider_engine::accept::{AcceptError, AcceptRequest, accept};
use postrider_engine::gateway::Gateway;

/// Interval at which the state of the message is read.
const STATE_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Accepts the message and prints how to follow it.
pub async fn run(cli: &Cli, arguments: &SendArgs) -> Result<()> {
    if let Some(via) = &arguments.via {
        return send_via::run(cli, arguments, via).await;
    }
    let gateway = Gateway::open(load_config(cli, &[])?).await?;
    let request = AcceptRequest {
        body: arguments.body.clone(),
        subject: arguments.subject.clone(),
        addresses: vec![(arguments.channel.clone(), arguments.to.clone())],
        ..AcceptRequest::default()
    };
    let accepted = accept(&gateway, request).await.map_err(|error| accept_error_message(error, &gateway))?;
    print_line(format_args!("accepted {}\nfollow with: console message {0}", accepted.id))?;
    flush_queue(&gateway).await?;
    match arguments.wait {
        Some(wait) => wait_until_sent(&gateway, accepted.id, wait).await,
        None => Ok(()),
    }
}

/// Prints the state of the message once it is not `waiting`; fails if the message failed or waits longer than `wait`.
async fn wait_until_sent(gateway: &Gateway, message_id: MessageId, wait: Duration) -> Result<()> {
    match tokio::time::timeout(wait, poll_until_not_waiting(gateway, message_id)).await {
        Ok(Ok(DeliveryStateKind::Failed)) => {
            Err(Error::new(ErrorKind::Conflict, format!("message failed; see: console message {message_id}")))
        }
        Ok(Ok(state)) => print_line(state.as_str()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "message is still waiting; is `console serve` or `console work` running? see: console message {message_id}"
            ),
        )),
    }
}

async fn poll_until_not_waiting(gateway: &Gateway, message_id: MessageId) -> Result<DeliveryStateKind> {
    loop {
        let message = gateway.store.find_message(message_id).await?;
        let delivery = message.and_then(|message| message.deliveries.into_iter().next());
        match delivery.map(|delivery| delivery.state.kind()) {
            Some(DeliveryStateKind::Waiting) => clock::sleep(STATE_POLL_INTERVAL).await,
            Some(state) => return Ok(state),
            None => return Err(Error::new(ErrorKind::NotFound, format!("message {message_id} was deleted"))),
        }
    }
}

/// Returns the error for the operator: the cause and the remedy.
fn accept_error_message(error: AcceptError, gateway: &Gateway) -> Error {
    match error {
        AcceptError::EmptyBody => Error::usage("missing body"),
        AcceptError::InvalidBody => {
            Error::usage("the body contains a character that no provider can send; remove it")
        }
        AcceptError::BodyTooLong(chars_max) => Error::usage(format!(
            "the body is longer than {chars_max} characters; shorten it, or raise limits.message_chars_max"
        )),
        AcceptError::NoRecipient => Error::usage("missing recipient"),
        AcceptError::UnknownChannel(channel) => {
            let channels = gateway.config.channels.iter();
            let configured: Vec<&str> = channels.map(|channel| channel.name.as_str()).collect();
            Error::usage(format!("unknown channel {channel}; configured: {}", configured.join(", ")))
        }
        AcceptError::InvalidAddress { channel, cause } => {
            Error::usage(format!("invalid address for channel {channel}: {cause}"))
        }
        AcceptError::InvalidContact { kind, cause } => {
            Error::usage(format!("not a {}: {cause}", kind.description()))
        }
        AcceptError::NoUsableContact { channel, expected } => {
            Error::usage(format!("missing {expected} for channel {channel}"))
        }
        AcceptError::InvalidSubject(chars_max) => {
            Error::usage(format!("the subject must be one line of at most {chars_max} characters"))
        }
        AcceptError::InvalidSender | AcceptError::SenderNotAllowed => Error::usage(
            "the sender must be a number, a name of at most 11 letters and digits, or an e-mail address",
        ),
        AcceptError::ExpiresTooEarly => {
            Error::usage("the message would expire before it may be sent; give it more time")
        }
        AcceptError::TooManyParts { parts, parts_max } => Error::usage(format!(
            "the text has {parts} parts, more than {parts_max}; shorten it, or raise limits.message_parts_max"
        )),
        AcceptError::PushTooLong { bytes, bytes_max } => Error::usage(format!(
            "the notification has {bytes} bytes, and push services accept {bytes_max}; shorten it"
        )),
        AcceptError::Suppressed(status) => {
            let reason = format!("{}; nothing was stored", status.refusal_reason());
            Error::new(ErrorKind::Conflict, reason)
        }
        AcceptError::Throttled { retry_after } => {
            let retry_at = gateway.clock.now() + retry_after;
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "the user has reached the limit of messages per hour; nothing was stored, send again in {} (at {})",
                    format_duration(round_up_to_seconds(retry_after)),
                    retry_at.format("%H:%M:%S UTC"),
                ),
            )
        }
        AcceptError::SpendingLimit { retry_after } => Error::new(
            ErrorKind::Conflict,
            format!(
                "a spending limit of the API key is reached; nothing was stored, send again in {}",
                format_duration(round_up_to_seconds(retry_after)),
            ),
        ),
        AcceptError::IdempotencyKeyReused => {
            Error::new(ErrorKind::Conflict, "the idempotency key was used for another message")
        }
        AcceptError::Store(error) => error,
    }
}
