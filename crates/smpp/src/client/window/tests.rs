//! Tests of the send window.

use super::*;

const THROTTLED: u32 = 0x58;
const QUEUE_FULL: u32 = ESME_RMSGQFUL;

struct PendingOutcomes(Vec<oneshot::Receiver<SubmitOutcome>>);

impl PendingOutcomes {
    /// Returns a word for each message: its outcome, or `-` while it has none.
    fn words(&mut self) -> Vec<&'static str> {
        let word = |receiver: &mut oneshot::Receiver<SubmitOutcome>| match receiver.try_recv() {
            Ok(SubmitOutcome::Accepted { .. }) => "accepted",
            Ok(SubmitOutcome::Throttled { .. }) => "throttled",
            Ok(SubmitOutcome::ResponseTimeout) => "timeout",
            Ok(SubmitOutcome::PartlyAccepted { .. }) => "partly",
            Ok(SubmitOutcome::SessionLost { may_have_been_sent: true, .. }) => "unknown",
            Ok(SubmitOutcome::SessionLost { .. }) => "unsent",
            Ok(SubmitOutcome::Refused { .. }) => "refused",
            Ok(SubmitOutcome::CommandRefused { .. }) => "nacked",
            Ok(SubmitOutcome::NotBound(_)) => "not bound",
            Err(_) => "-",
        };
        self.0.iter_mut().map(word).collect()
    }
}

/// Returns a window with one message for each entry of `parts`; the messages have a deadline of 10 s.
fn window_with_messages(size: usize, parts: &[usize], now: Instant) -> (SubmitWindow, PendingOutcomes) {
    let mut window = SubmitWindow::new(size, Duration::from_secs(1));
    window.allowed = size;
    let mut pending = Vec::new();
    for count in parts {
        let (reply, outcome) = oneshot::channel();
        pending.push(outcome);
        window.push(SubmitJob {
            bodies: vec![vec![0; 30]; *count].into(),
            tag: 7,
            deadline: now + Duration::from_secs(10),
            reply,
        });
    }
    (window, PendingOutcomes(pending))
}

fn send_ready(window: &mut SubmitWindow, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| window.next_part(now, 0).map(|part| part.sequence)).collect()
}

fn throttle(window: &mut SubmitWindow, sequence: u32, status: u32, now: Instant) {
    window.part_refused(sequence, refusal(status), StatusAction::Throttle, now);
}

fn refusal(status: u32) -> Refusal {
    Refusal { status, is_nack: false }
}

#[test]
fn throttled_parts_are_sent_first_after_the_pause() {
    let now = Instant::now();
    let (mut window, mut pending) = window_with_messages(3, &[1; 5], now);
    assert_eq!(send_ready(&mut window, now), [1, 2, 3]);
    let later = now + Duration::from_millis(1);
    for sequence in [3, 1] {
        throttle(&mut window, sequence, THROTTLED, later);
    }
    window.part_accepted(2, b"");
    assert!(send_ready(&mut window, later + Duration::from_millis(999)).is_empty());
    let after_pause = later + Duration::from_secs(1);
    assert_eq!(send_ready(&mut window, after_pause), [4], "one probe");
    window.part_accepted(4, b"");
    assert_eq!(send_ready(&mut window, after_pause), [5, 6], "one more for each accepted part");
    window.part_accepted(5, b"");
    assert_eq!(pending.words(), ["accepted", "accepted", "accepted", "-", "-"]);
}

#[test]
fn pauses_double_and_a_full_queue_takes_longer() {
    let mut now = Instant::now();
    let (mut window, _pending) = window_with_messages(1, &[1], now);
    for message in window.messages.values_mut() {
        message.deadline += Duration::from_secs(3_600);
    }
    for (status, seconds) in [
        (THROTTLED, 1),
        (THROTTLED, 2),
        (THROTTLED, 4),
        (QUEUE_FULL, 8),
        (THROTTLED, 16),
        (THROTTLED, 30),
        (QUEUE_FULL, 30),
    ] {
        let sequences = send_ready(&mut window, now);
        now += Duration::from_millis(1);
        throttle(&mut window, sequences[0], status, now);
        assert_eq!(window.paused_until, Some(now + Duration::from_secs(seconds)), "{status:x}");
        now += Duration::from_secs(seconds);
    }
    let (mut window, _pending) = window_with_messages(1, &[1], now);
    send_ready(&mut window, now);
    throttle(&mut window, 1, QUEUE_FULL, now);
    assert_eq!(window.paused_until, Some(now + Duration::from_secs(5)));
}

