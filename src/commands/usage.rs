//! `console usage`: sent messages and totals of one or all users, as text, CSV or JSON.
//!
//! The command reads the store page by page. Phone numbers are complete in CSV and JSON, and masked in text unless the
//! configuration shows them.

use std::fmt::Write;

use super::{displayed_address, open_gateway, or_dash, print_line, print_text, replace_control_characters};
use crate::cli::{Cli, OutputFormat, UsageArgs};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::message::Message;
use postrider_engine::config::Config;
use postrider_engine::gateway::Gateway;
use postrider_engine::usage::{UsageDeliveryRow, UsageTotalsView, csv, usage_rows};
use postrider_store::{MessageList, UsageQuery};

/// Messages per page of the store.
const PAGE_MESSAGES: usize = 500;

/// Number of rows of the totals that are shown before messages; `--totals` shows all.
const TOTALS_SHOWN_MAX: usize = 20;

/// Prints messages and totals in the requested format.
pub async fn run(cli: &Cli, arguments: &UsageArgs) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let now = gateway.clock.now();
    let usage_query = UsageQuery {
        owner: None,
        user: arguments.user.clone(),
        since: arguments.since.map(|since| since.resolve(now)),
        until: arguments.until.map(|until| until.resolve(now)),
        before: None,
        limit: PAGE_MESSAGES,
        day_offset_ms: 0,
    };
    if usage_query.since.zip(usage_query.until).is_some_and(|(since, until)| until <= since) {
        return Err(Error::usage("--until must be after --since"));
    }
    match (arguments.output, arguments.totals) {
        (OutputFormat::Text, only_totals) => {
            print_human_readable(&gateway, usage_query, arguments, only_totals).await
        }
        (OutputFormat::Csv, true) => {
            print_text(csv::totals_to_csv(&read_totals(&gateway, usage_query).await?.rows))
        }
        (OutputFormat::Json, true) => print_json(&read_totals(&gateway, usage_query).await?),
        (format, false) => print_deliveries(&gateway, usage_query, arguments, format).await,
    }
}

/// Prints deliveries as CSV with a header, or as one JSON document per line.
async fn print_deliveries(
    gateway: &Gateway,
    query: UsageQuery,
    arguments: &UsageArgs,
    format: OutputFormat,
) -> Result<()> {
    let is_csv = format == OutputFormat::Csv;
    if is_csv {
        print_text(csv::rows_to_csv(&[]))?;
    }
    let mut reader = UsageReader::new(query, arguments);
    while let Some(messages) = reader.next_page(gateway).await? {
        let rows = usage_rows(&messages);
        if is_csv {
            print_text(csv::rows_to_csv_without_header(&rows))?;
        } else {
            rows.iter().try_for_each(print_json)?;
        }
    }
    Ok(())
}

async fn print_human_readable(
    gateway: &Gateway,
    query: UsageQuery,
    arguments: &UsageArgs,
    only_totals: bool,
) -> Result<()> {
    let totals = read_totals(gateway, query.clone()).await?;
    if totals.rows.is_empty() {
        return print_line("no messages");
    }
    print_text(format_totals(&totals, if only_totals { usize::MAX } else { TOTALS_SHOWN_MAX }))?;
    let mut reader = UsageReader::new(query, arguments);
    while !only_totals && let Some(messages) = reader.next_page(gateway).await? {
        for row in usage_rows(&messages) {
            print_line(format_usage_row(&row, &gateway.config))?;
        }
    }
    Ok(())
}

async fn read_totals(gateway: &Gateway, query: UsageQuery) -> Result<UsageTotalsView> {
    gateway.store.usage_totals(query).await.map(UsageTotalsView::from)
}

fn print_json(document: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string(document);
    let json = json.map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot write JSON", cause))?;
    print_text(format_args!("{json}\n"))
}

/// Reads messages page by page, up to the limit of the command line.
struct UsageReader {
    query: UsageQuery,
    messages_left: usize,
}

impl UsageReader {
    fn new(query: UsageQuery, arguments: &UsageArgs) -> Self {
        Self { query, messages_left: usize::try_from(arguments.limit).unwrap_or(usize::MAX) }
    }

    async fn next_page(&mut self, gateway: &Gateway) -> Result<Option<Vec<Message>>> {
        if self.messages_left == 0 {
            return Ok(None);
        }
        self.query.limit = PAGE_MESSAGES.min(self.messages_left);
        let MessageList { messages, next } = gateway.store.usage(self.query.clone()).await?;
        let messages_left = self.messages_left.saturating_sub(messages.len());
        self.messages_left = if next.is_some() { messages_left } else { 0 };
        self.query.before = next;
        Ok(Some(messages))
    }
}

/// Formats totals as a table. Writing into a string cannot fail, so results of `write!` are dropped.
fn format_totals(totals: &UsageTotalsView, rows_max: usize) -> String {
    let mut totals_table = String::new();
    let _ = writeln!(
        totals_table,
        "{:<10} {:<12} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8}  user",
        "day", "channel", "deliveries", "waiting", "sent", "delivered", "failed", "parts"
    );
    for row in totals.rows.iter().take(rows_max) {
        let user = or_dash(row.user_id.as_deref().map(replace_control_characters));
        let _ = writeln!(
            totals_table,
            "{:<10} {:<12} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8}  {user}",
            row.day, row.channel, row.deliveries, row.waiting, row.sent, row.delivered, row.failed, row.parts
        );
    }
    if totals.rows.len() > rows_max {
        let hidden = totals.rows.len() - rows_max;
        let _ = writeln!(totals_table, "{hidden} more rows; --totals shows all of them");
    }
    if !totals.complete {
        let _ = writeln!(totals_table, "incomplete: limit the time (--since, --until) or the user (--user)");
    }
    totals_table.push('\n');
    totals_table
}

fn format_usage_row(row: &UsageDeliveryRow, config: &Config) -> String {
    let address = displayed_address(&row.recipient, config);
    let address = replace_control_characters(&address);
    let user = row.user_id.as_deref().map(|user| format!(" ({})", replace_control_characters(user)));
    let failure = row.failure.map(|failure| format!(", {failure}"));
    let provider = row.provider.as_ref().map(|provider| format!(" through {provider}"));
    format!(
        "{}  {} to {address}{}: {}{}{}, tries {}, message {}",
        row.created_at,
        row.channel,
        user.unwrap_or_default(),
        row.state,
        failure.unwrap_or_default(),
        provider.unwrap_or_default(),
        row.tries,
        row.message_id
    )
}

#[cfg(test)]
mod tests;
