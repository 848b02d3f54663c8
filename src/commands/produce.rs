//! `console produce`: any number of invented messages, straight into the store and the queue in batches.
//!
//! They wait there for whoever works on the store: `console serve`, `console work`, started before or after.

use std::sync::Arc;

use super::signals::TerminationSignals;
use super::{flush_queue, format_count, load_config, print_line, progress_bar};
use crate::cli::{Cli, ProduceArgs};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::config::Environment;
use postrider_engine::config::mock_sender::message_count_from_environment;
use postrider_engine::gateway::Gateway;
use postrider_loadgen::messages;
use postrider_providers::Provider;

/// How many, when nobody says.
const DEFAULT_MESSAGE_COUNT: u32 = 1_000;

/// Puts them in and says how fast that went. The first signal ends it after the batch that is being written, the next one
/// at once.
pub async fn run(cli: &Cli, arguments: &ProduceArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let told = arguments
        .messages
        .or(message_count_from_environment(&Environment::from_process())?);
    let messages = told.unwrap_or(DEFAULT_MESSAGE_COUNT);
    let gateway = Arc::new(Gateway::open(load_config(cli, &[])?).await?);
    reject_real_providers(&gateway, &arguments.channel)?;
    let dice = Random::from_optional_seed(arguments.seed);
    let bar = progress_bar(Some(messages.into()), "messages");
    let stop = tokio::sync::watch::Sender::new(false);
    let watch = gateway.clock.stopwatch();
    let raised = messages::generate_messages(
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
        () = signals.recv() => {
            stop.send_replace(true);
            tokio::select! {
                taken = &mut raised => taken?,
                () = signals.recv() => return Err(Error::new(
                    ErrorKind::Unavailable,
                    "ended at once at the second signal; the last batch is stored as a whole or not at all",
                )),
            }
        }
    };
    let seconds = watch.elapsed().as_secs_f64();
    bar.finish_and_clear();
    print_line(super::format_rate(
        &format_count(taken, "message"),
        "produced",
        taken,
        seconds,
    ))?;
    flush_queue(&gateway).await?;
    if *stop.borrow() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            format!("interrupted; of {messages} messages the others were not made"),
        ));
    }
    Ok(())
}

/// Invented numbers belong to somebody, and whoever works on the store would write to them.
fn reject_real_providers(gateway: &Gateway, channel: &str) -> Result<()> {
    let mut lanes = gateway.providers().iter().filter(|lane| {
        gateway
            .route(channel)
            .is_some_and(|route| route.channel.providers.contains(&lane.name))
    });
    let Some(real) = lanes.find(|lane| !is_mock_or_loopback(&*lane.provider)) else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "invented messages would go to real people, because {} of channel {channel} is a real provider: name a \
         configuration with providers that only play, or another channel with --channel",
        real.name
    )))
}

/// Whether it only plays, or is on this machine, as the sandbox is.
fn is_mock_or_loopback(provider: &dyn Provider) -> bool {
    let (host, _) = provider.endpoint();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    provider.is_mock() || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
