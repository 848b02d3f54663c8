//! `console usage`: what was sent to a person or to all, with totals, for people, programs and spreadsheets.
//!
//! Reads the store a page at a time. Numbers are masked for people, unless the configuration shows them, and whole for
//! programs and spreadsheets.

use std::fmt::Write;

use super::{open_gateway, print_line, print_text, replace_control_characters};
use crate::cli::{Cli, OutputFormat, UsageArgs as Arguments};
use postrider_core::address::mask_address;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::message::Message;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::{UsageDeliveryRow, UsageTotalsView, csv, usage_rows};
use postrider_store::UsageQuery;

/// How many messages are read at a time.
const PAGE_MESSAGES: usize = 500;

/// Prints lines and totals in the form that was asked for.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let now = gateway.clock.now();
    let query = UsageQuery {
        user: arguments.user.clone(),
        since: arguments.since.map(|since| since.resolve(now)),
        until: arguments.until.map(|until| until.resolve(now)),
        before: None,
        limit: PAGE_MESSAGES,
    };
    match (arguments.format, arguments.totals) {
        (OutputFormat::Text, totals) => print_human_readable(&gateway, query, arguments, totals).await,
        (OutputFormat::Csv, true) => {
            print_text(csv::totals_to_csv(&read_totals(&gateway, query).await?.rows))
        }
        (OutputFormat::Json, true) => print_json(&read_totals(&gateway, query).await?),
        (OutputFormat::Csv, false) => {
            print_text(csv::rows_to_csv(true, &[]))?;
            let mut pages = UsageReader::new(query, arguments);
            while let Some(messages) = pages.next_page(&gateway).await? {
                print_text(csv::rows_to_csv(false, &usage_rows(&messages)))?;
            }
            Ok(())
        }
        (OutputFormat::Json, false) => {
            let mut pages = UsageReader::new(query, arguments);
            while let Some(messages) = pages.next_page(&gateway).await? {
                for line in usage_rows(&messages) {
                    print_json(&line)?;
                }
            }
            Ok(())
        }
    }
}

async fn print_human_readable(
    gateway: &Gateway,
    query: UsageQuery,
    arguments: &Arguments,
    only_totals: bool,
) -> Result<()> {
    let totals = read_totals(gateway, query.clone()).await?;
    if totals.rows.is_empty() {
        return print_line("nothing was sent");
    }
    print_text(format_totals(&totals))?;
    let mut pages = UsageReader::new(query, arguments);
    while !only_totals && let Some(messages) = pages.next_page(gateway).await? {
        let masked = gateway.config.mask_numbers;
        for line in usage_rows(&messages) {
            print_line(format_usage_row(&line, masked))?;
        }
    }
    Ok(())
}

async fn read_totals(gateway: &Gateway, query: UsageQuery) -> Result<UsageTotalsView> {
    gateway.store.usage_totals(query).await.map(UsageTotalsView::from)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot write JSON", cause))?;
    print_line(text)
}

/// Pages of messages, at most as many messages as were asked for.
struct UsageReader {
    query: UsageQuery,
    messages_left: usize,
}

impl UsageReader {
    fn new(query: UsageQuery, arguments: &Arguments) -> Self {
        let left = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
        Self {
            query,
            messages_left: left,
        }
    }

    async fn next_page(&mut self, gateway: &Gateway) -> Result<Option<Vec<Message>>> {
        if self.messages_left == 0 {
            return Ok(None);
        }
        self.query.limit = PAGE_MESSAGES.min(self.messages_left);
        let page = gateway.store.usage(self.query.clone()).await?;
        self.messages_left = match page.next {
            Some(_) => self.messages_left.saturating_sub(page.messages.len()),
            None => 0,
        };
        self.query.before = page.next;
        Ok(Some(page.messages))
    }
}

/// Writing into a string cannot fail, so results of `write!` are dropped here.
fn format_totals(totals: &UsageTotalsView) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<10} {:<12} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8}  person",
        "day", "channel", "deliveries", "waiting", "sent", "delivered", "failed", "parts"
    );
    for line in &totals.rows {
        let user = line
            .user_id
            .as_deref()
            .map_or_else(|| "-".to_owned(), replace_control_characters);
        let _ = writeln!(
            text,
            "{:<10} {:<12} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8}  {user}",
            line.day,
            line.channel,
            line.deliveries,
            line.waiting,
            line.sent,
            line.delivered,
            line.failed,
            line.parts
        );
    }
    if !totals.complete {
        let more = "that is not all: ask for less time (--since, --until) or for one person (--user)";
        let _ = writeln!(text, "{more}");
    }
    text.push('\n');
    text
}

fn format_usage_row(line: &UsageDeliveryRow, masked: bool) -> String {
    let to = if masked {
        mask_address(&line.recipient)
    } else {
        line.recipient.clone()
    };
    let mut text = format!("{}  {}", line.created_at, line.channel);
    let _ = write!(text, " to {}", replace_control_characters(&to));
    if let Some(user) = &line.user_id {
        let _ = write!(text, " ({})", replace_control_characters(user));
    }
    let _ = write!(text, ": {}", line.state);
    if let Some(failure) = line.failure {
        let _ = write!(text, ", {failure}");
    }
    if let Some(provider) = &line.provider {
        let _ = write!(text, " through {provider}");
    }
    let _ = write!(text, ", tries {}, message {}", line.tries, line.message_id);
    text
}
