//! A store double with one report and some messages, which can become unavailable.
//!
//! Implements the two capabilities that the tested pages use. A method that no page uses returns an error, so a page
//! that calls it fails its test.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::Message;
use postrider_core::name::ConfigName;
use postrider_core::report::Report;
use postrider_store::{
    Backlog, LastAttempt, MessageList, MessageQuery, ReadStore, ReportSnapshot, ReportStore, UsageQuery,
    UsageTotals,
};

/// The data that pages read.
#[derive(Default)]
pub(super) struct FakeStore {
    pub(super) is_unavailable: AtomicBool,
    pub(super) snapshot_reads: AtomicUsize,
    pub(super) snapshot: Mutex<Option<ReportSnapshot>>,
    pub(super) messages: Mutex<Vec<Message>>,
}

impl FakeStore {
    /// Makes this the newest report.
    pub(super) fn set_report(&self, report: &Report) {
        *self.snapshot.lock().unwrap() = Some(ReportSnapshot {
            generation: report.as_of.timestamp_millis(),
            as_of: report.as_of,
            content: serde_json::to_vec(report).unwrap(),
        });
    }

    fn check_available(&self) -> Result<()> {
        if self.is_unavailable.load(Ordering::SeqCst) {
            Err(Error::new(ErrorKind::Unavailable, "read the store"))
        } else {
            Ok(())
        }
    }
}

fn unexpected_call<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Internal, "a method that no page uses was called"))
}

#[async_trait]
impl ReadStore for FakeStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        self.check_available()?;
        let messages = self.messages.lock().unwrap();
        Ok(messages.iter().find(|message| message.id == id).cloned())
    }

    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        self.check_available()?;
        let to = query.to.unwrap_or_default();
        let matches = |message: &&Message| message.deliveries.iter().any(|delivery| delivery.address == to);
        let messages = self.messages.lock().unwrap();
        let messages: Vec<Message> = messages.iter().filter(matches).cloned().collect();
        let next = messages.last().map(|message| message.number);
        Ok(MessageList { messages, next })
    }

    async fn last_attempts(&self, _: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        unexpected_call()
    }

    async fn usage(&self, _: UsageQuery) -> Result<MessageList> {
        unexpected_call()
    }

    async fn usage_totals(&self, _: UsageQuery) -> Result<UsageTotals> {
        unexpected_call()
    }

    async fn backlogs(&self, _: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        unexpected_call()
    }
}

#[async_trait]
impl ReportStore for FakeStore {
    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        self.snapshot_reads.fetch_add(1, Ordering::SeqCst);
        self.check_available()?;
        Ok(self.snapshot.lock().unwrap().clone())
    }

    async fn apply_changes(&self, _: usize) -> Result<usize> {
        unexpected_call()
    }

    async fn begin_rebuild(&self) -> Result<()> {
        unexpected_call()
    }

    async fn report(&self, _: Timestamp) -> Result<Report> {
        unexpected_call()
    }

    async fn save_snapshot(&self, _: ReportSnapshot) -> Result<()> {
        unexpected_call()
    }
}
