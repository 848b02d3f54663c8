//! The contract against a real redis-server, and what happens when that server is killed, emptied,
//! restarted or stopped: time is lost, nothing else.

use super::*;
use crate::peers::Peer;
use crate::peers::free_port;
use crate::queue::contract::{self, LONG, Place, due_now, noon, queue_contract};

async fn open(url: &str, window: usize) -> Arc<dyn Queue> {
    Arc::new(Redis::open(url, window).await.expect("a usable url"))
}

async fn place(window: usize) -> Place {
    let peer = Peer::redis();
    let queue = open(&peer.url(), window).await;
    Place::with(peer, queue)
}

async fn start() -> (Peer, Arc<dyn Queue>) {
    let peer = Peer::redis();
    let queue = open(&peer.url(), 100_000).await;
    (peer, queue)
}

/// Pushes and pops until an id has gone through; the deadline only ends a test that fails.
async fn works_again(queue: &dyn Queue, id: i64) {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        queue.push(&[due_now(id)]);
        if queue
            .pop(&10, noon(), Duration::from_millis(200))
            .await
            .contains(&DeliveryId(id))
        {
            return;
        }
    }
    panic!("the queue did not come back within {LONG:?}");
}

queue_contract!(async |window| place(window).await);

mod fleets;

#[tokio::test]
async fn two_processes_share_the_work_and_ring_for_each_other() {
    let (peer, here) = start().await;
    let there = open(&peer.url(), 100_000).await;
    let worker = tokio::spawn(async move { there.pop(&10, noon(), LONG).await });
    let waits = timeout(Duration::from_millis(50), std::future::pending::<()>()).await;
    waits.expect_err("a breath, so that the other one waits");
    here.push(&[due_now(5)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(5)]);
}

#[tokio::test]
async fn killed_and_restarted_empty_it_works_again() {
    let (mut peer, queue) = start().await;
    queue.push(&[due_now(1)]);
    assert!(queue.flush(LONG).await);
    peer.kill();
    let began = Instant::now();
    let wait = Duration::from_millis(100);
    assert!(queue.pop(&10, noon(), wait).await.is_empty());
    assert!(began.elapsed() >= wait, "an absent server is no reason to spin");
    queue.push(&[due_now(2)]);
    assert!(!queue.flush(wait).await);
    assert_eq!(queue.depth().await, None);
    peer.restart();
    assert!(queue.flush(LONG).await, "what was pushed meanwhile arrives");
    assert_eq!(queue.pop(&10, noon(), LONG).await, [DeliveryId(2)]);
}

#[tokio::test]
async fn a_worker_that_waits_through_a_restart_is_woken_by_the_next_push() {
    let (mut peer, queue) = start().await;
    let waiter = queue.clone();
    let worker = tokio::spawn(async move { waiter.pop(&10, noon(), LONG).await });
    peer.restart();
    queue.push(&[due_now(6)]);
    assert_eq!(worker.await.expect("the worker"), [DeliveryId(6)]);
}

#[tokio::test]
async fn flushed_it_is_empty_and_works() {
    let (peer, queue) = start().await;
    queue.push(&[due_now(1)]);
    assert!(queue.flush(LONG).await);
    assert_eq!(peer.say("FLUSHALL"), "+OK");
    assert_eq!(queue.depth().await, Some(0));
    assert_eq!(peer.say("SCRIPT FLUSH"), "+OK");
    works_again(&*queue, 2).await;
}

#[tokio::test]
async fn a_server_whose_memory_is_full_keeps_its_connection_and_gets_what_waits_when_it_can_take_it() {
    let (peer, queue) = start().await;
    works_again(&*queue, 1).await;
    let client = redis::Client::open(peer.url()).expect("the url");
    let mut watcher = client.get_multiplexed_async_connection().await.expect("redis");
    let mut met = async || {
        let stats: String = redis::cmd("INFO")
            .arg("stats")
            .query_async(&mut watcher)
            .await
            .expect("an answer");
        let count = stats
            .lines()
            .find(|line| line.starts_with("total_connections_received"));
        count.expect("the count").to_owned()
    };
    assert_eq!(peer.say("CONFIG SET maxmemory 1"), "+OK");
    let before = met().await;
    queue.push(&[due_now(2)]);
    assert!(!queue.flush(Duration::from_millis(1_500)).await, "it is refused");
    assert_eq!(queue.depth().await, Some(0), "what needs no memory is answered");
    assert!(queue.pop(&10, noon(), Duration::ZERO).await.is_empty());
    assert_eq!(met().await, before, "nobody had to connect again");
    assert_eq!(peer.say("CONFIG SET maxmemory 0"), "+OK");
    assert!(queue.flush(LONG).await);
    assert_eq!(queue.pop(&10, noon(), LONG).await, [DeliveryId(2)]);
}

