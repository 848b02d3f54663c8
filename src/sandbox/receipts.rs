//! Receipts on their way: each waits for its delay, is handed over, and tried again a bounded number of times.
//!
//! What waits is bounded, too. A receipt that is lost, or given up, is said in the log; none outlives the sandbox.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::{Semaphore, watch};

use super::tally::Tally;
use super::wire::Letter;
use crate::clock;
use crate::error::{Error, Kind, Result};

/// The most receipts that wait or are on their way.
const WAITING_MAX: u32 = 100_000;

/// The most that are handed over at once.
const IN_FLIGHT_MAX: usize = 64;

/// How long a gateway may take to read one.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// The wait before each further try.
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The one who carries receipts.
pub(super) struct Post {
    client: Client,
    delay: Duration,
    waits: [Duration; 4],
    places: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

impl Post {
    /// Hands receipts over so long after their messages were taken.
    pub fn new(delay: Duration) -> Result<Self> {
        Ok(Self {
            client: client()?,
            delay,
            waits: WAITS,
            places: Arc::new(Semaphore::new(
                usize::try_from(WAITING_MAX).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            closed: watch::Sender::new(false),
        })
    }

    /// Takes a receipt in charge; it is lost when too many wait.
    pub fn take(self: &Arc<Self>, tally: &Arc<Tally>, letter: Letter) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            if tally.lost().is_power_of_two() {
                log::warn!("receipts are lost, because {WAITING_MAX} wait already");
            }
            return;
        };
        let (post, tally) = (Arc::clone(self), Arc::clone(tally));
        tokio::spawn(async move {
            let mut closed = post.closed.subscribe();
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => {}
                () = post.carry(&tally, &letter) => {}
            }
            drop(place);
        });
    }

    /// How many receipts are still to come.
    pub fn waiting(&self) -> usize {
        usize::try_from(WAITING_MAX)
            .unwrap_or_default()
            .saturating_sub(self.places.available_permits())
    }

    /// Lets go of all that wait, and of those on their way.
    pub async fn close(&self) {
        let waiting = self.waiting();
        if waiting > 0 {
            log::warn!("{waiting} receipts that were still to come never will");
        }
        self.closed.send_replace(true);
        // Everybody gives their place back.
        let _ = self.places.acquire_many(WAITING_MAX).await;
    }

    async fn carry(&self, tally: &Tally, letter: &Letter) {
        clock::pause(self.delay).await;
        for wait in self.waits.map(Some).into_iter().chain([None]) {
            // Boxed, so that those who only wait stay small.
            let why = match Box::pin(self.hand_over(letter)).await {
                Ok(()) => return tally.sent(letter.verdict),
                Err(why) => why,
            };
            let (word, id) = (letter.verdict.word(), &letter.id);
            let place = letter.url.split(['?', '#']).next().unwrap_or_default();
            let Some(wait) = wait else {
                tally.given_up();
                log::warn!(
                    "the receipt \"{word}\" of {id} cannot be handed over at {place}: {why}; given up after {} tries",
                    self.waits.len() + 1
                );
                return;
            };
            tally.again();
            log::debug!(
                "the receipt \"{word}\" of {id} cannot be handed over at {place}: {why}; again in {wait:?}"
            );
            clock::pause(wait).await;
        }
    }

    async fn hand_over(&self, letter: &Letter) -> Result<(), String> {
        let Ok(_turn) = self.in_flight.acquire().await else {
            return Err("the sandbox ends".to_owned());
        };
        let sheet = letter.sheet();
        let mut request = self
            .client
            .post(&letter.url)
            .timeout(CALL_LIMIT)
            .header(CONTENT_TYPE, sheet.content_type)
            .body(sheet.body);
        if let Some((name, value)) = sheet.proof {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("HTTP {}", answer.status().as_u16())),
            Err(fault) if fault.is_timeout() => Err(format!("no answer within {CALL_LIMIT:?}")),
            Err(fault) if fault.is_builder() => Err("that is no URL".to_owned()),
            Err(fault) if fault.is_connect() => Err("nobody can be reached there".to_owned()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

fn client() -> Result<Client> {
    // It fails only when a provider of cryptography is installed already, which will then do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
    };
    let client = builder().build().or_else(|trouble| {
        log::warn!(
            "receipts can go to http:// only, because this machine's certificates cannot be read: {trouble}"
        );
        builder().tls_certs_only([]).build()
    });
    client.map_err(|cause| Error::because(Kind::Internal, "cannot prepare to send receipts", cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::turn::Verdict;
    use crate::sandbox::wire::{Order, Wire};

    fn letter(url: &str) -> Letter {
        Letter {
            wire: Wire::Texting,
            id: "id-1".to_owned(),
            verdict: Verdict::Delivered,
            url: url.to_owned(),
            order: Order::default(),
        }
    }

    #[tokio::test]
    async fn a_receipt_that_nobody_takes_is_given_up_and_counted() {
        let mut post = Post::new(Duration::ZERO).unwrap();
        post.waits = [Duration::ZERO; 4];
        let tally = Tally::default();
        for url in ["nowhere", "http://127.0.0.1:1/"] {
            post.carry(&tally, &letter(url)).await;
        }
        let receipts = tally.view(0)["receipts"].clone();
        assert_eq!(
            (&receipts["tried_again"], &receipts["given_up"]),
            (&8.into(), &2.into()),
            "{receipts}"
        );
    }

    #[tokio::test]
    async fn whoever_closes_waits_for_nobody() {
        let post = Arc::new(Post::new(Duration::from_secs(3_600)).unwrap());
        let tally = Arc::new(Tally::default());
        for _ in 0..3 {
            post.take(&tally, letter("http://127.0.0.1:1/"));
        }
        assert_eq!(post.waiting(), 3);
        post.close().await;
        assert_eq!(tally.view(0)["receipts"]["given_up"], 0);
    }
}
