//! What a queue is: one suite that every backend passes.
//!
//! `queue_contract!` takes a closure that opens an empty queue with a window, and makes one test of each
//! promise, so that a failure names the promise and the backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::Queue;
use crate::clock::{Timestamp, from_millis};
use crate::domain::channel::Name;
use crate::domain::id::DeliveryId;
use crate::domain::message::{Nudge, Priority};
use crate::domain::wish::{Appetite, Wish};
use crate::peers::Peer;

/// Longer than any test waits for something that does happen.
pub const LONG: Duration = Duration::from_secs(30);

const NO_WAIT: Duration = Duration::ZERO;
const A_BREATH: Duration = Duration::from_millis(30);

/// A queue with what it needs to live.
pub struct Place {
    pub queue: Arc<dyn Queue>,
    /// The server behind it, dropped after the queue.
    _peer: Option<Peer>,
}

impl Place {
    pub fn alone(queue: Arc<dyn Queue>) -> Self {
        Self { queue, _peer: None }
    }

    pub fn with(peer: Peer, queue: Arc<dyn Queue>) -> Self {
        Self {
            queue,
            _peer: Some(peer),
        }
    }

    pub async fn push(&self, nudges: &[Nudge]) {
        self.queue.push(nudges);
        assert!(self.queue.flush(LONG).await, "what was pushed arrives");
    }

    pub async fn pop(&self, limit: usize, now: Timestamp) -> Vec<i64> {
        self.pop_as(&limit, now).await
    }

    /// Takes what is wished for; the ids of the channels come in no order worth testing.
    pub async fn pop_as(&self, appetite: &dyn Appetite, now: Timestamp) -> Vec<i64> {
        let taken = self.queue.pop(appetite, now, NO_WAIT).await;
        taken.iter().map(|id| id.0).collect()
    }
}

pub fn noon() -> Timestamp {
    from_millis(1_790_000_000_000)
}

pub fn after(millis: i64) -> Timestamp {
    noon() + TimeDelta::milliseconds(millis)
}

pub fn nudge(id: i64, due_at: Timestamp, priority: Priority) -> Nudge {
    nudge_on("sms", id, due_at, priority)
}

pub fn nudge_on(channel: &str, id: i64, due_at: Timestamp, priority: Priority) -> Nudge {
    Nudge {
        id: DeliveryId(id),
        channel: name(channel),
        due_at,
        priority,
    }
}

fn name(channel: &str) -> Name {
    channel.parse().expect("a name")
}

/// Ids from `first` on that are due now on a channel.
fn row(channel: &str, first: i64, count: i64) -> Vec<Nudge> {
    let ids = first..first + count;
    ids.map(|id| nudge_on(channel, id, noon(), Priority::Normal))
        .collect()
}

pub fn due_now(id: i64) -> Nudge {
    nudge(id, noon(), Priority::Normal)
}

pub async fn what_is_due_comes_by_due_time(place: Place) {
    place
        .push(&[(1, 20), (2, 10), (3, 30), (4, 31)].map(|(id, due)| nudge(id, after(due), Priority::Normal)))
        .await;
    assert_eq!(place.pop(10, after(30)).await, [2, 1, 3]);
    assert_eq!(place.pop(10, after(30)).await, [0; 0]);
    assert_eq!(place.pop(10, after(31)).await, [4]);
}

pub async fn high_priority_goes_first(place: Place) {
    place
        .push(&[
            nudge(1, after(0), Priority::Normal),
            nudge(2, after(9), Priority::High),
            nudge(3, after(99), Priority::High),
        ])
        .await;
    assert_eq!(place.pop(10, after(10)).await, [2, 1]);
}

pub async fn no_more_than_the_limit_is_taken(place: Place) {
    place
        .push(&[
            nudge(1, noon(), Priority::High),
            nudge(2, noon(), Priority::High),
            nudge(3, noon(), Priority::Normal),
            nudge(4, after(1), Priority::Normal),
        ])
        .await;
    assert_eq!(place.pop(3, after(1)).await, [1, 2, 3]);
    assert_eq!(place.pop(3, after(1)).await, [4]);
    assert_eq!(place.pop(0, after(1)).await, [0; 0]);
}

pub async fn an_id_stands_in_it_once_and_the_earlier_time_wins(place: Place) {
    place.push(&[nudge(1, after(50), Priority::Normal)]).await;
    place.push(&[nudge(1, after(10), Priority::Normal)]).await;
    place.push(&[nudge(1, after(90), Priority::Normal)]).await;
    assert_eq!(place.queue.depth().await, Some(1));
    assert_eq!(place.pop(10, after(10)).await, [1]);
    assert_eq!(place.pop(10, after(99)).await, [0; 0]);
}

