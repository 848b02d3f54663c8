//! The newest report, remembered for at most a second, and the page made of it.
//!
//! So a page costs no read of the store most of the time, and a report that another process made shows within
//! a second. Rendered pages lie in the cache; what is lost there is rendered again, at most once a second.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::report::{self, PageSettings};
use postrider_cache::Cache;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::report::{HourReportRow, ProviderReportRow, Report, TopRecipientRow};
use postrider_engine::gateway::Gateway;
use postrider_engine::sync_report;

/// How long the store is not asked again for a newer report, in milliseconds at most.
const LOOKUP_TTL: Duration = Duration::from_millis(900);

/// How late a report may be before the page says so.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);

/// How long a rendered page may lie in the cache. A newer report has another key, so this only tidies up.
const PAGE_TTL: Duration = Duration::from_secs(3600);

/// What this process knows of the newest report.
#[derive(Default)]
pub struct ReportCache {
    last_lookup: RwLock<Option<TimedLookup>>,
    lookup_lock: Mutex<()>,
    /// What shapes a page besides the report; the same as long as the process lives.
    page_fingerprint: OnceLock<String>,
}

#[derive(Clone)]
struct TimedLookup {
    at: Instant,
    lookup: ReportLookup,
}

/// What the last look at the store came to.
#[derive(Clone)]
pub(super) enum ReportLookup {
    /// The store could not be read, and never could be before.
    Unavailable,
    /// There is no report yet.
    NoReport,
    /// The newest report, or the last known one when the store is away.
    Report(Arc<CachedReport>),
}

/// A report and the page made of it.
pub(super) struct CachedReport {
    /// The report.
    pub report: Report,
    /// Whether a newer one should be there by now.
    pub overdue: bool,
    cache_key: String,
    page: OnceLock<Bytes>,
}

impl ReportCache {
    /// What is known now, no older than a second.
    pub(super) async fn lookup(&self, gateway: &Gateway) -> ReportLookup {
        if let Some(known) = self.fresh_lookup() {
            return known;
        }
        let _one_looks = self.lookup_lock.lock().await;
        if let Some(known) = self.fresh_lookup() {
            return known;
        }
        let at = Instant::now();
        let known = self.read_store(gateway).await;
        let seen = Some(TimedLookup {
            at,
            lookup: known.clone(),
        });
        *self.last_lookup.write().unwrap_or_else(PoisonError::into_inner) = seen;
        known
    }

    /// The newest report, where there is one; an error when the store cannot say.
    pub(super) async fn report(&self, gateway: &Gateway) -> Result<Option<Arc<CachedReport>>> {
        match self.lookup(gateway).await {
            ReportLookup::Unavailable => Err(store_unavailable()),
            ReportLookup::NoReport => Ok(None),
            ReportLookup::Report(kept) => Ok(Some(kept)),
        }
    }

    /// The newest report that is known, for a page that can do without.
    pub(super) async fn report_if_known(&self, gateway: &Gateway) -> Option<Arc<CachedReport>> {
        match self.lookup(gateway).await {
            ReportLookup::Report(kept) => Some(kept),
            ReportLookup::NoReport | ReportLookup::Unavailable => None,
        }
    }

    /// The page of that report: from the cache, or rendered and put there.
    pub(super) async fn page(&self, gateway: &Gateway, kept: &CachedReport) -> Result<Bytes> {
        if let Some(page) = gateway.cache.get(&kept.cache_key).await {
            return Ok(Bytes::from(page));
        }
        if let Some(page) = kept.page.get() {
            return Ok(page.clone());
        }
        let page = report::render(&kept.report, kept.overdue, &PageSettings::from_gateway(gateway))?;
        let page = kept.page.get_or_init(|| page).clone();
        gateway.cache.set(&kept.cache_key, &page, PAGE_TTL).await;
        Ok(page)
    }

    fn fresh_lookup(&self) -> Option<ReportLookup> {
        let seen = self.last_lookup.read().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref()
            .filter(|seen| seen.at.elapsed() < LOOKUP_TTL)
            .map(|seen| seen.lookup.clone())
    }

