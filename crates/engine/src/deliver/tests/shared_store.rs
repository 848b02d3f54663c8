//! Tests of workers that share a store but no queue.

use super::*;

#[tokio::test]
async fn a_worker_whose_queue_lags_behind_others_asks_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = gateway_with_message(Clock::System, folder.path()).await;
    let second = second_gateway(&first, folder.path()).await;
    for _ in 0..9 {
        accept_message(&first).await;
    }
    let found = find_due(&second, &1, Duration::ZERO).await;
    let stale = found.ids.clone();
    assert_eq!(
        (stale.len(), found.more),
        (1, MoreDue::PushedToQueue),
        "one now, nine in its queue"
    );
    let all = find_due(&first, &10, Duration::ZERO).await;
    assert_eq!(claim(&first, all.ids).await.len(), 10);

    let won = claim(&second, found.ids).await.len();
    let more = found.more.after_claim(won, 1);
    assert_eq!((won, more), (0, MoreDue::QueueBehind(STORE_POLLS_WHEN_BEHIND)));
    accept_message(&first).await;
    let ahead = find_more_due(&second, &1, more).await;
    assert_eq!(
        claim(&second, ahead.ids).await.len(),
        1,
        "the new one, not what is in its queue"
    );
    assert_eq!(ahead.more, MoreDue::QueueBehind(STORE_POLLS_WHEN_BEHIND - 1));
    let nothing = find_more_due(&second, &1, ahead.more).await;
    assert_eq!((nothing.ids.len(), nothing.more), (0, MoreDue::NoneKnown));
}

#[tokio::test]
async fn a_worker_of_many_places_sees_that_there_is_more() {
    let folder = tempfile::tempdir().unwrap();
    let (first, _) = gateway_with_message(Clock::System, folder.path()).await;
    let second = second_gateway(&first, folder.path()).await;
    for _ in 0..=QUEUE_REFILL_MAX {
        accept_message(&first).await;
    }
    let found = find_due(&second, &QUEUE_REFILL_MAX, Duration::ZERO).await;
    assert_eq!(
        (found.ids.len(), found.more),
        (QUEUE_REFILL_MAX, MoreDue::PushedToQueue)
    );
}

#[test]
fn who_wins_more_than_half_is_not_overtaken() {
    assert_eq!(MoreDue::NoneKnown.after_claim(0, 0), MoreDue::NoneKnown);
    assert_eq!(MoreDue::NoneKnown.after_claim(3, 5), MoreDue::NoneKnown);
    assert_eq!(
        MoreDue::DeliveredByQueue.after_claim(2, 5),
        MoreDue::QueueBehind(STORE_POLLS_WHEN_BEHIND)
    );
    assert_eq!(
        MoreDue::QueueBehind(3).after_claim(0, 5),
        MoreDue::QueueBehind(3),
        "it ends all the same"
    );
}

async fn accept_message(gateway: &Gateway) {
    let request = AcceptRequest {
        body: "hello".to_owned(),
        addresses: vec![("sms".to_owned(), "09122222222".to_owned())],
        ..AcceptRequest::default()
    };
    accept::accept(gateway, request).await.unwrap();
}

/// Returns a second gateway on the same store.
async fn second_gateway(first: &Gateway, folder: &Path) -> Gateway {
    let url = format!("sqlite:{}", folder.join("postrider.db").display());
    let edges = Backends {
        clock: first.clock.clone(),
        random: Random::seeded(2),
        cache: SignedCache::new(
            postrider_cache::open("memory:").unwrap(),
            first.store.store_secret().await.unwrap(),
        ),
        queue: postrider_queue::open("memory:", 10).await.unwrap(),
        store: postrider_store::open(&url, Duration::from_secs(5)).unwrap(),
    };
    Gateway::wire(Config::test_mode(), edges, Vec::new())
}
