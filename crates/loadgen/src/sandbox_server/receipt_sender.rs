//! Receipts on their way: each waits for its delay, is handed over, and tried again a bounded number of times.
//!
//! What waits is bounded, too. A receipt that is lost, or given up, is said in the log; none outlives the sandbox.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use tokio::sync::{Semaphore, watch};

use super::api::SandboxReceipt;
use super::counters::SandboxCounters;
use postrider_core::clock;
use postrider_core::error::{Error, ErrorKind, Result};

/// The most receipts that wait or are on their way.
const PENDING_RECEIPTS_MAX: u32 = 100_000;

/// The most that are handed over at once.
const IN_FLIGHT_MAX: usize = 64;

/// How long a gateway may take to read one.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The wait before each further try.
const RETRY_DELAYS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// The one who carries receipts.
pub(super) struct ReceiptSender {
    client: Client,
    delay: Duration,
    retry_delays: [Duration; 4],
    pending_slots: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

impl ReceiptSender {
    /// Hands receipts over so long after their messages were taken.
    pub fn new(delay: Duration) -> Result<Self> {
        Ok(Self {
            client: build_client()?,
            delay,
            retry_delays: RETRY_DELAYS,
            pending_slots: Arc::new(Semaphore::new(
                usize::try_from(PENDING_RECEIPTS_MAX).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)),
            closed: watch::Sender::new(false),
        })
    }

    /// Takes a receipt in charge; it is lost when too many wait.
    pub fn schedule(self: &Arc<Self>, tally: &Arc<SandboxCounters>, letter: SandboxReceipt) {
        let Ok(place) = Arc::clone(&self.pending_slots).try_acquire_owned() else {
            if tally.count_receipt_dropped().is_power_of_two() {
                log::warn!("receipts are lost, because {PENDING_RECEIPTS_MAX} wait already");
            }
            return;
        };
        let (post, tally) = (Arc::clone(self), Arc::clone(tally));
        tokio::spawn(async move {
            let mut closed = post.closed.subscribe();
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => {}
                () = post.deliver(&tally, &letter) => {}
            }
            drop(place);
        });
    }

    /// How many receipts are still to come.
    pub fn pending(&self) -> usize {
        usize::try_from(PENDING_RECEIPTS_MAX)
            .unwrap_or_default()
            .saturating_sub(self.pending_slots.available_permits())
    }

    /// Lets go of all that wait, and of those on their way.
    pub async fn close(&self) {
        let waiting = self.pending();
        if waiting > 0 {
            log::warn!("{waiting} receipts that were still to come never will");
        }
        self.closed.send_replace(true);
        // Everybody gives their place back.
        let _ = self.pending_slots.acquire_many(PENDING_RECEIPTS_MAX).await;
    }

    async fn deliver(&self, tally: &SandboxCounters, letter: &SandboxReceipt) {
        clock::sleep(self.delay).await;
        for wait in self.retry_delays.map(Some).into_iter().chain([None]) {
            // Boxed, so that those who only wait stay small.
            let why = match Box::pin(self.post_receipt(letter)).await {
                Ok(()) => return tally.count_receipt_sent(letter.status),
                Err(why) => why,
            };
            let (word, id) = (letter.status.as_str(), &letter.id);
            let place = letter.url.split(['?', '#']).next().unwrap_or_default();
            let Some(wait) = wait else {
                tally.count_receipt_given_up();
                log::warn!(
                    "the receipt \"{word}\" of {id} cannot be handed over at {place}: {why}; given up after {} tries",
                    self.retry_delays.len() + 1
                );
                return;
            };
            tally.count_receipt_retry();
            log::debug!(
                "the receipt \"{word}\" of {id} cannot be handed over at {place}: {why}; again in {wait:?}"
            );
            clock::sleep(wait).await;
        }
    }

    async fn post_receipt(&self, letter: &SandboxReceipt) -> Result<(), String> {
        let Ok(_turn) = self.in_flight.acquire().await else {
            return Err("the sandbox ends".to_owned());
        };
        let sheet = letter.encode();
        let mut request = self
            .client
            .post(&letter.url)
            .timeout(CALLBACK_TIMEOUT)
            .header(CONTENT_TYPE, sheet.content_type)
            .body(sheet.body);
        if let Some((name, value)) = sheet.signature_header {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("HTTP {}", answer.status().as_u16())),
            Err(fault) if fault.is_timeout() => Err(format!("no answer within {CALLBACK_TIMEOUT:?}")),
            Err(fault) if fault.is_builder() => Err("that is no URL".to_owned()),
            Err(fault) if fault.is_connect() => Err("nobody can be reached there".to_owned()),
            Err(_) => Err("no answer".to_owned()),
        }
    }
}

fn build_client() -> Result<Client> {
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
    client.map_err(|cause| Error::with_source(ErrorKind::Internal, "cannot prepare to send receipts", cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox_server::api::{SandboxApi, SubmittedMessage};
    use crate::sandbox_server::call_result::SandboxReceiptStatus;

    fn receipt(url: &str) -> SandboxReceipt {
        SandboxReceipt {
            api: SandboxApi::Texting,
            id: "id-1".to_owned(),
            status: SandboxReceiptStatus::Delivered,
            url: url.to_owned(),
            message: SubmittedMessage::default(),
        }
    }

    #[tokio::test]
    async fn a_receipt_that_nobody_takes_is_given_up_and_counted() {
        let mut post = ReceiptSender::new(Duration::ZERO).unwrap();
        post.retry_delays = [Duration::ZERO; 4];
        let tally = SandboxCounters::default();
        for url in ["nowhere", "http://127.0.0.1:1/"] {
            post.deliver(&tally, &receipt(url)).await;
        }
        let receipts = tally.to_json(0)["receipts"].clone();
        assert_eq!(
            (&receipts["tried_again"], &receipts["given_up"]),
            (&8.into(), &2.into()),
            "{receipts}"
        );
    }

    #[tokio::test]
    async fn whoever_closes_waits_for_nobody() {
        let post = Arc::new(ReceiptSender::new(Duration::from_secs(3_600)).unwrap());
        let tally = Arc::new(SandboxCounters::default());
        for _ in 0..3 {
            post.schedule(&tally, receipt("http://127.0.0.1:1/"));
        }
        assert_eq!(post.pending(), 3);
        post.close().await;
        assert_eq!(tally.to_json(0)["receipts"]["given_up"], 0);
    }
}
