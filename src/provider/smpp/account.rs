//! What all connections to one account share: how it is spoken to, and where what it tells us goes.
//!
//! A receipt may come over any of them, so receipts meet here. No lock is held while anything is waited for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::alphabet;
use super::codes::Statuses;
use super::long::Long;
use super::receipt::{Reading, Word, error_form};
use super::settings::{Place, Settings, ZeroAlphabet};
use super::tls::Tls;
use super::wire::{self, Delivered};
use crate::clock::Clock;
use crate::domain::channel::Name;
use crate::domain::inbound::{InboundText, Incoming};
use crate::domain::receipt::Receipt;
use crate::error::{Error, Result};
use crate::provider::{CallLimits, Tape};

/// The most things heard that wait to be stored; beyond it the message centre is asked to bring them again.
const UNSTORED_MAX: usize = 10_000;

/// The type of a number with its country code.
const INTERNATIONAL: u8 = 1;

/// How one account is spoken to.
pub(super) struct Account {
    pub name: Name,
    pub place: Place,
    pub tls: Option<Tls>,
    /// The body of the PDU that opens a session.
    pub bind: Vec<u8>,
    pub limits: CallLimits,
    pub window: usize,
    pub enquire_link: Duration,
    pub reconnect: Duration,
    pub throttle: Duration,
    pub statuses: Statuses,
    pub reading: Reading,
    pub zero_is_latin1: bool,
    /// Where the conversation is written down, if anybody wants to see it.
    pub tape: Option<Tape>,
    long: Mutex<Long>,
    heard: UnboundedSender<Heard>,
    unstored: AtomicUsize,
}

/// The request that is answered once what it brought is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub command: u32,
    pub sequence: u32,
}

/// Whom to answer, and what; none when a thing was put together from several.
pub(super) type Answering = Option<(UnboundedSender<Request>, Request)>;

/// One thing heard.
pub(super) struct Heard {
    pub what: Incoming,
    pub answer: Answering,
}

impl Account {
    /// Reads the settings; the other end is where what is heard comes out.
    pub fn new(
        name: &Name,
        settings: &Settings,
        limits: &CallLimits,
        tape: Option<Tape>,
    ) -> Result<(Self, UnboundedReceiver<Heard>)> {
        let (heard, arriving) = unbounded_channel();
        let place = settings.place().map_err(Error::usage)?;
        let tls = place
            .secure
            .then(|| Tls::read(settings.ca.as_deref()))
            .transpose()?;
        let invalid_errors = settings.invalid_errors.iter();
        let account = Self {
            name: name.clone(),
            place,
            tls,
            bind: wire::bind(settings),
            limits: limits.clone(),
            window: settings.window,
            enquire_link: settings.enquire_link,
            reconnect: settings.reconnect,
            throttle: settings.throttle,
            statuses: Statuses::read(&settings.statuses).map_err(Error::usage)?,
            reading: Reading {
                ids: settings.ids,
                invalid_errors: invalid_errors.map(|error| error_form(error)).collect(),
            },
            zero_is_latin1: settings.alphabet == ZeroAlphabet::Latin1,
            tape,
            long: Mutex::default(),
            heard,
            unstored: AtomicUsize::new(0),
        };
        Ok((account, arriving))
    }

    /// The long messages whose receipts are waited for.
    pub fn long(&self) -> MutexGuard<'_, Long> {
        self.long.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These long messages were not sent as a whole.
    pub fn forget(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut numbers = numbers.into_iter().peekable();
        if numbers.peek().is_some() {
            let mut long = self.long();
            numbers.for_each(|number| long.forget(number));
        }
    }

    /// Whether so much waits to be stored that more is turned away.
    pub fn is_full(&self) -> bool {
        self.unstored.load(Ordering::Relaxed) >= UNSTORED_MAX
    }

    /// Passes on what is final. Whether anybody will answer.
    pub fn pass_on(&self, word: Word, answer: Answering) -> bool {
        let Some(verdict) = word.verdict else {
            return false;
        };
        // Receipts carry the time of a clock whose zone nobody knows.
        let receipt = Receipt {
            reference: word.id,
            verdict,
            at: Clock::System.now(),
        };
        self.hand_out(receipt.into(), answer)
    }

    /// Passes on what a phone sent us, unless it is no text.
    pub fn pass_on_text(&self, delivered: &Delivered, answer: Answering) -> bool {
        let Some(text) = self.text(delivered) else {
            return false;
        };
        self.hand_out(Incoming::Text(text), answer)
    }

    fn hand_out(&self, what: Incoming, answer: Answering) -> bool {
        self.unstored.fetch_add(1, Ordering::Relaxed);
        self.heard.send(Heard { what, answer }).is_ok()
    }

    fn text(&self, delivered: &Delivered) -> Option<InboundText> {
        let written = |address: &[u8]| String::from_utf8_lossy(address).into_owned();
        let from = written(delivered.from);
        if from.is_empty() {
            return None;
        }
        let is_whole =
            delivered.from_ton == INTERNATIONAL && from.starts_with(|first: char| first.is_ascii_digit());
        Some(InboundText {
            reference: None,
            from: if is_whole { format!("+{from}") } else { from },
            to: written(delivered.to),
            body: alphabet::text(delivered.data_coding, delivered.said(), self.zero_is_latin1)?,
            at: Clock::System.now(),
        })
    }

    /// So many things have been taken out at the other end.
    pub fn taken(&self, count: usize) {
        self.unstored.fetch_sub(count, Ordering::Relaxed);
    }
}
