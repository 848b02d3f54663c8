//! Arguments of `console events`.

use clap::{Args, Subcommand};

use super::values::{TimeArg, parse_message_id, parse_time};
use postrider_core::event::{EventId, EventStatusKind};
use postrider_core::id::MessageId;

/// Arguments of `console events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// The subcommand
    #[command(subcommand)]
    pub command: EventsCommand,
}

/// Subcommands of `console events`.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// List the newest events, or those of one message
    List(EventsListArgs),

    /// Show one event: endpoint, body and last response
    Show(EventsShowArgs),

    /// Deliver events again, with all tries
    Replay(EventsReplayArgs),

    /// Generate a signing secret
    Secret,
}

/// Arguments of `console events list`.
#[derive(Args, Debug)]
pub struct EventsListArgs {
    /// Only events with this status: waiting, delivered or dead
    #[arg(long, value_name = "STATUS", value_parser = parse_event_status)]
    pub state: Option<EventStatusKind>,

    /// Only events of this message
    #[arg(long, value_name = "ID", value_parser = parse_message_id)]
    pub message: Option<MessageId>,

    /// Only events since this time or age: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// Maximum number of events
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

/// Arguments of `console events show`.
#[derive(Args, Debug)]
pub struct EventsShowArgs {
    /// Event id, as shown by `console events list` and in the header `webhook-id`
    #[arg(value_parser = parse_event_id)]
    pub id: EventId,
}

/// Arguments of `console events replay`.
#[derive(Args, Debug)]
pub struct EventsReplayArgs {
    /// Event ids
    #[arg(value_parser = parse_event_id, required_unless_present = "dead")]
    pub ids: Vec<EventId>,

    /// All dead events
    #[arg(long)]
    pub dead: bool,

    /// With --dead: only events since this time or age: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time, requires = "dead")]
    pub since: Option<TimeArg>,
}

fn parse_event_status(text: &str) -> Result<EventStatusKind, String> {
    EventStatusKind::parse(text).ok_or_else(|| "expected waiting, delivered or dead".to_owned())
}

fn parse_event_id(text: &str) -> Result<EventId, String> {
    text.parse()
        .map_err(|_| "expected an event id such as evt_019aa5f25c1e7b5e8f0a3f1d2c4b5a69_0_1".to_owned())
}
