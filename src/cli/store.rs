//! Arguments of `prune`, `backup` and `move`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::parse_message_age;
use postrider_core::duration::parse_duration;

/// Arguments of `console prune`.
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Only messages accepted longer ago than this: 90d
    #[arg(long, value_name = "DURATION", value_parser = parse_message_age)]
    pub older_than: Duration,

    /// PostgreSQL: delete only whole months, by dropping their partitions
    #[arg(long)]
    pub whole_months: bool,
}

/// Arguments of `console backup`.
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// File to create; it must not exist
    pub file: PathBuf,
}

/// Arguments of `console move`.
#[derive(Args, Debug)]
pub struct MoveArgs {
    /// Source store [default: store.url]
    #[arg(long, value_name = "URL", env = "POSTRIDER_MOVE_FROM", hide_env_values = true)]
    pub from: Option<String>,

    /// Target store: empty, or left by an interrupted move
    #[arg(long, value_name = "URL", env = "POSTRIDER_MOVE_TO", hide_env_values = true)]
    pub to: String,

    /// Switch to the new store after the copy without asking; the old store is closed permanently
    #[arg(long, conflicts_with = "abandon")]
    pub switch: bool,

    /// Maximum time that the switch waits for provider calls in flight
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "2m")]
    pub wait: Duration,

    /// Rows copied in one transaction
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub batch: u32,

    /// Abandon an unfinished move and use the old store as before
    #[arg(long)]
    pub abandon: bool,
}
