//! What is on its way over one connection, what waits for a place, and the pauses a message centre asks for.
//!
//! Parts leave in the order in which their messages came; one that was "too fast" goes back to its place in that order.
//! Nobody is left without an answer. Only reads the time that it is given.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::codes::{self, Statuses};
use crate::domain::attempt::{Answer, Outcome};

/// The longest pause after "too fast".
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How much longer the first pause is when their queue is full.
const QUEUE_FULL_FACTOR: u32 = 5;

/// One message that is to be sent.
pub(super) struct Job {
    /// The body of each part.
    pub bodies: Vec<Vec<u8>>,
    /// Its number among long messages.
    pub long: Option<u64>,
    /// When its caller gives up.
    pub until: Instant,
    pub reply: oneshot::Sender<Answer>,
}

struct Message {
    job: Job,
    on_their_way: usize,
    accepted: usize,
    /// The last part's id.
    reference: Option<String>,
}

struct Place {
    message: u64,
    part: usize,
    sent_at: Instant,
    /// Where in the stream of this connection it begins.
    from_byte: u64,
}

/// The messages of one connection.
pub(super) struct Window {
    size: usize,
    first_pause: Duration,
    messages: HashMap<u64, Message>,
    places: HashMap<u32, Place>,
    /// Message and part, in the order in which they leave.
    ready: BTreeSet<(u64, usize)>,
    next_message: u64,
    sequence: u32,
    pause: Duration,
    paused_until: Option<Instant>,
    /// When the last pause began: what left before says nothing new.
    paused_at: Option<Instant>,
}

/// A part that may leave.
pub(super) struct Leaving<'a> {
    pub sequence: u32,
    pub body: &'a [u8],
}

/// A part that was accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub long: Option<u64>,
    pub is_last: bool,
}

impl Window {
    pub fn new(size: usize, first_pause: Duration) -> Self {
        Self {
            size,
            first_pause,
            messages: HashMap::new(),
            places: HashMap::new(),
            ready: BTreeSet::new(),
            next_message: 0,
            sequence: 0,
            pause: Duration::ZERO,
            paused_until: None,
            paused_at: None,
        }
    }

    /// A number for the next request.
    pub fn sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= 0x7FFF_FFFF {
            1
        } else {
            self.sequence + 1
        };
        self.sequence
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// Takes a message in.
    pub fn take(&mut self, job: Job) {
        self.next_message += 1;
        let parts = job.bodies.len();
        self.ready
            .extend((0..parts).map(|part| (self.next_message, part)));
        let message = Message {
            job,
            on_their_way: 0,
            accepted: 0,
            reference: None,
        };
        self.messages.insert(self.next_message, message);
    }

