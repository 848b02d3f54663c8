//! What was typed behind `console events`.
//!
//! Reads text into checked values and nothing more; what is done with events stands in `commands/events.rs`.

use clap::{Args, Subcommand};

use super::{Since, message_id, since};
use crate::domain::event::{EventId, EventState};
use crate::domain::id::MessageId;

/// `console events`
#[derive(Args, Debug)]
pub struct Events {
    /// What to do with them
    #[command(subcommand)]
    pub task: EventsTask,
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsTask {
    /// The newest events, or those of one message
    List(EventsList),

    /// One event: where it goes, what it says, what its receiver answered
    Show(EventsShow),

    /// Tell events again, with fresh tries
    Replay(EventsReplay),

    /// Make a secret to sign with
    Secret,
}

/// `console events list`
#[derive(Args, Debug)]
pub struct EventsList {
    /// Only those that stand so: waiting, taken or dead
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub state: Option<EventState>,

    /// Only those of this message
    #[arg(long, value_name = "ID", value_parser = message_id)]
    pub message: Option<MessageId>,

    /// Only what happened since then: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = since)]
    pub since: Option<Since>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `console events show`
#[derive(Args, Debug)]
pub struct EventsShow {
    /// The event's id, as `console events list` and the header `webhook-id` have it
    #[arg(value_parser = event_id)]
    pub id: EventId,
}

/// `console events replay`
#[derive(Args, Debug)]
pub struct EventsReplay {
    /// Which events
    #[arg(value_parser = event_id, required_unless_present = "dead")]
    pub ids: Vec<EventId>,

    /// All that were given up
    #[arg(long)]
    pub dead: bool,

    /// Of these only what happened since then: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = since, requires = "dead")]
    pub since: Option<Since>,
}

fn state(text: &str) -> Result<EventState, String> {
    EventState::from_word(text).ok_or_else(|| "write waiting, taken or dead".to_owned())
}

fn event_id(text: &str) -> Result<EventId, String> {
    text.parse()
        .map_err(|_| "an event's id looks like evt_019aa5f25c1e7b5e8f0a3f1d2c4b5a69_0_1".to_owned())
}
