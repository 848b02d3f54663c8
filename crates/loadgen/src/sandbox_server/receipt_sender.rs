//! Sends receipts to callback URLs: after a delay, with a limited number of retries.
//!
//! The number of pending receipts is limited; a receipt that is dropped or given up is counted and logged. Pending
//! receipts are discarded at shutdown.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, header::CONTENT_TYPE};
use tokio::sync::{Semaphore, watch};

use super::{api::SandboxReceipt, counters::SandboxCounters, dispatch::encode_receipt};
use postrider_core::clock;
use postrider_core::error::{Error, ErrorKind, Result};

/// Maximum number of receipts that are waiting or being sent.
const PENDING_RECEIPTS_MAX: u32 = 100_000;

/// Maximum number of receipts being sent.
const RECEIPTS_IN_FLIGHT_MAX: usize = 64;

/// Maximum time for the response to a callback.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay before each retry.
const RECEIPT_RETRY_DELAYS: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// Sends receipts in the background.
pub(super) struct ReceiptSender {
    client: Client,
    delay: Duration,
    retry_delays: [Duration; 4],
    pending_slots: Arc<Semaphore>,
    in_flight: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

impl ReceiptSender {
    /// Creates a sender that sends each receipt `delay` after it was scheduled.
    pub fn new(delay: Duration) -> Result<Self> {
        Ok(Self {
            client: build_client()?,
            delay,
            retry_delays: RECEIPT_RETRY_DELAYS,
            pending_slots: Arc::new(Semaphore::new(
                usize::try_from(PENDING_RECEIPTS_MAX).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            in_flight: Arc::new(Semaphore::new(RECEIPTS_IN_FLIGHT_MAX)),
            closed: watch::Sender::new(false),
        })
    }

    /// Schedules a receipt; drops it when too many are pending.
    pub fn schedule(self: &Arc<Self>, counters: &Arc<SandboxCounters>, receipt: SandboxReceipt) {
        let Ok(slot) = Arc::clone(&self.pending_slots).try_acquire_owned() else {
            if counters.count_receipt_dropped().is_power_of_two() {
                log::warn!("receipt dropped: too many pending max={PENDING_RECEIPTS_MAX}");
            }
            return;
        };
        let (sender, counters) = (Arc::clone(self), Arc::clone(counters));
        tokio::spawn(async move {
            let mut closed = sender.closed.subscribe();
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => {}
                () = sender.deliver(&counters, &receipt) => {}
            }
            drop(slot);
        });
    }

    /// Returns the number of receipts not sent yet.
    pub fn pending(&self) -> usize {
        usize::try_from(PENDING_RECEIPTS_MAX)
            .unwrap_or_default()
            .saturating_sub(self.pending_slots.available_permits())
    }

    /// Discards all receipts not sent yet and waits until their tasks have ended.
    pub async fn close(&self) {
        let pending = self.pending();
        if pending > 0 {
            log::warn!("pending receipts discarded at shutdown count={pending}");
        }
        self.closed.send_replace(true);
        // Every task releases its slot when it ends.
        let _ = self.pending_slots.acquire_many(PENDING_RECEIPTS_MAX).await;
    }

    async fn deliver(&self, counters: &SandboxCounters, receipt: &SandboxReceipt) {
        clock::sleep(self.delay).await;
        for retry_delay in self.retry_delays.map(Some).into_iter().chain([None]) {
            // The future is boxed, so that the tasks of waiting receipts stay small.
            let Err(cause) = Box::pin(self.post_receipt(receipt)).await else {
                return counters.count_receipt_sent(receipt.status);
            };
            let (status, id) = (receipt.status.as_str(), &receipt.id);
            // The query is not logged, because it may contain a token.
            let url = receipt.url.split(['?', '#']).next().unwrap_or_default();
            let Some(retry_delay) = retry_delay else {
                counters.count_receipt_given_up();
                log::warn!(
                    "receipt callback failed, giving up: status={status} id={id} url={url} error={cause} tries={}",
                    self.retry_delays.len() + 1
                );
                return;
            };
            counters.count_receipt_retry();
            log::debug!(
                "receipt callback failed, retrying: status={status} id={id} url={url} error={cause} \
                 retry_in={retry_delay:?}"
            );
            clock::sleep(retry_delay).await;
        }
    }

    async fn post_receipt(&self, receipt: &SandboxReceipt) -> Result<(), String> {
        let Ok(_permit) = self.in_flight.acquire().await else {
            return Err("shutdown".to_owned());
        };
        let encoded = encode_receipt(receipt);
        let mut request = self
            .client
            .post(&receipt.url)
            .timeout(RECEIPT_TIMEOUT)
            .header(CONTENT_TYPE, encoded.content_type)
            .body(encoded.body);
        if let Some((header_name, signature)) = encoded.signature_header {
            request = request.header(header_name, signature);
        }
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("HTTP {}", response.status().as_u16())),
            Err(error) if error.is_timeout() => Err(format!("no response within {RECEIPT_TIMEOUT:?}")),
            Err(error) if error.is_builder() => Err("invalid URL".to_owned()),
            Err(error) if error.is_connect() => Err("cannot connect".to_owned()),
            Err(_) => Err("no response".to_owned()),
        }
    }
}

fn build_client() -> Result<Client> {
    // This fails only if a crypto provider was already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let client = builder().build().or_else(|cause| {
        log::warn!("cannot read the system certificates, callbacks to https URLs will fail: error={cause}");
        builder().tls_certs_only([]).build()
    });
    client.map_err(|cause| {
        Error::with_source(ErrorKind::Internal, "cannot create the HTTP client for receipts", cause)
    })
}

#[cfg(test)]
mod tests;
