//! Gets messages to people: claims what is due, asks the channel's providers one by one, records the round.
//!
//! A step says what it did; running it twice is harmless, because only one claim of a delivery wins and only
//! the newest claim can record.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::attempt::{Attempt, Outcome};
use crate::domain::channel::Name;
use crate::domain::delivery::{Next, RoundEnd, Rules, State};
use crate::domain::id::DeliveryId;
use crate::domain::message::{Claimed, Nudge, Recorded, Round};
use crate::domain::retry::later;
use crate::domain::wish::{Appetite, Wish};
use crate::error::{Error, Kind};
use crate::gateway::{Busy, Gateway, Lane, Route};
use crate::provider::Parcel;
use addresses::{Addresses, Chosen};

mod addresses;

/// How many due deliveries a silent queue is filled with from the store at a time, beside those that are taken on at once:
/// as long as some are left over, there is more.
const SWEPT_AT_ONCE: usize = 1_000;

/// How long a queue has to bring what the store is known to have more of.
const MORE_WAIT: Duration = Duration::from_millis(20);

/// How often the store is asked in place of a queue that lags behind others, before the queue is tried again.
const OVERTAKEN_LOOKS: u32 = 64;

/// How long a worker leaves a store alone that has just failed.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Shortest wait before a delivery that nobody could take is looked at again.
const NOBODY_FREE_RETRY: Duration = Duration::from_millis(250);

/// What a look for work found.
#[derive(Debug, Default)]
pub struct Found {
    /// Ids worth claiming, no more than wished for.
    pub ids: Vec<DeliveryId>,
    /// What is known of more.
    pub more: More,
}

/// What is known of deliveries that are due beyond those that were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum More {
    /// Nothing.
    #[default]
    No,
    /// The store has some, and the queue was given them.
    Pushed,
    /// So it was, and the queue does bring them.
    Brought,
    /// Others took most of what was found before: a queue of our own lags behind them, so that the store is asked for
    /// just as much as is wished for, so many more times.
    Overtaken(u32),
}

impl More {
    /// What is known after so many of so many ids were won.
    pub fn after(self, won: usize, tried: usize) -> Self {
        let is_overtaken = won < tried && 2 * won <= tried;
        if is_overtaken && !matches!(self, Self::Overtaken(_)) {
            return Self::Overtaken(OVERTAKEN_LOOKS);
        }
        self
    }
}

/// A claimed delivery, and until when it is surely still ours.
pub struct Held {
    /// What was claimed.
    pub claimed: Claimed,
    /// Nobody else can have claimed it before this moment.
    pub until: Timestamp,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It took so many deliveries through a round.
    Delivered(usize),
    /// There was nothing to do.
    Idle,
}

/// Claims at most `limit` deliveries, waiting up to `wait` for some, and takes each through its round.
pub async fn step(gateway: &Gateway, limit: usize, wait: Duration) -> Step {
    let found = next(gateway, &limit, wait).await;
    let claimed = claim(gateway, found.ids).await;
    let count = claimed.len();
    for one in claimed {
        round(gateway, one).await;
    }
    if count == 0 {
        Step::Idle
    } else {
        Step::Delivered(count)
    }
}

/// Ids worth claiming, no more than wished for: those the queue names, or, when it is silent for `wait`, those the
/// store knows to be due. Dropping it half-way loses nudges at most, never a delivery.
pub async fn next(gateway: &Gateway, appetite: &dyn Appetite, wait: Duration) -> Found {
    let ids = gateway.queue.pop(appetite, gateway.clock.now(), wait).await;
    if ids.is_empty() {
        let wish = appetite.wish();
        let wide = wish.clone().widened(SWEPT_AT_ONCE);
        sweep(gateway, &wish, &wide).await
    } else {
        Found { ids, more: More::No }
    }
}

