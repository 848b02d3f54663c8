//! What is on its way over one connection, what waits for a place, and the pauses a message centre asks for.
//!
//! Parts leave in the order in which their messages came; one that was "too fast" goes back to its place in that order.
//! Nobody is left without an answer. Only reads the time that it is given.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::codes::{self, StatusOutcomes};
use postrider_core::attempt::{Outcome, SendResult};

/// The longest pause after "too fast".
const THROTTLE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How much longer the first pause is when their queue is full.
const QUEUE_FULL_FACTOR: u32 = 5;

/// One message that is to be sent.
pub(super) struct SubmitJob {
    /// The body of each part.
    pub bodies: Vec<Vec<u8>>,
    /// Its number among long messages.
    pub multipart: Option<u64>,
    /// When its caller gives up.
    pub deadline: Instant,
    pub reply: oneshot::Sender<SendResult>,
}

struct WindowMessage {
    job: SubmitJob,
    parts_in_flight: usize,
    parts_accepted: usize,
    /// The last part's id.
    reference: Option<String>,
}

struct InFlightPart {
    message: u64,
    part: usize,
    sent_at: Instant,
    /// Where in the stream of this connection it begins.
    stream_offset: u64,
}

/// The messages of one connection.
pub(super) struct SubmitWindow {
    size: usize,
    throttle_delay: Duration,
    messages: HashMap<u64, WindowMessage>,
    in_flight: HashMap<u32, InFlightPart>,
    /// Message and part, in the order in which they leave.
    ready: BTreeSet<(u64, usize)>,
    next_message: u64,
    last_sequence: u32,
    current_pause: Duration,
    paused_until: Option<Instant>,
    /// When the last pause began: what left before says nothing new.
    paused_at: Option<Instant>,
}

/// A part that may leave.
pub(super) struct OutgoingPart<'a> {
    pub sequence: u32,
    pub body: &'a [u8],
}

/// A part that was accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AcceptedPart {
    pub multipart: Option<u64>,
    pub is_last: bool,
}

impl SubmitWindow {
    pub fn new(size: usize, first_pause: Duration) -> Self {
        Self {
            size,
            throttle_delay: first_pause,
            messages: HashMap::new(),
            in_flight: HashMap::new(),
            ready: BTreeSet::new(),
            next_message: 0,
            last_sequence: 0,
            current_pause: Duration::ZERO,
            paused_until: None,
            paused_at: None,
        }
    }

    /// A number for the next request.
    pub fn next_sequence(&mut self) -> u32 {
        self.last_sequence = if self.last_sequence >= 0x7FFF_FFFF {
            1
        } else {
            self.last_sequence + 1
        };
        self.last_sequence
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// Takes a message in.
    pub fn push(&mut self, job: SubmitJob) {
        self.next_message += 1;
        let parts = job.bodies.len();
        self.ready
            .extend((0..parts).map(|part| (self.next_message, part)));
        let message = WindowMessage {
            job,
            parts_in_flight: 0,
            parts_accepted: 0,
            reference: None,
        };
        self.messages.insert(self.next_message, message);
    }

    /// The next part that may leave now, where the stream is at `from_byte`.
    pub fn next_part(&mut self, now: Instant, from_byte: u64) -> Option<OutgoingPart<'_>> {
        if self.in_flight.len() >= self.size || self.is_paused(now) {
            return None;
        }
        let (number, part) = self.ready.pop_first()?;
        let sequence = self.next_sequence();
        let place = InFlightPart {
            message: number,
            part,
            sent_at: now,
            stream_offset: from_byte,
        };
        self.in_flight.insert(sequence, place);
        let message = self.messages.get_mut(&number)?;
        message.parts_in_flight += 1;
        let body = message.job.bodies.get(part)?;
        Some(OutgoingPart { sequence, body })
    }

    /// A part was accepted under that id.
    pub fn part_accepted(&mut self, sequence: u32, id: Option<String>) -> Option<AcceptedPart> {
        let place = self.in_flight.remove(&sequence)?;
        if self.paused_at.is_none_or(|at| place.sent_at > at) {
            self.current_pause = Duration::ZERO;
        }
        let message = self.messages.get_mut(&place.message)?;
        message.parts_in_flight -= 1;
        message.parts_accepted += 1;
        let parts = message.job.bodies.len();
        let is_last = place.part + 1 == parts;
        if is_last {
            message.reference = id;
        }
        let long = message.job.multipart;
        if message.parts_accepted == parts
            && let Some(message) = self.messages.remove(&place.message)
        {
            let reference = message.reference;
            // Whoever asked may have given up; the message is theirs all the same.
            let _ = message.job.reply.send(Outcome::Accepted { reference }.into());
        }
        Some(AcceptedPart {
            multipart: long,
            is_last,
        })
    }

