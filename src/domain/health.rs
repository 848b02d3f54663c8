//! Whether a provider is fit to be asked, judged by how its last calls went.
//!
//! Several failures in a row give it a rest; then one call, the probe, finds out whether it is back. Wrong
//! settings put it out until the configuration is loaded again. Never waits and never calls anybody.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::retry::later;

/// A rest grows with each failed probe, up to so many times the first one.
const REST_GROWTH_MAX: u32 = 8;
/// A probe that was never answered counts as lost after the first rest, but not sooner than this.
const PROBE_PATIENCE_MIN: Duration = Duration::from_secs(60);
/// What lies further ahead than this was told by a clock that was wrong. Less than that can be somebody who was held up:
/// a worker that wakes late still has the time at which it fell asleep.
pub const CLOCKS_APART_MAX: Duration = Duration::from_secs(3_600);

/// The health of one provider.
#[derive(Clone, Debug)]
pub struct Health {
    rest_after: u32,
    rest_for: Duration,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Well { failures: u32 },
    Resting { until: DateTime<Utc>, times: u32 },
    Probing { since: DateTime<Utc>, times: u32 },
    Out { reason: String },
}

/// What one process tells the others of a provider's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It works.
    Well,
    /// It failed too often and gets no calls.
    Resting {
        /// Until then.
        until: DateTime<Utc>,
        /// How much longer than the first rest this one is.
        times: u32,
    },
    /// One process is finding out whether it is back.
    Probing {
        /// Since then.
        since: DateTime<Utc>,
        /// As in [`Told::Resting`].
        times: u32,
    },
    /// Its account or settings are wrong.
    Out {
        /// What it objects to.
        reason: String,
    },
}

/// The answer to "may I ask it now?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Open,
    /// Yes, and yours is the one call that finds out whether it is back. It has to be reported.
    Probe,
    /// No: it rests, or another call is finding out.
    Resting {
        /// When asking again makes sense.
        until: DateTime<Utc>,
    },
    /// No, not before the configuration is loaded again.
    Out,
}

/// How a provider stands, for pages and `console status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its last call went well, or too few failed to worry.
    Well,
    /// It gets no calls for a while.
    Resting {
        /// Until then.
        until: DateTime<Utc>,
    },
    /// One call is finding out whether it is back.
    Probing,
    /// Its account or settings are wrong.
    Out {
        /// What it objects to.
        reason: String,
    },
}

impl Health {
    /// A provider nothing bad is known of. It rests after `rest_after` failures in a row, first for `rest_for`.
    pub fn new(rest_after: u32, rest_for: Duration) -> Self {
        Self {
            rest_after,
            rest_for,
            state: State::Well { failures: 0 },
        }
    }

    /// Whether [`Health::admit`] would let a call through; changes nothing.
    pub fn is_fit(&self, now: DateTime<Utc>) -> bool {
        match &self.state {
            State::Well { .. } => true,
            State::Resting { until, .. } => is_rest_over(*until, self.probe_patience(), now),
            State::Probing { since, .. } => is_probe_over(*since, self.probe_patience(), now),
            State::Out { .. } => false,
        }
    }

