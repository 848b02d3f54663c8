//! Promises about what processes on one store agree on: time, pace, health, turns.

use std::sync::Arc;
use std::time::Duration;

use super::world::*;
use crate::clock::Timestamp;
use crate::domain::fleet::{Known, News};
use crate::domain::health::Told;
use crate::domain::throttle::PaceWish;
use crate::domain::turn::{Task, Turn};
use crate::store::{Probe, Store};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

const HOLD: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

fn wish(rate: f64, parts: &[u32]) -> PaceWish {
    PaceWish {
        provider: name("red"),
        rate,
        parts: parts.to_vec(),
        paused_until: None,
    }
}

async fn passed(store: &dyn Store, rate: f64, count: usize, now: Timestamp) -> usize {
    let passages = store.pass(wish(rate, &vec![1; count]), now).await.unwrap();
    assert_eq!(passages.len(), count);
    passages.iter().filter(|passage| passage.is_ok()).count()
}

pub async fn the_stores_own_time_goes_on(open: Open<'_>) {
    let store = open();
    let first = store.time().await.unwrap();
    let later = store.time().await.unwrap();
    assert!(later >= first, "{first} {later}");
    assert!(first > at(0), "{first}");
}

pub async fn all_processes_together_keep_to_the_rate(open: Open<'_>) {
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let store = open();
        askers.spawn(async move {
            let mut gone = 0;
            for tenth in 0..20 {
                gone += passed(&*store, 10.0, 3, at(0) + Duration::from_millis(100 * tenth)).await;
            }
            gone
        });
    }
    let gone = askers.join_all().await.into_iter().sum::<usize>();
    assert!((19..=29).contains(&gone), "{gone} in 1.9 s at 10 a second");
}

pub async fn a_pace_never_goes_back_in_time(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(passed(&*here, 2.0, 5, at(30)).await, 2);
    assert_eq!(passed(&*there, 2.0, 5, at(10)).await, 0);
    assert_eq!(passed(&*here, 2.0, 5, at(30)).await, 0);
    assert_eq!(passed(&*there, 2.0, 5, at(31)).await, 2);
}

pub async fn who_is_refused_gets_a_time_of_his_own(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(passed(&*here, 2.0, 2, at(0)).await, 2);
    let mut waits = Vec::new();
    for store in [&here, &there, &here] {
        waits.extend(store.pass(wish(2.0, &[1, 2]), at(0)).await.unwrap());
    }
    let waits = waits.into_iter().map(|wait| wait.unwrap_err().as_millis());
    assert_eq!(waits.collect::<Vec<_>>(), [500, 1000, 2000, 2500, 3500, 4000]);
}

fn news(told: Told) -> News {
    News {
        provider: name("red"),
        told: Some(told),
        paused_until: None,
        loaded_at: at(0),
    }
}

fn resting(until: i64) -> Told {
    Told::Resting {
        until: at(until),
        times: 2,
    }
}

async fn told(store: &dyn Store, news: News, now: Timestamp) -> Known {
    store.tell(vec![news], now).await.unwrap().remove(0).known
}

pub async fn of_all_who_find_out_the_same_one_brings_the_news(open: Open<'_>) {
    let stores = [open(), open(), open()];
    let mut bringers = 0;
    for store in &stores {
        let out = Told::Out {
            reason: "no account".to_owned(),
        };
        let learned = store.tell(vec![news(out)], at(1)).await.unwrap().remove(0);
        bringers += usize::from(learned.is_news);
    }
    assert_eq!(bringers, 1);
}

pub async fn what_one_process_learns_the_others_can_read(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(there.standings().await.unwrap(), []);
    for (step, what) in [
        resting(60),
        Told::Well,
        Told::Out {
            reason: "bad \0 word".to_owned(),
        },
    ]
    .into_iter()
    .enumerate()
    {
        let now = at(i64::try_from(step).unwrap());
        let news = News {
            paused_until: Some(at(99)),
            ..news(what.clone())
        };
        let after = told(&*here, news, now).await;
        let since = match &what {
            Told::Out { .. } => at(0),
            _ => now,
        };
        assert_eq!((&after.told, after.since), (&what, since));
        assert_eq!(after.paused_until, Some(at(99)));
        assert_eq!(there.standings().await.unwrap(), [after]);
    }
}

pub async fn news_that_change_nothing_are_no_change(open: Open<'_>) {
    let store = open();
    let first = told(&*store, news(resting(60)), at(1)).await;
    assert_eq!(told(&*store, news(resting(50)), at(2)).await, first);
    let silent = News {
        told: None,
        ..news(Told::Well)
    };
    assert_eq!(told(&*store, silent, at(3)).await, first);
}

