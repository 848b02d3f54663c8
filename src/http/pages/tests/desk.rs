//! A store that knows one report and some messages, and can go away.
//!
//! Stands in where a test has to take the store away in the middle. Whatever no page asks for is an error here,
//! so a page that asks for more than it should fails its test.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::domain::broadcast::{
    Announced, Broadcast, BroadcastId, Inbox, NewBroadcast, NewUser, Reach, Registered, Tally, User,
};
use crate::domain::channel::Name;
use crate::domain::event::{ClaimedEvent, Event, EventEnd, EventKey};
use crate::domain::fleet::{Known, Learned, News};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::inbound::Opting;
use crate::domain::message::{Acceptance, Claimed, Message, NewMessage, Nudge, Recorded, Round};
use crate::domain::order::Order;
use crate::domain::recipient::Recipient;
use crate::domain::report::Report;
use crate::domain::throttle::PaceWish;
use crate::domain::turn::{Task, Turn};
use crate::domain::wish::Wish;
use crate::error::{Error, Kind, Result};
use crate::store::{
    Backlog, Broadcasts, Burial, Cancelled, EventLane, EventQuery, Heard, LastCall, Outbox, Page, Passage,
    Probe, Progress, ProviderPlace, Query, Selection, Settled, Snapshot, Store, UsageQuery, UsageTotals,
};

/// What pages can read.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) away: AtomicBool,
    pub(super) looks: AtomicUsize,
    pub(super) snapshot: Mutex<Option<Snapshot>>,
    pub(super) messages: Mutex<Vec<Message>>,
}

impl Desk {
    /// Makes this the newest report.
    pub(super) fn publish(&self, report: &Report) {
        *self.snapshot.lock().unwrap() = Some(Snapshot {
            generation: report.as_of.timestamp_millis(),
            as_of: report.as_of,
            content: serde_json::to_vec(report).unwrap(),
        });
    }

    fn there(&self) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            Err(Error::new(Kind::Unavailable, "read the store"))
        } else {
            Ok(())
        }
    }
}

fn unasked<T>() -> Result<T> {
    Err(Error::new(Kind::Internal, "do what no page asks for"))
}

#[async_trait]
impl Broadcasts for Desk {
    async fn register(&self, _: Vec<NewUser>) -> Result<Vec<Registered>> {
        unasked()
    }
    async fn user(&self, _: &str) -> Result<Option<User>> {
        unasked()
    }
    async fn announce(&self, _: NewBroadcast) -> Result<Announced> {
        unasked()
    }
    async fn unspread(&self, _: i64) -> Result<Option<Broadcast>> {
        unasked()
    }
    async fn addressees(&self, _: &Broadcast, _: usize) -> Result<Vec<User>> {
        unasked()
    }
    async fn spread(&self, _: Reach, _: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        unasked()
    }
    async fn broadcast(&self, _: BroadcastId) -> Result<Option<(Broadcast, Tally)>> {
        unasked()
    }
    async fn broadcasts(&self, _: Option<i64>, _: usize) -> Result<Vec<Broadcast>> {
        unasked()
    }
    async fn inbox(&self, _: &str, _: Option<i64>, _: usize) -> Result<Inbox> {
        unasked()
    }
}

#[async_trait]
impl Outbox for Desk {
    async fn event_lanes(&self, _: &str, _: usize) -> Result<Vec<EventLane>> {
        unasked()
    }
    async fn claim_events(
        &self,
        _: Vec<(String, usize)>,
        _: Timestamp,
        _: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        unasked()
    }
    async fn record_events(&self, _: Vec<EventEnd>) -> Result<()> {
        unasked()
    }
    async fn bury_events(&self, _: Burial) -> Result<usize> {
        unasked()
    }
    async fn events(&self, _: EventQuery) -> Result<Vec<Event>> {
        unasked()
    }
    async fn replay_events(&self, _: Vec<EventKey>, _: Timestamp) -> Result<usize> {
        unasked()
    }
}