/// The same after a look that left more in the store. A queue that does not bring it at once is away: then nothing is
/// gained by waiting for it, or by filling it. One that did and has run dry is filled again.
pub async fn next_of_more(gateway: &Gateway, appetite: &dyn Appetite, more: More) -> Found {
    let (wait, at_once) = match more {
        More::Overtaken(looks) => return ahead(gateway, appetite, looks).await,
        More::Brought => (Duration::ZERO, SWEPT_AT_ONCE),
        More::Pushed | More::No => (MORE_WAIT, 0),
    };
    let ids = gateway.queue.pop(appetite, gateway.clock.now(), wait).await;
    if !ids.is_empty() {
        let more = More::Brought;
        return Found { ids, more };
    }
    let wish = appetite.wish();
    let wide = wish.clone().widened(at_once);
    let swept = sweep(gateway, &wish, &wide).await;
    let more = if swept.ids.is_empty() {
        More::No
    } else {
        More::Pushed
    };
    Found { more, ..swept }
}

/// What is due in the store, without the queue, for so many looks or until there is nothing.
async fn ahead(gateway: &Gateway, appetite: &dyn Appetite, looks: u32) -> Found {
    let wish = appetite.wish();
    let found = sweep(gateway, &wish, &wish).await;
    let more = match looks.checked_sub(1) {
        Some(left) if !found.ids.is_empty() => More::Overtaken(left),
        _ => More::No,
    };
    Found { more, ..found }
}

/// Wins what can be won of these ids. Once begun it has to be seen through, or the rounds show as unknown.
pub async fn claim(gateway: &Gateway, ids: Vec<DeliveryId>) -> Vec<Held> {
    if ids.is_empty() {
        return Vec::new();
    }
    let (now, lease) = (gateway.clock.now(), gateway.config.work.lease);
    let until = later(now, lease);
    match gateway.store.claim(ids, now, lease).await {
        Ok(claimed) => claimed
            .into_iter()
            .map(|claimed| Held { claimed, until })
            .collect(),
        Err(error) => {
            store_failed(gateway, "cannot claim", &error).await;
            Vec::new()
        }
    }
}

/// Takes what is wished for from the truth, and fills a silent queue with the rest of what a wider wish finds. A queue
/// that is away is done without.
async fn sweep(gateway: &Gateway, wish: &Wish, wide: &Wish) -> Found {
    let due = match gateway.store.due(gateway.clock.now(), wide).await {
        Ok(due) => due,
        Err(error) => {
            store_failed(gateway, "cannot look for what is due", &error).await;
            return Found::default();
        }
    };
    let (taken, rest) = wish.split(due, |nudge| &nudge.channel);
    gateway.queue.push(&rest);
    Found {
        ids: taken.into_iter().map(|nudge| nudge.id).collect(),
        more: if rest.is_empty() { More::No } else { More::Pushed },
    }
}

/// Takes a claimed delivery once over its channel's providers and records what came of it.
pub async fn round(gateway: &Gateway, held: Held) {
    let claimed = &held.claimed;
    let id = claimed.id;
    let (channel, priority) = (claimed.channel.clone(), claimed.priority);
    let (attempts, next) = pass(gateway, &held).await;
    let state = next.state.clone();
    let is_watched = claimed.watch.is_some();
    let round = Round {
        id,
        round: claimed.round,
        attempts,
        state: next.state,
        tries: next.tries,
        at: gateway.clock.now(),
        watch: claimed.watch.clone(),
    };
    match record(gateway, round).await {
        Ok(Some(recorded @ (Recorded::Stored | Recorded::Moved(_)))) => {
            gateway.moved(&channel, state.standing());
            if let Recorded::Moved(on) = recorded {
                gateway.moved(&channel, on);
            }
            if is_watched {
                gateway.outbox.notify_one();
            }
            if let State::Waiting { due_at, .. } = state {
                let nudge = Nudge {
                    id,
                    channel,
                    due_at,
                    priority,
                };
                gateway.queue.push(&[nudge]);
            }
        }
        Ok(_) => log::warn!("delivery {id} was claimed by another worker before its round was recorded"),
        Err(error) => store_failed(gateway, "cannot record a round; it will show as unknown", &error).await,
    }
}