pub async fn of_many_who_ask_one_makes_the_probe(open: Open<'_>) {
    let first = open();
    let nobody = first.probe(&name("red"), PATIENCE, at(0)).await.unwrap();
    assert_eq!(nobody, Probe::NotYours(None));
    told(&*first, news(resting(30)), at(0)).await;
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let store = open();
        askers.spawn(async move { store.probe(&name("red"), PATIENCE, at(30)).await.unwrap() });
    }
    let answers = askers.join_all().await;
    let yes = answers.iter().filter(|answer| matches!(answer, Probe::Yours(_)));
    assert_eq!(yes.count(), 1, "{answers:?}");
    let again = first.probe(&name("red"), PATIENCE, at(89)).await.unwrap();
    assert!(matches!(again, Probe::NotYours(Some(_))), "{again:?}");
    let after_a_death = first.probe(&name("red"), PATIENCE, at(90)).await.unwrap();
    assert!(matches!(after_a_death, Probe::Yours(_)), "{after_a_death:?}");
    told(&*first, news(Told::Well), at(91)).await;
    let well = first.probe(&name("red"), PATIENCE, at(999)).await.unwrap();
    assert!(matches!(well, Probe::NotYours(Some(_))), "{well:?}");
}

pub async fn wrong_settings_stay_known_until_they_were_mended(open: Open<'_>) {
    let store = open();
    let out = Told::Out {
        reason: "no account".to_owned(),
    };
    let wrong = News {
        loaded_at: at(4),
        ..news(out.clone())
    };
    told(&*store, wrong, at(5)).await;
    assert_eq!(told(&*store, news(Told::Well), at(6)).await.told, out);
    let mended = News {
        loaded_at: at(7),
        ..news(Told::Well)
    };
    assert_eq!(told(&*store, mended, at(8)).await.told, Told::Well);
}

async fn asked(store: &dyn Store, holder: &str, now: Timestamp) -> Turn {
    store.take_turn(Task::Report, holder, now, HOLD).await.unwrap()
}

fn owner(turn: Turn) -> (String, bool) {
    match turn {
        Turn::Yours => panic!("it was free"),
        Turn::Taken(owner) => (owner.holder, owner.done),
    }
}

pub async fn of_many_who_ask_one_has_the_turn(open: Open<'_>) {
    let mut askers = tokio::task::JoinSet::new();
    for which in 0..6 {
        let store = open();
        askers.spawn(async move { asked(&*store, &format!("host-{which}"), at(0)).await });
    }
    let answers = askers.join_all().await;
    let yes = answers.iter().filter(|answer| **answer == Turn::Yours);
    assert_eq!(yes.count(), 1, "{answers:?}");
    let other = open().take_turn(Task::Prune, "host-9", at(0), HOLD).await;
    assert_eq!(other.unwrap(), Turn::Yours, "another task");
}

pub async fn a_turn_of_the_dead_ends_by_itself(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(asked(&*here, "here", at(0)).await, Turn::Yours);
    assert_eq!(
        owner(asked(&*there, "there", at(9)).await),
        ("here".to_owned(), false)
    );
    assert_eq!(asked(&*there, "there", at(10)).await, Turn::Yours);
    assert!(!here.renew_turn(Task::Report, "here", at(20)).await.unwrap());
    here.end_turn(Task::Report, "here", at(0)).await.unwrap();
    assert_eq!(
        owner(asked(&*here, "here", at(11)).await),
        ("there".to_owned(), false)
    );
}

pub async fn a_turn_that_is_renewed_goes_on(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(asked(&*here, "here", at(0)).await, Turn::Yours);
    assert!(here.renew_turn(Task::Report, "here", at(18)).await.unwrap());
    assert_eq!(
        owner(asked(&*there, "there", at(17)).await),
        ("here".to_owned(), false)
    );
    here.end_turn(Task::Report, "here", at(17)).await.unwrap();
    assert_eq!(asked(&*there, "there", at(17)).await, Turn::Yours);
}

pub async fn a_turn_can_be_kept_when_the_work_is_done(open: Open<'_>) {
    let (here, there) = (open(), open());
    assert_eq!(asked(&*here, "here", at(0)).await, Turn::Yours);
    here.end_turn(Task::Report, "here", at(5)).await.unwrap();
    assert!(!here.renew_turn(Task::Report, "here", at(50)).await.unwrap());
    assert_eq!(
        owner(asked(&*there, "there", at(4)).await),
        ("here".to_owned(), true)
    );
    assert_eq!(asked(&*there, "there", at(5)).await, Turn::Yours);
    // A turn that no clock could have given is nobody's.
    there.renew_turn(Task::Report, "there", at(9_999)).await.unwrap();
    assert_eq!(asked(&*here, "here", at(6)).await, Turn::Yours);
}
