//! A host's way to the one store: sometimes cut, sometimes cut just after the store has done what it was asked, so
//! that the host cannot know. Watches every verb and compares what it did with the ledger.
//!
//! Passes everything else through unchanged.

mod broadcasts;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use postrider::clock::{Timestamp, from_millis};
use postrider::domain::channel::Name;
use postrider::domain::delivery::State;
use postrider::domain::event::{ClaimedEvent, Event, EventEnd, EventKey};
use postrider::domain::fleet::{Known, Learned, News};
use postrider::domain::id::{DeliveryId, MessageId};
use postrider::domain::inbound::Opting;
use postrider::domain::message::{
    Acceptance, Claimed, Delivery, Message, NewMessage, Nudge, Recorded, Round,
};
use postrider::domain::order::Order;
use postrider::domain::recipient::Recipient;
use postrider::domain::report::Report;
use postrider::domain::throttle::PaceWish;
use postrider::domain::turn::{Task, Turn};
use postrider::domain::wish::Wish;
use postrider::error::{Error, Kind, Result};
use postrider::store::{
    Backlog, Burial, Cancelled, EventLane, EventQuery, Heard, LastCall, Outbox, Page, Passage, Probe,
    Progress, ProviderPlace, Query, Selection, Settled, Snapshot, Store, UsageQuery, UsageTotals,
};

use super::ledger::Verb;
use super::world::World;

/// How a link is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Hardly anything goes wrong.
    Fair = 0,
    /// Nothing comes through.
    Cut = 1,
    /// A third does not come through, and of a third the answer does not come back.
    Rough = 2,
}

/// One host's way to the store.
pub struct Link {
    world: Arc<World>,
    store: Arc<dyn Store>,
    weather: AtomicU8,
}

impl Link {
    pub fn new(world: &Arc<World>, store: &Arc<dyn Store>) -> Self {
        Self {
            world: Arc::clone(world),
            store: Arc::clone(store),
            weather: AtomicU8::new(Weather::Fair as u8),
        }
    }

    pub fn set(&self, weather: Weather) {
        self.weather.store(weather as u8, Ordering::SeqCst);
    }

    /// Does what was asked, unless the way there is cut; tells of it, unless the way back is.
    async fn through<T>(&self, verb: &str, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.world.stage.gate().await;
        self.cross(verb, "there")?;
        let answer = work.await;
        self.world.stage.gate().await;
        self.cross(verb, "back")?;
        answer
    }

    fn cross(&self, verb: &str, way: &str) -> Result<()> {
        let lost = match self.weather.load(Ordering::SeqCst) {
            0 => 0.003,
            1 => 1.0,
            _ => 0.3,
        };
        if self.world.ledger().calm || !self.world.chance(lost) {
            return Ok(());
        }
        self.world.note(|| format!("{verb} is lost on the way {way}"));
        Err(Error::new(Kind::Unavailable, "the way to the store is cut"))
    }

    async fn look(&self, id: DeliveryId) -> Option<Delivery> {
        let message = self.world.ledger().deliveries.get(&id)?.message;
        let message = self.store.find(message).await.unwrap()?;
        message.deliveries.into_iter().find(|delivery| delivery.id == id)
    }

    /// Compares a delivery that a verb may have changed with the ledger.
    async fn watch(&self, verb: Verb, id: DeliveryId) {
        if let Some(delivery) = self.look(id).await {
            self.world.ledger().stands(verb, &delivery);
        }
    }

    async fn watch_record(&self, round: &Round, recorded: Recorded) {
        let id = round.id;
        let open = self.world.ledger().is_open(id, round.round);
        let Some(after) = self.look(id).await else {
            return;
        };
        self.world
            .note(|| format!("round {} of {id} is {recorded:?}", round.round));
        let mut ledger = self.world.ledger();
        if !open {
            let is_written = ledger.story(id).ended == round.round;
            assert_eq!(
                recorded != Recorded::Superseded,
                is_written,
                "round {} of {id}",
                round.round
            );
            assert_eq!(
                after.state,
                ledger.story(id).state,
                "{id} was changed by round {}",
                round.round
            );
        } else {
            assert_ne!(recorded, Recorded::Superseded, "round {} of {id}", round.round);
            assert_eq!(after.tries, round.tries, "the tries of {id}");
            let is_sent = matches!(round.state, State::Sent { .. });
            let written = kept(&round.state);
            // A receipt that came early is applied at once.
            assert!(after.state == written || is_sent, "{id} is {:?}", after.state);
            if is_sent {
                ledger.stands(
                    Verb::Record,
                    &Delivery {
                        state: written,
                        ..after.clone()
                    },
                );
                ledger.stands(Verb::Settle, &after);
            }
            ledger.stands(Verb::Record, &after);
        }
        ledger.recorded(id, round.round, &round.attempts, open);
    }

