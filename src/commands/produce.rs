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

/// How many, when nobody says.
const USUAL: u32 = 1_000;

/// Puts them in and says how fast that went. The first signal ends it after the batch that is being written.
pub async fn run(cli: &Cli, arguments: &Produce) -> Result<()> {
    let mut signals = Signals::new()?;
    let told = arguments
        .messages
        .or(messages_variable(&Environment::of_process())?);
    let messages = told.unwrap_or(USUAL);
    let gateway = Arc::new(Gateway::open(configuration(cli, &[])?).await?);
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
            raised.await?
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
