//! `console work`: workers only, for messages that another process accepts.
//!
//! Takes from the queue the processes share; with a queue in memory, which they cannot share, from the store.
//! Stops as `serve` does, and never listens. With a mean time or a failure rate it is a sender that only plays, in the
//! place of every provider, and refuses a configuration with a real one.

use std::sync::Arc;

use super::crew::Crew;
use super::signals::Signals;
use super::{configuration, say};
use crate::cli::{Cli, Work};
use crate::config::simulation::{Casting, Faults, Sender, failure_rate_variable, mean_time_variable};
use crate::config::{Config, Environment, duration_text, masked_url};
use crate::domain::channel::Name;
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;

/// Delivers until a signal.
pub async fn run(cli: &Cli, arguments: &Work) -> Result<()> {
    let mut signals = Signals::new()?;
    let workers = arguments
        .workers
        .map(|workers| ("work.concurrency", workers.to_string()));
    let mut config = configuration(cli, workers.as_slice())?;
    if let Some(sender) = sender(arguments, &Environment::of_process())? {
        config = played(config, sender, arguments.workers.unwrap_or(1))?;
    }
    let gateway = Arc::new(Gateway::open(config).await?);
    log::info!(
        "working on store {}, queue {}",
        masked_url(&gateway.config.store_url),
        masked_url(&gateway.config.queue_url)
    );
    if gateway.is_sandbox() {
        log::warn!("this is a sandbox: mock providers only play, and nothing really leaves");
    }
    let mut crew = Crew::new();
    crew.keep_in_step(&gateway);
    crew.deliver(&gateway);
    say("working")?;
    let fault = tokio::select! {
        () = signals.next() => None,
        error = crew.fallen() => Some(error),
    };
    log::info!("stopping: what is in flight is finished");
    signals.unless_again(crew.stop()).await?;
    log::info!("stopped");
    fault.map_or(Ok(()), Err)
}

/// The sender to play, where the command line or the environment names one; the command line goes first.
fn sender(arguments: &Work, environment: &Environment) -> Result<Option<Sender>> {
    let mean_time = arguments.mean_time.or(mean_time_variable(environment)?);
    let failure_rate = arguments.failure_rate.or(failure_rate_variable(environment)?);
    if mean_time.is_none() && failure_rate.is_none() {
        return Ok(None);
    }
    Ok(Some(Sender {
        mean_time: mean_time.unwrap_or_default(),
        failure_rate: failure_rate.unwrap_or_default(),
    }))
}

/// The configuration with one sender that plays; what it fails to send has failed, as in an alert nobody repeats.
fn played(config: Config, sender: Sender, concurrency: u32) -> Result<Config> {
    if !config.only_plays() {
        return Err(Error::usage(
            "a sender that only plays would mark messages as sent that never leave, and this configuration has real \
             providers: take --mean-time, --failure-rate, SENDER_MEAN_TIME and SENDER_FAILURE_RATE away, or name a \
             configuration without them",
        ));
    }
    let name = "sender".parse::<Name>();
    let name = name.map_err(|_| Error::new(Kind::Internal, "a sender cannot be named"))?;
    let casting = Casting {
        faults: Faults::Final,
        concurrency,
        seed: None,
    };
    log::info!(
        "playing a sender: {} a message on average, {} of them fail, {concurrency} at once",
        duration_text(sender.mean_time),
        sender.failure_rate
    );
    Ok(config.with_sender(name, sender, casting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn arguments(mean_time: Option<Duration>) -> Work {
        Work {
            workers: None,
            mean_time,
            failure_rate: None,
        }
    }

    #[test]
    fn the_command_line_goes_before_the_variables() {
        let variables = Environment::from([("SENDER_MEAN_TIME", "0.5"), ("SENDER_FAILURE_RATE", "0.25")]);
        let told = |arguments: &Work, variables: &Environment| sender(arguments, variables).unwrap();
        assert_eq!(told(&arguments(None), &Environment::default()), None);
        let both = told(&arguments(Some(Duration::from_secs(2))), &variables);
        let wanted = Sender {
            mean_time: Duration::from_secs(2),
            failure_rate: 0.25,
        };
        assert_eq!(both, Some(wanted));
    }

    #[test]
    fn nobody_plays_a_sender_in_the_place_of_a_real_provider() {
        let mut config = Config::sandbox();
        let sender = Sender {
            mean_time: Duration::ZERO,
            failure_rate: 0.0,
        };
        assert!(played(config.clone(), sender, 1).is_ok());
        config.providers[0].kind = "http".to_owned();
        assert!(
            played(config, sender, 1)
                .unwrap_err()
                .to_string()
                .contains("real providers")
        );
    }
}