    async fn messages(&self) -> Vec<Message> {
        let ids: Vec<MessageId> = self.world.ledger().stored.iter().copied().collect();
        let mut messages = Vec::new();
        for id in ids {
            messages.extend(self.store.find(id).await.unwrap());
        }
        messages
    }
}

/// The state as a store keeps it: in whole milliseconds.
fn kept(state: &State) -> State {
    match state.clone() {
        State::Waiting { due_at, reason } => State::Waiting {
            due_at: from_millis(due_at.timestamp_millis()),
            reason,
        },
        other => other,
    }
}

#[async_trait]
impl Outbox for Link {
    async fn event_lanes(&self, after: &str, limit: usize) -> Result<Vec<EventLane>> {
        self.through("event_lanes", self.store.event_lanes(after, limit))
            .await
    }

    async fn claim_events(
        &self,
        lanes: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        self.through("claim_events", self.store.claim_events(lanes, now, lease))
            .await
    }

    async fn record_events(&self, ends: Vec<EventEnd>) -> Result<()> {
        self.through("record_events", self.store.record_events(ends))
            .await
    }

    async fn bury_events(&self, burial: Burial) -> Result<usize> {
        self.through("bury_events", self.store.bury_events(burial)).await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        self.through("events", self.store.events(query)).await
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        self.through("replay_events", self.store.replay_events(keys, now))
            .await
    }
}

