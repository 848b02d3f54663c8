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

use super::report::{self, Setting};
use crate::cache::Cache;
use crate::clock::{Timestamp, from_millis};
use crate::domain::report::{HourLine, ProviderLine, Report, TopLine};
use crate::error::{Error, Kind, Result};
use crate::flow::sync_report;
use crate::gateway::Gateway;

/// How long the store is not asked again for a newer report, in milliseconds at most.
const REMEMBERED: Duration = Duration::from_millis(900);

/// How late a report may be before the page says so.
const LATE_AFTER: Duration = Duration::from_secs(60);

/// How long a rendered page may lie in the cache. A newer report has another key, so this only tidies up.
const PAGE_KEEP: Duration = Duration::from_secs(3600);

/// What this process knows of the newest report.
#[derive(Default)]
pub struct Newest {
    seen: RwLock<Option<Seen>>,
    looking: Mutex<()>,
    /// What shapes a page besides the report; the same as long as the process lives.
    shape: OnceLock<String>,
}

#[derive(Clone)]
struct Seen {
    at: Instant,
    known: Known,
}

/// What the last look at the store came to.
#[derive(Clone)]
pub(super) enum Known {
    /// The store could not be read, and never could be before.
    Away,
    /// There is no report yet.
    Nothing,
    /// The newest report, or the last known one when the store is away.
    Report(Arc<Kept>),
}

/// A report and the page made of it.
pub(super) struct Kept {
    /// The report.
    pub report: Report,
    /// Whether a newer one should be there by now.
    pub overdue: bool,
    key: String,
    page: OnceLock<Bytes>,
}

impl Newest {
    /// What is known now, no older than a second.
    pub(super) async fn look(&self, gateway: &Gateway) -> Known {
        if let Some(known) = self.fresh() {
            return known;
        }
        let _one_looks = self.looking.lock().await;
        if let Some(known) = self.fresh() {
            return known;
        }
        let at = Instant::now();
        let known = self.ask(gateway).await;
        let seen = Some(Seen {
            at,
            known: known.clone(),
        });
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = seen;
        known
    }

    /// The newest report, where there is one; an error when the store cannot say.
    pub(super) async fn report(&self, gateway: &Gateway) -> Result<Option<Arc<Kept>>> {
        match self.look(gateway).await {
            Known::Away => Err(away()),
            Known::Nothing => Ok(None),
            Known::Report(kept) => Ok(Some(kept)),
        }
    }

    /// The newest report that is known, for a page that can do without.
    pub(super) async fn known(&self, gateway: &Gateway) -> Option<Arc<Kept>> {
        match self.look(gateway).await {
            Known::Report(kept) => Some(kept),
            Known::Nothing | Known::Away => None,
        }
    }

    /// The page of that report: from the cache, or rendered and put there.
    pub(super) async fn page(&self, gateway: &Gateway, kept: &Kept) -> Result<Bytes> {
        if let Some(page) = gateway.cache.get(&kept.key).await {
            return Ok(Bytes::from(page));
        }
        if let Some(page) = kept.page.get() {
            return Ok(page.clone());
        }
        let page = report::render(&kept.report, kept.overdue, &Setting::of(gateway))?;
        let page = kept.page.get_or_init(|| page).clone();
        gateway.cache.set(&kept.key, &page, PAGE_KEEP).await;
        Ok(page)
    }

    fn fresh(&self) -> Option<Known> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        seen.as_ref()
            .filter(|seen| seen.at.elapsed() < REMEMBERED)
            .map(|seen| seen.known.clone())
    }

    async fn ask(&self, gateway: &Gateway) -> Known {
        match sync_report::newest(gateway).await {
            Ok(None) => Known::Nothing,
            Ok(Some((generation, report))) => {
                let overdue = is_overdue(report.as_of, sync_report::interval(gateway), gateway.clock.now());
                Known::Report(Arc::new(Kept {
                    key: self.key(generation, overdue, gateway),
                    report,
                    overdue,
                    page: OnceLock::new(),
                }))
            }
            Err(error) => {
                gateway.metrics.store_errors.inc();
                log::error!("the newest report cannot be read: {}", error.chain());
                self.remembered()
            }
        }
    }

    /// The last known report, however old.
    fn remembered(&self) -> Known {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        match seen.as_ref().map(|seen| &seen.known) {
            Some(Known::Report(kept)) => Known::Report(Arc::clone(kept)),
            Some(Known::Nothing | Known::Away) | None => Known::Away,
        }
    }

    fn key(&self, generation: i64, overdue: bool, gateway: &Gateway) -> String {
        let shape = self.shape.get_or_init(|| shape(&Setting::of(gateway)));
        let late = if overdue { ":late" } else { "" };
        format!("page:report:{generation}:{shape}{late}")
    }
}

/// The error for a report nobody can read.
fn away() -> Error {
    Error::new(Kind::Unavailable, "read the newest report")
}

fn is_overdue(as_of: Timestamp, interval: Option<Duration>, now: Timestamp) -> bool {
    interval.is_some_and(|interval| now > as_of + interval + LATE_AFTER)
}

/// A digest of the page that this program with this setting makes of a small report: it changes with whatever
/// changes a page, be it the configuration, a template or the code.
fn shape(setting: &Setting) -> String {
    let as_of = from_millis(0) + TimeDelta::days(2);
    let example = Report {
        as_of,
        messages: 1,
        providers: vec![ProviderLine::default()],
        hours: vec![HourLine {
            hour: as_of,
            accepted: 3,
            sent: 1,
            failed: 1,
        }],
        top: vec![TopLine {
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

    fn setting() -> Setting {
        Setting {
            mask: true,
            sandbox: true,
            keys: false,
            interval: Some(Duration::from_secs(1_200)),
            public_url: "http://127.0.0.1:8080".to_owned(),
        }
    }

    #[test]
    fn whatever_shapes_the_page_shapes_its_key() {
        let shapes = [
            setting(),
            Setting {
                mask: false,
                ..setting()
            },
            Setting {
                sandbox: false,
                ..setting()
            },
            Setting {
                interval: None,
                ..setting()
            },
        ]
        .map(|setting| shape(&setting));
        for (place, one) in shapes.iter().enumerate() {
            assert!(!shapes[..place].contains(one), "{shapes:?}");
        }
        assert_eq!(shape(&setting()), shape(&setting()));
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