    /// The next part that may leave now, where the stream is at `from_byte`.
    pub fn leaving(&mut self, now: Instant, from_byte: u64) -> Option<Leaving<'_>> {
        if self.places.len() >= self.size || self.is_paused(now) {
            return None;
        }
        let (number, part) = self.ready.pop_first()?;
        let sequence = self.sequence();
        let place = Place {
            message: number,
            part,
            sent_at: now,
            from_byte,
        };
        self.places.insert(sequence, place);
        let message = self.messages.get_mut(&number)?;
        message.on_their_way += 1;
        let body = message.job.bodies.get(part)?;
        Some(Leaving { sequence, body })
    }

    /// A part was accepted under that id.
    pub fn accepted(&mut self, sequence: u32, id: Option<String>) -> Option<Taken> {
        let place = self.places.remove(&sequence)?;
        if self.paused_at.is_none_or(|at| place.sent_at > at) {
            self.pause = Duration::ZERO;
        }
        let message = self.messages.get_mut(&place.message)?;
        message.on_their_way -= 1;
        message.accepted += 1;
        let parts = message.job.bodies.len();
        let is_last = place.part + 1 == parts;
        if is_last {
            message.reference = id;
        }
        let long = message.job.long;
        if message.accepted == parts
            && let Some(message) = self.messages.remove(&place.message)
        {
            let reference = message.reference;
            // Whoever asked may have given up; the message is theirs all the same.
            let _ = message.job.reply.send(Outcome::Accepted { reference }.into());
        }
        Some(Taken { long, is_last })
    }

    /// A part was not accepted. The long message that is lost with it, if it is one.
    pub fn refused(&mut self, sequence: u32, status: u32, statuses: &Statuses, now: Instant) -> Option<u64> {
        let place = self.places.remove(&sequence)?;
        let answer = statuses.submit_answer(status);
        let message = self.messages.get_mut(&place.message)?;
        message.on_their_way -= 1;
        if matches!(answer.outcome, Outcome::Throttled { .. }) {
            self.ready.insert((place.message, place.part));
            self.slow_down(status, place.sent_at, now);
            return None;
        }
        let answer = match answer.outcome {
            Outcome::Rejected { .. } | Outcome::InvalidRecipient { .. } => answer,
            // What was said of one part only: a second send would repeat the others.
            _ if message.accepted + message.on_their_way > 0 => Answer {
                outcome: in_part(message),
                code: answer.code,
            },
            _ => answer,
        };
        self.end(place.message, answer)
    }

    /// Ends a message whatever of it is still on its way; its number among long messages.
    fn end(&mut self, number: u64, answer: Answer) -> Option<u64> {
        let message = self.messages.remove(&number)?;
        let parts = message.job.bodies.len();
        for part in 0..parts {
            self.ready.remove(&(number, part));
        }
        if message.on_their_way > 0 {
            self.places.retain(|_, place| place.message != number);
        }
        let _ = message.job.reply.send(answer);
        message.job.long
    }

    fn slow_down(&mut self, status: u32, sent_at: Instant, now: Instant) {
        // Of a whole window that was too fast, the first answer says it all.
        if self.paused_at.is_some_and(|at| sent_at <= at) {
            return;
        }
        let first = if status == codes::QUEUE_FULL {
            self.first_pause * QUEUE_FULL_FACTOR
        } else {
            self.first_pause
        };
        self.pause = (self.pause * 2).clamp(first, PAUSE_MAX.max(first));
        self.paused_at = Some(now);
        self.paused_until = Some(now + self.pause);
    }

    /// Answers those who waited long enough, and those who would wait longer than they can. The long messages that are
    /// lost with them.
    pub fn give_up(&mut self, now: Instant) -> Vec<u64> {
        let paused_until = self.paused_until.filter(|until| *until > now);
        let mut late: Vec<(u64, Answer)> = Vec::new();
        for (number, message) in &self.messages {
            let is_late = message.job.until <= now;
            let never_left = message.on_their_way + message.accepted == 0;
            let outcome =
                if never_left && (is_late || paused_until.is_some_and(|until| until > message.job.until)) {
                    match paused_until {
                        Some(until) => Outcome::Throttled {
                            retry_after: Some(until - now),
                        },
                        // More at once than the window lets through.
                        None => Outcome::Throttled { retry_after: None },
                    }
                } else if is_late && message.on_their_way > 0 {
                    Outcome::Unknown {
                        reason: "no answer to submit_sm within the time limit".to_owned(),
                    }
                } else if is_late {
                    in_part(message)
                } else {
                    continue;
                };
            late.push((*number, outcome.into()));
        }
        late.sort_unstable_by_key(|(number, _)| *number);
        let ended = late
            .into_iter()
            .filter_map(|(number, answer)| self.end(number, answer));
        ended.collect()
    }

    /// The link is lost when `written` bytes had left: what nobody can have read was not sent. The
    /// long messages that are lost with it.
    pub fn lost(&mut self, written: u64, why: &str) -> Vec<u64> {
        let mut begun: BTreeSet<u64> = BTreeSet::new();
        begun.extend(
            self.places
                .values()
                .filter(|place| place.from_byte < written)
                .map(|place| place.message),
        );
        self.places.clear();
        self.ready.clear();
        let mut long = Vec::new();
        for (number, message) in self.messages.drain() {
            long.extend(message.job.long);
            let outcome = if begun.contains(&number) || message.accepted > 0 {
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

fn in_part(message: &Message) -> Outcome {
    Outcome::Unknown {
        reason: format!(
            "{} of {} parts were accepted, and then no more",
            message.accepted,
            message.job.bodies.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Waiting(Vec<oneshot::Receiver<Answer>>);

    impl Waiting {
        fn words(&mut self) -> Vec<&'static str> {
            let word = |one: &mut oneshot::Receiver<Answer>| match one.try_recv() {
                Ok(answer) => answer.outcome.word(),
                Err(_) => "-",
            };
            self.0.iter_mut().map(word).collect()
        }
    }

    /// A window with messages of so many parts, each of which must be answered within 10 s.
    fn with(size: usize, parts: &[usize], now: Instant) -> (Window, Waiting) {
        let mut window = Window::new(size, Duration::from_secs(1));
        let mut waiting = Vec::new();
        for count in parts {
            let (reply, answer) = oneshot::channel();
            waiting.push(answer);
            window.take(Job {
                bodies: vec![vec![0; 30]; *count],
                long: (*count > 1).then_some(7),
                until: now + Duration::from_secs(10),
                reply,
            });
        }
        (window, Waiting(waiting))
    }

    fn leave(window: &mut Window, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| window.leaving(now, 0).map(|leaving| leaving.sequence)).collect()
    }

    #[test]
    fn what_was_too_fast_goes_first_when_the_pause_is_over() {
        let now = Instant::now();
        let (mut window, mut waiting) = with(3, &[1; 5], now);
        assert_eq!(leave(&mut window, now), [1, 2, 3]);
        let later = now + Duration::from_millis(1);
        for sequence in [3, 1] {
            window.refused(sequence, 0x58, &Statuses::default(), later);
        }
        window.accepted(2, None);
        assert!(leave(&mut window, later + Duration::from_millis(999)).is_empty());
        let after = later + Duration::from_secs(1);
        assert_eq!(leave(&mut window, after), [4, 5, 6]);
        window.accepted(4, None);
        window.accepted(5, None);
        assert_eq!(waiting.words(), ["accepted", "accepted", "accepted", "-", "-"]);
    }

    #[test]
    fn pauses_grow_while_they_do_not_help_and_a_full_queue_takes_longer() {
        let mut now = Instant::now();
        let (mut window, _waiting) = with(1, &[1], now);
        window
            .messages
            .values_mut()
            .for_each(|message| message.job.until += Duration::from_secs(3_600));
        for (status, seconds) in [
            (0x58, 1),
            (0x58, 2),
            (0x58, 4),
            (0x14, 8),
            (0x58, 16),
            (0x58, 30),
            (0x14, 30),
        ] {
            let sequences = leave(&mut window, now);
            now += Duration::from_millis(1);
            window.refused(sequences[0], status, &Statuses::default(), now);
            assert_eq!(
                window.paused_until,
                Some(now + Duration::from_secs(seconds)),
                "{status:x}"
            );
            now += Duration::from_secs(seconds);
        }
        let (mut window, _waiting) = with(1, &[1], now);
        leave(&mut window, now);
        window.refused(1, 0x14, &Statuses::default(), now);
        assert_eq!(window.paused_until, Some(now + Duration::from_secs(5)));
    }

    #[test]
    fn a_lost_link_leaves_unknown_only_what_can_have_left() {
        let now = Instant::now();
        let (mut window, mut waiting) = with(3, &[1, 1, 1, 1], now);
        for from_byte in [0, 46, 92] {
            assert!(window.leaving(now, from_byte).is_some());
        }
        assert!(window.lost(47, "the link was lost").is_empty());
        assert_eq!(
            waiting.words(),
            ["unknown", "unknown", "unavailable", "unavailable"]
        );
    }

    #[test]
    fn nobody_waits_longer_than_they_can() {
        let now = Instant::now();
        let (mut window, mut waiting) = with(2, &[1, 2, 1], now);
        leave(&mut window, now);
        window.accepted(2, Some("a".to_owned()));
        assert!(window.give_up(now + Duration::from_secs(9)).is_empty());
        assert_eq!(waiting.words(), ["-", "-", "-"]);
        assert_eq!(window.give_up(now + Duration::from_secs(10)), [7]);
        assert_eq!(waiting.words(), ["unknown", "unknown", "throttled"]);
        assert!(window.places.is_empty() && window.ready.is_empty());
        assert_eq!(window.accepted(1, None), None, "a late answer changes nothing");
    }

    #[test]
    fn numbers_of_requests_begin_again_after_the_last() {
        let mut window = Window::new(1, Duration::from_secs(1));
        window.sequence = 0x7FFF_FFFE;
        assert_eq!([window.sequence(), window.sequence()], [0x7FFF_FFFF, 1]);
    }
}
