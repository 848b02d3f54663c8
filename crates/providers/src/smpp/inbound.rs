//! Turns the receipts and texts that the sessions of an account receive into items for the engine.
//!
//! A text from a phone is judged as a whole, after its parts were joined. An unreadable message is counted. A log line
//! is written at most once a minute, without digits and without the text of the message.

use chrono::TimeDelta;
use postrider_smpp::alphabet;
use postrider_smpp::client::{DeferredResponse, DeliverAction};
use postrider_smpp::command_status::{ESME_ROK, ESME_RX_T_APPN};
use postrider_smpp::pdu::ShortMessage;
use postrider_smpp::receipt::{self, DeliveryReceipt, ShortMessageKind};
use postrider_smpp::udh::ESM_CLASS_UDHI;

use super::account::SmppAccount;
use super::receipts::ReceiptUpdate;
use crate::provider_text::sanitize_text;
use postrider_core::inbound::{CallbackItem, InboundMessage, TextReceipt, UnreadableKind};
use postrider_core::receipt::Receipt;

/// Minimum time between two log lines about unreadable messages.
const UNREADABLE_LOG_INTERVAL: TimeDelta = TimeDelta::minutes(1);

/// Maximum number of unknown states that are logged.
const UNKNOWN_STATES_MAX: usize = 100;

/// Type of number of an international number.
const TON_INTERNATIONAL: u8 = 1;

impl SmppAccount {
    /// Takes a message of a session.
    pub(super) fn receive(&self, message: &ShortMessage, response: DeferredResponse) -> DeliverAction {
        if self.is_inbound_full() {
            return DeliverAction::Respond(ESME_RX_T_APPN);
        }
        self.give_up_incomplete();
        let is_queued = match receipt::classify(message, self.message_id_format) {
            ShortMessageKind::UnreadableReceipt => {
                self.count_unreadable(UnreadableKind::Receipt, || receipt::describe_receipt(message));
                false
            }
            ShortMessageKind::Receipt(receipt) if !receipt.is_text => {
                self.receive_receipt(receipt, None, response)
            }
            ShortMessageKind::Receipt(_) | ShortMessageKind::Text => self.receive_text(message, response),
        };
        if is_queued { DeliverAction::Later } else { DeliverAction::Respond(ESME_ROK) }
    }

    /// Handles a text from a phone. If parts of it are missing, keeps it until they have arrived. Returns whether an
    /// item was queued.
    fn receive_text(&self, message: &ShortMessage, response: DeferredResponse) -> bool {
        let Some(place) = message.concatenation() else {
            return self.receive_whole_text(message, response);
        };
        let whole = self.inbound.lock().parts.add(message, place, self.clock.now());
        whole.is_some_and(|octets| {
            let esm_class = message.esm_class & !ESM_CLASS_UDHI;
            let joined = ShortMessage { short_message: &octets, esm_class, ..message.clone() };
            self.receive_whole_text(&joined, response)
        })
    }

    /// Queues what has arrived of the texts whose other parts did not arrive in time.
    pub(super) fn give_up_incomplete(&self) {
        let given_up = self.inbound.lock().parts.take_incomplete(self.clock.now());
        for partial in &given_up {
            let message = ShortMessage {
                source_addr_ton: partial.source_addr_ton,
                source_addr: &partial.source_addr,
                destination_addr: &partial.destination_addr,
                data_coding: partial.data_coding,
                short_message: &partial.octets,
                ..ShortMessage::default()
            };
            self.enqueue_text(&message, sender_of(&message), true, None);
        }
    }

    fn receive_whole_text(&self, message: &ShortMessage, response: DeferredResponse) -> bool {
        let sender = sender_of(message);
        if let ShortMessageKind::Receipt(receipt) = receipt::classify(message, self.message_id_format) {
            return self.receive_receipt(receipt, Some(sender), response);
        }
        self.enqueue_text(message, sender, false, Some(response))
    }

