//! Sends text messages over SMPP 3.4 and receives their receipts and inbound messages.
//!
//! The protocol is in `postrider_smpp`; this module maps settings, statuses and receipts of one account to it. A
//! message is submitted once; a failed submit is reported and not repeated. If only some parts of a long message were
//! accepted, a retry submits only the missing parts.

mod account;
mod codes;
mod id_diagnosis;
mod inbound;
mod inbound_state;
mod multipart_receipts;
mod receipts;
mod settings;
mod submissions;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use postrider_smpp::client::{BindFailure, ConnectionPool, SubmitOutcome};
use postrider_smpp::command_status::ESME_RALYBND;
use postrider_smpp::source_address::SourceAddress;
use postrider_smpp::submit::SubmitEncoder;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{AccountCheck, AdapterContext, OutboundMessage, Provider};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::random::Random;

use account::{ReceivedItem, SmppAccount};
use codes::StatusOutcomes;
pub use settings::SmppSettings;
use submissions::Submission;

/// Interval at which texts with missing parts are looked for. They wait ten minutes anyway.
const INCOMPLETE_CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Maximum number of items that [`Provider::receive`] returns at once; they are stored in one transaction.
const RECEIVE_BATCH_MAX: usize = 256;

/// An account at an SMSC.
pub struct Smpp {
    account: Arc<SmppAccount>,
    encoder: SubmitEncoder,
    connections: ConnectionPool,
    /// Reference number of the next long message. The concatenation headers of all its parts contain it.
    next_reference: AtomicU8,
    shares_ids_with: Option<String>,
    inbound: Mutex<InboundQueue>,
    clock: Clock,
}

/// Received items for which the store has not confirmed that they are stored.
struct InboundQueue {
    receiver: UnboundedReceiver<ReceivedItem>,
    /// The items that the last call of `receive` returned.
    unacknowledged: Vec<ReceivedItem>,
}

impl Smpp {
    /// Creates the adapter, which connects on the first send, check or receive.
    pub(super) fn new(context: &AdapterContext, smpp_settings: &SmppSettings) -> Result<Self> {
        let (account, receiver) = SmppAccount::new(context, smpp_settings)?;
        let account = Arc::new(account);
        let config = smpp_settings.client_config(context)?;
        let [reference] = Random::default().bytes();
        Ok(Self {
            connections: ConnectionPool::new(config, account.clone()),
            account,
            encoder: SubmitEncoder::new(smpp_settings.submit_options()?),
            next_reference: AtomicU8::new(reference),
            shares_ids_with: smpp_settings.shares_ids_with.clone(),
            inbound: Mutex::new(InboundQueue { receiver, unacknowledged: Vec::new() }),
            clock: context.clock.clone(),
        })
    }
}

#[async_trait]
impl Provider for Smpp {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let deadline = Instant::now() + self.account.limits.call_timeout;
        let partial = self.account.take_partial(message);
        let next_reference = || self.next_reference.fetch_add(1, Ordering::Relaxed);
        let reference = partial.as_ref().map_or_else(next_reference, |partial| partial.reference);
        let (to, body, expires_at) = (&message.to, &message.body, message.expires_at);
        // A sender that no SMSC can take is replaced by that of the settings.
        let source = message.phone_sender(None).and_then(|from| SourceAddress::parse(from, None, None).ok());
        let now = self.clock.now();
        let pdu_bodies = match self.encoder.encode(to, body, expires_at, reference, now, source.as_ref()) {
            Ok(pdu_bodies) => pdu_bodies,
            Err(error) => return Outcome::Rejected { reason: error.to_string() }.into(),
        };
        let parts_total = pdu_bodies.len();
        let has_part_receipts = self.encoder.wants_receipts() && parts_total > 1;
        let mut submission = match partial {
            Some(partial) if partial.accepted.len() == parts_total => partial,
            unusable => {
                self.account.discard(unusable);
                let group = has_part_receipts.then(|| self.account.multipart().register(parts_total, to));
                Submission::new(message.delivery_id, to, reference, parts_total, group)
            }
        };
        submission.round = message.round;
        let (tag, missing) = self.account.begin(submission);
        let is_missing = |(part, body): (usize, Vec<u8>)| missing.contains(&part).then_some(body);
        let missing_bodies = pdu_bodies.into_iter().enumerate().filter_map(is_missing).collect();
        let submit_outcome = self.connections.submit(missing_bodies, tag, deadline).await;
        self.account.finish(tag, submit_outcome)
    }

    /// Acknowledges the items of the previous call, which the caller has stored by now, and returns the next ones.
    /// Cancel-safe.
    async fn receive(&self) -> Vec<CallbackItem> {
        self.connections.start();
        let mut inbound = self.inbound.lock().await;
        let stored_items = inbound.unacknowledged.drain(..);
        stored_items.filter_map(|received| received.response).for_each(|response| response.send());
        let InboundQueue { receiver, unacknowledged } = &mut *inbound;
        let taken_count = loop {
            tokio::select! {
                taken_count = receiver.recv_many(unacknowledged, RECEIVE_BATCH_MAX) => break taken_count,
                () = self.account.clock.sleep(INCOMPLETE_CHECK_INTERVAL) => self.account.give_up_incomplete(),
            }
        };
        self.account.mark_taken(taken_count);
        unacknowledged.iter().map(|received| received.item.clone()).collect()
    }

    /// Tests the account by a bind, which sends nothing and costs nothing.
    async fn check_account(&self) -> AccountCheck {
        let timeout = self.account.limits.connect_timeout + self.account.limits.call_timeout;
        let bind_failure = match self.connections.wait_bound(timeout).await {
            Ok(_) => {
                let proven = "the bind was accepted; the sender can only be tested by sending";
                return AccountCheck::Passed(proven.to_owned());
            }
            Err(BindFailure::Refused { status: ESME_RALYBND, .. }) => {
                let reason = "its account is in use, perhaps by a gateway that is running";
                return AccountCheck::Untested(reason.to_owned());
            }
            Err(bind_failure) => bind_failure,
        };
        let SendResult { outcome, code: smpp_code } =
            self.account.send_result(SubmitOutcome::NotBound(bind_failure));
        let reason = outcome.reason().unwrap_or("no reason given");
        AccountCheck::Failed(match smpp_code {
            Some(smpp_code) => format!("{reason} ({smpp_code}); check system_id, password and system_type"),
            None => format!("{reason}; check base_url"),
        })
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn part_count(&self, message: &OutboundMessage) -> u32 {
        u32::try_from(self.encoder.part_count(&message.body)).unwrap_or(u32::MAX)
    }

    fn concerns_destination(&self, code: &str) -> bool {
        StatusOutcomes::is_about_destination(code)
    }

    fn shares_ids_with(&self) -> Option<&str> {
        self.shares_ids_with.as_deref()
    }

    fn is_replaceable(&self) -> bool {
        false
    }

    fn endpoint(&self) -> (String, u16) {
        let endpoint = &self.connections.config().endpoint;
        (endpoint.host.clone(), endpoint.port)
    }
}