/// Records a round, and while the store is out of reach tries again for as long as the claim can last: what was
/// sent and never recorded is sent again.
async fn record(gateway: &Gateway, round: Round) -> Result<Option<Recorded>, Error> {
    let began = gateway.clock.stopwatch();
    let mut said = false;
    loop {
        let error = match gateway.store.record(vec![round.clone()]).await {
            Ok(recorded) => return Ok(recorded.into_iter().next()),
            Err(error) => error,
        };
        let in_vain = began.passed() + STORE_PAUSE >= gateway.config.work.lease;
        if in_vain || error.kind() != Kind::Unavailable {
            return Err(error);
        }
        if said {
            gateway.clock.pause(STORE_PAUSE).await;
        } else {
            said = true;
            store_failed(gateway, "cannot record a round yet", &error).await;
        }
    }
}

/// Asks the providers and decides the new state; the only calls to the outside world.
async fn pass(gateway: &Gateway, held: &Held) -> (Vec<Attempt>, Next) {
    let (now, claimed) = (gateway.clock.now(), &held.claimed);
    let Some(route) = gateway.route(claimed.channel.as_str()) else {
        let reason = format!("the configuration has no channel {}", claimed.channel);
        let end = RoundEnd::NobodyFree {
            retry_after: Duration::from_secs(60),
            reason,
        };
        return (
            Vec::new(),
            State::after(end, &rules_without_channel(claimed), now, 1.0),
        );
    };
    let mut rules = Rules {
        tries: claimed.tries,
        expires_at: claimed.expires_at,
        retry: &route.channel.retry,
        unknown: route.channel.unknown,
    };
    let mut attempts = Vec::new();
    for _ in 0..claimed.lost {
        attempts.push(lost(now));
        let next = State::after(RoundEnd::Lost, &rules, now, gateway.dice.luck());
        rules.tries = next.tries;
        if matches!(next.state, State::Failed { .. }) {
            return (attempts, next);
        }
    }
    let end = if now >= claimed.expires_at {
        RoundEnd::TooLate
    } else {
        ask_in_turn(gateway, route, held, &mut attempts).await
    };
    (
        attempts,
        State::after(end, &rules, gateway.clock.now(), gateway.dice.luck()),
    )
}

/// Asks one provider after the other until one says something that is neither about the provider itself nor about an
/// address beside which the recipient has others. A worker that was held up (a frozen machine, a slow store) asks nobody
/// for whom the lease has no time left: another worker may be sending the same by the time the call ends.
async fn ask_in_turn(gateway: &Gateway, route: &Route, held: &Held, attempts: &mut Vec<Attempt>) -> RoundEnd {
    let (now, claimed) = (gateway.clock.now(), &held.claimed);
    let mut addresses = Addresses::of(claimed, route);
    if !addresses.fit_any(route) {
        let reason = addresses::nothing_fits(route);
        return RoundEnd::NoAddress { reason };
    }
    let avoid = avoided(route, claimed, &addresses);
    let mut parcel = parcel(claimed, route);
    let mut soonest: Option<Busy> = None;
    let (mut failure, mut skipped) = (None, Vec::new());
    for lane in route.order(avoid, now) {
        let Some(to) = addresses.fit(lane) else {
            skipped.push(addresses::skipped(lane));
            continue;
        };
        let is_late = || later(gateway.clock.now(), lane.time_limit) > held.until;
        if is_late() {
            keep_soonest(&mut soonest, held_up(lane));
            continue;
        }
        let place = match lane.enter(claimed.parts, gateway.clock.now()).await {
            Ok(place) => place,
            Err(busy) => {
                keep_soonest(&mut soonest, busy);
                continue;
            }
        };
        // Its pace and its probe are the store's to give, which can take long.
        if is_late() {
            lane.leave(place, gateway.clock.now());
            keep_soonest(&mut soonest, held_up(lane));
            continue;
        }
        direct(&mut parcel, to);
        let mut attempt = lane.call(place, &parcel, &gateway.clock).await;
        attempt.address = addresses.are_several().then(|| to.address.to_owned());
        let outcome = attempt.outcome.clone();
        attempts.push(attempt);
        if matches!(outcome, Outcome::InvalidRecipient { .. }) {
            addresses.bury(to.address);
        }
        if ends_round(&outcome, &addresses, route) {
            return RoundEnd::Decided {
                provider: lane.name.clone(),
                outcome,
            };
        }
        match outcome {
            Outcome::Throttled { .. } => keep_soonest(&mut soonest, lane.unfit(gateway.clock.now())),
            other => failure = Some(words(lane, &other)),
        }
    }
    match failure {
        Some(reason) => RoundEnd::AllFailed {
            reason: [vec![reason], skipped].concat().join("; "),
        },
        None => nobody_free(
            soonest.unwrap_or_else(|| route.soonest(avoid, now, |lane| addresses.fit(lane).is_some())),
            gateway.dice.luck(),
        ),
    }
}