pub async fn the_higher_priority_wins_too(place: Place) {
    place.push(&[nudge(1, after(5), Priority::Normal)]).await;
    place
        .push(&[
            nudge(1, after(9), Priority::High),
            nudge(2, after(1), Priority::Normal),
        ])
        .await;
    place.push(&[nudge(1, after(7), Priority::Normal)]).await;
    assert_eq!(place.queue.depth().await, Some(2));
    assert_eq!(place.pop(10, after(5)).await, [1, 2]);
}

pub async fn a_taken_id_can_be_pushed_again(place: Place) {
    place.push(&[due_now(7)]).await;
    assert_eq!(place.pop(10, noon()).await, [7]);
    place.push(&[due_now(7)]).await;
    assert_eq!(place.pop(10, noon()).await, [7]);
}

pub async fn any_number_can_be_an_id(place: Place) {
    let ids = [i64::MAX, 1, i64::MAX - 1];
    place.push(&ids.map(due_now)).await;
    let mut taken = place.pop(10, noon()).await;
    taken.sort_unstable();
    assert_eq!(taken, [1, i64::MAX - 1, i64::MAX]);
}

pub async fn a_push_wakes_who_waits(place: Place) {
    let waiter = place.queue.clone();
    let pop = tokio::spawn(async move { waiter.pop(&10, noon(), LONG).await });
    tokio::time::timeout(A_BREATH, std::future::pending::<()>())
        .await
        .expect_err("a breath, so that it waits");
    let began = Instant::now();
    place.push(&[due_now(3)]).await;
    assert_eq!(pop.await.expect("the waiter"), [DeliveryId(3)]);
    assert!(began.elapsed() < LONG / 2, "a ring, not the end of the wait");
}

pub async fn a_due_time_wakes_who_waits(place: Place) {
    place.push(&[nudge(4, after(60), Priority::Normal)]).await;
    let began = Instant::now();
    assert_eq!(place.queue.pop(&10, noon(), LONG).await, [DeliveryId(4)]);
    let passed = began.elapsed();
    assert!(
        passed >= Duration::from_millis(60),
        "not before it is due: {passed:?}"
    );
    assert!(passed < LONG / 2, "soon after it is due: {passed:?}");
}

pub async fn an_earlier_push_shortens_the_wait(place: Place) {
    place.push(&[nudge(1, after(3_600_000), Priority::Normal)]).await;
    let waiter = place.queue.clone();
    let pop = tokio::spawn(async move { waiter.pop(&10, noon(), LONG).await });
    tokio::task::yield_now().await;
    place.push(&[nudge(1, after(40), Priority::Normal)]).await;
    assert_eq!(pop.await.expect("the waiter"), [DeliveryId(1)]);
}

pub async fn a_wait_without_work_ends_empty(place: Place) {
    let began = Instant::now();
    assert!(place.queue.pop(&10, noon(), A_BREATH).await.is_empty());
    assert!(began.elapsed() >= A_BREATH);
}

pub async fn a_pop_that_is_given_up_takes_nothing_along(place: Place) {
    let given_up = tokio::time::timeout(A_BREATH, place.queue.pop(&10, noon(), LONG)).await;
    given_up.expect_err("nothing to take yet");
    place.push(&[due_now(8)]).await;
    assert_eq!(place.queue.pop(&10, noon(), LONG).await, [DeliveryId(8)]);
}

pub async fn no_id_goes_to_two_workers(place: Place) {
    let all: Vec<Nudge> = (0..3_000).map(due_now).collect();
    place.push(&all).await;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = place.queue.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let taken = queue.pop(&64, noon(), NO_WAIT).await;
                    if taken.is_empty() {
                        return mine;
                    }
                    mine.extend(taken);
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.await.expect("a worker").iter().map(|id| id.0));
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..3_000).collect::<Vec<_>>());
}

/// Takes a queue with a window of three.
pub async fn a_full_window_keeps_what_goes_first(place: Place) {
    place
        .push(&[10, 20, 30, 40].map(|due| nudge(due, after(due), Priority::Normal)))
        .await;
    assert_eq!(place.queue.depth().await, Some(3));
    place
        .push(&[
            nudge(15, after(15), Priority::Normal),
            nudge(99, after(99), Priority::High),
        ])
        .await;
    assert_eq!(place.pop(10, after(100)).await, [99, 10, 15]);
}

/// Takes a queue with a window of three: the flood keeps what is left by the others.
pub async fn a_flood_in_one_channel_drives_no_other_out(place: Place) {
    place.push(&row("flood", 1, 50)).await;
    let later = nudge_on("calm", 101, after(9), Priority::Normal);
    place.push(&[later]).await;
    place.push(&row("flood", 60, 50)).await;
    assert_eq!(place.queue.depth().await, Some(3));
    let calm = Wish::up_to(10).with(name("flood"), 0);
    assert_eq!(place.pop_as(&calm, after(9)).await, [101]);
    assert_eq!(place.pop(10, after(9)).await.len(), 2);
}

