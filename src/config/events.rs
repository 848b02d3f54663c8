//! `[events]` and what `[[keys]]` say of it: who is told of state changes, how calls are signed, where they may go.
//!
//! Secrets and URLs are read and checked here, so that a start with wrong ones never comes to a call.

use std::time::Duration;

use super::duration::read_duration;
use super::environment::Environment;
use super::secret::resolved_text;
use super::values::Values;
use crate::error::Result;
use crate::provider::Guard;
use crate::provider::webhook::{self, Secrets};

/// How clients are told what becomes of their messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// What calls to a `callback_url` are signed with; without any, no message can ask for them.
    pub secrets: Secrets,
    /// Where calls may go.
    pub guard: Guard,
    /// The most calls in flight at once.
    pub concurrency: usize,
    /// The most of them to one receiver.
    pub per_receiver: usize,
    /// How long a whole call may take.
    pub timeout: Duration,
    /// The wait after each failed call; after the last one the event is given up.
    pub waits: Vec<Duration>,
    /// The age at which an event is given up, however often it was tried.
    pub age_max: Duration,
}

impl Default for Events {
    fn default() -> Self {
        let minutes = [5, 30, 120, 300, 600, 840, 1_200, 1_440];
        let waits = minutes.map(|minutes| Duration::from_secs(minutes * 60));
        Self {
            secrets: Secrets::default(),
            guard: Guard::new(Vec::new(), vec![443]),
            concurrency: 32,
            per_receiver: 4,
            timeout: Duration::from_secs(15),
            waits: [&[Duration::from_secs(5)], waits.as_slice()].concat(),
            age_max: Duration::from_secs(96 * 3600),
        }
    }
}

/// What one API key asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyEvents {
    /// Where every event of its messages goes that name no address of their own.
    pub url: Option<String>,
    /// What calls for its messages are signed with; none: as `[events]` says.
    pub secrets: Secrets,
}

/// Reads `[events]`.
pub(super) fn read(values: &Values<'_>, environment: &Environment) -> Result<Events> {
    values.refuse_unknown()?;
    let usual = Events::default();
    let networks = values.list("networks")?;
    let ports = ports(values)?;
    let guard = Guard::read(&networks, ports.as_deref().unwrap_or(&[443]));
    let waits = waits(values)?;
    Ok(Events {
        secrets: secrets("secrets", values, environment)?,
        guard: guard.map_err(|cause| values.fault("networks", &format!("is wrong: {cause}")))?,
        concurrency: values.count("concurrency")?.unwrap_or(usual.concurrency),
        per_receiver: values.count("per_receiver")?.unwrap_or(usual.per_receiver),
        timeout: values.duration("timeout")?.unwrap_or(usual.timeout),
        waits: waits.unwrap_or(usual.waits),
        age_max: values.duration("max_age")?.unwrap_or(usual.age_max),
    })
}

/// Reads what a key asks for.
pub(super) fn of_key(values: &Values<'_>, events: &Events, environment: &Environment) -> Result<KeyEvents> {
    let url = match values.text("events_url")? {
        None | Some("") => None,
        Some(text) => {
            let url = webhook::address(&events.guard, text);
            Some(
                url.map_err(|cause| values.fault("events_url", &cause))?
                    .to_string(),
            )
        }
    };
    let secrets = secrets("events_secrets", values, environment)?;
    if url.is_some() && secrets.are_none() && events.secrets.are_none() {
        let remedy = "needs a secret to sign with: add events_secrets here, or secrets to [events]; make one with: \
                      console events secret";
        return Err(values.fault("events_url", remedy));
    }
    Ok(KeyEvents { url, secrets })
}

fn secrets(key: &str, values: &Values<'_>, environment: &Environment) -> Result<Secrets> {
    let written = values.list(key)?;
    let resolved = written
        .into_iter()
        .map(|text| resolved_text(text, key, values, environment));
    let resolved = resolved.collect::<Result<Vec<_>>>()?;
    Secrets::read(&resolved).map_err(|cause| values.fault(key, &cause))
}

fn ports(values: &Values<'_>) -> Result<Option<Vec<u16>>> {
    let words = values.list("ports")?;
    if words.is_empty() {
        return Ok(None);
    }
    let ports = words
        .iter()
        .map(|word| word.parse().ok())
        .collect::<Option<Vec<_>>>();
    ports
        .map(Some)
        .ok_or_else(|| values.fault("ports", "must list ports, such as [\"443\", \"8443\"]"))
}

fn waits(values: &Values<'_>) -> Result<Option<Vec<Duration>>> {
    let words = values.list("waits")?;
    if words.is_empty() {
        return Ok(None);
    }
    let waits = words
        .iter()
        .map(|word| read_duration(word).ok())
        .collect::<Option<Vec<_>>>();
    waits
        .map(Some)
        .ok_or_else(|| values.fault("waits", "must list durations, such as [\"5s\", \"5m\", \"2h\"]"))
}