    /// Queues a text. Returns whether it was queued; a text that cannot be read is counted.
    fn enqueue_text(
        &self,
        message: &ShortMessage,
        sender: String,
        is_incomplete: bool,
        response: Option<DeferredResponse>,
    ) -> bool {
        let text = alphabet::decode_text(message.data_coding, message.text_octets(), self.default_alphabet);
        let (Some(body), false) = (text, sender.is_empty()) else {
            let data_coding = message.data_coding;
            self.count_unreadable(UnreadableKind::InboundMessage, || {
                format!("data_coding={data_coding:#04x}")
            });
            return false;
        };
        let inbound_message = InboundMessage {
            reference: None,
            from: sender,
            to: address_text(message.destination_addr),
            body,
            at: self.clock.now(),
            is_incomplete,
        };
        self.enqueue(CallbackItem::InboundMessage(inbound_message), response)
    }

    /// Handles a receipt. `sender` is set if a phone may have written the receipt. Returns whether an item was queued.
    fn receive_receipt(
        &self,
        receipt: DeliveryReceipt,
        sender: Option<String>,
        response: DeferredResponse,
    ) -> bool {
        self.check_state(&receipt);
        if sender.is_none() {
            self.check_id_format(&receipt);
        }
        let update = ReceiptUpdate::new(receipt, &self.receipt_rules);
        let update = self.multipart().apply_receipt(update, sender.as_deref());
        update.is_some_and(|update| self.forward_receipt(update, sender, Some(response)))
    }

    /// Logs an unknown state, once for each state.
    fn check_state(&self, receipt: &DeliveryReceipt) {
        if !self.receipt_rules.is_unknown_state(receipt) {
            return;
        }
        let mask = |character: char| if character.is_numeric() { '*' } else { character };
        let receipt_state: String = sanitize_text(&receipt.state).chars().map(mask).collect();
        let unknown_states = &mut self.inbound.lock().unknown_states;
        if unknown_states.len() < UNKNOWN_STATES_MAX && unknown_states.insert(receipt_state.clone()) {
            let provider = &self.name;
            log::warn!(
                "smpp: unknown state in a receipt, not treated as final; set receipt_states; provider={provider} \
                 state={receipt_state}"
            );
        }
    }

    /// Logs once if message ids would match in another number format.
    fn check_id_format(&self, receipt: &DeliveryReceipt) {
        let id = receipt.written_id.as_bytes();
        let found = self.id_diagnosis.lock().record_receipt(id, self.message_id_format);
        if let Some(format) = found {
            log::warn!(
                "smpp: receipts match no message, their ids have another number format; set message_id_format = \
                 \"{}\"; provider={}",
                format.as_str(),
                self.name
            );
        }
    }

    /// Queues a receipt with a final status. Returns whether it was queued.
    pub(super) fn forward_receipt(
        &self,
        update: ReceiptUpdate,
        sender: Option<String>,
        response: Option<DeferredResponse>,
    ) -> bool {
        let Some(status) = update.status else {
            return false;
        };
        let receipt = Receipt {
            reference: update.message_id,
            status,
            // The time in a receipt has no time zone, so it is not used.
            at: self.clock.now(),
        };
        let item = match sender {
            Some(from) => CallbackItem::TextReceipt(TextReceipt { receipt, from }),
            None => receipt.into(),
        };
        self.enqueue(item, response)
    }

    fn count_unreadable(&self, kind: UnreadableKind, description: impl FnOnce() -> String) {
        self.enqueue(CallbackItem::Unreadable(kind), None);
        let now = self.clock.now();
        let mut unreadable_log = self.inbound.lock();
        if unreadable_log.logged_at.is_some_and(|at| now - at < UNREADABLE_LOG_INTERVAL) {
            return;
        }
        unreadable_log.logged_at = Some(now);
        log::warn!(
            "smpp: unreadable {} provider={} content={:?}",
            match kind {
                UnreadableKind::Receipt => "receipt",
                UnreadableKind::InboundMessage => "inbound message",
            },
            self.name,
            description()
        );
    }
}

/// Returns the sender, with `+` when its type of number says that it is international.
fn sender_of(message: &ShortMessage) -> String {
    let sender = address_text(message.source_addr);
    let is_international = message.source_addr_ton == TON_INTERNATIONAL
        && sender.starts_with(|first: char| first.is_ascii_digit());
    if is_international { format!("+{sender}") } else { sender }
}

fn address_text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).trim().to_owned()
}
