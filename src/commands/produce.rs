//! `console produce`: generates messages into the store and the queue, and prints the rate.

use std::sync::Arc;

use super::progress::ProgressLine;
use super::signals::TerminationSignals;
use super::{flush_queue, format_count, load_config, print_line};
use crate::cli::{Cli, ProduceArgs};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::Environment;
use postrider_engine::gateway::Gateway;
use postrider_loadgen::options::message_count_from_environment;
use postrider_loadgen::produce::produce;
use postrider_loadgen::rate::format_rate;

/// Default number of messages.
const DEFAULT_MESSAGE_COUNT: u32 = 1_000;

/// Generates messages. The first signal ends the run after the current batch, the second signal aborts it.
pub async fn run(cli: &Cli, arguments: &ProduceArgs) -> Result<()> {
    let interrupts = TerminationSignals::new()?.into_interrupts();
    let from_environment = message_count_from_environment(&Environment::from_process())?;
    let message_count = arguments.messages.or(from_environment).unwrap_or(DEFAULT_MESSAGE_COUNT);
    let gateway = Arc::new(Gateway::open(load_config(cli, &[])?).await?);
    let progress = ProgressLine::new(Some(message_count.into()), "messages");
    let on_stored = |stored| progress.add(stored);
    let producing =
        produce(&gateway, &arguments.channel, message_count, arguments.seed, &interrupts, on_stored);
    let produced = producing.await?;
    progress.clear();
    let messages = format_count(produced.stored, "message");
    print_line(format_rate("produced", &messages, produced.stored, produced.elapsed.as_secs_f64()))?;
    flush_queue(&gateway).await?;
    if produced.is_interrupted {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("interrupted: the remaining messages of {message_count} were not generated"),
        ));
    }
    Ok(())
}
