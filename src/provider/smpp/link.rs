//! One connection to a message centre that is made again whenever it is lost.
//!
//! Says how it stands, so that nobody waits for a link that is down. A refusal of our account is not repeated for a
//! while, because repeated failures get accounts locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::account::Account;
use super::bind;
use super::session::{self, Ended, Stream};
use super::window::Job;
use crate::clock::pause;
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::provider::fate::Fate;

/// A session that held so long was a good one.
const GOOD_SESSION: Duration = Duration::from_secs(60);

/// By how much longer than the first wait others are: the longest after a lost link, the first and the longest after a
/// refused bind, after an account that is in use, after one that is refused, and after the server said goodbye.
const LOST_MAX: u32 = 60;
const REFUSED_MIN: u32 = 5;
const REFUSED_MAX: u32 = 300;
const IN_USE: u32 = 30;
const GOODBYE: u32 = 5;

/// How a link stands.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It is being made.
    Connecting,
    /// Messages can be sent.
    Up,
    /// It will be made again; until then this is the answer.
    Down(Answer),
}

/// A link from the outside.
pub(super) struct Link {
    pub jobs: UnboundedSender<Job>,
    pub standing: watch::Receiver<Standing>,
    load: AtomicUsize,
}

/// A message of a link's load; taken off when dropped.
pub(super) struct Load<'a>(&'a AtomicUsize);

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why there is no session.
pub(super) enum Fault {
    /// Nobody is there, or nobody who speaks the protocol.
    Unreachable(String),
    /// The bind was answered with this number.
    Refused(u32),
}

impl Link {
    /// Makes the link and keeps it, until it is dropped.
    pub fn start(account: Arc<Account>) -> Self {
        let (jobs, waiting) = unbounded_channel();
        let (told, standing) = watch::channel(Standing::Connecting);
        tokio::spawn(keep(account, waiting, told));
        Self {
            jobs,
            standing,
            load: AtomicUsize::new(0),
        }
    }

    /// Messages that have not been answered.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn add(&self) -> Load<'_> {
        self.load.fetch_add(1, Ordering::Relaxed);
        Load(&self.load)
    }
}

async fn keep(account: Arc<Account>, mut jobs: UnboundedReceiver<Job>, told: watch::Sender<Standing>) {
    let mut waits = Waits::new(account.reconnect);
    loop {
        told.send_replace(Standing::Connecting);
        let opened = tokio::select! {
            opened = open(&account) => opened,
            () = turn_away(&mut jobs, "the link is being made") => return,
        };
        let (answer, wait) = match opened {
            Ok(stream) => {
                log::info!("{}: bound", account.name);
                told.send_replace(Standing::Up);
                let began = Instant::now();
                let ended = session::run(&account, stream, &mut jobs).await;
                let wait = waits.after(&ended, began.elapsed());
                let why = match ended {
                    Ended::Dropped => return,
                    Ended::Goodbye => "the message centre ended the session".to_owned(),
                    Ended::Lost(why) => why,
                };
                log::warn!("{}: {why}", account.name);
                (Outcome::Unavailable { reason: why }.into(), wait)
            }
            Err(Fault::Unreachable(reason)) => {
                log::warn!("{}: {reason}", account.name);
                (Outcome::Unavailable { reason }.into(), waits.lost())
            }
            Err(Fault::Refused(status)) => {
                let answer = account.statuses.answer(status);
                let wait = waits.refused(status, account.statuses.fate(status));
                (bind_answer(answer), wait)
            }
        };
        let reason = answer
            .outcome
            .reason()
            .unwrap_or("the bind is refused")
            .to_owned();
        told.send_replace(Standing::Down(answer));
        tokio::select! {
            () = pause(wait) => {}
            () = turn_away(&mut jobs, &reason) => return,
        }
    }
}

/// A refused bind speaks of no message: it is our account, or the message centre is not ready.
fn bind_answer(answer: Answer) -> Answer {
    let Answer { outcome, code } = answer;
    let reason = format!(
        "the bind is refused: {}",
        outcome.reason().unwrap_or("no reason given")
    );
    let outcome = match outcome {
        Outcome::Misconfigured { .. } => Outcome::Misconfigured { reason },
        _ => Outcome::Unavailable { reason },
    };
    Answer { outcome, code }
}

