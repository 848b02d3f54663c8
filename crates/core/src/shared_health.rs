//! What the processes that share a store know of a provider together: how it does, and until when it is paused.
//!
//! Each process judges by its own calls and tells what changed; the rules here decide what is kept of that, whoever
//! comes first. The store keeps the result under a lock; nothing here knows how.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::circuit_breaker::{CLOCK_SKEW_MAX, CircuitState, is_open_period_over, is_probe_expired};
use crate::clock::saturating_add;
use crate::name::ConfigName;

/// The longest pause: a provider that asks for more is asked again after that.
pub const COOLDOWN_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Processes that read their configuration within this time of each other were started together: what is wrong with a
/// provider is news once for all of them.
const SAME_START_WINDOW: Duration = Duration::from_secs(60);

/// What one process has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Of which provider.
    pub provider: ConfigName,
    /// How it does, when this process has found out something new.
    pub circuit: Option<CircuitState>,
    /// The provider asked to be left alone until then.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// When this process read its configuration. Wrong settings that were found before then may have been mended.
    pub config_loaded_at: DateTime<Utc>,
}

/// What is known together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedHealth {
    /// Of which provider.
    pub provider: ConfigName,
    /// How it does.
    pub circuit: CircuitState,
    /// The provider asked to be left alone until then.
    pub cooldown_until: Option<DateTime<Utc>>,
    /// When `told` changed. Who is out is so for those whose configuration is no newer than that of the newest process
    /// that found it out: then it is the moment when that one read its configuration.
    pub since: DateTime<Utc>,
    /// Greater with every change.
    pub version: i64,
}

impl SharedHealth {
    /// What is known after the news; `known` is none before the first.
    pub fn after(known: Option<Self>, news: HealthReport, now: DateTime<Utc>) -> Self {
        let found_at = match news.circuit {
            Some(CircuitState::Misconfigured { .. }) => news.config_loaded_at,
            _ => now,
        };
        let Some(known) = known else {
            return Self {
                provider: news.provider,
                circuit: news.circuit.unwrap_or(CircuitState::Closed),
                cooldown_until: news.cooldown_until,
                since: found_at,
                version: 1,
            };
        };
        let told = match &news.circuit {
            None => known.circuit.clone(),
            Some(told) if known.applies_to(news.config_loaded_at, now) => {
                merge_circuits(&known.circuit, told.clone())
            }
            Some(told) => told.clone(),
        };
        let since = if told != known.circuit || (news.circuit.is_some() && known.is_from_future(now)) {
            found_at
        } else if matches!(news.circuit, Some(CircuitState::Misconfigured { .. })) {
            known.since.max(found_at)
        } else {
            known.since
        };
        let paused_until = known
            .cooldown_until
            .filter(|until| !is_cooldown_implausible(*until, now));
        let after = Self {
            provider: known.provider.clone(),
            circuit: told,
            cooldown_until: paused_until.max(news.cooldown_until),
            since,
            version: known.version,
        };
        if after == known {
            return known;
        }
        Self {
            version: known.version + 1,
            ..after
        }
    }

    /// What is known once whoever asks makes the probe; none when it is not his to make: the provider rests, is well
    /// already, or another is making it.
    pub fn with_probe_started(&self, patience: Duration, now: DateTime<Utc>) -> Option<Self> {
        let (is_free, times) = match &self.circuit {
            CircuitState::Open {
                until,
                backoff_factor: times,
            } => (is_open_period_over(*until, patience, now), *times),
            CircuitState::HalfOpen {
                since,
                backoff_factor: times,
            } => (is_probe_expired(*since, patience, now), *times),
            CircuitState::Closed | CircuitState::Misconfigured { .. } => return None,
        };
        (is_free || self.is_from_future(now)).then(|| Self {
            circuit: CircuitState::HalfOpen {
                since: now,
                backoff_factor: times,
            },
            since: now,
            version: self.version + 1,
            ..self.clone()
        })
    }