    /// A part was not accepted. The long message that is lost with it, if it is one.
    pub fn part_refused(
        &mut self,
        sequence: u32,
        status: u32,
        statuses: &StatusOutcomes,
        now: Instant,
    ) -> Option<u64> {
        let place = self.in_flight.remove(&sequence)?;
        let answer = statuses.submit_result(status);
        let message = self.messages.get_mut(&place.message)?;
        message.parts_in_flight -= 1;
        if matches!(answer.outcome, Outcome::Throttled { .. }) {
            self.ready.insert((place.message, place.part));
            self.begin_pause(status, place.sent_at, now);
            return None;
        }
        let answer = match answer.outcome {
            Outcome::Rejected { .. } | Outcome::InvalidRecipient { .. } => answer,
            // What was said of one part only: a second send would repeat the others.
            _ if message.parts_accepted + message.parts_in_flight > 0 => SendResult {
                outcome: partly_accepted(message),
                code: answer.code,
            },
            _ => answer,
        };
        self.finish_message(place.message, answer)
    }

    /// Ends a message whatever of it is still on its way; its number among long messages.
    fn finish_message(&mut self, number: u64, answer: SendResult) -> Option<u64> {
        let message = self.messages.remove(&number)?;
        let parts = message.job.bodies.len();
        for part in 0..parts {
            self.ready.remove(&(number, part));
        }
        if message.parts_in_flight > 0 {
            self.in_flight.retain(|_, place| place.message != number);
        }
        let _ = message.job.reply.send(answer);
        message.job.multipart
    }

    fn begin_pause(&mut self, status: u32, sent_at: Instant, now: Instant) {
        // Of a whole window that was too fast, the first answer says it all.
        if self.paused_at.is_some_and(|at| sent_at <= at) {
            return;
        }
        let first = if status == codes::ESME_RMSGQFUL {
            self.throttle_delay * QUEUE_FULL_FACTOR
        } else {
            self.throttle_delay
        };
        self.current_pause = (self.current_pause * 2).clamp(first, THROTTLE_PAUSE_MAX.max(first));
        self.paused_at = Some(now);
        self.paused_until = Some(now + self.current_pause);
    }

    /// Answers those who waited long enough, and those who would wait longer than they can. The long messages that are
    /// lost with them.
    pub fn expire(&mut self, now: Instant) -> Vec<u64> {
        let paused_until = self.paused_until.filter(|until| *until > now);
        let mut late: Vec<(u64, SendResult)> = Vec::new();
        for (number, message) in &self.messages {
            let is_late = message.job.deadline <= now;
            let never_left = message.parts_in_flight + message.parts_accepted == 0;
            let outcome = if never_left
                && (is_late || paused_until.is_some_and(|until| until > message.job.deadline))
            {
                match paused_until {
                    Some(until) => Outcome::Throttled {
                        retry_after: Some(until - now),
                    },
                    // More at once than the window lets through.
                    None => Outcome::Throttled { retry_after: None },
                }
            } else if is_late && message.parts_in_flight > 0 {
                Outcome::Unknown {
                    reason: "no answer to submit_sm within the time limit".to_owned(),
                }
            } else if is_late {
                partly_accepted(message)
            } else {
                continue;
            };
            late.push((*number, outcome.into()));
        }
        late.sort_unstable_by_key(|(number, _)| *number);
        let ended = late
            .into_iter()
            .filter_map(|(number, answer)| self.finish_message(number, answer));
        ended.collect()
    }

    /// The link is lost when `written` bytes had left: what nobody can have read was not sent. The
    /// long messages that are lost with it.
    pub fn connection_lost(&mut self, written: u64, why: &str) -> Vec<u64> {
        let mut begun: BTreeSet<u64> = BTreeSet::new();
        begun.extend(
            self.in_flight
                .values()
                .filter(|place| place.stream_offset < written)
                .map(|place| place.message),
        );
        self.in_flight.clear();
        self.ready.clear();
        let mut long = Vec::new();
        for (number, message) in self.messages.drain() {
            long.extend(message.job.multipart);
            let outcome = if begun.contains(&number) || message.parts_accepted > 0 {
                Outcome::Unknown {
                    reason: format!("{why} before submit_sm was answered"),
                }
            } else {
                Outcome::Unavailable {
                    reason: why.to_owned(),
                }
            };
            let _ = message.job.reply.send(outcome.into());
        }
        long
    }
}