    /// Asks for one call. After a rest, exactly one gets through until its result is reported.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Admission {
        let (times, until) = match &self.state {
            State::Well { .. } => return Admission::Open,
            State::Out { .. } => return Admission::Out,
            State::Resting { until, times } => (*times, *until),
            State::Probing { since, times } => (*times, later(*since, self.probe_patience())),
        };
        if !self.is_fit(now) {
            return Admission::Resting { until };
        }
        self.state = State::Probing { since: now, times };
        Admission::Probe
    }

    /// A call went well, whatever was said about the message: the provider works.
    pub fn succeeded(&mut self) {
        match self.state {
            State::Well { .. } | State::Resting { .. } | State::Probing { .. } => {
                self.state = State::Well { failures: 0 };
            }
            State::Out { .. } => {}
        }
    }

    /// A call failed through the provider's fault.
    pub fn failed(&mut self, now: DateTime<Utc>) {
        match self.state {
            State::Well { failures } if failures + 1 < self.rest_after => {
                self.state = State::Well {
                    failures: failures + 1,
                };
            }
            State::Well { .. } => self.rest(1, now),
            State::Probing { times, .. } => self.rest((times * 2).min(REST_GROWTH_MAX), now),
            // A call from before the rest: nothing new.
            State::Resting { .. } | State::Out { .. } => {}
        }
    }

    /// Its account or settings are wrong; more calls would only annoy it.
    pub fn misconfigured(&mut self, reason: impl Into<String>) {
        self.state = State::Out {
            reason: reason.into(),
        };
    }

    /// What others should know.
    pub fn told(&self) -> Told {
        match &self.state {
            State::Well { .. } => Told::Well,
            State::Resting { until, times } => Told::Resting {
                until: *until,
                times: *times,
            },
            State::Probing { since, times } => Told::Probing {
                since: *since,
                times: *times,
            },
            State::Out { reason } => Told::Out {
                reason: reason.clone(),
            },
        }
    }

    /// Takes over what others found out. Failures of our own go on being counted while it is well; who is out stays out,
    /// because our own configuration is the one that was found wrong.
    pub fn learn(&mut self, told: &Told) {
        if matches!(self.state, State::Out { .. }) {
            return;
        }
        self.state = match (told, &self.state) {
            (Told::Well, State::Well { failures }) => State::Well { failures: *failures },
            (Told::Well, _) => State::Well { failures: 0 },
            (Told::Resting { until, times }, _) => State::Resting {
                until: *until,
                times: *times,
            },
            (Told::Probing { since, times }, _) => State::Probing {
                since: *since,
                times: *times,
            },
            (Told::Out { reason }, _) => State::Out {
                reason: reason.clone(),
            },
        };
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        match &self.state {
            State::Well { .. } => Standing::Well,
            State::Resting { until, .. } => Standing::Resting { until: *until },
            State::Probing { .. } => Standing::Probing,
            State::Out { reason } => Standing::Out {
                reason: reason.clone(),
            },
        }
    }

    fn rest(&mut self, times: u32, now: DateTime<Utc>) {
        self.state = State::Resting {
            until: later(now, self.rest_for.saturating_mul(times)),
            times,
        };
    }

    /// How long the result of a probe is waited for before another may be made.
    pub fn probe_patience(&self) -> Duration {
        self.rest_for.max(PROBE_PATIENCE_MIN)
    }
}

/// Whether a rest until then is over, among those who wait so long for a probe. One that is longer than any rest can be
/// was told by a clock that was wrong.
pub fn is_rest_over(until: DateTime<Utc>, patience: Duration, now: DateTime<Utc>) -> bool {
    let longest = patience
        .saturating_mul(REST_GROWTH_MAX)
        .saturating_add(CLOCKS_APART_MAX);
    until <= now || until > later(now, longest)
}

/// Whether a probe that began then has been waited for long enough, or was begun by a clock that was wrong.
pub fn is_probe_over(since: DateTime<Utc>, patience: Duration, now: DateTime<Utc>) -> bool {
    later(since, patience) <= now || since > later(now, CLOCKS_APART_MAX)
}

