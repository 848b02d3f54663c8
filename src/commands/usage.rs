//! `console usage`: what was sent to a person or to all, with totals, for people, programs and spreadsheets.
//!
//! Reads the store a page at a time. Numbers are masked for people, unless the configuration shows them, and whole for
//! programs and spreadsheets.

use std::fmt::Write;

use super::{gateway, plain, print, say};
use crate::cli::{Cli, Form, Usage as Arguments};
use crate::domain::message::Message;
use crate::domain::recipient::mask;
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;
use crate::http::usage::{LineView, TotalsView, csv, lines};
use crate::store::UsageQuery;

/// How many messages are read at a time.
const PAGE_MESSAGES: usize = 500;

/// Prints lines and totals in the form that was asked for.
pub async fn run(cli: &Cli, arguments: &Arguments) -> Result<()> {
    let gateway = gateway(cli).await?;
    let now = gateway.clock.now();
    let query = UsageQuery {
        user: arguments.user.clone(),
        since: arguments.since.map(|since| since.moment(now)),
        until: arguments.until.map(|until| until.moment(now)),
        before: None,
        limit: PAGE_MESSAGES,
    };
    match (arguments.form, arguments.totals) {
        (Form::Text, totals) => people(&gateway, query, arguments, totals).await,
        (Form::Csv, true) => print(csv::of_totals(&totals(&gateway, query).await?.lines)),
        (Form::Json, true) => json(&totals(&gateway, query).await?),
        (Form::Csv, false) => {
            print(csv::of_lines(true, &[]))?;
            let mut pages = Pages::new(query, arguments);
            while let Some(messages) = pages.next(&gateway).await? {
                print(csv::of_lines(false, &lines(&messages)))?;
            }
            Ok(())
        }
        (Form::Json, false) => {
            let mut pages = Pages::new(query, arguments);
            while let Some(messages) = pages.next(&gateway).await? {
                for line in lines(&messages) {
                    json(&line)?;
                }
            }
            Ok(())
        }
    }
}

async fn people(
    gateway: &Gateway,
    query: UsageQuery,
    arguments: &Arguments,
    only_totals: bool,
) -> Result<()> {
    let totals = totals(gateway, query.clone()).await?;
    if totals.lines.is_empty() {
        return say("nothing was sent");
    }
    print(totals_table(&totals))?;
    let mut pages = Pages::new(query, arguments);
    while !only_totals && let Some(messages) = pages.next(gateway).await? {
        let masked = gateway.config.mask_numbers;
        for line in lines(&messages) {
            say(sentence(&line, masked))?;
        }
    }
    Ok(())
}

async fn totals(gateway: &Gateway, query: UsageQuery) -> Result<TotalsView> {
    gateway.store.usage_totals(query).await.map(TotalsView::from)
}

fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value)
        .map_err(|cause| Error::because(Kind::Internal, "cannot write JSON", cause))?;
    say(text)
}

/// Pages of messages, at most as many messages as were asked for.
struct Pages {
    query: UsageQuery,
    left: usize,
}

impl Pages {
    fn new(query: UsageQuery, arguments: &Arguments) -> Self {
        let left = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
        Self { query, left }
    }

    async fn next(&mut self, gateway: &Gateway) -> Result<Option<Vec<Message>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.query.limit = PAGE_MESSAGES.min(self.left);
        let page = gateway.store.usage(self.query.clone()).await?;
        self.left = match page.next {
            Some(_) => self.left.saturating_sub(page.messages.len()),
            None => 0,
        };
        self.query.before = page.next;
        Ok(Some(page.messages))
    }
}

/// Writing into a string cannot fail, so results of `write!` are dropped here.
fn totals_table(totals: &TotalsView) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<10} {:<12} {:>10} {:>8} {:>8} {:>10} {:>8} {:>8}  person",
        "day", "channel", "deliveries", "waiting", "sent", "delivered", "failed", "parts"
    );
    for line in &totals.lines {
        let user = line.user_id.as_deref().map_or_else(|| "-".to_owned(), plain);
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

fn sentence(line: &LineView, masked: bool) -> String {
    let to = if masked {
        mask(&line.recipient)
    } else {
        line.recipient.clone()
    };
    let mut text = format!("{}  {}", line.created_at, line.channel);
    let _ = write!(text, " to {}", plain(&to));
    if let Some(user) = &line.user_id {
        let _ = write!(text, " ({})", plain(user));
    }
    let _ = write!(text, ": {}", line.state);
    if let Some(failure) = line.failure {
        let _ = write!(text, ", {failure}");
    }
    if let Some(provider) = &line.provider {
        let _ = write!(text, " through {provider}");
    }
    let _ = write!(text, ", tries {}, message {}", line.tries, line.message);
    text
}
