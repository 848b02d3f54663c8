//! `console produce`: any number of invented messages, straight into the store and the queue in batches.
//!
//! They wait there for whoever works on the store: `console serve`, `console work`, started before or after.

use std::sync::Arc;

use super::signals::Signals;
use super::{bar, configuration, counted, flush, say};
use crate::cli::{Cli, Produce};
use crate::config::Environment;
use crate::config::simulation::messages_variable;
use crate::dice::Dice;
use crate::error::{Error, Kind, Result};
use crate::flow::alert;
use crate::gateway::Gateway;
use crate::provider::Provider;

/// How many, when nobody says.
const USUAL: u32 = 1_000;

/// Puts them in and says how fast that went. The first signal ends it after the batch that is being written, the next one
/// at once.
pub async fn run(cli: &Cli, arguments: &Produce) -> Result<()> {
    let mut signals = Signals::new()?;
    let told = arguments
        .messages
        .or(messages_variable(&Environment::of_process())?);
    let messages = told.unwrap_or(USUAL);
    let gateway = Arc::new(Gateway::open(configuration(cli, &[])?).await?);
    refuse_real(&gateway, &arguments.channel)?;
    let dice = Dice::for_seed(arguments.seed);
    let bar = bar(Some(messages.into()), "messages");
    let stop = tokio::sync::watch::Sender::new(false);
    let watch = gateway.clock.stopwatch();
    let raised = alert::raise(
        &gateway,
        &arguments.channel,
        messages,
        &dice,
        || !*stop.borrow(),
        |some| bar.inc(some),
    );
    tokio::pin!(raised);
    let taken = tokio::select! {
        taken = &mut raised => taken?,
        () = signals.next() => {
            stop.send_replace(true);
            tokio::select! {
                taken = &mut raised => taken?,
                () = signals.next() => return Err(Error::new(
                    Kind::Unavailable,
                    "ended at once at the second signal; the last batch is stored as a whole or not at all",
                )),
            }
        }
    };
    let seconds = watch.passed().as_secs_f64();
    bar.finish_and_clear();
    say(super::rate_words(
        &counted(taken, "message"),
        "produced",
        taken,
        seconds,
    ))?;
    flush(&gateway).await?;
    if *stop.borrow() {
        return Err(Error::new(
            Kind::Unavailable,
            format!("interrupted; of {messages} messages the others were not made"),
        ));
    }
    Ok(())
}

/// Invented numbers belong to somebody, and whoever works on the store would write to them.
fn refuse_real(gateway: &Gateway, channel: &str) -> Result<()> {
    let mut lanes = gateway.lanes().iter().filter(|lane| {
        gateway
            .route(channel)
            .is_some_and(|route| route.channel.providers.contains(&lane.name))
    });
    let Some(real) = lanes.find(|lane| !stays_here(&*lane.provider)) else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "invented messages would go to real people, because {} of channel {channel} is a real provider: name a \
         configuration with providers that only play, or another channel with --channel",
        real.name
    )))
}

/// Whether it only plays, or is on this machine, as the sandbox is.
fn stays_here(provider: &dyn Provider) -> bool {
    let (host, _) = provider.place();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    provider.is_sandbox() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
