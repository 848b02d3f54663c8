//! `console simulate`: runs a simulation, draws its progress and prints its result.

use super::signals::TerminationSignals;
use super::{load_config, print_text, progress_bar};
use crate::cli::{Cli, SimulateArgs};
use postrider_core::error::{Error, Result};
use postrider_loadgen::simulate::{SimulateOptions, SimulationProgress, simulate};

/// Runs the simulation; fails if it was interrupted or its result differs from the expected result.
pub async fn run(cli: &Cli, arguments: &SimulateArgs) -> Result<()> {
    let config = load_config(cli, &[])?;
    let simulate_options = simulate_options(arguments)?;
    let interrupts = TerminationSignals::new()?.into_interrupts();
    let bar = progress_bar(Some(simulate_options.message_count().into()), "starting");
    let on_progress = |progress: &SimulationProgress| {
        bar.set_position(progress.finished);
        bar.set_message(progress.status.clone());
    };
    let outcome = simulate(config, &simulate_options, &interrupts, &on_progress).await?;
    bar.finish_and_clear();
    print_text(&outcome.text)?;
    outcome.check()
}

fn simulate_options(arguments: &SimulateArgs) -> Result<SimulateOptions> {
    let senders = arguments.mock_senders().map_err(|problem| Error::usage(format!("--sender: {problem}")))?;
    Ok(SimulateOptions {
        messages: arguments.messages,
        senders,
        concurrency: arguments.concurrency,
        has_retries: !arguments.no_retry,
        seed: arguments.seed,
        store_url: arguments.keep.clone(),
        audience: arguments.audience(),
    })
}
