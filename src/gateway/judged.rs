//! What a process thinks of a provider, and which of it the others do not know yet.
//!
//! What was found out here and not told yet is never overwritten by what others say. Asks and tells nobody itself.

use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::fleet::{Known, Learned, News, pause_holds};
use crate::domain::health::{Health, Told};
use crate::domain::order::{Order, Word};

/// The judgement on one provider.
pub struct Judged {
    /// How it does.
    pub health: Health,
    paused_until: Option<Timestamp>,
    /// The code it was put out with, if it was.
    pub refusal: Option<String>,
    /// Found out here, and not told yet.
    untold: Option<Told>,
    /// It may have been told, but no answer came.
    is_in_doubt: bool,
    pause_untold: bool,
    /// The newest of what is known together that went into this.
    version: i64,
    /// An operator's last word.
    order: Option<Order>,
}

impl Judged {
    /// Nothing was found out yet.
    pub fn new(health: Health) -> Self {
        Self {
            health,
            paused_until: None,
            refusal: None,
            untold: None,
            is_in_doubt: false,
            pause_untold: false,
            version: 0,
            order: None,
        }
    }

    /// Whether it may be worth asking.
    pub fn is_fit(&self, now: Timestamp) -> bool {
        self.put_to_rest().is_none() && self.paused_until(now).is_none() && self.health.is_fit(now)
    }

    /// Until when it asked to be left alone, if it is at `now`.
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until.filter(|until| pause_holds(*until, now))
    }

    /// The word of an operator who put it to rest, while it holds.
    pub fn put_to_rest(&self) -> Option<&Order> {
        self.order.as_ref().filter(|order| order.word == Word::Rest)
    }

    /// Takes an operator's word over. To be woken ends whatever this process, whose configuration is of `loaded_at`, has
    /// found out so far, but not a pause that the provider asked for; a word from before then has done its work.
    pub fn obey(&mut self, order: &Order, loaded_at: Timestamp) {
        if self.order.as_ref() == Some(order) {
            return;
        }
        if order.word == Word::Wake && order.at >= loaded_at {
            self.health.wake();
            self.refusal = None;
            self.untold = None;
            self.is_in_doubt = false;
        }
        self.order = Some(order.clone());
    }

    /// Leaves it alone until then; a longer pause stays.
    pub fn pause(&mut self, until: Timestamp) {
        if self.paused_until.is_none_or(|known| known < until) {
            self.paused_until = Some(until);
            self.pause_untold = true;
        }
    }

    /// Puts it out. The first refusal is kept; those that were under way with it say nothing new.
    pub fn refused(&mut self, reason: &str, code: Option<&str>) {
        if !matches!(self.health.told(), Told::Out { .. }) {
            self.refusal = code.map(str::to_owned);
            self.health.misconfigured(reason);
        }
    }

    /// Nobody knows whether the others were told.
    pub fn doubt(&mut self) {
        self.is_in_doubt = true;
    }

    /// Whether what came of telling `news` is worth a word to the operator: when nobody else has brought the same, and,
    /// better twice than never, when it is in doubt who has.
    pub fn is_worth_a_word(&mut self, news: &News, learned: &Learned) -> bool {
        let in_doubt = std::mem::take(&mut self.is_in_doubt);
        matches!(news.told, Some(Told::Out { .. })) && (learned.is_news || in_doubt)
    }

    /// Runs a change; whether there is something new to tell.
    pub fn change(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let (before, paused_before) = (self.health.told(), self.paused_until);
        change(self);
        let after = self.health.told();
        let found = after != before;
        if found {
            self.untold = Some(after);
        }
        found || self.paused_until != paused_before
    }

    /// What the others do not know yet.
    pub fn news(&self, provider: &Name, loaded_at: Timestamp) -> Option<News> {
        (self.untold.is_some() || self.pause_untold).then(|| News {
            provider: provider.clone(),
            told: self.untold.clone(),
            paused_until: self.paused_until,
            loaded_at,
        })
    }

    /// The news were told, and this is known together since. What was found out meanwhile still has to be told.
    pub fn acknowledge(&mut self, news: &News, known: &Known, now: Timestamp) {
        if self.paused_until == news.paused_until {
            self.pause_untold = false;
        }
        if self.untold == news.told {
            self.untold = None;
            self.learn(known, news.loaded_at, now);
        }
    }

    /// Takes over what others found out, unless it is old, was mended since, or we know better.
    pub fn learn(&mut self, known: &Known, loaded_at: Timestamp, now: Timestamp) {
        self.paused_until = self.paused_until.max(known.paused_until);
        if known.version > self.version && self.untold.is_none() {
            self.version = known.version;
            if known.counts_for(loaded_at, now) {
                self.health.learn(&known.told);
            }
        }
    }

    /// The probe could not be made after all; the rest goes on until then.
    pub fn rest_again(&mut self, until: Timestamp) {
        if let Told::Probing { times, .. } = self.health.told() {
            self.health.learn(&Told::Resting { until, times });
        }
    }
}
