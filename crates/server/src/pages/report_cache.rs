//! The newest report and its rendered page, cached in this process for less than a second.
//!
//! Most page views do not read the store, and a report of another process appears within a second. Rendered pages are
//! also kept in the shared cache; if the cache has lost a page, it is rendered again.

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use chrono::TimeDelta;
use parking_lot::RwLock;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::layout::PageLayout;
use super::report::{self, PageSettings};
use postrider_cache::Cache;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::report::{HourReportRow, ProviderReportRow, Report, TopRecipientRow};
use postrider_engine::gateway::Gateway;
use postrider_engine::problems::current_problems;
use postrider_engine::sync_report;

/// Time for which a lookup in the store is reused.
const REPORT_LOOKUP_TTL: Duration = Duration::from_millis(900);

/// Time after its due time from which a missing report counts as overdue.
const REPORT_OVERDUE_AFTER: Duration = Duration::from_secs(60);

/// Lifetime of a rendered page in the cache. A newer report has another key, so this only frees memory.
const REPORT_PAGE_TTL: Duration = Duration::from_secs(3600);

/// Cache of the newest report.
#[derive(Default)]
pub struct ReportCache {
    last_lookup: RwLock<Option<TimedLookup>>,
    last_problems: Mutex<Option<(Instant, Vec<String>)>>,
    lookup_lock: Mutex<()>,
    /// Digest of the settings and the code on which the page depends. It does not change while the process runs.
    page_fingerprint: OnceLock<String>,
}

#[derive(Clone)]
struct TimedLookup {
    at: Instant,
    lookup: ReportLookup,
}

/// Result of a lookup in the store.
#[derive(Clone)]
enum ReportLookup {
    /// The store cannot be read, and no report was read before.
    Unavailable,
    /// There is no report yet.
    NoReport,
    /// The newest report, or the last known one while the store is unavailable.
    Report(Arc<CachedReport>),
}

/// A report and its page.
pub(super) struct CachedReport {
    /// The report.
    pub report: Report,
    /// Set if the next report is overdue.
    pub overdue: bool,
    cache_key: String,
    page: OnceLock<Bytes>,
}

impl ReportCache {
    /// Returns the newest report, at most a second old.
    async fn lookup(&self, gateway: &Gateway) -> ReportLookup {
        if let Some(fresh) = self.fresh_lookup() {
            return fresh;
        }
        let _guard = self.lookup_lock.lock().await;
        if let Some(fresh) = self.fresh_lookup() {
            return fresh;
        }
        let at = Instant::now();
        let lookup = self.read_store(gateway).await;
        *self.last_lookup.write() = Some(TimedLookup { at, lookup: lookup.clone() });
        lookup
    }

    /// Returns the newest report; an error if the store cannot be read and none is known.
    pub(super) async fn report(&self, gateway: &Gateway) -> Result<Option<Arc<CachedReport>>> {
        match self.lookup(gateway).await {
            ReportLookup::Unavailable => Err(Error::new(ErrorKind::Unavailable, "read the newest report")),
            ReportLookup::NoReport => Ok(None),
            ReportLookup::Report(cached) => Ok(Some(cached)),
        }
    }

    /// Returns the newest known report, for pages that can omit it.
    pub(super) async fn report_if_known(&self, gateway: &Gateway) -> Option<Arc<CachedReport>> {
        match self.lookup(gateway).await {
            ReportLookup::Report(cached) => Some(cached),
            ReportLookup::NoReport | ReportLookup::Unavailable => None,
        }
    }

    /// Returns the layout of a page with the counters of the newest known report.
    pub(super) async fn layout(&self, gateway: &Gateway, title: &'static str) -> PageLayout {
        let cached = self.report_if_known(gateway).await;
        PageLayout {
            problems: self.problems(gateway).await,
            ..PageLayout::new(title, gateway.is_test_mode(), cached.as_deref().map(|cached| &cached.report))
        }
    }

