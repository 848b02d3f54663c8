//! Who does the work when several processes want to, and when one of them dies.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::cache::{self, Sealed};
use crate::clock::{Clock, from_millis};
use crate::config::Config;
use crate::dice::Dice;
use crate::gateway::Edges;
use crate::queue;
use crate::store::{self, Store};

/// Two processes on one store, by one clock.
async fn two(folder: &tempfile::TempDir) -> (Gateway, Gateway) {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    let store: Arc<dyn Store> = store::open(&url, store::LOCK_WAIT).unwrap();
    let mut both = Vec::new();
    for seed in [1, 2] {
        let edges = Edges {
            clock: clock.clone(),
            dice: Dice::seeded(seed),
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
            queue: queue::open("memory:", 10).await.unwrap(),
            store: Arc::clone(&store),
        };
        both.push(Gateway::wire(Config::sandbox(), edges, Vec::new()));
    }
    let there = both.pop().unwrap();
    (both.pop().unwrap(), there)
}

async fn done() -> Result<&'static str> {
    Ok("done")
}

#[tokio::test]
async fn the_turn_of_one_who_died_is_free_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two(&folder).await;
    let stuck = once(&here, Task::Prune, TOGETHER, std::future::pending::<Result<()>>());
    assert!(
        tokio::time::timeout(Duration::from_millis(200), stuck)
            .await
            .is_err()
    );
    there.clock.advance(HOLD - Duration::from_millis(1));
    let refused = once(&there, Task::Prune, TOGETHER, done()).await.unwrap();
    assert!(matches!(&refused, Done::Elsewhere(owner) if owner.holder == here.holder && !owner.done));
    there.clock.advance(Duration::from_millis(1));
    let taken = once(&there, Task::Prune, TOGETHER, done()).await.unwrap();
    assert_eq!(taken, Done::Here("done"));
}

#[tokio::test]
async fn who_waits_is_told_for_whom_and_then_works() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two(&folder).await;
    assert_eq!(take(&here, Task::Report).await.unwrap(), Turn::Yours);
    let told = Cell::new(0);
    let waiting = in_turn(
        &there,
        Task::Report,
        |owner| {
            assert_eq!(owner.holder, here.holder);
            told.set(told.get() + 1);
            here.clock.advance(HOLD);
        },
        done(),
    );
    assert_eq!(waiting.await.unwrap(), "done");
    assert_eq!(told.get(), 1);
}

#[tokio::test]
async fn work_that_failed_may_be_done_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = two(&folder).await;
    let fails = async { Err::<(), _>(Error::new(Kind::Unavailable, "fail")) };
    assert!(once(&here, Task::Prune, TOGETHER, fails).await.is_err());
    let taken = once(&there, Task::Prune, TOGETHER, done()).await.unwrap();
    assert_eq!(taken, Done::Here("done"));
    let again = once(&here, Task::Prune, TOGETHER, done()).await.unwrap();
    assert!(matches!(again, Done::Elsewhere(owner) if owner.done));
    here.clock.advance(TOGETHER);
    assert_eq!(
        once(&here, Task::Prune, TOGETHER, done()).await.unwrap(),
        Done::Here("done")
    );
}
