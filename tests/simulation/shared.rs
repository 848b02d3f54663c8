//! What hosts must agree on, as the store told them: how fast providers are asked, who makes a probe, whose turn it is.
//!
//! Every answer of the store is checked here at the moment it is given, before it can be lost on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use postrider::clock::Timestamp;
use postrider::domain::fleet::Known;
use postrider::domain::health::Told;
use postrider::domain::throttle::PaceWish;
use postrider::domain::turn::Turn;
use postrider::store::{Passage, Probe};

/// A question so much older than the latest one makes the store forget what it has counted: that clock was wrong.
const WRONG_CLOCK: Duration = Duration::from_secs(60);

/// What was told so far.
#[derive(Default)]
pub struct Shared {
    /// When parts were let go to a provider, by the latest time that was heard of.
    passed: BTreeMap<String, Vec<(Timestamp, u32)>>,
    /// Since when somebody probes a provider.
    probed: BTreeMap<String, Timestamp>,
    /// Who has the turn of a piece of work, until when, and whether it is done.
    turns: BTreeMap<&'static str, (String, Timestamp, bool)>,
}

impl Shared {
    /// No stretch of the time that the store has heard of saw more parts than the rate allows for it, however far the
    /// clocks of those who ask are apart and however late their questions come.
    pub fn passed(&mut self, wish: &PaceWish, passages: &[Passage], now: Timestamp) {
        let passed = self.passed.entry(wish.provider.to_string()).or_default();
        let latest = passed.last().map_or(now, |(latest, _)| *latest);
        if latest - now > TimeDelta::from_std(WRONG_CLOCK).unwrap() {
            passed.clear();
        }
        let counted = passed.last().map_or(now, |(latest, _)| now.max(*latest));
        let gone = wish
            .parts
            .iter()
            .zip(passages)
            .filter(|(_, passage)| passage.is_ok());
        passed.push((counted, gone.map(|(parts, _)| parts).sum()));
        let mut parts = 0;
        for (since, some) in passed.iter().rev() {
            parts += some;
            let most = wish.rate.max(1.0) + wish.rate * (counted - *since).as_seconds_f64();
            assert!(
                f64::from(parts) <= most + 0.01,
                "{parts} parts went to {} since {since}, by {counted} only {most} may",
                wish.provider
            );
        }
    }

    /// Of all who ask, one makes the probe, and another only when nothing is heard of him for long enough.
    pub fn probed(&mut self, provider: &str, probe: &Probe, patience: Duration, now: Timestamp) {
        if let Probe::Yours(_) = probe {
            let earlier = self.probed.insert(provider.to_owned(), now);
            assert!(
                earlier.is_none_or(|earlier| earlier + patience <= now),
                "{provider} is probed by two at once, since {earlier:?} and {now}"
            );
        }
    }

    /// A probe that is told of is over.
    pub fn told(&mut self, known: &[Known]) {
        for known in known {
            if !matches!(known.told, Told::Probing { .. }) {
                self.probed.remove(known.provider.as_str());
            }
        }
    }

    /// Nobody gets a turn that another still has.
    pub fn taken(&mut self, work: &'static str, holder: &str, turn: &Turn, now: Timestamp, hold: Duration) {
        if let Turn::Yours = turn {
            let earlier = self.turns.insert(work, (holder.to_owned(), now + hold, false));
            if let Some((other, ends_at, _)) = earlier {
                // An end so far away can only come from a clock that was wrong.
                let is_over = ends_at <= now || ends_at > now + hold * 2;
                assert!(
                    is_over,
                    "{holder} took the turn of {work} that {other} has until {ends_at}"
                );
            }
        }
    }

    /// Only who has a turn can move its end.
    pub fn renewed(&mut self, work: &'static str, holder: &str, ends_at: Timestamp, renewed: bool) {
        let turn = self.turns.get_mut(work).filter(|turn| turn.0 == holder);
        assert!(
            turn.is_some() || !renewed,
            "{holder} renewed a turn of {work} it has not"
        );
        if let Some(turn) = turn.filter(|_| renewed) {
            turn.1 = ends_at;
        }
    }

    /// Whose turn it is may say that the work is done.
    pub fn ended(&mut self, work: &'static str, holder: &str, ends_at: Timestamp) {
        if let Some(turn) = self
            .turns
            .get_mut(work)
            .filter(|turn| turn.0 == holder && !turn.2)
        {
            (turn.1, turn.2) = (ends_at, true);
        }
    }
}
