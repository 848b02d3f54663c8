//! The options of `prune`, `backup` and `move`: what becomes of a store as a whole.
//!
//! What they do stands in `commands/`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use postrider_core::duration::parse_duration;

/// A hundred years: beyond every message, and within what a calendar can count.
const MESSAGE_AGE_MAX: Duration = Duration::from_secs(36_500 * 24 * 3_600);

/// `console prune`
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Only messages accepted longer ago than this: 90d
    #[arg(long, value_name = "DURATION", value_parser = parse_message_age)]
    pub older_than: Duration,

    /// On PostgreSQL delete nothing of a month before all of it is that old: then it goes in an instant
    #[arg(long)]
    pub whole_months: bool,
}

/// `console backup`
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// The file to write; there must be none of that name
    pub file: PathBuf,
}

/// `console move`
#[derive(Args, Debug)]
pub struct MoveArgs {
    /// The store to move from, instead of the configured one
    #[arg(long, value_name = "URL", env = "POSTRIDER_MOVE_FROM", hide_env_values = true)]
    pub from: Option<String>,

    /// The store to move to; it must be empty, or hold what an interrupted move left there
    #[arg(long, value_name = "URL", env = "POSTRIDER_MOVE_TO", hide_env_values = true)]
    pub to: String,

    /// Make the new store the truth when everything is copied, without asking: the old one is closed for good
    #[arg(long, conflicts_with = "abandon")]
    pub switch: bool,

    /// How long the switch waits for calls to providers that are under way
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "2m")]
    pub wait: Duration,

    /// How many rows to copy at a time; fewer are gentler
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub batch: u32,

    /// Give an unfinished move up: the old store forgets it
    #[arg(long)]
    pub abandon: bool,
}

pub(super) fn parse_message_age(text: &str) -> Result<Duration, String> {
    let age = parse_duration(text)?;
    if age > MESSAGE_AGE_MAX {
        return Err("no message is that old; 36500d is the most".to_owned());
    }
    Ok(age)
}