#[async_trait]
impl Store for Link {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let work = async {
            let accepted = self.store.accept(messages).await?;
            for (id, acceptance) in ids.iter().zip(&accepted) {
                if let Acceptance::Stored { .. } = acceptance {
                    let message = self.store.find(*id).await?.expect("it was stored");
                    self.world.ledger().stored(&message);
                }
            }
            Ok(accepted)
        };
        self.through("accept", work).await
    }

    async fn due(&self, now: Timestamp, wish: &Wish) -> Result<Vec<Nudge>> {
        self.through("due", self.store.due(now, wish)).await
    }

    async fn claim(&self, ids: Vec<DeliveryId>, now: Timestamp, lease: Duration) -> Result<Vec<Claimed>> {
        let work = async {
            let claimed = self.store.claim(ids, now, lease).await?;
            for one in &claimed {
                self.world
                    .note(|| format!("round {} of {} is claimed", one.round, one.id));
                self.world.ledger().claimed(one, now);
                self.watch(Verb::Claim, one.id).await;
            }
            Ok(claimed)
        };
        self.through("claim", work).await
    }

    async fn record(&self, rounds: Vec<Round>) -> Result<Vec<Recorded>> {
        let work = async {
            let recorded = self.store.record(rounds.clone()).await?;
            for (round, recorded) in rounds.iter().zip(&recorded) {
                self.watch_record(round, *recorded).await;
            }
            Ok(recorded)
        };
        self.through("record", work).await
    }

    async fn settle(&self, receipts: Vec<Heard>) -> Result<Vec<Settled>> {
        let work = async {
            let settled = self.store.settle(receipts.clone()).await?;
            for (heard, settled) in receipts.iter().zip(&settled) {
                if let Settled::Applied(settlement) | Settled::Unchanged(settlement) = settled {
                    let speaker = heard.provider.as_ref();
                    assert!(
                        speaker.is_none_or(|name| *name == settlement.provider),
                        "{heard:?}"
                    );
                    self.watch(Verb::Settle, settlement.id).await;
                }
            }
            Ok(settled)
        };
        self.through("settle", work).await
    }

    async fn cancel(&self, id: MessageId, now: Timestamp) -> Result<Cancelled> {
        let work = async {
            let cancelled = self.store.cancel(id, now).await?;
            if let Some(message) = self.store.find(id).await? {
                for delivery in &message.deliveries {
                    self.world.ledger().stands(Verb::Cancel, delivery);
                }
            }
            Ok(cancelled)
        };
        self.through("cancel", work).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>> {
        self.through("find", self.store.find(id)).await
    }

    async fn search(&self, query: Query) -> Result<Page> {
        self.through("search", self.store.search(query)).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Page> {
        self.through("usage", self.store.usage(query)).await
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        self.through("usage_totals", self.store.usage_totals(query)).await
    }

    async fn select(&self, selection: Selection) -> Result<Vec<DeliveryId>> {
        self.through("select", self.store.select(selection)).await
    }

    async fn revive(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<Nudge>> {
        let work = async {
            let revived = self.store.revive(ids, now, expires_at).await?;
            for nudge in &revived {
                self.watch(Verb::Revive, nudge.id).await;
            }
            Ok(revived)
        };
        self.through("revive", work).await
    }

    async fn recipient(&self, channel: &Name, address: &str) -> Result<Option<Recipient>> {
        self.through("recipient", self.store.recipient(channel, address))
            .await
    }

    async fn set_recipient(&self, recipient: Recipient) -> Result<()> {
        self.through("set_recipient", self.store.set_recipient(recipient))
            .await
    }

    async fn opt(&self, wishes: Vec<Opting>) -> Result<Vec<bool>> {
        self.through("opt", self.store.opt(wishes)).await
    }

    async fn fold(&self, limit: usize) -> Result<usize> {
        self.through("fold", self.store.fold(limit)).await
    }

    async fn unfold(&self) -> Result<()> {
        self.through("unfold", self.store.unfold()).await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        self.through("report", self.store.report(as_of)).await
    }

    async fn keep_snapshot(&self, snapshot: Snapshot) -> Result<()> {
        self.through("keep_snapshot", self.store.keep_snapshot(snapshot))
            .await
    }

    async fn snapshot(&self) -> Result<Option<Snapshot>> {
        self.through("snapshot", self.store.snapshot()).await
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(Name, Backlog)>> {
        self.through("backlogs", self.store.backlogs(now)).await
    }

    async fn prune(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        let work = async {
            let all = self.messages().await;
            let pruned = self.store.prune(before, now, limit).await?;
            let mut gone = 0;
            for message in all {
                if self.store.find(message.id).await?.is_none() {
                    gone += 1;
                    self.world.ledger().prune(message, before);
                }
            }
            assert_eq!(pruned, gone, "the number of messages that were deleted");
            Ok(pruned)
        };
        self.through("prune", work).await
    }

    async fn forget(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.through("forget", self.store.forget(before, now, limit))
            .await
    }

    async fn name_providers(&self, providers: Vec<ProviderPlace>) -> Result<()> {
        self.through("name_providers", self.store.name_providers(providers))
            .await
    }

    async fn time(&self) -> Result<Timestamp> {
        self.store.time().await
    }

    async fn pass(&self, wish: PaceWish, now: Timestamp) -> Result<Vec<Passage>> {
        let work = async {
            let passages = self.store.pass(wish.clone(), now).await?;
            self.world.ledger().shared.passed(&wish, &passages, now);
            Ok(passages)
        };
        self.through("pass", work).await
    }

    async fn standings(&self) -> Result<Vec<Known>> {
        self.through("standings", self.store.standings()).await
    }

    async fn order(&self, order: Order) -> Result<()> {
        self.through("order", self.store.order(order)).await
    }

    async fn orders(&self) -> Result<Vec<Order>> {
        self.through("orders", self.store.orders()).await
    }

    async fn call_off(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<Name>> {
        self.through("call_off", self.store.call_off(ids, now)).await
    }

    async fn last_calls(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastCall>> {
        self.through("last_calls", self.store.last_calls(ids)).await
    }

    async fn tell(&self, news: Vec<News>, now: Timestamp) -> Result<Vec<Learned>> {
        let work = async {
            let learned = self.store.tell(news, now).await?;
            let known = learned.iter().map(|learned| learned.known.clone());
            self.world.ledger().shared.told(&known.collect::<Vec<_>>());
            Ok(learned)
        };
        self.through("tell", work).await
    }

    async fn probe(&self, provider: &Name, patience: Duration, now: Timestamp) -> Result<Probe> {
        let work = async {
            let probe = self.store.probe(provider, patience, now).await?;
            let name = provider.as_str();
            self.world.ledger().shared.probed(name, &probe, patience, now);
            Ok(probe)
        };
        self.through("probe", work).await
    }

    async fn take_turn(&self, task: Task, holder: &str, now: Timestamp, hold: Duration) -> Result<Turn> {
        let work = async {
            let turn = self.store.take_turn(task, holder, now, hold).await?;
            let mut ledger = self.world.ledger();
            ledger.shared.taken(task.word(), holder, &turn, now, hold);
            Ok(turn)
        };
        self.through("take_turn", work).await
    }

    async fn renew_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<bool> {
        let work = async {
            let renewed = self.store.renew_turn(task, holder, ends_at).await?;
            self.world
                .ledger()
                .shared
                .renewed(task.word(), holder, ends_at, renewed);
            Ok(renewed)
        };
        self.through("renew_turn", work).await
    }

    async fn end_turn(&self, task: Task, holder: &str, ends_at: Timestamp) -> Result<()> {
        let work = async {
            self.store.end_turn(task, holder, ends_at).await?;
            self.world.ledger().shared.ended(task.word(), holder, ends_at);
            Ok(())
        };
        self.through("end_turn", work).await
    }

    async fn seal(&self) -> Result<[u8; 32]> {
        self.store.seal().await
    }

    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()> {
        self.store.backup(file, progress).await
    }

    async fn ping(&self) -> Result<()> {
        self.through("ping", self.store.ping()).await
    }
}
