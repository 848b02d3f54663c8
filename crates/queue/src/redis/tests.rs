//! The conformance suite against a real redis-server, and outages of that server, which only cost time.

mod deployments;

use super::*;
use crate::testing::{ObservedCapacity, TEST_TIMEOUT, TestQueue, entry_due_now, test_start};
use postrider_core::testing::backend_server::{BackendServer, free_port};

async fn open(url: &str, window: usize) -> Arc<dyn Queue> {
    Arc::new(RedisQueue::open(url, window).await.expect("a usable url"))
}

async fn test_queue(window: usize) -> TestQueue {
    let server = BackendServer::redis();
    let queue = open(&server.url(), window).await;
    TestQueue::with_server(server, queue)
}

async fn start_server() -> (BackendServer, Arc<dyn Queue>) {
    let server = BackendServer::redis();
    let queue = open(&server.url(), 100_000).await;
    (server, queue)
}

/// Pushes and pops until an id was returned. The deadline ends only tests that fail.
async fn wait_until_working(queue: &dyn Queue, id: i64) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while Instant::now() < deadline {
        queue.push(&[entry_due_now(id)]);
        if queue.pop(&10, test_start(), Duration::from_millis(200)).await.contains(&DeliveryId(id)) {
            return;
        }
    }
    panic!("the queue does not work after {TEST_TIMEOUT:?}");
}

crate::queue_conformance!(async |window| test_queue(window).await);

/// Starts a pop in the background. Returns the capacity that it reads, and its result.
fn spawn_worker(queue: Arc<dyn Queue>) -> (Arc<ObservedCapacity>, JoinHandle<Vec<DeliveryId>>) {
    let source = ObservedCapacity::new(Capacity::total(10));
    let capacity = source.clone();
    let worker = tokio::spawn(async move { queue.pop(&*capacity, test_start(), TEST_TIMEOUT).await });
    (source, worker)
}

#[tokio::test]
async fn two_processes_share_the_queue_and_notify_each_other() {
    let (server, first) = start_server().await;
    let second = open(&server.url(), 100_000).await;
    let (source, worker) = spawn_worker(second);
    source.wait_until_popping().await;
    first.push(&[entry_due_now(5)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(5)]);
}

#[tokio::test]
async fn the_queue_works_again_after_a_kill_and_a_restart() {
    let (mut server, queue) = start_server().await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.flush(TEST_TIMEOUT).await);
    server.kill();
    let start = Instant::now();
    let wait = Duration::from_millis(100);
    assert!(queue.pop(&10, test_start(), wait).await.is_empty());
    assert!(start.elapsed() >= wait, "it waits instead of polling an unreachable server");
    queue.push(&[entry_due_now(2)]);
    assert!(!queue.flush(wait).await);
    assert_eq!(queue.depth().await, None);
    server.restart();
    assert!(queue.flush(TEST_TIMEOUT).await, "entries pushed during the outage arrive");
    assert_eq!(queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(2)]);
}

#[tokio::test]
async fn a_push_after_a_restart_notifies_a_worker_that_waited_through_it() {
    let (mut server, queue) = start_server().await;
    let (source, worker) = spawn_worker(queue.clone());
    source.wait_until_popping().await;
    server.restart();
    queue.push(&[entry_due_now(6)]);
    assert_eq!(worker.await.expect("the worker"), [DeliveryId(6)]);
}

#[tokio::test]
async fn a_flushed_queue_is_empty_and_works() {
    let (server, queue) = start_server().await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.flush(TEST_TIMEOUT).await);
    assert_eq!(server.send_command("FLUSHALL"), "+OK");
    assert_eq!(queue.depth().await, Some(0));
    assert_eq!(server.send_command("SCRIPT FLUSH"), "+OK");
    wait_until_working(&*queue, 2).await;
}

#[tokio::test]
async fn a_server_with_full_memory_keeps_its_connection_and_gets_the_entries_later() {
    let (server, queue) = start_server().await;
    wait_until_working(&*queue, 1).await;
    let client = redis::Client::open(server.url()).expect("the url");
    let mut observer = client.get_multiplexed_async_connection().await.expect("redis");
    let mut connections = async || {
        let stats: String =
            redis::cmd("INFO").arg("stats").query_async(&mut observer).await.expect("an answer");
        let count = stats.lines().find(|line| line.starts_with("total_connections_received"));
        count.expect("the count").to_owned()
    };
    assert_eq!(server.send_command("CONFIG SET maxmemory 1"), "+OK");
    let before = connections().await;
    queue.push(&[entry_due_now(2)]);
    assert!(!queue.flush(Duration::from_millis(1_500)).await, "the push is rejected");
    assert_eq!(queue.depth().await, Some(0), "commands that need no memory are answered");
    assert!(queue.pop(&10, test_start(), Duration::ZERO).await.is_empty());
    let problem = queue.problem().await.expect("the memory is full");
    assert!(problem.contains("OOM") && problem.contains("maxmemory-policy=noeviction"), "{problem}");
    assert_eq!(connections().await, before, "no new connection");
    assert_eq!(server.send_command("CONFIG SET maxmemory 0"), "+OK");
    assert!(queue.flush(TEST_TIMEOUT).await);
    assert_eq!(queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(2)]);
}