impl Standing {
    /// Every word that [`Standing::word`] says.
    pub const WORDS: [&'static str; 4] = ["well", "resting", "probing", "out"];

    /// One word, for machines.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Resting { .. } => "resting",
            Self::Probing => "probing",
            Self::Out { .. } => "out",
        }
    }

    /// A sentence, for a person.
    pub fn words(&self) -> String {
        match self {
            Self::Well => "works".to_owned(),
            Self::Resting { until } => {
                format!("failed too often; rests until {}", until.format("%H:%M:%S UTC"))
            }
            Self::Probing => "rested; one call is finding out whether it is back".to_owned(),
            Self::Out { reason } => {
                format!("out until the next start, its account or settings are wrong: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn health() -> Health {
        Health::new(3, Duration::from_secs(30))
    }

    fn resting() -> Health {
        let mut health = health();
        (0..3).for_each(|_| health.failed(at(0)));
        health
    }

    #[test]
    fn failures_in_a_row_give_it_a_rest() {
        let mut health = health();
        for _ in 0..10 {
            health.failed(at(0));
            health.failed(at(0));
            health.succeeded();
        }
        assert_eq!(health.admit(at(0)), Admission::Open);
        (0..3).for_each(|_| health.failed(at(0)));
        assert_eq!(health.admit(at(0)), Admission::Resting { until: at(30) });
        assert!(!health.is_fit(at(29)));
        assert_eq!(health.standing().word(), "resting");
        assert!(health.standing().words().contains("00:00:30 UTC"));
    }

    #[test]
    fn after_the_rest_exactly_one_probe_goes_through() {
        let mut health = resting();
        assert!(health.is_fit(at(30)));
        assert_eq!(health.admit(at(30)), Admission::Probe);
        for _ in 0..5 {
            assert!(!health.is_fit(at(31)));
            assert_eq!(health.admit(at(31)), Admission::Resting { until: at(90) });
        }
        health.succeeded();
        assert_eq!(health.admit(at(32)), Admission::Open);
        assert_eq!(health.standing(), Standing::Well);
    }

    #[test]
    fn rests_grow_while_probes_fail_and_start_small_again() {
        let mut health = resting();
        let mut now = 0;
        for rest in [30, 60, 120, 240, 240, 240] {
            assert_eq!(
                health.admit(at(now)),
                Admission::Resting {
                    until: at(now + rest)
                }
            );
            now += rest;
            assert_eq!(health.admit(at(now)), Admission::Probe);
            health.failed(at(now));
        }
        assert_eq!(health.admit(at(now + 240)), Admission::Probe);
        health.succeeded();
        (0..3).for_each(|_| health.failed(at(now)));
        assert_eq!(health.admit(at(now)), Admission::Resting { until: at(now + 30) });
    }

    #[test]
    fn late_failures_from_before_the_rest_change_nothing() {
        let mut health = resting();
        (0..20).for_each(|_| health.failed(at(20)));
        assert_eq!(health.admit(at(30)), Admission::Probe);
    }

    #[test]
    fn a_probe_that_is_never_answered_is_followed_by_another() {
        let mut health = resting();
        assert_eq!(health.admit(at(30)), Admission::Probe);
        assert_eq!(health.admit(at(89)), Admission::Resting { until: at(90) });
        assert_eq!(health.admit(at(90)), Admission::Probe);
    }

    #[test]
    fn a_rest_or_a_probe_that_only_a_wrong_clock_can_have_told_is_over() {
        let days = 3 * 24 * 3_600;
        for told in [
            Told::Resting {
                until: at(days),
                times: 1,
            },
            Told::Probing {
                since: at(days),
                times: 1,
            },
        ] {
            let mut health = health();
            health.learn(&told);
            assert!(health.is_fit(at(0)), "{told:?}");
            assert_eq!(health.admit(at(0)), Admission::Probe, "{told:?}");
        }
        let mut health = health();
        health.learn(&Told::Probing {
            since: at(20),
            times: 1,
        });
        assert!(!health.is_fit(at(0)), "clocks may be a little apart");
    }

    #[test]
    fn who_is_out_by_our_own_settings_is_not_brought_back_by_others() {
        let mut health = health();
        health.misconfigured("bad password");
        health.learn(&Told::Well);
        assert_eq!(health.admit(at(0)), Admission::Out);
    }

    #[test]
    fn wrong_settings_put_it_out_for_good() {
        let mut health = health();
        health.misconfigured("bad password");
        health.succeeded();
        health.failed(at(0));
        assert_eq!(health.admit(at(1_000_000)), Admission::Out);
        assert!(!health.is_fit(at(1_000_000)));
        assert!(health.standing().words().contains("bad password"));
    }
}