fn partly_accepted(message: &WindowMessage) -> Outcome {
    Outcome::Unknown {
        reason: format!(
            "{} of {} parts were accepted, and then no more",
            message.parts_accepted,
            message.job.bodies.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PendingResults(Vec<oneshot::Receiver<SendResult>>);

    impl PendingResults {
        fn outcome_words(&mut self) -> Vec<&'static str> {
            let word = |one: &mut oneshot::Receiver<SendResult>| match one.try_recv() {
                Ok(answer) => answer.outcome.as_str(),
                Err(_) => "-",
            };
            self.0.iter_mut().map(word).collect()
        }
    }

    /// A window with messages of so many parts, each of which must be answered within 10 s.
    fn window_with_messages(size: usize, parts: &[usize], now: Instant) -> (SubmitWindow, PendingResults) {
        let mut window = SubmitWindow::new(size, Duration::from_secs(1));
        let mut waiting = Vec::new();
        for count in parts {
            let (reply, answer) = oneshot::channel();
            waiting.push(answer);
            window.push(SubmitJob {
                bodies: vec![vec![0; 30]; *count],
                multipart: (*count > 1).then_some(7),
                deadline: now + Duration::from_secs(10),
                reply,
            });
        }
        (window, PendingResults(waiting))
    }

    fn send_ready(window: &mut SubmitWindow, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| window.next_part(now, 0).map(|leaving| leaving.sequence)).collect()
    }

    #[test]
    fn what_was_too_fast_goes_first_when_the_pause_is_over() {
        let now = Instant::now();
        let (mut window, mut waiting) = window_with_messages(3, &[1; 5], now);
        assert_eq!(send_ready(&mut window, now), [1, 2, 3]);
        let later = now + Duration::from_millis(1);
        for sequence in [3, 1] {
            window.part_refused(sequence, 0x58, &StatusOutcomes::default(), later);
        }
        window.part_accepted(2, None);
        assert!(send_ready(&mut window, later + Duration::from_millis(999)).is_empty());
        let after = later + Duration::from_secs(1);
        assert_eq!(send_ready(&mut window, after), [4, 5, 6]);
        window.part_accepted(4, None);
        window.part_accepted(5, None);
        assert_eq!(
            waiting.outcome_words(),
            ["accepted", "accepted", "accepted", "-", "-"]
        );
    }

    #[test]
    fn pauses_grow_while_they_do_not_help_and_a_full_queue_takes_longer() {
        let mut now = Instant::now();
        let (mut window, _waiting) = window_with_messages(1, &[1], now);
        window
            .messages
            .values_mut()
            .for_each(|message| message.job.deadline += Duration::from_secs(3_600));
        for (status, seconds) in [
            (0x58, 1),
            (0x58, 2),
            (0x58, 4),
            (0x14, 8),
            (0x58, 16),
            (0x58, 30),
            (0x14, 30),
        ] {
            let sequences = send_ready(&mut window, now);
            now += Duration::from_millis(1);
            window.part_refused(sequences[0], status, &StatusOutcomes::default(), now);
            assert_eq!(
                window.paused_until,
                Some(now + Duration::from_secs(seconds)),
                "{status:x}"
            );
            now += Duration::from_secs(seconds);
        }
        let (mut window, _waiting) = window_with_messages(1, &[1], now);
        send_ready(&mut window, now);
        window.part_refused(1, 0x14, &StatusOutcomes::default(), now);
        assert_eq!(window.paused_until, Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn a_lost_link_leaves_unknown_only_what_can_have_left() {
        let now = Instant::now();
        let (mut window, mut waiting) = window_with_messages(3, &[1, 1, 1, 1], now);
        for from_byte in [0, 46, 92] {
            assert!(window.next_part(now, from_byte).is_some());
        }
        assert!(window.connection_lost(47, "the link was lost").is_empty());
        assert_eq!(
            waiting.outcome_words(),
            ["unknown", "unknown", "unavailable", "unavailable"]
        );
    }

    #[test]
    fn nobody_waits_longer_than_they_can() {
        let now = Instant::now();
        let (mut window, mut waiting) = window_with_messages(2, &[1, 2, 1], now);
        send_ready(&mut window, now);
        window.part_accepted(2, Some("a".to_owned()));
        assert!(window.expire(now + Duration::from_secs(9)).is_empty());
        assert_eq!(waiting.outcome_words(), ["-", "-", "-"]);
        assert_eq!(window.expire(now + Duration::from_secs(10)), [7]);
        assert_eq!(waiting.outcome_words(), ["unknown", "unknown", "throttled"]);
        assert!(window.in_flight.is_empty() && window.ready.is_empty());
        assert_eq!(
            window.part_accepted(1, None),
            None,
            "a late answer changes nothing"
        );
    }

    #[test]
    fn numbers_of_requests_begin_again_after_the_last() {
        let mut window = SubmitWindow::new(1, Duration::from_secs(1));
        window.last_sequence = 0x7FFF_FFFE;
        assert_eq!([window.next_sequence(), window.next_sequence()], [0x7FFF_FFFF, 1]);
    }
}