#[async_trait]
impl Store for Desk {
    async fn find(&self, id: MessageId) -> Result<Option<Message>> {
        self.there()?;
        let messages = self.messages.lock().unwrap();
        Ok(messages.iter().find(|message| message.id == id).cloned())
    }
    async fn search(&self, query: Query) -> Result<Page> {
        self.there()?;
        let to = query.to.unwrap_or_default();
        let has = |message: &&Message| message.deliveries.iter().any(|delivery| delivery.address == to);
        let messages: Vec<Message> = self
            .messages
            .lock()
            .unwrap()
            .iter()
            .filter(has)
            .cloned()
            .collect();
        let next = messages.last().map(|message| message.number);
        Ok(Page { messages, next })
    }
    async fn snapshot(&self) -> Result<Option<Snapshot>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.there()?;
        Ok(self.snapshot.lock().unwrap().clone())
    }
    async fn accept(&self, _: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        unasked()
    }
    async fn due(&self, _: Timestamp, _: &Wish) -> Result<Vec<Nudge>> {
        unasked()
    }
    async fn claim(&self, _: Vec<DeliveryId>, _: Timestamp, _: Duration) -> Result<Vec<Claimed>> {
        unasked()
    }
    async fn record(&self, _: Vec<Round>) -> Result<Vec<Recorded>> {
        unasked()
    }
    async fn settle(&self, _: Vec<Heard>) -> Result<Vec<Settled>> {
        unasked()
    }
    async fn cancel(&self, _: MessageId, _: Timestamp) -> Result<Cancelled> {
        unasked()
    }
    async fn usage(&self, _: UsageQuery) -> Result<Page> {
        unasked()
    }

    async fn usage_totals(&self, _: UsageQuery) -> Result<UsageTotals> {
        unasked()
    }

    async fn select(&self, _: Selection) -> Result<Vec<DeliveryId>> {
        unasked()
    }
    async fn revive(&self, _: Vec<DeliveryId>, _: Timestamp, _: Timestamp) -> Result<Vec<Nudge>> {
        unasked()
    }
    async fn recipient(&self, _: &Name, _: &str) -> Result<Option<Recipient>> {
        unasked()
    }
    async fn set_recipient(&self, _: Recipient) -> Result<()> {
        unasked()
    }
    async fn opt(&self, _: Vec<Opting>) -> Result<Vec<bool>> {
        unasked()
    }
    async fn fold(&self, _: usize) -> Result<usize> {
        unasked()
    }
    async fn unfold(&self) -> Result<()> {
        unasked()
    }
    async fn report(&self, _: Timestamp) -> Result<Report> {
        unasked()
    }
    async fn keep_snapshot(&self, _: Snapshot) -> Result<()> {
        unasked()
    }
    async fn backlogs(&self, _: Timestamp) -> Result<Vec<(Name, Backlog)>> {
        unasked()
    }
    async fn prune(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<usize> {
        unasked()
    }
    async fn forget(&self, _: Timestamp, _: Timestamp, _: usize) -> Result<usize> {
        unasked()
    }
    async fn name_providers(&self, _: Vec<ProviderPlace>) -> Result<()> {
        unasked()
    }
    async fn time(&self) -> Result<Timestamp> {
        unasked()
    }
    async fn pass(&self, _: PaceWish, _: Timestamp) -> Result<Vec<Passage>> {
        unasked()
    }
    async fn standings(&self) -> Result<Vec<Known>> {
        unasked()
    }
    async fn order(&self, _: Order) -> Result<()> {
        unasked()
    }
    async fn orders(&self) -> Result<Vec<Order>> {
        unasked()
    }
    async fn call_off(&self, _: Vec<DeliveryId>, _: Timestamp) -> Result<Vec<Name>> {
        unasked()
    }
    async fn last_calls(&self, _: Vec<DeliveryId>) -> Result<Vec<LastCall>> {
        unasked()
    }
    async fn tell(&self, _: Vec<News>, _: Timestamp) -> Result<Vec<Learned>> {
        unasked()
    }
    async fn probe(&self, _: &Name, _: Duration, _: Timestamp) -> Result<Probe> {
        unasked()
    }
    async fn take_turn(&self, _: Task, _: &str, _: Timestamp, _: Duration) -> Result<Turn> {
        unasked()
    }
    async fn renew_turn(&self, _: Task, _: &str, _: Timestamp) -> Result<bool> {
        unasked()
    }
    async fn end_turn(&self, _: Task, _: &str, _: Timestamp) -> Result<()> {
        unasked()
    }
    async fn seal(&self) -> Result<[u8; 32]> {
        unasked()
    }
    async fn backup(&self, _: PathBuf, _: Progress) -> Result<()> {
        unasked()
    }
    async fn ping(&self) -> Result<()> {
        self.there()
    }
}
