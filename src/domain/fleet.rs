//! What the processes that share a store know of a provider together: how it does, and until when it is paused.
//!
//! Each process judges by its own calls and tells what changed; the rules here decide what is kept of that, whoever
//! comes first. The store keeps the result under a lock; nothing here knows how.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::channel::Name;
use super::health::{CLOCKS_APART_MAX, Told, is_probe_over, is_rest_over};
use super::retry::later;

/// The longest pause: a provider that asks for more is asked again after that.
pub const PAUSE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Processes that read their configuration within this time of each other were started together: what is wrong with a
/// provider is news once for all of them.
const ONE_START: Duration = Duration::from_secs(60);

/// What one process has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Of which provider.
    pub provider: Name,
    /// How it does, when this process has found out something new.
    pub told: Option<Told>,
    /// The provider asked to be left alone until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// When this process read its configuration. Wrong settings that were found before then may have been mended.
    pub loaded_at: DateTime<Utc>,
}

/// What is known together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Of which provider.
    pub provider: Name,
    /// How it does.
    pub told: Told,
    /// The provider asked to be left alone until then.
    pub paused_until: Option<DateTime<Utc>>,
    /// When `told` changed. Who is out is so for those whose configuration is no newer than that of the newest process
    /// that found it out: then it is the moment when that one read its configuration.
    pub since: DateTime<Utc>,
    /// Greater with every change.
    pub version: i64,
}

impl Known {
    /// What is known after the news; `known` is none before the first.
    pub fn after(known: Option<Self>, news: News, now: DateTime<Utc>) -> Self {
        let found_at = match news.told {
            Some(Told::Out { .. }) => news.loaded_at,
            _ => now,
        };
        let Some(known) = known else {
            return Self {
                provider: news.provider,
                told: news.told.unwrap_or(Told::Well),
                paused_until: news.paused_until,
                since: found_at,
                version: 1,
            };
        };
        let told = match &news.told {
            None => known.told.clone(),
            Some(told) if known.counts_for(news.loaded_at, now) => stronger(&known.told, told.clone()),
            Some(told) => told.clone(),
        };
        let since = if told != known.told || (news.told.is_some() && known.is_ahead(now)) {
            found_at
        } else if matches!(news.told, Some(Told::Out { .. })) {
            known.since.max(found_at)
        } else {
            known.since
        };
        let paused_until = known
            .paused_until
            .filter(|until| !is_pause_impossible(*until, now));
        let after = Self {
            provider: known.provider.clone(),
            told,
            paused_until: paused_until.max(news.paused_until),
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
    pub fn probed(&self, patience: Duration, now: DateTime<Utc>) -> Option<Self> {
        let (is_free, times) = match &self.told {
            Told::Resting { until, times } => (is_rest_over(*until, patience, now), *times),
            Told::Probing { since, times } => (is_probe_over(*since, patience, now), *times),
            Told::Well | Told::Out { .. } => return None,
        };
        (is_free || self.is_ahead(now)).then(|| Self {
            told: Told::Probing { since: now, times },
            since: now,
            version: self.version + 1,
            ..self.clone()
        })
    }

    /// Whether it concerns a process that read its configuration at `loaded_at`.
    pub fn counts_for(&self, loaded_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        !self.is_ahead(now) && (!matches!(self.told, Told::Out { .. }) || self.since >= loaded_at)
    }

    /// Whether only a clock that was wrong can have told it.
    fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        self.since > later(now, CLOCKS_APART_MAX)
    }
}

/// Whether a provider that asked to be left alone until then is to be left alone at `now`. A pause that is longer than
/// any can be was told by a clock that was wrong.
pub fn pause_holds(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > now && !is_pause_impossible(until, now)
}

fn is_pause_impossible(until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    until > later(now, PAUSE_MAX + CLOCKS_APART_MAX)
}

/// What came of telling news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// What is known together now.
    pub known: Known,
    /// Whether the news changed how the provider does: of all who find out the same, one is told so. Wrong settings that
    /// are found again after another start are news again.
    pub is_news: bool,
}

impl Learned {
    /// What comes of the news; `known` is none before the first.
    pub fn after(known: Option<Known>, news: News, now: DateTime<Utc>) -> Self {
        let before = known.as_ref().map(|known| (known.told.clone(), known.since));
        let is_new_start = before
            .as_ref()
            .is_some_and(|(_, since)| news.told.is_some() && news.loaded_at > later(*since, ONE_START));
        let is_out = |told: &Told| matches!(told, Told::Out { .. });
        let known = Known::after(known, news, now);
        let is_news = match before {
            None => true,
            Some((told, _)) if is_out(&told) && is_out(&known.told) => is_new_start,
            Some((told, _)) => told != known.told,
        };
        Self { known, is_news }
    }
}