/// Answers what comes in while there is no session. Returns when nobody is left who could send.
async fn turn_away(jobs: &mut UnboundedReceiver<Job>, reason: &str) {
    while let Some(job) = jobs.recv().await {
        let reason = reason.to_owned();
        let _ = job.reply.send(Outcome::Unavailable { reason }.into());
    }
}

async fn open(account: &Account) -> Result<Box<dyn Stream>, Fault> {
    let connecting = tokio::time::timeout(account.limits.connect, connect(account)).await;
    let stream = connecting
        .unwrap_or_else(|_| Err("no connection within the time limit".to_owned()))
        .map_err(Fault::Unreachable)?;
    let binding = tokio::time::timeout(account.limits.call, bind::bind(account, stream)).await;
    binding.unwrap_or_else(|_| {
        Err(Fault::Unreachable(
            "no answer to the bind within the time limit".to_owned(),
        ))
    })
}

async fn connect(account: &Account) -> Result<Box<dyn Stream>, String> {
    let place = &account.place;
    let stream = TcpStream::connect((place.host.as_str(), place.port)).await;
    let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
    // A small delay is all that is lost where the system does not know it.
    let _ = stream.set_nodelay(true);
    match &account.tls {
        None => Ok(Box::new(stream)),
        Some(tls) => Ok(Box::new(tls.wrap(&place.host, stream).await?)),
    }
}

/// How long to wait before the next try.
struct Waits {
    first: Duration,
    lost: Duration,
    refused: Duration,
    dice: Dice,
}

impl Waits {
    fn new(first: Duration) -> Self {
        Self {
            first,
            lost: Duration::ZERO,
            refused: Duration::ZERO,
            dice: Dice::default(),
        }
    }

    fn after(&mut self, ended: &Ended, lasted: Duration) -> Duration {
        self.refused = Duration::ZERO;
        if lasted >= GOOD_SESSION {
            self.lost = Duration::ZERO;
        }
        match ended {
            Ended::Goodbye => self.spread((self.first * GOODBYE).max(self.lost)),
            Ended::Lost(_) | Ended::Dropped => self.lost(),
        }
    }

    fn lost(&mut self) -> Duration {
        self.lost = (self.lost * 2).clamp(self.first, self.first * LOST_MAX);
        self.spread(self.lost)
    }

    fn refused(&mut self, status: u32, fate: Fate) -> Duration {
        if fate == Fate::Misconfigured {
            return self.spread(self.first * REFUSED_MAX);
        }
        if status == super::codes::ALREADY_BOUND {
            return self.spread(self.first * IN_USE);
        }
        let (least, most) = (self.first * REFUSED_MIN, self.first * REFUSED_MAX);
        self.refused = (self.refused * 2).clamp(least, most);
        self.spread(self.refused)
    }

    /// A fifth more or less, so that many do not come back at once.
    fn spread(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.8 + 0.4 * self.dice.luck())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limits_and_a_good_session_ends_them() {
        let first = Duration::from_secs(1);
        let mut waits = Waits::new(first);
        let near = |wait: Duration, seconds: f64| {
            let off = wait.as_secs_f64() / seconds;
            assert!((0.79..1.21).contains(&off), "{wait:?} is not about {seconds} s");
        };
        for seconds in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            near(waits.lost(), seconds);
        }
        let lost = Ended::Lost("cut".to_owned());
        near(waits.after(&lost, Duration::from_secs(2)), 60.0);
        near(waits.after(&Ended::Goodbye, GOOD_SESSION), 5.0);
        near(waits.lost(), 1.0);
        near(waits.refused(0x08, Fate::Unavailable), 5.0);
        near(waits.refused(0x08, Fate::Unavailable), 10.0);
        near(waits.refused(0x05, Fate::Unavailable), 30.0);
        near(waits.refused(0x0E, Fate::Misconfigured), 300.0);
    }
}
