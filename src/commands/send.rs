//! `console send`: hands in one message as a client would, whether or not `serve` runs.
//!
//! It is on disk when the id is printed; whoever works on the store delivers it.

use std::time::Duration;

use super::{flush_queue, open_gateway, print_line, send_via};
use crate::cli::{Cli, SendArgs};
use postrider_core::clock;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::duration::{format_duration, round_up_to_seconds};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::MessageId;
use postrider_engine::accept::{AcceptError, AcceptRequest, accept};
use postrider_engine::gateway::Gateway;

/// How often the store is asked whether the message has left.
const STATE_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Accepts the message and says how to follow it.
pub async fn run(cli: &Cli, arguments: &SendArgs) -> Result<()> {
    if let Some(via) = &arguments.via {
        return send_via::run(cli, arguments, via).await;
    }
    let gateway = open_gateway(cli).await?;
    let request = AcceptRequest {
        body: arguments.body.clone(),
        subject: arguments.subject.clone(),
        addresses: vec![(arguments.channel.clone(), arguments.to.clone())],
        ..AcceptRequest::default()
    };
    let accepted = accept(&gateway, request)
        .await
        .map_err(|refused| accept_error_message(refused, &gateway))?;
    print_line(format_args!(
        "accepted {}\nfollow it with: console message {0}",
        accepted.id
    ))?;
    flush_queue(&gateway).await?;
    match arguments.wait {
        Some(wait) => wait_until_sent(&gateway, accepted.id, wait).await,
        None => Ok(()),
    }
}

/// Prints the state the message has come to; fails when it did not leave.
async fn wait_until_sent(gateway: &Gateway, id: MessageId, wait: Duration) -> Result<()> {
    let left = tokio::time::timeout(wait, poll_until_not_waiting(gateway, id)).await;
    match left {
        Ok(Ok(DeliveryStateKind::Failed)) => Err(Error::new(
            ErrorKind::Conflict,
            format!("it failed; see why with: console message {id}"),
        )),
        Ok(Ok(standing)) => print_line(standing.as_str()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(
            ErrorKind::Unavailable,
            format!(
                "it still waits; is `console serve` or `console work` running? see: console message {id}"
            ),
        )),
    }
}

async fn poll_until_not_waiting(gateway: &Gateway, id: MessageId) -> Result<DeliveryStateKind> {
    loop {
        let message = gateway.store.find_message(id).await?;
        let standing = message
            .and_then(|message| message.deliveries.into_iter().next())
            .map(|delivery| delivery.state.kind());
        match standing {
            Some(DeliveryStateKind::Waiting) => clock::sleep(STATE_POLL_INTERVAL).await,
            Some(standing) => return Ok(standing),
            None => {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("message {id} was deleted meanwhile"),
                ));
            }
        }
    }
}

/// Why it was refused, and what to do about it.
fn accept_error_message(refused: AcceptError, gateway: &Gateway) -> Error {
    match refused {
        AcceptError::EmptyBody => Error::usage("there is nothing to say: give a body"),
        AcceptError::InvalidBody => {
            Error::usage("the body has a character that no provider can carry; leave it out")
        }
        AcceptError::BodyTooLong(longest) => Error::usage(format!(
            "the body is longer than {longest} characters; shorten it, or raise limits.message_chars_max"
        )),
        AcceptError::NoRecipient => Error::usage("there is nobody to say it to: give a number"),
        AcceptError::UnknownChannel(channel) => {
            let channels = gateway.config.channels.iter();
            let known: Vec<&str> = channels.map(|channel| channel.name.as_str()).collect();
            Error::usage(format!(
                "there is no channel {channel}; there are: {}",
                known.join(", ")
            ))
        }
        AcceptError::InvalidAddress { channel, cause: why } => {
            Error::usage(format!("not an address for {channel}: {why}"))
        }
        AcceptError::InvalidContact { kind, cause: why } => {
            Error::usage(format!("not a {}: {why}", kind.description()))
        }
        AcceptError::NoUsableContact {
            channel,
            expected: wanted,
        } => Error::usage(format!("there is no {wanted} for {channel}; give one")),
        AcceptError::InvalidSubject(longest) => Error::usage(format!(
            "the subject must be one line of at most {longest} characters"
        )),
        AcceptError::ExpiresTooEarly => {
            Error::usage("it would expire before it may be sent; give it more time")
        }
        AcceptError::Suppressed => Error::new(
            ErrorKind::Conflict,
            "the recipient is inactive or has opted out; nothing was stored",
        ),
        AcceptError::Throttled { retry_after } => {
            let back_at = gateway.clock.now() + retry_after;
            Error::new(
                ErrorKind::Conflict,
                format!(
                    "the user has had as many messages as an hour allows; nothing was stored, send it again in {} (at {})",
                    format_duration(round_up_to_seconds(retry_after)),
                    back_at.format("%H:%M:%S UTC"),
                ),
            )
        }
        AcceptError::IdempotencyKeyReused => {
            Error::new(ErrorKind::Conflict, "the key was used for another message")
        }
        AcceptError::Store(error) => error,
    }
}
