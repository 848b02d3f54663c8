//! The state that the sessions of one account share; maps outcomes, receipts and inbound texts.
//!
//! A receipt may arrive over any session of the account. No lock is held across an await.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
use postrider_smpp::alphabet::{self, DefaultAlphabet};
use postrider_smpp::client::{
    BindFailure, ClientHandler, DeferredResponse, DeliverAction, PduTrace, StatusAction, SubmitOutcome,
};
use postrider_smpp::command_status::{ESME_ROK, ESME_RX_T_APPN, format_status};
use postrider_smpp::message_id::MessageIdFormat;
use postrider_smpp::pdu::ShortMessage;
use postrider_smpp::receipt::{self, ShortMessageKind};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::codes::StatusOutcomes;
use super::multipart_receipts::MultipartReceipts;
use super::receipts::{InvalidErrors, ReceiptUpdate};
use super::settings::SmppSettings;
use crate::outcome_kind::OutcomeKind;
use crate::{AdapterContext, CallLimits, Transcript};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::{Error, Result};
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::name::ConfigName;
use postrider_core::receipt::Receipt;

/// Maximum number of received items that wait to be stored; the SMSC is asked to deliver further items later.
const UNSTORED_MAX: usize = 10_000;

/// Type of number of an international number.
const TON_INTERNATIONAL: u8 = 1;

/// State that the sessions of one account share.
pub(super) struct SmppAccount {
    name: ConfigName,
    pub limits: CallLimits,
    statuses: StatusOutcomes,
    message_id_format: MessageIdFormat,
    invalid_errors: InvalidErrors,
    default_alphabet: DefaultAlphabet,
    transcript: Option<Transcript>,
    clock: Clock,
    multipart: Mutex<MultipartReceipts>,
    received: UnboundedSender<ReceivedItem>,
    unstored_count: AtomicUsize,
}

/// A received receipt or text.
pub(super) struct ReceivedItem {
    pub item: CallbackItem,
    /// Acknowledges the item to the SMSC; `None` when the item was computed from the receipts of several parts.
    pub response: Option<DeferredResponse>,
}

impl SmppAccount {
    /// Creates the state of an account and the receiver of its items.
    pub fn new(
        context: &AdapterContext,
        settings: &SmppSettings,
    ) -> Result<(Self, UnboundedReceiver<ReceivedItem>)> {
        let (received, receiver) = unbounded_channel();
        let account = Self {
            name: context.name.clone(),
            limits: context.limits.clone(),
            statuses: StatusOutcomes::parse(&settings.statuses).map_err(Error::usage)?,
            message_id_format: settings.message_id_format,
            invalid_errors: InvalidErrors::new(&settings.invalid_errors),
            default_alphabet: settings.default_alphabet,
            transcript: context.http_clients.transcript(),
            clock: context.clock.clone(),
            multipart: Mutex::default(),
            received,
            unstored_count: AtomicUsize::new(0),
        };
        Ok((account, receiver))
    }