pub async fn channels_are_taken_from_in_turn(place: Place) {
    place.push(&row("flood", 1, 500)).await;
    place.push(&row("calm", 1_001, 5)).await;
    place.push(&row("quiet", 2_001, 1)).await;
    let taken = place.pop(9, noon()).await;
    let of = |first: i64| {
        let ids = taken.iter().filter(|id| (first..first + 1_000).contains(*id));
        ids.count()
    };
    assert_eq!((of(2_001), of(1_001), of(1)), (1, 4, 4), "{taken:?}");
    let singles = [
        place.pop(1, noon()).await,
        place.pop(1, noon()).await,
        place.pop(1, noon()).await,
    ];
    assert!(
        singles.iter().any(|id| id[0] > 1_000),
        "also one by one: {singles:?}"
    );
}

pub async fn a_channel_without_room_is_left_alone(place: Place) {
    place.push(&row("full", 1, 50)).await;
    place.push(&row("some", 1_001, 50)).await;
    let wish = Wish::up_to(10).with(name("full"), 0).with(name("some"), 3);
    assert_eq!(place.pop_as(&wish, noon()).await, [1_001, 1_002, 1_003]);
    place.push(&row("unheard-of", 2_001, 1)).await;
    let taken = place.pop_as(&wish, noon()).await;
    assert_eq!(taken.len(), 4, "a channel nobody spoke of is free: {taken:?}");
    assert!(!taken.contains(&1));
}

pub async fn high_priority_of_one_channel_goes_before_normal_of_another(place: Place) {
    place.push(&row("a", 1, 5)).await;
    place.push(&[nudge_on("b", 9, after(5), Priority::High)]).await;
    assert_eq!(place.pop(1, after(5)).await, [9]);
    place.push(&[nudge_on("b", 9, after(5), Priority::High)]).await;
    let wish = Wish::up_to(1).with(name("b"), 0);
    assert_eq!(place.pop_as(&wish, after(5)).await, [1], "unless it has no room");
}

pub async fn a_wait_is_not_cut_short_by_a_channel_without_room(place: Place) {
    place.push(&row("full", 1, 5)).await;
    let wish = Wish::up_to(10).with(name("full"), 0);
    let waits = CountedWish {
        wish,
        asked: AtomicUsize::new(0),
    };
    assert!(place.queue.pop(&waits, noon(), A_BREATH).await.is_empty());
    assert!(
        waits.asked.load(Ordering::Relaxed) < 10,
        "it waits, it does not spin"
    );
}

/// Counts how often it was asked.
struct CountedWish {
    wish: Wish,
    asked: AtomicUsize,
}

impl Appetite for CountedWish {
    fn wish(&self) -> Wish {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.wish.clone()
    }
}

/// Wants nothing of a channel until it is told to.
struct LaterHungry(AtomicBool);

impl Appetite for LaterHungry {
    fn wish(&self) -> Wish {
        let room = if self.0.load(Ordering::SeqCst) { 10 } else { 0 };
        Wish::up_to(10).with(name("sms"), room)
    }
}

pub async fn a_ring_makes_who_waits_wish_anew(place: Place) {
    place.push(&[due_now(5)]).await;
    let appetite = Arc::new(LaterHungry(AtomicBool::new(false)));
    let (waiter, wish) = (place.queue.clone(), appetite.clone());
    let pop = tokio::spawn(async move { waiter.pop(&*wish, noon(), LONG).await });
    tokio::time::timeout(A_BREATH, std::future::pending::<()>())
        .await
        .expect_err("a breath, so that it waits");
    assert!(!pop.is_finished());
    appetite.0.store(true, Ordering::SeqCst);
    let began = Instant::now();
    place.queue.ring();
    assert_eq!(pop.await.expect("the waiter"), [DeliveryId(5)]);
    assert!(began.elapsed() < LONG / 2, "a ring, not the end of the wait");
}

/// One test of each promise for the backend that the closure opens.
macro_rules! queue_contract {
    ($open:expr) => {
        queue_contract!($open, 100_000:
            what_is_due_comes_by_due_time
            high_priority_goes_first
            no_more_than_the_limit_is_taken
            an_id_stands_in_it_once_and_the_earlier_time_wins
            the_higher_priority_wins_too
            a_taken_id_can_be_pushed_again
            any_number_can_be_an_id
            a_push_wakes_who_waits
            a_due_time_wakes_who_waits
            an_earlier_push_shortens_the_wait
            a_wait_without_work_ends_empty
            a_pop_that_is_given_up_takes_nothing_along
            no_id_goes_to_two_workers
            channels_are_taken_from_in_turn
            a_channel_without_room_is_left_alone
            high_priority_of_one_channel_goes_before_normal_of_another
            a_wait_is_not_cut_short_by_a_channel_without_room
            a_ring_makes_who_waits_wish_anew
        );
        queue_contract!($open, 3: a_full_window_keeps_what_goes_first a_flood_in_one_channel_drives_no_other_out);
    };
    ($open:expr, $window:literal: $($promise:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            contract::$promise($open($window).await).await;
        }
    )+};
}
pub(super) use queue_contract;