#[test]
fn a_lost_session_makes_only_written_messages_unknown() {
    let now = Instant::now();
    let (mut window, mut pending) = window_with_messages(3, &[1, 1, 1, 1], now);
    for stream_offset in [0, 46, 92] {
        assert!(window.next_part(now, stream_offset).is_some());
    }
    window.session_lost(47, "connection lost");
    assert_eq!(pending.words(), ["unknown", "unknown", "unsent", "unsent"]);
}

#[test]
fn no_message_waits_past_its_deadline() {
    let now = Instant::now();
    let (mut window, mut pending) = window_with_messages(2, &[1, 2, 1], now);
    send_ready(&mut window, now);
    window.part_accepted(2, b"a");
    window.expire(now + Duration::from_secs(9));
    assert_eq!(pending.words(), ["-", "-", "-"]);
    window.expire(now + Duration::from_secs(10));
    assert_eq!(pending.words(), ["timeout", "partly", "throttled"]);
    assert!(window.ready.is_empty());
    assert_eq!(window.in_flight.len(), 1, "an unanswered part keeps its place");
    assert_eq!(window.part_accepted(1, b""), Some(AcceptedPart { tag: 7, part: 0 }), "a late answer is told");
    assert!(window.messages.is_empty() && window.in_flight.is_empty());
}

#[test]
fn a_refused_part_ends_its_message() {
    let now = Instant::now();
    for (action, word) in [(StatusAction::FailPart, "partly"), (StatusAction::FailMessage, "refused")] {
        let (mut window, mut pending) = window_with_messages(1, &[2], now);
        send_ready(&mut window, now);
        window.part_accepted(1, b"a");
        send_ready(&mut window, now);
        window.part_refused(2, refusal(0x08), action, now);
        assert_eq!(pending.words(), [word]);
    }
    let (mut window, mut pending) = window_with_messages(1, &[2], now);
    send_ready(&mut window, now);
    window.part_refused(1, refusal(0x08), StatusAction::FailPart, now);
    assert_eq!(pending.words(), ["refused"]);
}

#[test]
fn sequence_numbers_start_again_after_the_maximum() {
    let mut window = SubmitWindow::new(1, Duration::from_secs(1));
    window.last_sequence = 0x7FFF_FFFE;
    assert_eq!([window.next_sequence(), window.next_sequence()], [0x7FFF_FFFF, 1]);
}

#[test]
fn given_up_parts_keep_their_place_until_the_session_is_lost() {
    let now = Instant::now();
    let (mut window, mut pending) = window_with_messages(2, &[1; 4], now);
    assert_eq!(send_ready(&mut window, now), [1, 2]);
    let late = now + Duration::from_secs(10);
    window.expire(late);
    assert_eq!(pending.words(), ["timeout", "timeout", "throttled", "throttled"]);
    assert!(send_ready(&mut window, late).is_empty());
    assert!(!window.is_stuck(late) && window.is_stuck(now + UNANSWERED_MAX));
}

#[test]
fn a_refused_part_waits_for_the_answers_to_the_others() {
    let now = Instant::now();
    let (mut window, mut pending) = window_with_messages(3, &[3], now);
    send_ready(&mut window, now);
    window.part_refused(2, refusal(0x08), StatusAction::FailPart, now);
    assert_eq!(pending.words(), ["-"]);
    window.part_accepted(1, b"a");
    window.part_refused(3, refusal(0x08), StatusAction::FailPart, now);
    assert_eq!(pending.words(), ["partly"]);
}

#[test]
fn a_part_without_an_id_does_not_hide_the_ids_of_the_others() {
    let now = Instant::now();
    let (mut window, mut pending) = window_with_messages(2, &[2], now);
    send_ready(&mut window, now);
    window.part_accepted(1, b"a");
    window.part_accepted(2, b"");
    let outcome = pending.0[0].try_recv().unwrap();
    assert_eq!(outcome, SubmitOutcome::Accepted { message_id: b"a".to_vec() });
}