    /// Returns the messages whose parts have not all got a receipt.
    pub fn multipart(&self) -> MutexGuard<'_, MultipartReceipts> {
        self.multipart.lock()
    }

    /// Records that items were taken from the receiver.
    pub fn mark_taken(&self, taken_count: usize) {
        self.unstored_count.fetch_sub(taken_count, Ordering::Relaxed);
    }

    /// Returns the send result of a submit.
    pub fn send_result(&self, submit_outcome: SubmitOutcome) -> SendResult {
        let outcome = match submit_outcome {
            SubmitOutcome::Accepted { message_id } => {
                Outcome::Accepted { reference: self.message_id_format.normalize_submitted(&message_id) }
            }
            SubmitOutcome::Refused { status } => return self.statuses.submit_result(status),
            SubmitOutcome::PartlyAccepted { status, parts_accepted, parts_total } => {
                let reason = format!("{parts_accepted} of {parts_total} parts accepted");
                return SendResult { outcome: Outcome::Unknown { reason }, code: status.map(format_status) };
            }
            SubmitOutcome::Throttled { retry_after } => Outcome::Throttled { retry_after },
            SubmitOutcome::ResponseTimeout => {
                Outcome::Unknown { reason: "no response to submit_sm within the time limit".to_owned() }
            }
            SubmitOutcome::SessionLost { reason, may_have_been_sent: true } => {
                Outcome::Unknown { reason: format!("{reason} before submit_sm was answered") }
            }
            SubmitOutcome::SessionLost { reason, .. } => Outcome::Unavailable { reason },
            SubmitOutcome::NotBound(bind_failure) => return self.bind_failure_result(bind_failure),
        };
        outcome.into()
    }

    fn bind_failure_result(&self, bind_failure: BindFailure) -> SendResult {
        let reason = match bind_failure {
            BindFailure::Refused { status } => return self.statuses.bind_result(status),
            BindFailure::Connecting => "not bound yet: connecting to the SMSC".to_owned(),
            BindFailure::Unreachable(reason) | BindFailure::SessionEnded(reason) => reason,
        };
        Outcome::Unavailable { reason }.into()
    }

    /// Queues a receipt with a final status. Returns whether it was queued.
    fn forward_receipt(&self, update: ReceiptUpdate, response: Option<DeferredResponse>) -> bool {
        let Some(status) = update.status else {
            return false;
        };
        let receipt = Receipt {
            reference: update.message_id,
            status,
            // The time in a receipt has no time zone.
            at: self.clock.now(),
        };
        self.enqueue(receipt.into(), response)
    }

    /// Queues a text from a phone. Returns whether it was queued; binary content is not.
    fn forward_text(&self, message: &ShortMessage, response: DeferredResponse) -> bool {
        let Some(inbound) = self.inbound_message(message) else {
            return false;
        };
        self.enqueue(CallbackItem::InboundMessage(inbound), Some(response))
    }

    fn enqueue(&self, item: CallbackItem, response: Option<DeferredResponse>) -> bool {
        self.unstored_count.fetch_add(1, Ordering::Relaxed);
        self.received.send(ReceivedItem { item, response }).is_ok()
    }

    fn inbound_message(&self, message: &ShortMessage) -> Option<InboundMessage> {
        let address_text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let sender = address_text(message.source_addr);
        if sender.is_empty() {
            return None;
        }
        let is_international = message.source_addr_ton == TON_INTERNATIONAL
            && sender.starts_with(|first: char| first.is_ascii_digit());
        let body = alphabet::decode_text(message.data_coding, message.text_octets(), self.default_alphabet)?;
        Some(InboundMessage {
            reference: None,
            from: if is_international { format!("+{sender}") } else { sender },
            to: address_text(message.destination_addr),
            body,
            at: self.clock.now(),
        })
    }
}

impl ClientHandler for SmppAccount {
    fn submit_status_action(&self, status: u32) -> StatusAction {
        match self.statuses.submit_outcome_kind(status) {
            OutcomeKind::Throttled => StatusAction::Throttle,
            OutcomeKind::Rejected | OutcomeKind::InvalidRecipient => StatusAction::FailMessage,
            OutcomeKind::Accepted
            | OutcomeKind::Deferred
            | OutcomeKind::Unavailable
            | OutcomeKind::Misconfigured
            | OutcomeKind::Unknown => StatusAction::FailPart,
        }
    }

    fn is_account_error(&self, status: u32) -> bool {
        self.statuses.outcome_kind(status) == OutcomeKind::Misconfigured
    }

    fn part_accepted(&self, group: u64, message_id: &[u8], is_last: bool) {
        let part_id = self.message_id_format.normalize_submitted(message_id);
        let update = part_id.and_then(|part_id| self.multipart().part_accepted(group, &part_id, is_last));
        if let Some(update) = update {
            self.forward_receipt(update, None);
        }
    }

    fn discard_group(&self, group: u64) {
        self.multipart().discard(group);
    }

    fn deliver(&self, message: &ShortMessage, response: DeferredResponse) -> DeliverAction {
        if self.unstored_count.load(Ordering::Relaxed) >= UNSTORED_MAX {
            return DeliverAction::Respond(ESME_RX_T_APPN);
        }
        let is_queued = match receipt::classify(message, self.message_id_format) {
            ShortMessageKind::Receipt(receipt) => {
                let update = ReceiptUpdate::new(receipt, &self.invalid_errors);
                let update = self.multipart().apply_receipt(update);
                update.is_some_and(|update| self.forward_receipt(update, Some(response)))
            }
            ShortMessageKind::Text => self.forward_text(message, response),
            ShortMessageKind::Other => {
                log::debug!("smpp: ignored deliver_sm, neither a receipt nor a text provider={}", self.name);
                false
            }
        };
        if is_queued { DeliverAction::Later } else { DeliverAction::Respond(ESME_ROK) }
    }

    fn trace(&self) -> Option<&dyn PduTrace> {
        self.transcript.as_ref().map(|transcript| transcript as &dyn PduTrace)
    }
}

impl PduTrace for Transcript {
    fn record_sent(&self, pdu: &str) {
        Transcript::record_sent(self, pdu);
    }

    fn record_received(&self, pdu: &str) {
        Transcript::record_received(self, pdu);
    }
}