#[tokio::test]
async fn stopped_it_counts_as_away_and_continued_it_works_again() {
    let (peer, queue) = start().await;
    works_again(&*queue, 1).await;
    peer.stop();
    let began = Instant::now();
    assert!(
        queue
            .pop(&10, noon(), Duration::from_millis(100))
            .await
            .is_empty()
    );
    let passed = began.elapsed();
    assert!(passed < COMMAND_LIMIT * 10, "a bounded wait: {passed:?}");
    let began = Instant::now();
    queue.push(&[due_now(2)]);
    assert!(began.elapsed() < COMMAND_LIMIT, "a push never waits");
    assert_eq!(queue.depth().await, None);
    peer.resume();
    works_again(&*queue, 3).await;
}

#[tokio::test]
async fn absent_at_the_start_it_is_used_as_soon_as_it_is_there() {
    let mut peer = Peer::redis();
    peer.kill();
    let queue = open(&peer.url(), 100_000).await;
    queue.push(&[due_now(4)]);
    assert_eq!(queue.depth().await, None);
    peer.restart();
    assert_eq!(queue.pop(&10, noon(), LONG).await, [DeliveryId(4)]);
}

#[tokio::test]
async fn the_buffer_before_an_absent_redis_is_bounded() {
    let queue = Redis::open(&format!("redis://127.0.0.1:{}", free_port()), 3)
        .await
        .expect("an absent redis is no error");
    for id in 0..100 {
        queue.push(&[id, 1_000 + id].map(due_now));
        assert!(queue.shared.buffer().nudges.len() <= 3);
    }
    assert!(!queue.flush(Duration::from_millis(10)).await);
}

#[tokio::test]
async fn database_password_and_prefix_come_from_the_url() {
    let peer = Peer::redis_with(&["--requirepass", "open sesame"]);
    let url = format!(
        "redis://:open%20sesame@127.0.0.1:{}/3?prefix=other%3A",
        peer.port()
    );
    let queue = open(&url, 100_000).await;
    queue.push(&[due_now(1)]);
    assert!(queue.flush(LONG).await);
    let client = redis::Client::open(url).expect("the url");
    let mut connection = client.get_multiplexed_async_connection().await.expect("redis");
    let count: u64 = redis::cmd("ZCARD")
        .arg("other:normal:sms")
        .query_async(&mut connection)
        .await
        .expect("an answer");
    assert_eq!(count, 1);
}

/// What a user needs at least; README says so.
const RIGHTS: &str = "~postrider:* resetchannels &postrider:bell -@all +hello +ping +subscribe +publish \
                      +evalsha +script|load +smembers +sadd +srem +scard +exists +zadd +zrem +zscore +zcard +zcount \
                      +zrange +zpopmin +zpopmax";

fn with_user(rights: &str) -> Peer {
    let mut arguments = vec!["--user", "rider", "on", ">secret"];
    arguments.extend(rights.split_whitespace());
    Peer::redis_with(&arguments)
}

#[tokio::test]
async fn a_user_with_only_the_rights_it_needs_has_a_whole_queue() {
    let peer = with_user(RIGHTS);
    let url = format!("redis://rider:secret@127.0.0.1:{}", peer.port());
    let (here, there) = (open(&url, 100_000).await, open(&url, 100_000).await);
    let worker = tokio::spawn(async move { there.pop(&10, noon(), LONG).await });
    works_when_asked(&*here).await;
    here.push(&[due_now(5)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(5)]);
    assert_eq!(here.depth().await, Some(0));
    let refused = peer.say("ACL LOG 1");
    assert_eq!(refused, "*0", "nothing was refused");
}

async fn works_when_asked(queue: &dyn Queue) {
    assert!(queue.pop(&0, noon(), Duration::ZERO).await.is_empty());
    assert!(queue.depth().await.is_some());
}

#[tokio::test]
async fn a_user_who_may_not_use_the_bell_still_works() {
    let peer = with_user("~postrider:* resetchannels +@all");
    let queue = open(
        &format!("redis://rider:secret@127.0.0.1:{}", peer.port()),
        100_000,
    )
    .await;
    works_again(&*queue, 1).await;
}

#[tokio::test]
async fn a_wrong_password_counts_as_away() {
    let peer = Peer::redis_with(&["--requirepass", "right"]);
    let queue = open(&format!("redis://:wrong@127.0.0.1:{}", peer.port()), 100_000).await;
    queue.push(&[due_now(1)]);
    assert!(queue.pop(&10, noon(), Duration::from_millis(10)).await.is_empty());
    assert_eq!(queue.depth().await, None);
}
