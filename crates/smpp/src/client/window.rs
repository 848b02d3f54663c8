//! The send window of one session: parts in flight, messages that wait for room, and throttle pauses.
//!
//! Parts leave in the order of their messages; a part refused as too fast returns to its place in that order. Every
//! message gets an outcome. A part stays in the window until it is answered, even if its message was given up, so that
//! the SMSC never has more unanswered parts than agreed. The current time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::handler::{StatusAction, SubmitOutcome};
use crate::command_status::ESME_RMSGQFUL;

#[cfg(test)]
mod tests;

/// Maximum pause after a refusal as too fast.
const THROTTLE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// First pause when the queue of the SMSC is full, as a multiple of the throttle delay.
const QUEUE_FULL_FACTOR: u32 = 5;

/// Maximum sequence number; SMPP reserves the highest bit.
const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;

/// Time without an answer after which a session ends because its window is full of messages that were given up. SMSCs
/// answer within 60 s, or never.
const UNANSWERED_MAX: Duration = Duration::from_secs(60);

/// One message to submit.
pub struct SubmitJob {
    /// `submit_sm` body of each part.
    pub bodies: Arc<[Vec<u8>]>,
    /// Identifies the message to the handler.
    pub tag: u64,
    /// Time at which the caller stops waiting for the outcome.
    pub deadline: Instant,
    /// Receives the outcome.
    pub reply: oneshot::Sender<SubmitOutcome>,
}

/// A refused part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status of the refusal.
    pub status: u32,
    /// Refused with `generic_nack`.
    pub is_nack: bool,
}

struct WindowMessage {
    bodies: Arc<[Vec<u8>]>,
    tag: u64,
    deadline: Instant,
    /// `None` once the message has its outcome.
    reply: Option<oneshot::Sender<SubmitOutcome>>,
    parts_in_flight: usize,
    parts_accepted: usize,
    /// Message id of the last part that has one, and the index of that part.
    last_message_id: (usize, Vec<u8>),
    /// The refusal of a part, after which no further part is sent.
    refusal: Option<Refusal>,
}

struct InFlightPart {
    message: u64,
    part: usize,
    sent_at: Instant,
    /// Offset of the PDU in the byte stream of this session.
    stream_offset: u64,
}

/// The messages of one session.
pub struct SubmitWindow {
    size: usize,
    throttle_delay: Duration,
    messages: HashMap<u64, WindowMessage>,
    in_flight: HashMap<u32, InFlightPart>,
    /// Message and part, in sending order.
    ready: BTreeSet<(u64, usize)>,
    last_message: u64,
    last_sequence: u32,
    /// Maximum number of parts in flight that were sent after the bind or the last pause. It begins with 1 and grows by
    /// 1 with each accepted part.
    allowed: usize,
    current_pause: Duration,
    paused_until: Option<Instant>,
    /// Start of the last pause. A response to a part that was sent before the pause does not show whether the rate
    /// after the pause is too high.
    paused_at: Option<Instant>,
}

/// A part to send now.
pub struct OutgoingPart<'a> {
    /// Sequence number of its `submit_sm`.
    pub sequence: u32,
    /// Body of its `submit_sm`.
    pub body: &'a [u8],
}

/// A part that the SMSC accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct AcceptedPart {
    /// Tag of its message.
    pub tag: u64,
    /// Index of the part.
    pub part: usize,
}

impl SubmitWindow {
    /// Creates an empty window; `throttle_delay` is the first pause after a refusal as too fast.
    pub fn new(size: usize, throttle_delay: Duration) -> Self {
        Self {
            size,
            throttle_delay,
            messages: HashMap::new(),
            in_flight: HashMap::new(),
            ready: BTreeSet::new(),
            last_message: 0,
            last_sequence: 0,
            allowed: 1,
            current_pause: Duration::ZERO,
            paused_until: None,
            paused_at: None,
        }
    }

    /// Returns a new sequence number.
    pub fn next_sequence(&mut self) -> u32 {
        self.last_sequence = if self.last_sequence >= SEQUENCE_MAX { 1 } else { self.last_sequence + 1 };
        self.last_sequence
    }

    /// Adds a message.
    pub fn push(&mut self, job: SubmitJob) {
        self.last_message += 1;
        self.ready.extend((0..job.bodies.len()).map(|part| (self.last_message, part)));
        let message = WindowMessage {
            bodies: job.bodies,
            tag: job.tag,
            deadline: job.deadline,
            reply: Some(job.reply),
            parts_in_flight: 0,
            parts_accepted: 0,
            last_message_id: (0, Vec::new()),
            refusal: None,
        };
        self.messages.insert(self.last_message, message);
    }

