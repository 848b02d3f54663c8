use std::sync::Arc;

use super::*;
use crate::testing::{self, TestQueue};

crate::queue_conformance!(async |window| TestQueue::new(Arc::new(MemoryQueue::new(window))));

#[tokio::test]
async fn a_push_of_several_entries_wakes_several_workers() {
    let queue = Arc::new(MemoryQueue::new(100));
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.pop(&1, testing::test_start(), testing::TEST_TIMEOUT).await })
        })
        .collect();
    tokio::task::yield_now().await;
    queue.push(&[1, 2, 3, 4].map(testing::entry_due_now));
    for worker in workers {
        assert_eq!(worker.await.expect("worker").len(), 1);
    }
}
