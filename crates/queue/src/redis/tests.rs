//! The contract against a real redis-server, and what happens when that server is killed, emptied,
//! restarted or stopped: time is lost, nothing else.

use super::*;
use crate::testing::{self, TEST_TIMEOUT, TestQueue, entry_due_now, queue_conformance, test_start};
use postrider_core::testing::backend_server::BackendServer;
use postrider_core::testing::backend_server::free_port;

async fn open(url: &str, window: usize) -> Arc<dyn Queue> {
    Arc::new(RedisQueue::open(url, window).await.expect("a usable url"))
}

async fn test_queue(window: usize) -> TestQueue {
    let peer = BackendServer::redis();
    let queue = open(&peer.url(), window).await;
    TestQueue::with_server(peer, queue)
}

async fn start_server() -> (BackendServer, Arc<dyn Queue>) {
    let peer = BackendServer::redis();
    let queue = open(&peer.url(), 100_000).await;
    (peer, queue)
}

/// Pushes and pops until an id has gone through; the deadline only ends a test that fails.
async fn wait_until_working(queue: &dyn Queue, id: i64) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while Instant::now() < deadline {
        queue.push(&[entry_due_now(id)]);
        if queue
            .pop(&10, test_start(), Duration::from_millis(200))
            .await
            .contains(&DeliveryId(id))
        {
            return;
        }
    }
    panic!("the queue did not come back within {TEST_TIMEOUT:?}");
}

queue_conformance!(async |window| test_queue(window).await);

mod deployments;

#[tokio::test]
async fn two_processes_share_the_work_and_ring_for_each_other() {
    let (peer, here) = start_server().await;
    let there = open(&peer.url(), 100_000).await;
    let worker = tokio::spawn(async move { there.pop(&10, test_start(), TEST_TIMEOUT).await });
    let waits = timeout(Duration::from_millis(50), std::future::pending::<()>()).await;
    waits.expect_err("a breath, so that the other one waits");
    here.push(&[entry_due_now(5)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(5)]);
}

#[tokio::test]
async fn killed_and_restarted_empty_it_works_again() {
    let (mut peer, queue) = start_server().await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.flush(TEST_TIMEOUT).await);
    peer.kill();
    let began = Instant::now();
    let wait = Duration::from_millis(100);
    assert!(queue.pop(&10, test_start(), wait).await.is_empty());
    assert!(began.elapsed() >= wait, "an absent server is no reason to spin");
    queue.push(&[entry_due_now(2)]);
    assert!(!queue.flush(wait).await);
    assert_eq!(queue.depth().await, None);
    peer.restart();
    assert!(
        queue.flush(TEST_TIMEOUT).await,
        "what was pushed meanwhile arrives"
    );
    assert_eq!(queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(2)]);
}

#[tokio::test]
async fn a_worker_that_waits_through_a_restart_is_woken_by_the_next_push() {
    let (mut peer, queue) = start_server().await;
    let waiter = queue.clone();
    let worker = tokio::spawn(async move { waiter.pop(&10, test_start(), TEST_TIMEOUT).await });
    peer.restart();
    queue.push(&[entry_due_now(6)]);
    assert_eq!(worker.await.expect("the worker"), [DeliveryId(6)]);
}

#[tokio::test]
async fn flushed_it_is_empty_and_works() {
    let (peer, queue) = start_server().await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.flush(TEST_TIMEOUT).await);
    assert_eq!(peer.send_command("FLUSHALL"), "+OK");
    assert_eq!(queue.depth().await, Some(0));
    assert_eq!(peer.send_command("SCRIPT FLUSH"), "+OK");
    wait_until_working(&*queue, 2).await;
}

#[tokio::test]
async fn a_server_whose_memory_is_full_keeps_its_connection_and_gets_what_waits_when_it_can_take_it() {
    let (peer, queue) = start_server().await;
    wait_until_working(&*queue, 1).await;
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
    assert_eq!(peer.send_command("CONFIG SET maxmemory 1"), "+OK");
    let before = met().await;
    queue.push(&[entry_due_now(2)]);
    assert!(!queue.flush(Duration::from_millis(1_500)).await, "it is refused");
    assert_eq!(queue.depth().await, Some(0), "what needs no memory is answered");
    assert!(queue.pop(&10, test_start(), Duration::ZERO).await.is_empty());
    assert_eq!(met().await, before, "nobody had to connect again");
    assert_eq!(peer.send_command("CONFIG SET maxmemory 0"), "+OK");
    assert!(queue.flush(TEST_TIMEOUT).await);
    assert_eq!(queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(2)]);
}