/// The longer of two rests counts, and who is out stays out; otherwise the newest word does.
fn stronger(known: &Told, news: Told) -> Told {
    match (known, news) {
        (Told::Out { reason }, _) => Told::Out {
            reason: reason.clone(),
        },
        (Told::Resting { until, times }, Told::Resting { until: new, times: t }) => Told::Resting {
            until: new.max(*until),
            times: t.max(*times),
        },
        (Told::Probing { times, .. }, Told::Resting { until, times: t }) => Told::Resting {
            until,
            times: t.max(*times),
        },
        (Told::Well | Told::Resting { .. } | Told::Probing { .. }, news) => news,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn news(told: Told) -> News {
        News {
            provider: "red".parse().unwrap(),
            told: Some(told),
            paused_until: None,
            loaded_at: at(0),
        }
    }

    fn resting(until: i64) -> Told {
        Told::Resting {
            until: at(until),
            times: 1,
        }
    }

    fn known(told: Told) -> Known {
        Known::after(None, news(told), at(1))
    }

    fn out() -> Told {
        Told::Out {
            reason: "no account".to_owned(),
        }
    }

    #[test]
    fn the_longer_of_two_rests_counts() {
        let first = known(resting(60));
        let after = Known::after(Some(first.clone()), news(resting(30)), at(2));
        assert_eq!(after, first);
        let after = Known::after(Some(first), news(resting(90)), at(2));
        assert_eq!((after.told, after.version), (resting(90), 2));
    }

    #[test]
    fn after_a_rest_one_process_makes_the_probe() {
        let patience = Duration::from_secs(60);
        let rests = known(resting(30));
        assert_eq!(rests.probed(patience, at(29)), None);
        let probing = rests.probed(patience, at(30)).unwrap();
        assert_eq!(probing.probed(patience, at(31)), None);
        assert!(probing.probed(patience, at(90)).is_some(), "the prober died");
        let well = Known::after(Some(probing), news(Told::Well), at(32));
        assert_eq!(well.probed(patience, at(33)), None);
    }

    #[test]
    fn wrong_settings_count_until_the_configuration_is_read_again() {
        let wrong = known(out());
        assert!(wrong.counts_for(at(0), at(2)) && !wrong.counts_for(at(2), at(2)));
        let after = Known::after(Some(wrong.clone()), news(Told::Well), at(3));
        assert_eq!(after.told, out());
        let mended = News {
            loaded_at: at(2),
            ..news(Told::Well)
        };
        assert_eq!(Known::after(Some(wrong), mended, at(3)).told, Told::Well);
    }

    #[test]
    fn of_all_who_find_out_the_same_one_brings_the_news() {
        let first = Learned::after(None, news(out()), at(1));
        let second = Learned::after(Some(first.known.clone()), news(out()), at(1));
        assert_eq!((first.is_news, second.is_news), (true, false));
        let other = News {
            told: Some(Told::Out {
                reason: "the same in other words".to_owned(),
            }),
            ..news(Told::Well)
        };
        assert!(!Learned::after(Some(second.known.clone()), other, at(2)).is_news);
        let silent = News {
            told: None,
            loaded_at: at(50),
            ..news(Told::Well)
        };
        assert!(!Learned::after(Some(second.known), silent, at(60)).is_news);
    }

    #[test]
    fn settings_that_are_still_wrong_after_a_start_are_news_again_and_count() {
        let wrong = known(out());
        let again = News {
            loaded_at: at(50),
            ..news(out())
        };
        let learned = Learned::after(Some(wrong.clone()), again, at(60));
        assert!(
            !learned.is_news && learned.known.counts_for(at(50), at(60)),
            "of the same start"
        );
        let much_later = News {
            loaded_at: at(500),
            ..news(out())
        };
        let learned = Learned::after(Some(wrong), much_later.clone(), at(510));
        assert!(learned.is_news && learned.known.counts_for(at(500), at(510)));
        assert!(!Learned::after(Some(learned.known), much_later, at(511)).is_news);
    }

    #[test]
    fn settings_found_wrong_late_do_not_count_for_those_that_were_mended_before() {
        let old = News {
            loaded_at: at(10),
            ..news(out())
        };
        let wrong = Known::after(Some(known(Told::Well)), old.clone(), at(100));
        assert!(wrong.counts_for(at(10), at(100)), "the same configuration");
        assert!(!wrong.counts_for(at(50), at(100)), "mended before it was told");
        let newer = News {
            loaded_at: at(60),
            ..news(out())
        };
        let wrong = Known::after(Some(wrong), newer, at(101));
        assert!(wrong.counts_for(at(50), at(101)), "not mended after all");
        let after = Known::after(Some(wrong.clone()), old, at(102));
        assert_eq!(after, wrong, "an older one adds nothing");
    }

    #[test]
    fn what_only_a_wrong_clock_can_have_told_counts_for_nobody() {
        let days = 3 * 24 * 3_600;
        let ahead = |told| News {
            loaded_at: at(days),
            paused_until: Some(at(2 * days)),
            ..news(told)
        };
        for told in [out(), resting(days + 30)] {
            let wrong = Known::after(None, ahead(told), at(days));
            assert!(!wrong.counts_for(at(0), at(5)), "{wrong:?}");
            let after = Known::after(Some(wrong), news(resting(40)), at(5));
            assert_eq!((&after.told, after.since), (&resting(40), at(5)));
            assert_eq!(after.paused_until, None);
        }
        let probing = known(resting(days)).probed(Duration::from_secs(60), at(5));
        assert!(probing.is_some(), "nobody rests for days");
        assert!(pause_holds(at(60), at(5)) && !pause_holds(at(days), at(5)));
    }

    #[test]
    fn the_longer_pause_counts() {
        let paused = |until| News {
            paused_until: Some(at(until)),
            ..news(Told::Well)
        };
        let first = Known::after(None, paused(50), at(1));
        let after = Known::after(Some(first.clone()), paused(40), at(2));
        assert_eq!(after, first);
        assert_eq!(
            Known::after(Some(first), paused(70), at(2)).paused_until,
            Some(at(70))
        );
    }
}
