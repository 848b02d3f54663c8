//! `console events`: what clients were told, what could not be told, and sending it again.
//!
//! Tells nobody itself: `serve` and `work` do. Prints no secret but the one it makes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{counted, gateway, moment, number, say};
use crate::cli::{Cli, EventsList, EventsReplay, EventsShow, EventsTask};
use crate::clock::Timestamp;
use crate::dice::Dice;
use crate::domain::event::{Event, EventId, EventStanding, EventState, Watch};
use crate::error::{Error, Result};
use crate::flow::events::body;
use crate::gateway::Gateway;
use crate::store::EventQuery;

/// How many dead events are sent again at once.
const REPLAYED_AT_ONCE: usize = 1_000;

/// Does what was asked.
pub async fn run(cli: &Cli, task: &EventsTask) -> Result<()> {
    match task {
        EventsTask::List(arguments) => list(&gateway(cli).await?, arguments).await,
        EventsTask::Show(arguments) => show(&gateway(cli).await?, arguments).await,
        EventsTask::Replay(arguments) => replay(&gateway(cli).await?, arguments).await,
        EventsTask::Secret => say(format_args!(
            "whsec_{}",
            STANDARD.encode(Dice::default().bytes::<32>())
        )),
    }
}

async fn list(gateway: &Gateway, arguments: &EventsList) -> Result<()> {
    let query = EventQuery {
        message: arguments.message,
        state: arguments.state,
        since: arguments.since.map(|since| since.moment(gateway.clock.now())),
        limit: usize::try_from(arguments.limit).unwrap_or(usize::MAX),
    };
    let events = gateway.store.events(query).await?;
    if events.is_empty() {
        return say("no such events");
    }
    for event in &events {
        let answer = event.answer.as_deref().unwrap_or_default();
        let (id, what, when) = (event.id(), event.what.word(), moment(event.at));
        say(format_args!(
            "{id}  {when}  {what:9}  {}  {answer}",
            stands(event)
        ))?;
    }
    Ok(())
}

async fn show(gateway: &Gateway, arguments: &EventsShow) -> Result<()> {
    let event = find(gateway, arguments.id).await?;
    let to = match &event.watch {
        Watch::Callback { url, .. } => crate::config::masked_url(url),
        Watch::Key(key) => format!("the events_url of the key {key}"),
    };
    say(format_args!("event     {}", event.id()))?;
    say(format_args!("to        {to}"))?;
    say(format_args!("stands    {}", stands(&event)))?;
    say(format_args!("failures  {}", event.tries))?;
    if let Some(answer) = &event.answer {
        say(format_args!("answer    {answer}"))?;
    }
    say(format_args!("body      {}", body(&event)))
}

async fn replay(gateway: &Gateway, arguments: &EventsReplay) -> Result<()> {
    let now = gateway.clock.now();
    let mut keys = Vec::new();
    for id in &arguments.ids {
        keys.push(find(gateway, *id).await?.key);
    }
    let mut replayed = gateway.store.replay_events(keys, now).await?;
    if arguments.dead {
        replayed += replay_dead(gateway, arguments, now).await?;
    }
    say(format_args!(
        "{} will be told again",
        counted(number(replayed), "event")
    ))
}

/// Goes on until nothing is dead any more, because what is replayed is not.
async fn replay_dead(gateway: &Gateway, arguments: &EventsReplay, now: Timestamp) -> Result<usize> {
    let mut replayed = 0;
    loop {
        let query = EventQuery {
            state: Some(EventState::Dead),
            since: arguments.since.map(|since| since.moment(now)),
            limit: REPLAYED_AT_ONCE,
            message: None,
        };
        let dead = gateway.store.events(query).await?;
        // What has died since then is not meant.
        let meant = dead.iter().filter(|event| event.standing.moment() <= now);
        let keys = meant.map(|event| event.key).collect::<Vec<_>>();
        if keys.is_empty() {
            return Ok(replayed);
        }
        replayed += gateway.store.replay_events(keys, now).await?;
    }
}

async fn find(gateway: &Gateway, id: EventId) -> Result<Event> {
    let query = EventQuery {
        message: Some(id.message),
        limit: usize::MAX,
        ..EventQuery::default()
    };
    let events = gateway.store.events(query).await?;
    let found = events.into_iter().find(|event| event.id() == id);
    found.ok_or_else(|| {
        Error::usage(format!(
            "there is no event {id}; console events list shows those there are"
        ))
    })
}

fn stands(event: &Event) -> String {
    match event.standing {
        EventStanding::Waiting { due_at } => format!("waiting until {}", moment(due_at)),
        EventStanding::Taken { at } => format!("taken at {}", moment(at)),
        EventStanding::Dead { at } => format!("dead since {}", moment(at)),
    }
}
