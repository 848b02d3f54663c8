//! What was typed behind `console events`.
//!
//! Reads text into checked values and nothing more; what is done with events stands in `commands/events.rs`.

use clap::{Args, Subcommand};

use super::{TimeArg, parse_message_id, parse_time};
use postrider_core::event::{EventId, EventStatusKind};
use postrider_core::id::MessageId;

/// `console events`
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// What to do with them
    #[command(subcommand)]
    pub command: EventsCommand,
}

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// The newest events, or those of one message
    List(EventsListArgs),

    /// One event: where it goes, what it says, what its receiver answered
    Show(EventsShowArgs),

    /// Tell events again, with fresh tries
    Replay(EventsReplayArgs),

    /// Make a secret to sign with
    Secret,
}

/// `console events list`
#[derive(Args, Debug)]
pub struct EventsListArgs {
    /// Only those that stand so: waiting, taken or dead
    #[arg(long, value_name = "STATE", value_parser = parse_event_status)]
    pub state: Option<EventStatusKind>,

    /// Only those of this message
    #[arg(long, value_name = "ID", value_parser = parse_message_id)]
    pub message: Option<MessageId>,

    /// Only what happened since then: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// `console events show`
#[derive(Args, Debug)]
pub struct EventsShowArgs {
    /// The event's id, as `console events list` and the header `webhook-id` have it
    #[arg(value_parser = parse_event_id)]
    pub id: EventId,
}

/// `console events replay`
#[derive(Args, Debug)]
pub struct EventsReplayArgs {
    /// Which events
    #[arg(value_parser = parse_event_id, required_unless_present = "dead")]
    pub ids: Vec<EventId>,

    /// All that were given up
    #[arg(long)]
    pub dead: bool,

    /// Of these only what happened since then: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time, requires = "dead")]
    pub since: Option<TimeArg>,
}

fn parse_event_status(text: &str) -> Result<EventStatusKind, String> {
    EventStatusKind::parse(text).ok_or_else(|| "write waiting, taken or dead".to_owned())
}

fn parse_event_id(text: &str) -> Result<EventId, String> {
    text.parse()
        .map_err(|_| "an event's id looks like evt_019aa5f25c1e7b5e8f0a3f1d2c4b5a69_0_1".to_owned())
}