#[tokio::test]
async fn a_suspended_server_is_unreachable_and_works_again_after_a_resume() {
    let (server, queue) = start_server().await;
    wait_until_working(&*queue, 1).await;
    server.suspend();
    let start = Instant::now();
    assert!(queue.pop(&10, test_start(), Duration::from_millis(100)).await.is_empty());
    let elapsed = start.elapsed();
    assert!(elapsed < COMMAND_TIMEOUT * 10, "a bounded wait: {elapsed:?}");
    let start = Instant::now();
    queue.push(&[entry_due_now(2)]);
    assert!(start.elapsed() < COMMAND_TIMEOUT, "a push never waits");
    assert_eq!(queue.depth().await, None);
    server.resume();
    wait_until_working(&*queue, 3).await;
}

#[tokio::test]
async fn a_server_that_is_unreachable_at_the_start_is_used_as_soon_as_it_answers() {
    let mut server = BackendServer::redis();
    server.kill();
    let queue = open(&server.url(), 100_000).await;
    queue.push(&[entry_due_now(4)]);
    assert_eq!(queue.depth().await, None);
    server.restart();
    assert_eq!(queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(4)]);
}

#[tokio::test]
async fn the_buffer_for_an_unreachable_redis_is_limited() {
    let queue = RedisQueue::open(&format!("redis://127.0.0.1:{}", free_port()), 3)
        .await
        .expect("an unreachable redis is no error");
    for id in 0..100 {
        queue.push(&[id, 1_000 + id].map(entry_due_now));
        assert!(queue.shared.buffer.lock().entries.len() <= 3);
    }
    assert!(!queue.flush(Duration::from_millis(10)).await);
}

#[tokio::test]
async fn database_password_and_prefix_come_from_the_url() {
    let server = BackendServer::redis_with(&["--requirepass", "open sesame"]);
    let url = format!("redis://:open%20sesame@127.0.0.1:{}/3?prefix=other%3A", server.port());
    let queue = open(&url, 100_000).await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.flush(TEST_TIMEOUT).await);
    let client = redis::Client::open(url).expect("the url");
    let mut connection = client.get_multiplexed_async_connection().await.expect("redis");
    let count: u64 =
        redis::cmd("ZCARD").arg("other:normal:sms").query_async(&mut connection).await.expect("an answer");
    assert_eq!(count, 1);
}

/// The permissions that an ACL user needs at least, as in docs/src/operating.md.
const ACL_RULES: &str = "~postrider:* resetchannels &postrider:notify -@all +hello +ping +subscribe +publish \
                      +evalsha +script|load +smembers +sadd +srem +scard +exists +zadd +zrem +zscore +zcard +zcount \
                      +zrange +zpopmin +zpopmax";

fn start_with_user(rules: &str) -> BackendServer {
    let mut arguments = vec!["--user", "rider", "on", ">secret"];
    arguments.extend(rules.split_whitespace());
    BackendServer::redis_with(&arguments)
}

#[tokio::test]
async fn a_user_with_the_documented_permissions_can_use_the_queue() {
    let server = start_with_user(ACL_RULES);
    let url = format!("redis://rider:secret@127.0.0.1:{}", server.port());
    let (first, second) = (open(&url, 100_000).await, open(&url, 100_000).await);
    let worker = tokio::spawn(async move { second.pop(&10, test_start(), TEST_TIMEOUT).await });
    assert_answers(&*first).await;
    first.push(&[entry_due_now(5)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(5)]);
    assert_eq!(first.depth().await, Some(0));
    let denied = server.send_command("ACL LOG 1");
    assert_eq!(denied, "*0", "no command was denied");
}

async fn assert_answers(queue: &dyn Queue) {
    assert!(queue.pop(&0, test_start(), Duration::ZERO).await.is_empty());
    assert!(queue.depth().await.is_some());
}

#[tokio::test]
async fn a_user_without_permission_for_the_notification_channel_works() {
    let server = start_with_user("~postrider:* resetchannels +@all");
    let queue = open(&format!("redis://rider:secret@127.0.0.1:{}", server.port()), 100_000).await;
    wait_until_working(&*queue, 1).await;
}

#[tokio::test]
async fn a_wrong_password_counts_as_unreachable() {
    let server = BackendServer::redis_with(&["--requirepass", "right"]);
    let queue = open(&format!("redis://:wrong@127.0.0.1:{}", server.port()), 100_000).await;
    queue.push(&[entry_due_now(1)]);
    assert!(queue.pop(&10, test_start(), Duration::from_millis(10)).await.is_empty());
    assert_eq!(queue.depth().await, None);
}
