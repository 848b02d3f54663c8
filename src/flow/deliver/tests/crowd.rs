//! Workers that share a store but no queue.

use super::*;

#[tokio::test]
async fn a_worker_whose_queue_lags_behind_others_asks_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = waiting(Clock::System, folder.path()).await;
    let second = beside(&first, folder.path()).await;
    for _ in 0..9 {
        accept(&first).await;
    }
    let found = next(&second, &1, Duration::ZERO).await;
    let stale = found.ids.clone();
    assert_eq!(
        (stale.len(), found.more),
        (1, More::Pushed),
        "one now, nine in its queue"
    );
    let all = next(&first, &10, Duration::ZERO).await;
    assert_eq!(claim(&first, all.ids).await.len(), 10);

    let won = claim(&second, found.ids).await.len();
    let more = found.more.after(won, 1);
    assert_eq!((won, more), (0, More::Overtaken(OVERTAKEN_LOOKS)));
    accept(&first).await;
    let ahead = next_of_more(&second, &1, more).await;
    assert_eq!(
        claim(&second, ahead.ids).await.len(),
        1,
        "the new one, not what is in its queue"
    );
    assert_eq!(ahead.more, More::Overtaken(OVERTAKEN_LOOKS - 1));
    let nothing = next_of_more(&second, &1, ahead.more).await;
    assert_eq!((nothing.ids.len(), nothing.more), (0, More::No));
}

#[tokio::test]
async fn a_worker_of_many_places_sees_that_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = waiting(Clock::System, folder.path()).await;
    let second = beside(&first, folder.path()).await;
    for _ in 0..=SWEPT_AT_ONCE {
        accept(&first).await;
    }
    let found = next(&second, &SWEPT_AT_ONCE, Duration::ZERO).await;
    assert_eq!((found.ids.len(), found.more), (SWEPT_AT_ONCE, More::Pushed));
}

#[test]
fn who_wins_more_than_half_is_not_overtaken() {
    assert_eq!(More::No.after(0, 0), More::No);
    assert_eq!(More::No.after(3, 5), More::No);
    assert_eq!(More::Brought.after(2, 5), More::Overtaken(OVERTAKEN_LOOKS));
    assert_eq!(
        More::Overtaken(3).after(0, 5),
        More::Overtaken(3),
        "it ends all the same"
    );
}

async fn accept(gateway: &Gateway) {
    let request = Request {
        body: "hello".to_owned(),
        to: vec![("sms".to_owned(), "09122222222".to_owned())],
        ..Request::default()
    };
    accept::accept(gateway, request).await.unwrap();
}

/// Another process on the same store.
async fn beside(first: &Gateway, folder: &Path) -> Gateway {
    let url = format!("sqlite:{}", folder.join("postrider.db").display());
    let edges = Edges {
        clock: first.clock.clone(),
        dice: Dice::seeded(2),
        cache: Sealed::new(cache::open("memory:").unwrap(), first.store.seal().await.unwrap()),
        queue: queue::open("memory:", 10).await.unwrap(),
        store: store::open(&url, Duration::from_secs(5)).unwrap(),
    };
    Gateway::wire(Config::sandbox(), edges, Vec::new())
}
