//! What hosts must agree on, as the store told them: how fast providers are asked, who makes a probe, whose turn it is.
//!
//! Every answer of the store is checked here at the moment it is given, before it can be lost on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider::clock::Timestamp;
use postrider::domain::fleet::Known;
use postrider::domain::health::Told;
use postrider::domain::throttle::Wish;
use postrider::domain::turn::Turn;
use postrider::store::{Passage, Probe};

/// What was told so far.
#[derive(Default)]
pub struct Shared {
    /// When parts were let go to a provider, in true milliseconds.
    passed: BTreeMap<String, Vec<(i64, u32)>>,
    /// Since when somebody probes a provider.
    probed: BTreeMap<String, Timestamp>,
    /// Who has the turn of a piece of work, until when, and whether it is done.
    turns: BTreeMap<&'static str, (String, Timestamp, bool)>,
}

impl Shared {
    /// No stretch of time saw more parts than the rate allows for it, whatever the hosts' clocks said: they are at most
    /// `skew_ms` from the true time.
    pub fn passed(&mut self, wish: &Wish, passages: &[Passage], now_ms: i64, skew_ms: i64) {
        let passed = self.passed.entry(wish.provider.to_string()).or_default();
        let gone = wish
            .parts
            .iter()
            .zip(passages)
            .filter(|(_, passage)| passage.is_ok());
        passed.extend(gone.map(|(parts, _)| (now_ms, *parts)));
        let burst = wish.rate.max(1.0);
        let mut parts = 0;
        for (since_ms, some) in passed.iter().rev() {
            parts += some;
            #[allow(clippy::cast_precision_loss)] // Some hours at most.
            let seconds = (now_ms - since_ms + 2 * skew_ms) as f64 / 1_000.0;
            // A bucket that was counted by a late clock fills once more.
            let most = 2.0 * burst + wish.rate * seconds;
            assert!(
                f64::from(parts) <= most,
                "{parts} parts went to {} in {seconds} s, {most} are allowed",
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
