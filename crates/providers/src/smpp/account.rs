//! What all connections to one account share: how it is spoken to, and where what it tells us goes.
//!
//! A receipt may come over any of them, so receipts meet here. No lock is held while anything is waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::alphabet;
use super::codes::StatusOutcomes;
use super::multipart_receipts::MultipartReceipts;
use super::pdu::{self, ShortMessage};
use super::receipt::{DeliveryReceipt, ReceiptParser, normalize_error};
use super::settings::{DefaultAlphabet, SmppEndpoint, SmppSettings};
use super::tls::SmppTlsConnector;
use crate::{CallLimits, Transcript};
use postrider_core::clock::Clock;
use postrider_core::error::{Error, Result};
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::name::ConfigName;
use postrider_core::receipt::Receipt;

/// The most things heard that wait to be stored; beyond it the message centre is asked to bring them again.
const UNSTORED_MAX: usize = 10_000;

/// The type of a number with its country code.
const TON_INTERNATIONAL: u8 = 1;

/// How one account is spoken to.
pub(super) struct SmppAccount {
    pub name: ConfigName,
    pub endpoint: SmppEndpoint,
    pub tls: Option<SmppTlsConnector>,
    /// The body of the PDU that opens a session.
    pub bind_body: Vec<u8>,
    pub limits: CallLimits,
    pub window_size: usize,
    pub enquire_link_interval: Duration,
    pub reconnect_delay: Duration,
    pub throttle_delay: Duration,
    pub statuses: StatusOutcomes,
    pub receipt_parser: ReceiptParser,
    pub is_latin1_default: bool,
    /// Where the conversation is written down, if anybody wants to see it.
    pub transcript: Option<Transcript>,
    multipart: Mutex<MultipartReceipts>,
    received_tx: UnboundedSender<ReceivedItem>,
    unstored_count: AtomicUsize,
}

/// The request that is answered once what it brought is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliverRequest {
    pub command: u32,
    pub sequence: u32,
}

/// Whom to answer, and what; none when a thing was put together from several.
pub(super) type ResponseHandle = Option<(UnboundedSender<DeliverRequest>, DeliverRequest)>;

/// One thing heard.
pub(super) struct ReceivedItem {
    pub incoming: CallbackItem,
    pub response: ResponseHandle,
}

impl SmppAccount {
    /// Reads the settings; the other end is where what is heard comes out.
    pub fn new(
        name: &ConfigName,
        settings: &SmppSettings,
        limits: &CallLimits,
        tape: Option<Transcript>,
    ) -> Result<(Self, UnboundedReceiver<ReceivedItem>)> {
        let (heard, arriving) = unbounded_channel();
        let place = settings.endpoint().map_err(Error::usage)?;
        let tls = place
            .is_tls
            .then(|| SmppTlsConnector::new(settings.ca.as_deref()))
            .transpose()?;
        let invalid_errors = settings.invalid_errors.iter();
        let account = Self {
            name: name.clone(),
            endpoint: place,
            tls,
            bind_body: pdu::encode_bind_body(settings),
            limits: limits.clone(),
            window_size: settings.window,
            enquire_link_interval: settings.enquire_link_interval,
            reconnect_delay: settings.reconnect_delay,
            throttle_delay: settings.throttle_delay,
            statuses: StatusOutcomes::parse(&settings.statuses).map_err(Error::usage)?,
            receipt_parser: ReceiptParser {
                message_id_format: settings.message_id_format,
                invalid_errors: invalid_errors.map(|error| normalize_error(error)).collect(),
            },
            is_latin1_default: settings.default_alphabet == DefaultAlphabet::Latin1,
            transcript: tape,
            multipart: Mutex::default(),
            received_tx: heard,
            unstored_count: AtomicUsize::new(0),
        };
        Ok((account, arriving))
    }

    /// The long messages whose receipts are waited for.
    pub fn multipart(&self) -> MutexGuard<'_, MultipartReceipts> {
        self.multipart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These long messages were not sent as a whole.
    pub fn discard_multipart(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_some() {
            let mut long = self.multipart();
            numbers.for_each(|number| long.discard(number));
        }
    }

    /// Whether so much waits to be stored that more is turned away.
    pub fn is_full(&self) -> bool {
        self.unstored_count.load(Ordering::Relaxed) >= UNSTORED_MAX
    }

    /// Passes on what is final. Whether anybody will answer.
    pub fn forward_receipt(&self, word: DeliveryReceipt, answer: ResponseHandle) -> bool {
        let Some(verdict) = word.verdict else {
            return false;
        };
        // Receipts carry the time of a clock whose zone nobody knows.
        let receipt = Receipt {
            reference: word.message_id,
            status: verdict,
            at: Clock::System.now(),
        };
        self.enqueue(receipt.into(), answer)
    }

    /// Passes on what a phone sent us, unless it is no text.
    pub fn forward_text(&self, delivered: &ShortMessage, answer: ResponseHandle) -> bool {
        let Some(text) = self.inbound_text(delivered) else {
            return false;
        };
        self.enqueue(CallbackItem::InboundMessage(text), answer)
    }

    fn enqueue(&self, what: CallbackItem, answer: ResponseHandle) -> bool {
        self.unstored_count.fetch_add(1, Ordering::Relaxed);
        self.received_tx
            .send(ReceivedItem {
                incoming: what,
                response: answer,
            })
            .is_ok()
    }

    fn inbound_text(&self, delivered: &ShortMessage) -> Option<InboundMessage> {
        let written = |address: &[u8]| String::from_utf8_lossy(address).into_owned();
        let from = written(delivered.source_addr);
        if from.is_empty() {
            return None;
        }
        let is_whole = delivered.source_addr_ton == TON_INTERNATIONAL
            && from.starts_with(|first: char| first.is_ascii_digit());
        Some(InboundMessage {
            reference: None,
            from: if is_whole { format!("+{from}") } else { from },
            to: written(delivered.destination_addr),
            body: alphabet::decode_text(
                delivered.data_coding,
                delivered.text_octets(),
                self.is_latin1_default,
            )?,
            at: Clock::System.now(),
        })
    }

    /// So many things have been taken out at the other end.
    pub fn mark_taken(&self, count: usize) {
        self.unstored_count.fetch_sub(count, Ordering::Relaxed);
    }
}