#[tokio::test]
async fn stopped_it_counts_as_away_and_continued_it_works_again() {
    let (peer, queue) = start_server().await;
    wait_until_working(&*queue, 1).await;
    peer.suspend();
    let began = Instant::now();
    assert!(
        queue
            .pop(&10, test_start(), Duration::from_millis(100))
            .await
            .is_empty()
    );
    let passed = began.elapsed();
    assert!(passed < COMMAND_TIMEOUT * 10, "a bounded wait: {passed:?}");
    let began = Instant::now();
    queue.push(&[entry_due_now(2)]);
    assert!(began.elapsed() < COMMAND_TIMEOUT, "a push never waits");
    assert_eq!(queue.depth().await, None);
    peer.resume();
    wait_until_working(&*queue, 3).await;
}

#[tokio::test]
async fn absent_at_the_start_it_is_used_as_soon_as_it_is_there() {
    let mut peer = BackendServer::redis();
    peer.kill();
    let queue = open(&peer.url(), 100_000).await;
    queue.push(&[entry_due_now(4)]);
    assert_eq!(queue.depth().await, None);
    peer.restart();
    assert_eq!(queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(4)]);
}

#[tokio::test]
async fn the_buffer_before_an_absent_redis_is_bounded() {
    let queue = RedisQueue::open(&format!("redis://127.0.0.1:{}", free_port()), 3)
        .await
        .expect("an absent redis is no error");
    for id in 0..100 {
        queue.push(&[id, 1_000 + id].map(entry_due_now));
        assert!(queue.shared.buffer().entries.len() <= 3);
    }
    assert!(!queue.flush(Duration::from_millis(10)).await);
}

#[tokio::test]
async fn database_password_and_prefix_come_from_the_url() {
    let peer = BackendServer::redis_with(&["--requirepass", "open sesame"]);
    let url = format!(
        "redis://:open%20sesame@127.0.0.1:{}/3?prefix=other%3A",
        peer.port()
    );
    let queue = open(&url, 100_000).await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.flush(TEST_TIMEOUT).await);
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
const ACL_RULES: &str = "~postrider:* resetchannels &postrider:bell -@all +hello +ping +subscribe +publish \
                      +evalsha +script|load +smembers +sadd +srem +scard +exists +zadd +zrem +zscore +zcard +zcount \
                      +zrange +zpopmin +zpopmax";

fn start_with_user(rights: &str) -> BackendServer {
    let mut arguments = vec!["--user", "rider", "on", ">secret"];
    arguments.extend(rights.split_whitespace());
    BackendServer::redis_with(&arguments)
}

#[tokio::test]
async fn a_user_with_only_the_rights_it_needs_has_a_whole_queue() {
    let peer = start_with_user(ACL_RULES);
    let url = format!("redis://rider:secret@127.0.0.1:{}", peer.port());
    let (here, there) = (open(&url, 100_000).await, open(&url, 100_000).await);
    let worker = tokio::spawn(async move { there.pop(&10, test_start(), TEST_TIMEOUT).await });
    assert_answers(&*here).await;
    here.push(&[entry_due_now(5)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(5)]);
    assert_eq!(here.depth().await, Some(0));
    let refused = peer.send_command("ACL LOG 1");
    assert_eq!(refused, "*0", "nothing was refused");
}

async fn assert_answers(queue: &dyn Queue) {
    assert!(queue.pop(&0, test_start(), Duration::ZERO).await.is_empty());
    assert!(queue.depth().await.is_some());
}

#[tokio::test]
async fn a_user_who_may_not_use_the_bell_still_works() {
    let peer = start_with_user("~postrider:* resetchannels +@all");
    let queue = open(
        &format!("redis://rider:secret@127.0.0.1:{}", peer.port()),
        100_000,
    )
    .await;
    wait_until_working(&*queue, 1).await;
}

#[tokio::test]
async fn a_wrong_password_counts_as_away() {
    let peer = BackendServer::redis_with(&["--requirepass", "right"]);
    let queue = open(&format!("redis://:wrong@127.0.0.1:{}", peer.port()), 100_000).await;
    queue.push(&[entry_due_now(1)]);
    assert!(
        queue
            .pop(&10, test_start(), Duration::from_millis(10))
            .await
            .is_empty()
    );
    assert_eq!(queue.depth().await, None);
}
