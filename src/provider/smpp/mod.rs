//! Speaks to message centres of operators and aggregators: SMPP 3.4 as a transceiver.
//!
//! `submit.rs` makes the parts, `link.rs` keeps connections, `session.rs` talks over one, `receipt.rs` reads what comes
//! back. Nothing is repeated here but what the message centre has refused as too fast.

mod account;
mod alphabet;
mod bind;
mod codes;
mod ids;
mod link;
mod long;
mod receipt;
mod sender;
mod session;
mod settings;
mod submit;
mod tls;
mod window;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex, oneshot};

use super::{Call, CallLimits, Checked, Parcel, Provider, Refusal, Tape};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Name;
use crate::domain::inbound::Incoming;
use crate::domain::recipient::AddressKind;
use crate::error::{Error, Result};

use account::{Account, Heard};
use link::{Link, Standing};
pub use settings::Settings;
use submit::Form;
use window::Job;

/// The most receipts handed out at once: they are stored together.
const RECEIPTS_BATCH_MAX: usize = 256;

/// An account at a message centre.
pub struct Smpp {
    account: Arc<Account>,
    form: Form,
    binds: usize,
    /// Made when they are needed for the first time, so that a command that only looks around connects to nobody.
    links: OnceLock<Vec<Link>>,
    /// What the parts of one message have in common.
    mark: AtomicU8,
    arriving: Mutex<Arriving>,
}

/// Receipts and texts on their way out.
struct Arriving {
    heard: UnboundedReceiver<Heard>,
    /// Handed out, and not yet known to be stored.
    given: Vec<Heard>,
}

impl Smpp {
    /// A provider as the settings describe it.
    pub(super) fn new(
        name: &Name,
        settings: &Settings,
        limits: &CallLimits,
        tape: Option<Tape>,
    ) -> Result<Self> {
        let (account, heard) = Account::new(name, settings, limits, tape)?;
        let [mark] = Dice::default().bytes();
        Ok(Self {
            account: Arc::new(account),
            form: Form::read(settings).map_err(Error::usage)?,
            binds: settings.binds,
            links: OnceLock::new(),
            mark: AtomicU8::new(mark),
            arriving: Mutex::new(Arriving {
                heard,
                given: Vec::new(),
            }),
        })
    }

    fn links(&self) -> &[Link] {
        self.links.get_or_init(|| {
            (0..self.binds)
                .map(|_| Link::start(Arc::clone(&self.account)))
                .collect()
        })
    }

    /// The link with the least to do, or why there is none.
    async fn link(&self, patience: Duration) -> std::result::Result<&Link, Answer> {
        if let Some(link) = self.up() {
            return Ok(link);
        }
        let links = self.links();
        let connecting = links
            .iter()
            .find(|link| matches!(*link.standing.borrow(), Standing::Connecting));
        if let Some(link) = connecting {
            let mut standing = link.standing.clone();
            let settled = standing.wait_for(|standing| !matches!(standing, Standing::Connecting));
            let _ = tokio::time::timeout(patience, settled).await;
        }
        if let Some(link) = self.up() {
            return Ok(link);
        }
        let down = links.iter().find_map(|link| match &*link.standing.borrow() {
            Standing::Down(answer) => Some(answer.clone()),
            Standing::Connecting | Standing::Up => None,
        });
        Err(down.unwrap_or_else(|| {
            Answer::from(Outcome::Unavailable {
                reason: "the link is being made".to_owned(),
            })
        }))
    }

    fn up(&self) -> Option<&Link> {
        let up = |link: &&Link| matches!(*link.standing.borrow(), Standing::Up);
        self.links().iter().filter(up).min_by_key(|link| link.load())
    }
}

#[async_trait]
impl Provider for Smpp {
    async fn send(&self, parcel: &Parcel) -> Answer {
        let until = Instant::now() + self.account.limits.call;
        let mark = self.mark.fetch_add(1, Ordering::Relaxed);
        let bodies = match self.form.fill(parcel, mark, Clock::System.now()) {
            Ok(bodies) => bodies,
            Err(reason) => return Outcome::Rejected { reason }.into(),
        };
        let link = match self.link(self.account.limits.connect).await {
            Ok(link) => link,
            Err(answer) => return answer,
        };
        let has_receipts = self.form.receipts && bodies.len() > 1;
        let long = has_receipts.then(|| self.account.long().begin(bodies.len()));
        let (reply, answered) = oneshot::channel();
        let _load = link.add();
        let job = Job {
            bodies,
            long,
            until,
            reply,
        };
        if link.jobs.send(job).is_err() {
            let reason = "the link is gone".to_owned();
            return Outcome::Unavailable { reason }.into();
        }
        answered.await.unwrap_or_else(|_| {
            Answer::from(Outcome::Unknown {
                reason: "the session ended without an answer".to_owned(),
            })
        })
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    /// Who asks again has stored what was handed out before: only then does the message centre hear that we have it.
    /// May be dropped at any await.
    async fn incoming(&self) -> Vec<Incoming> {
        self.links();
        let mut arriving = self.arriving.lock().await;
        for (line, request) in arriving.given.drain(..).filter_map(|heard| heard.answer) {
            // A session that has ended since is told nothing: the receipt comes again, and changes nothing.
            let _ = line.send(request);
        }
        let Arriving { heard, given } = &mut *arriving;
        let count = heard.recv_many(given, RECEIPTS_BATCH_MAX).await;
        self.account.taken(count);
        given.iter().map(|heard| heard.what.clone()).collect()
    }

    /// A bind costs nothing and sends nothing.
    async fn check(&self) -> Checked {
        let patience = self.account.limits.connect + self.account.limits.call;
        match self.link(patience).await {
            Ok(_) => {
                Checked::Well("the bind was accepted; the sender can only be tested by sending".to_owned())
            }
            Err(Answer { outcome, code }) => {
                let reason = outcome.reason().unwrap_or("no reason given").to_owned();
                if code == Some(codes::code(codes::ALREADY_BOUND)) {
                    return Checked::Untested(
                        "its account is in use, perhaps by a gateway that is running".to_owned(),
                    );
                }
                Checked::Wrong(match code {
                    Some(code) => format!("{reason} ({code}); compare system_id, password and system_type"),
                    None => format!("{reason}; compare base_url"),
                })
            }
        }
    }

    fn address(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn place(&self) -> (String, u16) {
        (self.account.place.host.clone(), self.account.place.port)
    }
}