    /// Returns the next part if one may be sent now. Its PDU begins at `stream_offset`.
    pub fn next_part(&mut self, now: Instant, stream_offset: u64) -> Option<OutgoingPart<'_>> {
        let is_paused = self.paused_until.is_some_and(|until| until > now);
        if self.ready.is_empty() || is_paused || self.is_full() {
            return None;
        }
        let (message_number, part) = self.ready.pop_first()?;
        let submit_sequence = self.next_sequence();
        self.in_flight.insert(
            submit_sequence,
            InFlightPart { message: message_number, part, sent_at: now, stream_offset },
        );
        let message = self.messages.get_mut(&message_number)?;
        message.parts_in_flight += 1;
        let body = message.bodies.get(part)?;
        Some(OutgoingPart { sequence: submit_sequence, body })
    }

    fn is_full(&self) -> bool {
        if self.in_flight.len() >= self.size {
            return true;
        }
        self.allowed < self.size && {
            let is_after_pause = |part: &&InFlightPart| self.paused_at.is_none_or(|at| part.sent_at > at);
            let recent_parts = self.in_flight.values().filter(is_after_pause);
            recent_parts.filter(|part| self.is_awaited(part)).count() >= self.allowed
        }
    }

    /// Returns whether the message of a part still waits for its outcome.
    fn is_awaited(&self, part: &InFlightPart) -> bool {
        self.messages.get(&part.message).is_some_and(|message| message.reply.is_some())
    }

    /// Returns whether a part is in flight whose message waits for its outcome.
    pub fn has_awaited_parts(&self) -> bool {
        self.in_flight.values().any(|part| self.is_awaited(part))
    }

    /// Returns whether the window is full of messages that were given up long ago.
    pub fn is_stuck(&self, now: Instant) -> bool {
        let is_lost = |part: &InFlightPart| !self.is_awaited(part) && now - part.sent_at >= UNANSWERED_MAX;
        self.in_flight.len() >= self.size && self.in_flight.values().all(is_lost)
    }

    /// Records that a part was accepted; `None` when the sequence number is unknown.
    pub fn part_accepted(&mut self, sequence: u32, message_id: &[u8]) -> Option<AcceptedPart> {
        let accepted = self.in_flight.remove(&sequence)?;
        if self.paused_at.is_none_or(|at| accepted.sent_at > at) {
            self.current_pause = Duration::ZERO;
            self.allowed = (self.allowed + 1).min(self.size);
        }
        let message = self.messages.get_mut(&accepted.message)?;
        message.parts_in_flight -= 1;
        message.parts_accepted += 1;
        let (last_part, last_id) = &message.last_message_id;
        if !message_id.is_empty() && (accepted.part >= *last_part || last_id.is_empty()) {
            message.last_message_id = (accepted.part, message_id.to_owned());
        }
        let tag = message.tag;
        self.finish_if_answered(accepted.message);
        Some(AcceptedPart { tag, part: accepted.part })
    }

    /// Records that a part was refused.
    pub fn part_refused(&mut self, sequence: u32, refusal: Refusal, action: StatusAction, now: Instant) {
        let Some(refused) = self.in_flight.remove(&sequence) else {
            return;
        };
        if action == StatusAction::Throttle {
            self.begin_pause(refusal.status, refused.sent_at, now);
        }
        let Some(message) = self.messages.get_mut(&refused.message) else {
            return;
        };
        message.parts_in_flight -= 1;
        match action {
            StatusAction::Throttle if message.reply.is_some() && message.refusal.is_none() => {
                self.ready.insert((refused.message, refused.part));
            }
            StatusAction::Throttle => self.finish_if_answered(refused.message),
            StatusAction::FailMessage => {
                self.end_message(refused.message, SubmitOutcome::Refused { status: refusal.status });
            }
            // It is not known yet whether the SMSC accepted a part of the message; the answers to the other parts
            // decide that.
            StatusAction::FailPart => {
                message.refusal.get_or_insert(refusal);
                self.drop_ready_parts(refused.message);
                self.finish_if_answered(refused.message);
            }
        }
    }

    /// Sends the outcome of a message if all its parts are answered. Removes the message if its outcome was sent
    /// before.
    fn finish_if_answered(&mut self, message_number: u64) {
        let Some(message) = self.messages.get_mut(&message_number) else {
            return;
        };
        let is_accepted = message.parts_accepted == message.bodies.len();
        let outcome = match message.refusal {
            _ if is_accepted => {
                SubmitOutcome::Accepted { message_id: std::mem::take(&mut message.last_message_id.1) }
            }
            Some(refusal) if message.parts_in_flight == 0 => message.refused_outcome(refusal),
            _ if message.reply.is_none() && message.parts_in_flight == 0 => {
                self.messages.remove(&message_number);
                return;
            }
            _ => return,
        };
        self.end_message(message_number, outcome);
    }

    /// Sends the outcome of a message, unless it has one. The message is kept while one of its parts is in flight.
    fn end_message(&mut self, message_number: u64, outcome: SubmitOutcome) {
        self.drop_ready_parts(message_number);
        let Some(message) = self.messages.get_mut(&message_number) else {
            return;
        };
        if let Some(reply) = message.reply.take() {
            // The caller may have stopped waiting.
            let _ = reply.send(outcome);
        }
        if message.parts_in_flight == 0 {
            self.messages.remove(&message_number);
        }
    }

    fn drop_ready_parts(&mut self, message_number: u64) {
        let parts = self.messages.get(&message_number).map_or(0, |message| message.bodies.len());
        for part in 0..parts {
            self.ready.remove(&(message_number, part));
        }
    }

    fn begin_pause(&mut self, status: u32, sent_at: Instant, now: Instant) {
        if self.paused_at.is_some_and(|at| sent_at <= at) {
            return;
        }
        let factor = if status == ESME_RMSGQFUL { QUEUE_FULL_FACTOR } else { 1 };
        let first_pause = self.throttle_delay * factor;
        self.current_pause = (self.current_pause * 2).clamp(first_pause, THROTTLE_PAUSE_MAX.max(first_pause));
        self.allowed = 1;
        self.paused_at = Some(now);
        self.paused_until = Some(now + self.current_pause);
    }

    /// Ends the messages whose deadline has passed. During a pause, also ends unsent messages whose deadline is before
    /// the end of the pause.
    pub fn expire(&mut self, now: Instant) {
        let paused_until = self.paused_until.filter(|until| *until > now);
        let mut expired: Vec<(u64, SubmitOutcome)> = self
            .messages
            .iter()
            .filter_map(|(number, message)| Some((*number, message.expired_outcome(now, paused_until)?)))
            .collect();
        expired.sort_unstable_by_key(|(number, _)| *number);
        for (number, outcome) in expired {
            self.end_message(number, outcome);
        }
    }

    /// Ends all messages, because the session ended after `bytes_written` bytes. A part that begins after these bytes was
    /// not sent.
    pub fn session_lost(&mut self, bytes_written: u64, reason: &str) {
        let written_parts = self.in_flight.values().filter(|part| part.stream_offset < bytes_written);
        let sent_messages: BTreeSet<u64> = written_parts.map(|part| part.message).collect();
        self.in_flight.clear();
        self.ready.clear();
        for (number, message) in self.messages.drain() {
            let may_have_been_sent = sent_messages.contains(&number) || message.parts_accepted > 0;
            let outcome = SubmitOutcome::SessionLost { reason: reason.to_owned(), may_have_been_sent };
            let _ = message.reply.map(|reply| reply.send(outcome));
        }
    }
}

