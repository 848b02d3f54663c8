//! `/operate`: what waits, how the providers do, and what failed last.
//!
//! Numbers come from the newest report, from what waits now, and from the lanes; the failures are the newest few.

use askama::Template;
use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::super::frame::{self, Frame};
use super::super::words;
use super::act::Notice;
use super::list::Row;
use super::{Desk, Operator, live};
use crate::domain::delivery::Standing;
use crate::domain::report::{ProviderLine, Report, percent};
use crate::error::Result;
use crate::flow::find::{self, Wanted, Wish};
use crate::gateway::{Gateway, Lane};
use crate::http::native;

/// How many of the newest failures are shown.
const FAILURES: usize = 10;

/// After how many seconds a browser without scripts asks again, and for what: not for what was said once.
const RELOAD: &str = "30; url=/operate";

/// The page at `/operate`.
#[derive(Template)]
#[template(path = "operate.html", whitespace = "minimize")]
struct OverviewPage {
    frame: Frame,
    token: String,
    operator: String,
    notice: Option<Notice>,
    now: String,
    waiting: [(&'static str, String); 3],
    providers: Vec<ProviderRow>,
    failures: Vec<Row>,
}

/// How one provider stands.
struct ProviderRow {
    name: String,
    kind: String,
    health: &'static str,
    detail: String,
    shares: String,
    rate: String,
    calls: usize,
    concurrency: usize,
    attempts: String,
    share: String,
    fault: String,
    may_rest: bool,
    may_wake: bool,
}

/// The page as of now.
pub(super) async fn page(
    gateway: &Gateway,
    desk: &Desk,
    operator: &Operator<'_>,
    notice: Option<Notice>,
) -> Result<Response<Body>> {
    let report = super::report(gateway, &desk.newest).await;
    let failed = Wanted {
        state: Some(Wish::Standing(Standing::Failed)),
        ..Wanted::default()
    };
    let found = find::deliveries(gateway, &failed, None, FAILURES).await?;
    let now = gateway.clock.now();
    let mask = gateway.config.mask_numbers;
    let page = OverviewPage {
        frame: Frame {
            reload: Some(RELOAD),
            ..Frame::live("Operate", gateway.is_sandbox(), report.as_ref())
        },
        token: operator.token.clone(),
        operator: operator.name.to_owned(),
        notice,
        now: words::moment(now),
        waiting: live::waiting(desk.live.backlog(gateway).await, now),
        providers: gateway
            .lanes()
            .iter()
            .map(|lane| ProviderRow::of(gateway, lane, report.as_ref()))
            .collect(),
        failures: found.lines.iter().map(|line| Row::of(line, mask, now)).collect(),
    };
    frame::operated(StatusCode::OK, &page)
}

impl ProviderRow {
    fn of(gateway: &Gateway, lane: &Lane, report: Option<&Report>) -> Self {
        let view = lane.view(gateway.clock.now());
        let mut configured = gateway.config.providers.iter();
        let config = configured.find(|provider| provider.name == lane.name);
        let lines = report.map_or(&[][..], |report| &report.providers);
        let line = lines.iter().find(|line| line.name == lane.name.as_str());
        let all: u64 = lines.iter().map(ProviderLine::attempts).sum();
        Self {
            name: lane.name.to_string(),
            kind: config.map(|config| config.kind.clone()).unwrap_or_default(),
            health: view.health,
            may_wake: view.can_be_woken(),
            detail: view.detail,
            shares: shares(gateway, lane),
            rate: lane
                .rate
                .map_or_else(|| "no limit".to_owned(), |rate| format!("{rate} a second")),
            calls: view.in_flight,
            concurrency: lane.concurrency,
            attempts: line.map_or_else(|| words::NONE.to_owned(), |line| words::count(line.attempts())),
            share: words::percent(line.and_then(|line| percent(line.attempts(), all))),
            fault: words::percent(line.and_then(ProviderLine::fault_percent)),
            may_rest: !view.put_to_rest,
        }
    }
}

/// Its part in each channel, as configured.
fn shares(gateway: &Gateway, lane: &Lane) -> String {
    let channels = gateway.config.channels.iter();
    let parts = channels.filter_map(|channel| native::part(channel, &lane.name));
    let words = parts.map(|part| {
        let native::ChannelView {
            channel, strategy, ..
        } = &part;
        match (*strategy, part.share_percent) {
            ("failover", Some(share)) if share > 0.0 => format!("{channel}: first"),
            ("failover", _) => format!("{channel}: in reserve"),
            (_, Some(share)) => format!("{channel}: {}", words::percent(Some(share))),
            (_, None) => format!("{channel}: least busy"),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}
