//! The sandbox server's state, and its decision about each message: test number, injected fault, or chance.
//!
//! With a seed, the same calls in the same order get the same results; message ids differ on every run.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::api::{SandboxApi, SandboxReceipt, SandboxResponse, SubmittedMessage};
use super::call_result::{CallPlan, CallResult, SandboxReceiptStatus};
use super::faults::{FaultInjector, FaultKind};
use super::options::{SandboxOptions, SandboxReceiptShares};
use super::{config_toml, dispatch, http_response, test_numbers};
use super::{counters::SandboxCounters, receipt_sender::ReceiptSender};
use postrider_core::clock::{self, Clock};
use postrider_core::{error::Result, random::Random};

/// Maximum response time drawn from the exponential distribution.
const RESPONSE_TIME_MAX: Duration = Duration::from_secs(600);

/// A server that imitates providers.
pub struct SandboxServer {
    options: SandboxOptions,
    random: Random,
    pub(super) faults: FaultInjector,
    counters: Arc<SandboxCounters>,
    receipt_sender: Arc<ReceiptSender>,
}

impl SandboxServer {
    /// Creates a server that serves nothing yet.
    pub fn new(sandbox_options: SandboxOptions) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            random: Random::from_optional_seed(sandbox_options.seed),
            faults: FaultInjector::new(Clock::System),
            counters: Arc::default(),
            receipt_sender: Arc::new(ReceiptSender::new(sandbox_options.receipt_delay)?),
            options: sandbox_options,
        }))
    }

    /// Returns a Postrider configuration that uses this server at `address`.
    pub fn config_toml(&self, address: SocketAddr) -> String {
        let token = URL_SAFE_NO_PAD.encode(Random::Thread.bytes::<24>());
        config_toml::render(address, &self.options.gateway_url, &token)
    }

    /// Discards pending receipts.
    pub(super) async fn close(&self) {
        self.receipt_sender.close().await;
    }

    pub(super) fn counters_json(&self) -> serde_json::Value {
        self.counters.to_json(self.receipt_sender.pending())
    }

    /// Responds to one message as a provider does, and schedules its receipt.
    pub(super) async fn respond(
        &self,
        api: SandboxApi,
        message: Result<SubmittedMessage, SandboxResponse>,
    ) -> Response {
        let message = match message.and_then(SubmittedMessage::validate_lengths) {
            Ok(message) => message,
            Err(error_response) => {
                self.counters.count_call(api, CallResult::InvalidRequest);
                return http_response::encode(error_response, false);
            }
        };
        let CallPlan { result, is_slow } = self.decide_call(api, &message.number).await;
        self.counters.count_call(api, result);
        // Not from the seed: the ids of a second run must differ from the ids of the first run.
        let message_id = dispatch::message_id(api, Random::Thread.bytes());
        let response = dispatch::response(api, result, &message_id, &message);
        if let CallResult::Accepted(Some(receipt_status)) = result {
            self.schedule_receipt(api, message_id, receipt_status, message);
        }
        match response {
            Some(response) => http_response::encode(response, is_slow),
            None => http_response::faulty(result).await,
        }
    }

    /// Returns the result of a call. An injected fault takes precedence over a test number, and a test number over
    /// chance.
    async fn decide_call(&self, api: SandboxApi, number: &str) -> CallPlan {
        let Some(fault) = self.faults.apply_next(api) else {
            return self.decide_call_without_fault(number).await;
        };
        let retry_after_seconds = fault.retry_after_seconds;
        match fault.kind {
            FaultKind::Hang => CallPlan::immediate(CallResult::NoResponse),
            FaultKind::Garbage => CallPlan::immediate(CallResult::Garbage),
            FaultKind::Reset => CallPlan::immediate(CallResult::Reset),
            FaultKind::Throttle => CallPlan::immediate(CallResult::Throttled { retry_after_seconds }),
            FaultKind::Slow => CallPlan { is_slow: true, ..self.decide_call_without_fault(number).await },
        }
    }

    async fn decide_call_without_fault(&self, number: &str) -> CallPlan {
        if let Some(plan) = test_numbers::find_test_number(number) {
            return plan;
        }
        // Every call draws three numbers, even if it needs fewer, so that its result does not depend on the results of
        // earlier calls.
        let [time, failure, receipt] = std::array::from_fn(|_| self.random.fraction());
        clock::sleep(exponential_delay(self.options.mean_time, time)).await;
        CallPlan::immediate(if failure < self.options.failure_rate {
            CallResult::ServerError
        } else {
            CallResult::Accepted(draw_receipt(&self.options.receipt_shares, receipt))
        })
    }

    /// Schedules the receipt of a message if there is a URL for it.
    fn schedule_receipt(
        &self,
        api: SandboxApi,
        id: String,
        status: SandboxReceiptStatus,
        message: SubmittedMessage,
    ) {
        let url = match (&message.callback_url, api) {
            (Some(url), _) => url.clone(),
            // A Twilio account may have a callback of its own.
            (None, SandboxApi::Twilio) => {
                format!("{}/v1/receipts/{}", self.options.gateway_url, api.provider_name())
            }
            (None, SandboxApi::Simple | SandboxApi::Texting) => return,
        };
        let receipt = SandboxReceipt {
            api,
            id,
            status,
            url,
            // The body is not part of a receipt; without it a pending receipt needs less memory.
            message: SubmittedMessage { body: String::new(), callback_url: None, ..message },
        };
        self.receipt_sender.schedule(&self.counters, receipt);
    }
}

/// Maps a random number from 0 to 1 to an exponentially distributed time.
fn exponential_delay(mean: Duration, random: f64) -> Duration {
    let factor = -(1.0 - random).ln();
    Duration::try_from_secs_f64(mean.as_secs_f64() * factor).unwrap_or(RESPONSE_TIME_MAX)
}

/// Maps a random number from 0 to 1 to the status of a receipt; none for the share without receipts.
fn draw_receipt(shares: &SandboxReceiptShares, random: f64) -> Option<SandboxReceiptStatus> {
    let mut share_sum = 0.0;
    let shares = [shares.delivered, shares.failed, shares.invalid];
    shares.into_iter().zip(SandboxReceiptStatus::ALL).find_map(|(share, status)| {
        share_sum += share;
        (random < share_sum).then_some(status)
    })
}

#[cfg(test)]
mod tests;