impl WindowMessage {
    fn refused_outcome(&self, refusal: Refusal) -> SubmitOutcome {
        match refusal {
            Refusal { status: command_status, .. } if self.parts_accepted > 0 => {
                self.partly_accepted(Some(command_status), None)
            }
            Refusal { status: command_status, is_nack: true } => {
                SubmitOutcome::CommandRefused { status: command_status }
            }
            Refusal { status: command_status, is_nack: false } => {
                SubmitOutcome::Refused { status: command_status }
            }
        }
    }

    fn partly_accepted(&self, status: Option<u32>, retry_after: Option<Duration>) -> SubmitOutcome {
        SubmitOutcome::PartlyAccepted {
            status,
            retry_after,
            parts_accepted: self.parts_accepted,
            parts_total: self.bodies.len(),
        }
    }

    /// Returns the outcome of a message that must not wait longer.
    fn expired_outcome(&self, now: Instant, paused_until: Option<Instant>) -> Option<SubmitOutcome> {
        self.reply.as_ref()?;
        let is_late = self.deadline <= now;
        let retry_after = paused_until.map(|until| until - now);
        if self.parts_in_flight > 0 {
            return is_late.then_some(SubmitOutcome::ResponseTimeout);
        }
        if !is_late && paused_until.is_none_or(|until| until <= self.deadline) {
            return None;
        }
        Some(if self.parts_accepted > 0 {
            self.partly_accepted(None, retry_after)
        } else {
            SubmitOutcome::Throttled { retry_after }
        })
    }
}