/// Whether nobody else is to be asked in this round. A dead address is the end of the delivery only when no provider
/// can use another one.
fn ends_round(outcome: &Outcome, addresses: &Addresses<'_>, route: &Route) -> bool {
    match outcome {
        Outcome::InvalidRecipient { .. } => !addresses.fit_any(route),
        other => !other.asks_next_provider(),
    }
}

/// The provider to leave out, unless it is the only one that can use an address of the recipient.
fn avoided<'c>(route: &Route, claimed: &'c Claimed, addresses: &Addresses<'_>) -> Option<&'c Name> {
    let avoid = claimed.avoid.as_ref()?;
    let mut others = route.lanes().iter().filter(|lane| lane.name != *avoid);
    others.any(|lane| addresses.fit(lane).is_some()).then_some(avoid)
}

fn held_up(lane: &Lane) -> Busy {
    Busy {
        retry_after: NOBODY_FREE_RETRY,
        spread: Duration::ZERO,
        reason: format!(
            "the worker was held up; {} may take longer than the rest of its lease",
            lane.name
        ),
    }
}

fn nobody_free(busy: Busy, luck: f64) -> RoundEnd {
    RoundEnd::NobodyFree {
        retry_after: busy.retry_after.max(NOBODY_FREE_RETRY) + busy.spread.mul_f64(luck),
        reason: busy.reason,
    }
}

fn keep_soonest(soonest: &mut Option<Busy>, busy: Busy) {
    if soonest
        .as_ref()
        .is_none_or(|other| busy.retry_after < other.retry_after)
    {
        *soonest = Some(busy);
    }
}

fn words(lane: &Lane, outcome: &Outcome) -> String {
    format!("{}: {}", lane.name, outcome.reason().unwrap_or(outcome.word()))
}

fn lost(now: Timestamp) -> Attempt {
    Attempt {
        provider: None,
        outcome: Outcome::Unknown {
            reason: "a worker died while sending".to_owned(),
        },
        code: None,
        at: now,
        duration: Duration::ZERO,
        address: None,
    }
}

fn direct(parcel: &mut Parcel, to: Chosen<'_>) {
    to.address.clone_into(&mut parcel.to);
    to.spelling.clone_into(&mut parcel.spelling);
}

/// Addressed to nobody yet.
fn parcel(claimed: &Claimed, route: &Route) -> Parcel {
    Parcel {
        delivery: claimed.id,
        message: claimed.message,
        round: claimed.round,
        to: String::new(),
        spelling: String::new(),
        subject: claimed.subject.clone().or_else(|| route.channel.subject.clone()),
        body: claimed.body.clone(),
        parts: claimed.parts,
        expires_at: claimed.expires_at,
    }
}

/// For a delivery whose channel has left the configuration: it waits, in case the channel comes back.
fn rules_without_channel(claimed: &Claimed) -> Rules<'static> {
    static RETRY: std::sync::LazyLock<crate::domain::retry::Retry> =
        std::sync::LazyLock::new(Default::default);
    Rules {
        tries: claimed.tries,
        expires_at: claimed.expires_at,
        retry: &RETRY,
        unknown: crate::domain::channel::UnknownPolicy::Resend,
    }
}

async fn store_failed(gateway: &Gateway, act: &str, error: &Error) {
    gateway.metrics.store_errors.inc();
    log::error!("{act}: {}", error.chain());
    gateway.clock.pause(STORE_PAUSE).await;
}

#[cfg(test)]
mod tests;