    /// Returns the current problems that delay deliveries, at most a second old.
    pub(super) async fn problems(&self, gateway: &Gateway) -> Vec<String> {
        let mut last_problems = self.last_problems.lock().await;
        match &*last_problems {
            Some((at, problems)) if at.elapsed() < REPORT_LOOKUP_TTL => problems.clone(),
            _ => {
                let problems = current_problems(gateway).await;
                *last_problems = Some((Instant::now(), problems.clone()));
                problems
            }
        }
    }

    /// Returns the page of a report, from the cache or rendered.
    pub(super) async fn page(&self, gateway: &Gateway, cached: &CachedReport) -> Result<Bytes> {
        if let Some(page) = gateway.cache.get(&cached.cache_key).await {
            return Ok(Bytes::from(page));
        }
        if let Some(page) = cached.page.get() {
            return Ok(page.clone());
        }
        let page = report::render(&cached.report, cached.overdue, &PageSettings::from_gateway(gateway))?;
        let page = cached.page.get_or_init(|| page).clone();
        gateway.cache.set(&cached.cache_key, &page, REPORT_PAGE_TTL).await;
        Ok(page)
    }

    fn fresh_lookup(&self) -> Option<ReportLookup> {
        let last = self.last_lookup.read();
        last.as_ref().filter(|timed| timed.at.elapsed() < REPORT_LOOKUP_TTL).map(|timed| timed.lookup.clone())
    }

    async fn read_store(&self, gateway: &Gateway) -> ReportLookup {
        match sync_report::latest_report(gateway).await {
            Ok(None) => ReportLookup::NoReport,
            Ok(Some((generation, report))) => {
                let overdue = is_overdue(report.as_of, gateway.config.schedule.report, gateway.clock.now());
                ReportLookup::Report(Arc::new(CachedReport {
                    cache_key: self.cache_key(generation, overdue, gateway),
                    report,
                    overdue,
                    page: OnceLock::new(),
                }))
            }
            Err(error) => {
                gateway.metrics.store_errors.inc();
                log::error!("cannot read report snapshot: error={}", error.chain());
                self.last_known()
            }
        }
    }

    /// Returns the last known report, however old.
    fn last_known(&self) -> ReportLookup {
        match self.last_lookup.read().as_ref().map(|timed| &timed.lookup) {
            Some(ReportLookup::Report(cached)) => ReportLookup::Report(Arc::clone(cached)),
            Some(ReportLookup::NoReport | ReportLookup::Unavailable) | None => ReportLookup::Unavailable,
        }
    }

    fn cache_key(&self, generation: i64, overdue: bool, gateway: &Gateway) -> String {
        let fingerprint =
            self.page_fingerprint.get_or_init(|| page_fingerprint(&PageSettings::from_gateway(gateway)));
        let suffix = if overdue { ":overdue" } else { "" };
        format!("page:report:{generation}:{fingerprint}{suffix}")
    }
}

fn is_overdue(as_of: Timestamp, interval: Option<Duration>, now: Timestamp) -> bool {
    interval.is_some_and(|interval| now > as_of + interval + REPORT_OVERDUE_AFTER)
}

/// Returns a digest of the page of an example report. The digest changes with everything on which pages depend: the
/// settings, the templates, and the code.
fn page_fingerprint(settings: &PageSettings) -> String {
    let as_of = from_millis(0) + TimeDelta::days(2);
    let example = Report {
        as_of,
        messages: 1,
        providers: vec![ProviderReportRow::default()],
        hours: vec![HourReportRow { hour: as_of, accepted: 3, sent: 1, failed: 1 }],
        top_recipients: vec![TopRecipientRow { address: "+980000000000".to_owned(), count: 1 }],
        ..Report::default()
    };
    let page = report::render(&example, false, settings).unwrap_or_default();
    Sha256::digest(&page).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
