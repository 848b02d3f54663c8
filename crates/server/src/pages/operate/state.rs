//! State that the handlers of the operator's pages share: the report cache, the live numbers, the stop signal.
//!
//! It is cloned for every request; the clones share their contents.

use std::sync::Arc;

use super::super::report_cache::ReportCache;
use super::live_updates::LiveUpdates;
use postrider_engine::stop::StopSignal;

/// Shared state of the operator's pages.
#[derive(Clone)]
pub(super) struct OperateState {
    /// The newest report.
    pub(super) reports: Arc<ReportCache>,
    /// The live numbers.
    pub(super) live: Arc<LiveUpdates>,
    /// Ends the event streams.
    pub(super) stop: StopSignal,
}