    async fn read_store(&self, gateway: &Gateway) -> ReportLookup {
        match sync_report::latest_report(gateway).await {
            Ok(None) => ReportLookup::NoReport,
            Ok(Some((generation, report))) => {
                let overdue = is_overdue(
                    report.as_of,
                    sync_report::sync_interval(gateway),
                    gateway.clock.now(),
                );
                ReportLookup::Report(Arc::new(CachedReport {
                    cache_key: self.cache_key(generation, overdue, gateway),
                    report,
                    overdue,
                    page: OnceLock::new(),
                }))
            }
            Err(error) => {
                gateway.metrics.store_errors.inc();
                log::error!("the newest report cannot be read: {}", error.chain());
                self.last_known()
            }
        }
    }

    /// The last known report, however old.
    fn last_known(&self) -> ReportLookup {
        let seen = self.last_lookup.read().unwrap_or_else(PoisonError::into_inner);
        match seen.as_ref().map(|seen| &seen.lookup) {
            Some(ReportLookup::Report(kept)) => ReportLookup::Report(Arc::clone(kept)),
            Some(ReportLookup::NoReport | ReportLookup::Unavailable) | None => ReportLookup::Unavailable,
        }
    }

    fn cache_key(&self, generation: i64, overdue: bool, gateway: &Gateway) -> String {
        let shape = self
            .page_fingerprint
            .get_or_init(|| page_fingerprint(&PageSettings::from_gateway(gateway)));
        let late = if overdue { ":late" } else { "" };
        format!("page:report:{generation}:{shape}{late}")
    }
}

/// The error for a report nobody can read.
fn store_unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "read the newest report")
}

fn is_overdue(as_of: Timestamp, interval: Option<Duration>, now: Timestamp) -> bool {
    interval.is_some_and(|interval| now > as_of + interval + OVERDUE_AFTER)
}

/// A digest of the page that this program with this setting makes of a small report: it changes with whatever
/// changes a page, be it the configuration, a template or the code.
fn page_fingerprint(setting: &PageSettings) -> String {
    let as_of = from_millis(0) + TimeDelta::days(2);
    let example = Report {
        as_of,
        messages: 1,
        providers: vec![ProviderReportRow::default()],
        hours: vec![HourReportRow {
            hour: as_of,
            accepted: 3,
            sent: 1,
            failed: 1,
        }],
        top_recipients: vec![TopRecipientRow {
            address: "+980000000000".to_owned(),
            count: 1,
        }],
        ..Report::default()
    };
    let page = report::render(&example, false, setting).unwrap_or_default();
    Sha256::digest(&page)
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> PageSettings {
        PageSettings {
            mask_numbers: true,
            test_mode: true,
            needs_key: false,
            interval: Some(Duration::from_secs(1_200)),
            public_url: "http://127.0.0.1:8080".to_owned(),
        }
    }

    #[test]
    fn whatever_shapes_the_page_shapes_its_key() {
        let shapes = [
            setting(),
            PageSettings {
                mask_numbers: false,
                ..setting()
            },
            PageSettings {
                test_mode: false,
                ..setting()
            },
            PageSettings {
                interval: None,
                ..setting()
            },
        ]
        .map(|setting| page_fingerprint(&setting));
        for (place, one) in shapes.iter().enumerate() {
            assert!(!shapes[..place].contains(one), "{shapes:?}");
        }
        assert_eq!(page_fingerprint(&setting()), page_fingerprint(&setting()));
    }

    #[test]
    fn a_report_is_late_a_minute_after_the_next_was_due() {
        let as_of = from_millis(0);
        let every = Some(Duration::from_secs(1_200));
        let after = |seconds| as_of + Duration::from_secs(seconds);
        assert!(!is_overdue(as_of, every, after(1_260)));
        assert!(is_overdue(as_of, every, after(1_261)));
        assert!(!is_overdue(as_of, None, after(1_000_000)));
    }
}
