//! `console send`: hands in one message as a client would, whether or not `serve` runs.
//!
//! It is on disk when the id is printed; whoever works on the store delivers it.

use std::time::Duration;

use super::{flush, gateway, say, via};
use crate::cli::{Cli, Send};
use crate::clock;
use crate::config::{duration_text, whole_seconds};
use crate::domain::delivery::Standing;
use crate::domain::id::MessageId;
use crate::error::{Error, Kind, Result};
use crate::flow::accept::{Refused, Request, accept};
use crate::gateway::Gateway;

/// How often the store is asked whether the message has left.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Accepts the message and says how to follow it.
pub async fn run(cli: &Cli, arguments: &Send) -> Result<()> {
    if let Some(via) = &arguments.via {
        return via::run(cli, arguments, via).await;
    }
    let gateway = gateway(cli).await?;
    let request = Request {
        body: arguments.body.clone(),
        subject: arguments.subject.clone(),
        to: vec![(arguments.channel.clone(), arguments.to.clone())],
        ..Request::default()
    };
    let accepted = accept(&gateway, request)
        .await
        .map_err(|refused| explained(refused, &gateway))?;
    say(format_args!(
        "accepted {}\nfollow it with: console message {0}",
        accepted.id
    ))?;
    flush(&gateway).await?;
    match arguments.wait {
        Some(wait) => wait_until_left(&gateway, accepted.id, wait).await,
        None => Ok(()),
    }
}

/// Prints the state the message has come to; fails when it did not leave.
async fn wait_until_left(gateway: &Gateway, id: MessageId, wait: Duration) -> Result<()> {
    let left = tokio::time::timeout(wait, left(gateway, id)).await;
    match left {
        Ok(Ok(Standing::Failed)) => Err(Error::new(
            Kind::Conflict,
            format!("it failed; see why with: console message {id}"),
        )),
        Ok(Ok(standing)) => say(standing.word()),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::new(
            Kind::Unavailable,
            format!(
                "it still waits; is `console serve` or `console work` running? see: console message {id}"
            ),
        )),
    }
}

async fn left(gateway: &Gateway, id: MessageId) -> Result<Standing> {
    loop {
        let message = gateway.store.find(id).await?;
        let standing = message
            .and_then(|message| message.deliveries.into_iter().next())
            .map(|delivery| delivery.state.standing());
        match standing {
            Some(Standing::Waiting) => clock::pause(LOOK_EVERY).await,
            Some(standing) => return Ok(standing),
            None => {
                return Err(Error::new(
                    Kind::Missing,
                    format!("message {id} was deleted meanwhile"),
                ));
            }
        }
    }
}

/// Why it was refused, and what to do about it.
fn explained(refused: Refused, gateway: &Gateway) -> Error {
    match refused {
        Refused::EmptyBody => Error::usage("there is nothing to say: give a body"),
        Refused::UnsendableBody => {
            Error::usage("the body has a character that no provider can carry; leave it out")
        }
        Refused::LongBody(longest) => Error::usage(format!(
            "the body is longer than {longest} characters; shorten it, or raise limits.message_chars_max"
        )),
        Refused::NoRecipient => Error::usage("there is nobody to say it to: give a number"),
        Refused::UnknownChannel(channel) => {
            let channels = gateway.config.channels.iter();
            let known: Vec<&str> = channels.map(|channel| channel.name.as_str()).collect();
            Error::usage(format!(
                "there is no channel {channel}; there are: {}",
                known.join(", ")
            ))
        }
        Refused::BadAddress { channel, why } => Error::usage(format!("not an address for {channel}: {why}")),
        Refused::BadContact { kind, why } => Error::usage(format!("not a {}: {why}", kind.noun())),
        Refused::NoAddress { channel, wanted } => {
            Error::usage(format!("there is no {wanted} for {channel}; give one"))
        }
        Refused::BadSubject(longest) => Error::usage(format!(
            "the subject must be one line of at most {longest} characters"
        )),
        Refused::ExpiresTooEarly => Error::usage("it would expire before it may be sent; give it more time"),
        Refused::Suppressed => Error::new(
            Kind::Conflict,
            "the recipient is inactive or has opted out; nothing was stored",
        ),
        Refused::Throttled { retry_after } => {
            let back_at = gateway.clock.now() + retry_after;
            Error::new(
                Kind::Conflict,
                format!(
                    "the user has had as many messages as an hour allows; nothing was stored, send it again in {} (at {})",
                    duration_text(whole_seconds(retry_after)),
                    back_at.format("%H:%M:%S UTC"),
                ),
            )
        }
        Refused::KeyReused => Error::new(Kind::Conflict, "the key was used for another message"),
        Refused::Store(error) => error,
    }
}
