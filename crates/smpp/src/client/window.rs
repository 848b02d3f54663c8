//! The send window of one session: parts in flight, messages that wait for room, and throttle pauses.
//!
//! Parts leave in the order of their messages; a part refused as too fast returns to its place in that order. Every
//! message gets an outcome. The current time is an argument.

use std::collections::{BTreeSet, HashMap};
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

/// One message to submit.
pub struct SubmitJob {
    /// `submit_sm` body of each part.
    pub bodies: Vec<Vec<u8>>,
    /// Identifies the message to the handler, if it tracks parts.
    pub group: Option<u64>,
    /// Time at which the caller stops waiting for the outcome.
    pub deadline: Instant,
    /// Receives the outcome.
    pub reply: oneshot::Sender<SubmitOutcome>,
}

struct WindowMessage {
    job: SubmitJob,
    parts_in_flight: usize,
    parts_accepted: usize,
    /// Message id of the last part, once it was accepted.
    last_message_id: Vec<u8>,
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
    current_pause: Duration,
    paused_until: Option<Instant>,
    /// Start of the last pause. Responses to parts that were sent before it say nothing about the rate after it.
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
    /// Group of its message.
    pub group: Option<u64>,
    /// It is the last part of its message.
    pub is_last: bool,
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
        let message =
            WindowMessage { job, parts_in_flight: 0, parts_accepted: 0, last_message_id: Vec::new() };
        self.messages.insert(self.last_message, message);
    }

    /// Returns the next part if one may be sent now. Its PDU begins at `stream_offset`.
    pub fn next_part(&mut self, now: Instant, stream_offset: u64) -> Option<OutgoingPart<'_>> {
        let is_paused = self.paused_until.is_some_and(|until| until > now);
        if self.in_flight.len() >= self.size || is_paused {
            return None;
        }
        let (message_number, part) = self.ready.pop_first()?;
        let sequence = self.next_sequence();
        self.in_flight
            .insert(sequence, InFlightPart { message: message_number, part, sent_at: now, stream_offset });
        let message = self.messages.get_mut(&message_number)?;
        message.parts_in_flight += 1;
        let body = message.job.bodies.get(part)?;
        Some(OutgoingPart { sequence, body })
    }

    /// Records that a part was accepted; `None` when the sequence number is unknown.
    pub fn part_accepted(&mut self, sequence: u32, message_id: &[u8]) -> Option<AcceptedPart> {
        let accepted = self.in_flight.remove(&sequence)?;
        if self.paused_at.is_none_or(|at| accepted.sent_at > at) {
            self.current_pause = Duration::ZERO;
        }
        let message = self.messages.get_mut(&accepted.message)?;
        message.parts_in_flight -= 1;
        message.parts_accepted += 1;
        let parts_total = message.job.bodies.len();
        let is_last = accepted.part + 1 == parts_total;
        if is_last {
            message.last_message_id = message_id.to_owned();
        }
        let group = message.job.group;
        if message.parts_accepted == parts_total {
            let message_id = std::mem::take(&mut message.last_message_id);
            self.finish_message(accepted.message, SubmitOutcome::Accepted { message_id });
        }
        Some(AcceptedPart { group, is_last })
    }

    /// Records that a part was refused. Returns the group of the message if that ends it.
    pub fn part_refused(
        &mut self,
        sequence: u32,
        status: u32,
        action: StatusAction,
        now: Instant,
    ) -> Option<u64> {
        let refused = self.in_flight.remove(&sequence)?;
        let message = self.messages.get_mut(&refused.message)?;
        message.parts_in_flight -= 1;
        let outcome = match action {
            StatusAction::Throttle => {
                self.ready.insert((refused.message, refused.part));
                self.begin_pause(status, refused.sent_at, now);
                return None;
            }
            // Other parts may have been accepted, and sending the message again would repeat them.
            StatusAction::FailPart if message.parts_accepted + message.parts_in_flight > 0 => {
                message.partly_accepted(Some(status))
            }
            StatusAction::FailPart | StatusAction::FailMessage => SubmitOutcome::Refused { status },
        };
        self.finish_message(refused.message, outcome)
    }

    /// Ends a message and drops its remaining parts. Returns its group.
    fn finish_message(&mut self, message_number: u64, outcome: SubmitOutcome) -> Option<u64> {
        let message = self.messages.remove(&message_number)?;
        for part in 0..message.job.bodies.len() {
            self.ready.remove(&(message_number, part));
        }
        if message.parts_in_flight > 0 {
            self.in_flight.retain(|_, part| part.message != message_number);
        }
        // The caller may have given up.
        let _ = message.job.reply.send(outcome);
        message.job.group
    }

    fn begin_pause(&mut self, status: u32, sent_at: Instant, now: Instant) {
        if self.paused_at.is_some_and(|at| sent_at <= at) {
            return;
        }
        let factor = if status == ESME_RMSGQFUL { QUEUE_FULL_FACTOR } else { 1 };
        let first_pause = self.throttle_delay * factor;
        self.current_pause = (self.current_pause * 2).clamp(first_pause, THROTTLE_PAUSE_MAX.max(first_pause));
        self.paused_at = Some(now);
        self.paused_until = Some(now + self.current_pause);
    }

    /// Ends messages whose deadline has passed, and unsent messages whose deadline is before the end of the pause.
    /// Returns their groups.
    pub fn expire(&mut self, now: Instant) -> Vec<u64> {
        let paused_until = self.paused_until.filter(|until| *until > now);
        let mut expired: Vec<(u64, SubmitOutcome)> = self
            .messages
            .iter()
            .filter_map(|(number, message)| Some((*number, message.expired_outcome(now, paused_until)?)))
            .collect();
        expired.sort_unstable_by_key(|(number, _)| *number);
        expired.into_iter().filter_map(|(number, outcome)| self.finish_message(number, outcome)).collect()
    }

    /// Ends all messages, because the session ended after `bytes_written` bytes. A part that begins after these bytes was
    /// not sent. Returns the groups of the messages.
    pub fn session_lost(&mut self, bytes_written: u64, reason: &str) -> Vec<u64> {
        let written_parts = self.in_flight.values().filter(|part| part.stream_offset < bytes_written);
        let sent_messages: BTreeSet<u64> = written_parts.map(|part| part.message).collect();
        self.in_flight.clear();
        self.ready.clear();
        let mut groups = Vec::new();
        for (number, message) in self.messages.drain() {
            groups.extend(message.job.group);
            let may_have_been_sent = sent_messages.contains(&number) || message.parts_accepted > 0;
            let outcome = SubmitOutcome::SessionLost { reason: reason.to_owned(), may_have_been_sent };
            let _ = message.job.reply.send(outcome);
        }
        groups
    }
}

impl WindowMessage {
    fn partly_accepted(&self, status: Option<u32>) -> SubmitOutcome {
        SubmitOutcome::PartlyAccepted {
            status,
            parts_accepted: self.parts_accepted,
            parts_total: self.job.bodies.len(),
        }
    }

    /// Returns the outcome of a message that must not wait longer.
    fn expired_outcome(&self, now: Instant, paused_until: Option<Instant>) -> Option<SubmitOutcome> {
        let is_late = self.job.deadline <= now;
        let is_unsent = self.parts_in_flight + self.parts_accepted == 0;
        if is_unsent && (is_late || paused_until.is_some_and(|until| until > self.job.deadline)) {
            let retry_after = paused_until.map(|until| until - now);
            return Some(SubmitOutcome::Throttled { retry_after });
        }
        if !is_late {
            return None;
        }
        Some(if self.parts_in_flight > 0 {
            SubmitOutcome::ResponseTimeout
        } else {
            self.partly_accepted(None)
        })
    }
}