    /// What is known once an operator wants it to be asked again. A pause that the provider asked for stays.
    pub fn resumed(&self, now: DateTime<Utc>) -> Self {
        Self {
            circuit: CircuitState::Closed,
            since: now,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// Whether it concerns a process that read its configuration at `loaded_at`.
    pub fn applies_to(&self, loaded_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        !self.is_from_future(now)
            && (!matches!(self.circuit, CircuitState::Misconfigured { .. }) || self.since >= loaded_at)
    }

    /// Whether only a clock that was wrong can have told it.
    fn is_from_future(&self, now: DateTime<Utc>) -> bool {
        self.since > saturating_add(now, CLOCK_SKEW_MAX)
    }
}

/// Whether a provider that asked to be left alone until then is to be left alone at `now`. A pause that is longer than
/// any can be was told by a clock that was wrong.
pub fn is_cooldown_active(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > now && !is_cooldown_implausible(until, now)
}

fn is_cooldown_implausible(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > saturating_add(now, COOLDOWN_MAX + CLOCK_SKEW_MAX)
}

/// What came of telling news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedHealth {
    /// What is known together now.
    pub shared: SharedHealth,
    /// Whether the news changed how the provider does: of all who find out the same, one is told so. Wrong settings that
    /// are found again after another start are news again.
    pub is_new: bool,
}

impl ReportedHealth {
    /// What comes of the news; `known` is none before the first.
    pub fn after(known: Option<SharedHealth>, news: HealthReport, now: DateTime<Utc>) -> Self {
        let before = known.as_ref().map(|known| (known.circuit.clone(), known.since));
        let is_new_start = before.as_ref().is_some_and(|(_, since)| {
            news.circuit.is_some() && news.config_loaded_at > saturating_add(*since, SAME_START_WINDOW)
        });
        let is_out = |told: &CircuitState| matches!(told, CircuitState::Misconfigured { .. });
        let known = SharedHealth::after(known, news, now);
        let is_news = match before {
            None => true,
            Some((told, _)) if is_out(&told) && is_out(&known.circuit) => is_new_start,
            Some((told, _)) => told != known.circuit,
        };
        Self {
            shared: known,
            is_new: is_news,
        }
    }
}

/// The longer of two rests counts, and who is out stays out; otherwise the newest word does.
fn merge_circuits(known: &CircuitState, news: CircuitState) -> CircuitState {
    match (known, news) {
        (CircuitState::Misconfigured { reason }, _) => CircuitState::Misconfigured {
            reason: reason.clone(),
        },
        (
            CircuitState::Open {
                until,
                backoff_factor: times,
            },
            CircuitState::Open {
                until: new,
                backoff_factor: t,
            },
        ) => CircuitState::Open {
            until: new.max(*until),
            backoff_factor: t.max(*times),
        },
        (
            CircuitState::HalfOpen {
                backoff_factor: times,
                ..
            },
            CircuitState::Open {
                until,
                backoff_factor: t,
            },
        ) => CircuitState::Open {
            until,
            backoff_factor: t.max(*times),
        },
        (CircuitState::Closed | CircuitState::Open { .. } | CircuitState::HalfOpen { .. }, news) => news,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn report(told: CircuitState) -> HealthReport {
        HealthReport {
            provider: "red".parse().unwrap(),
            circuit: Some(told),
            cooldown_until: None,
            config_loaded_at: at(0),
        }
    }

    fn open_until(until: i64) -> CircuitState {
        CircuitState::Open {
            until: at(until),
            backoff_factor: 1,
        }
    }

    fn shared_after(told: CircuitState) -> SharedHealth {
        SharedHealth::after(None, report(told), at(1))
    }

    fn misconfigured() -> CircuitState {
        CircuitState::Misconfigured {
            reason: "no account".to_owned(),
        }
    }

    #[test]
    fn the_longer_of_two_rests_counts() {
        let first = shared_after(open_until(60));
        let after = SharedHealth::after(Some(first.clone()), report(open_until(30)), at(2));
        assert_eq!(after, first);
        let after = SharedHealth::after(Some(first), report(open_until(90)), at(2));
        assert_eq!((after.circuit, after.version), (open_until(90), 2));
    }

    #[test]
    fn after_a_rest_one_process_makes_the_probe() {
        let patience = Duration::from_secs(60);
        let rests = shared_after(open_until(30));
        assert_eq!(rests.with_probe_started(patience, at(29)), None);
        let probing = rests.with_probe_started(patience, at(30)).unwrap();
        assert_eq!(probing.with_probe_started(patience, at(31)), None);
        assert!(
            probing.with_probe_started(patience, at(90)).is_some(),
            "the prober died"
        );
        let well = SharedHealth::after(Some(probing), report(CircuitState::Closed), at(32));
        assert_eq!(well.with_probe_started(patience, at(33)), None);
    }

    #[test]
    fn wrong_settings_count_until_the_configuration_is_read_again() {
        let wrong = shared_after(misconfigured());
        assert!(wrong.applies_to(at(0), at(2)) && !wrong.applies_to(at(2), at(2)));
        let after = SharedHealth::after(Some(wrong.clone()), report(CircuitState::Closed), at(3));
        assert_eq!(after.circuit, misconfigured());
        let mended = HealthReport {
            config_loaded_at: at(2),
            ..report(CircuitState::Closed)
        };
        assert_eq!(
            SharedHealth::after(Some(wrong), mended, at(3)).circuit,
            CircuitState::Closed
        );
    }

    #[test]
    fn of_all_who_find_out_the_same_one_brings_the_news() {
        let first = ReportedHealth::after(None, report(misconfigured()), at(1));
        let second = ReportedHealth::after(Some(first.shared.clone()), report(misconfigured()), at(1));
        assert_eq!((first.is_new, second.is_new), (true, false));
        let other = HealthReport {
            circuit: Some(CircuitState::Misconfigured {
                reason: "the same in other words".to_owned(),
            }),
            ..report(CircuitState::Closed)
        };
        assert!(!ReportedHealth::after(Some(second.shared.clone()), other, at(2)).is_new);
        let silent = HealthReport {
            circuit: None,
            config_loaded_at: at(50),
            ..report(CircuitState::Closed)
        };
        assert!(!ReportedHealth::after(Some(second.shared), silent, at(60)).is_new);
    }

    #[test]
    fn settings_that_are_still_wrong_after_a_start_are_news_again_and_count() {
        let wrong = shared_after(misconfigured());
        let again = HealthReport {
            config_loaded_at: at(50),
            ..report(misconfigured())
        };
        let learned = ReportedHealth::after(Some(wrong.clone()), again, at(60));
        assert!(
            !learned.is_new && learned.shared.applies_to(at(50), at(60)),
            "of the same start"
        );
        let much_later = HealthReport {
            config_loaded_at: at(500),
            ..report(misconfigured())
        };
        let learned = ReportedHealth::after(Some(wrong), much_later.clone(), at(510));
        assert!(learned.is_new && learned.shared.applies_to(at(500), at(510)));
        assert!(!ReportedHealth::after(Some(learned.shared), much_later, at(511)).is_new);
    }

    #[test]
    fn settings_found_wrong_late_do_not_count_for_those_that_were_mended_before() {
        let old = HealthReport {
            config_loaded_at: at(10),
            ..report(misconfigured())
        };
        let wrong = SharedHealth::after(Some(shared_after(CircuitState::Closed)), old.clone(), at(100));
        assert!(wrong.applies_to(at(10), at(100)), "the same configuration");
        assert!(!wrong.applies_to(at(50), at(100)), "mended before it was told");
        let newer = HealthReport {
            config_loaded_at: at(60),
            ..report(misconfigured())
        };
        let wrong = SharedHealth::after(Some(wrong), newer, at(101));
        assert!(wrong.applies_to(at(50), at(101)), "not mended after all");
        let after = SharedHealth::after(Some(wrong.clone()), old, at(102));
        assert_eq!(after, wrong, "an older one adds nothing");
    }

    #[test]
    fn what_only_a_wrong_clock_can_have_told_counts_for_nobody() {
        let days = 3 * 24 * 3_600;
        let ahead = |told| HealthReport {
            config_loaded_at: at(days),
            cooldown_until: Some(at(2 * days)),
            ..report(told)
        };
        for told in [misconfigured(), open_until(days + 30)] {
            let wrong = SharedHealth::after(None, ahead(told), at(days));
            assert!(!wrong.applies_to(at(0), at(5)), "{wrong:?}");
            let after = SharedHealth::after(Some(wrong), report(open_until(40)), at(5));
            assert_eq!((&after.circuit, after.since), (&open_until(40), at(5)));
            assert_eq!(after.cooldown_until, None);
        }
        let probing = shared_after(open_until(days)).with_probe_started(Duration::from_secs(60), at(5));
        assert!(probing.is_some(), "nobody rests for days");
        assert!(is_cooldown_active(at(60), at(5)) && !is_cooldown_active(at(days), at(5)));
    }

    #[test]
    fn the_longer_pause_counts() {
        let paused = |until| HealthReport {
            cooldown_until: Some(at(until)),
            ..report(CircuitState::Closed)
        };
        let first = SharedHealth::after(None, paused(50), at(1));
        let after = SharedHealth::after(Some(first.clone()), paused(40), at(2));
        assert_eq!(after, first);
        assert_eq!(
            SharedHealth::after(Some(first), paused(70), at(2)).cooldown_until,
            Some(at(70))
        );
    }
}
