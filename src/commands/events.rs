//! `console events`: lists, shows and replays webhook events, and generates signing secrets.
//!
//! Delivers no event; `serve` and `work` deliver them. Prints no configured secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{format_count, format_time, open_gateway, print_line, to_u64};
use crate::cli::{Cli, EventsCommand, EventsListArgs, EventsReplayArgs, EventsShowArgs};
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, Result};
use postrider_core::event::{Event, EventId, EventStatus, EventStatusKind, EventTarget, EventType};
use postrider_core::random::Random;
use postrider_engine::events::render_payload;
use postrider_engine::gateway::Gateway;
use postrider_store::EventQuery;

/// Maximum number of dead events replayed in one transaction.
const EVENTS_PER_REPLAY: usize = 1_000;

/// Runs the subcommand.
pub async fn run(cli: &Cli, command: &EventsCommand) -> Result<()> {
    match command {
        EventsCommand::List(arguments) => list_events(&open_gateway(cli).await?, arguments).await,
        EventsCommand::Show(arguments) => show_event(&open_gateway(cli).await?, arguments).await,
        EventsCommand::Replay(arguments) => replay_events(&open_gateway(cli).await?, arguments).await,
        EventsCommand::Secret => {
            print_line(format_args!("whsec_{}", STANDARD.encode(Random::default().bytes::<32>())))
        }
    }
}

async fn list_events(gateway: &Gateway, arguments: &EventsListArgs) -> Result<()> {
    let query = EventQuery {
        message: arguments.message,
        state: arguments.state,
        since: arguments.since.map(|since| since.resolve(gateway.clock.now())),
        limit: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
    };
    let events = gateway.store.events(query).await?;
    if events.is_empty() {
        return print_line("no matching events");
    }
    for event in &events {
        let response = event.last_result.as_deref().unwrap_or_default();
        let (id, event_type, time) = (event.id(), event.event_type.as_str(), format_time(event.at));
        print_line(format_args!("{id}  {time}  {event_type:9}  {}  {response}", format_event_status(event)))?;
    }
    Ok(())
}

async fn show_event(gateway: &Gateway, arguments: &EventsShowArgs) -> Result<()> {
    let event = find_event(gateway, arguments.id).await?;
    let endpoint = match &event.target {
        EventTarget::Url { url, .. } => postrider_engine::config::mask_url(url),
        EventTarget::ApiKey(key) => format!("events_url of API key {key}"),
        EventTarget::InboundRoute(name) => format!("target of inbound route {name}"),
        EventTarget::Callback(callback) => {
            format!("{} as {}", postrider_engine::config::mask_url(&callback.url), callback.format)
        }
    };
    print_line(format_args!("event     {}", event.id()))?;
    print_line(format_args!("endpoint  {endpoint}"))?;
    print_line(format_args!("status    {}", format_event_status(&event)))?;
    print_line(format_args!("failures  {}", event.tries))?;
    if let Some(response) = &event.last_result {
        print_line(format_args!("response  {response}"))?;
    }
    if event.event_type == EventType::Received {
        return print_line(format_args!(
            "body      the inbound message {}; see console inbound",
            event.message
        ));
    }
    print_line(format_args!("body      {}", render_payload(&event)))
}

async fn replay_events(gateway: &Gateway, arguments: &EventsReplayArgs) -> Result<()> {
    let now = gateway.clock.now();
    let mut keys = Vec::new();
    for event_id in &arguments.ids {
        keys.push(find_event(gateway, *event_id).await?.key);
    }
    let mut replayed = gateway.store.replay_events(keys, now).await?;
    if arguments.dead {
        replayed += replay_dead(gateway, arguments, now).await?;
    }
    print_line(format_args!("{} will be delivered again", format_count(to_u64(replayed), "event")))
}

/// Replays all events that were dead at `now`, in batches.
async fn replay_dead(gateway: &Gateway, arguments: &EventsReplayArgs, now: Timestamp) -> Result<usize> {
    let mut replayed = 0;
    loop {
        let query = EventQuery {
            state: Some(EventStatusKind::Dead),
            since: arguments.since.map(|since| since.resolve(now)),
            limit: EVENTS_PER_REPLAY,
            message: None,
        };
        let dead = gateway.store.events(query).await?;
        // An event that is replayed and becomes dead again in this run is not replayed a second time.
        let selected = dead.iter().filter(|event| event.status.time() <= now);
        let keys = selected.map(|event| event.key).collect::<Vec<_>>();
        if keys.is_empty() {
            return Ok(replayed);
        }
        replayed += gateway.store.replay_events(keys, now).await?;
    }
}

async fn find_event(gateway: &Gateway, event_id: EventId) -> Result<Event> {
    let query = EventQuery { message: Some(event_id.message), limit: usize::MAX, ..EventQuery::default() };
    let events = gateway.store.events(query).await?;
    let event = events.into_iter().find(|event| event.id() == event_id);
    event.ok_or_else(|| Error::usage(format!("no event {event_id}; list events with: console events list")))
}

fn format_event_status(event: &Event) -> String {
    match event.status {
        EventStatus::Waiting { due_at } => format!("waiting until {}", format_time(due_at)),
        EventStatus::Delivered { at } => format!("delivered at {}", format_time(at)),
        EventStatus::Dead { at } => format!("dead since {}", format_time(at)),
    }
}
