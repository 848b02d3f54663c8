//! Tests of unsettled messages.

use super::*;

fn submission(delivery: i64, parts_total: usize) -> Submission {
    Submission::new(DeliveryId(delivery), "+15005550001", 7, parts_total, None)
}

#[test]
fn a_late_answer_settles_a_message_that_was_given_up() {
    let mut submissions = Submissions::default();
    let (tag, missing, _) = submissions.begin(submission(1, 2));
    assert_eq!(missing, [0, 1]);
    assert_eq!(submissions.part_accepted(tag, 1, b"b").unwrap().settled, None);
    assert_eq!(submissions.give_up(tag), None);
    let accepted = submissions.part_accepted(tag, 0, b"a").unwrap();
    assert_eq!(accepted.settled.unwrap().ids().collect::<Vec<_>>(), [b"b", b"a"]);
    assert_eq!(submissions.part_accepted(tag, 0, b"a"), None, "it is settled");
}

#[test]
fn an_answer_between_the_timeout_and_its_report_settles_the_message() {
    let mut submissions = Submissions::default();
    let (tag, ..) = submissions.begin(submission(1, 1));
    assert_eq!(submissions.part_accepted(tag, 0, b"a").unwrap().settled, None);
    assert!(submissions.give_up(tag).is_some());
}

#[test]
fn only_the_missing_parts_of_a_message_are_submitted_again() {
    let mut submissions = Submissions::default();
    let (tag, ..) = submissions.begin(submission(1, 3));
    submissions.part_accepted(tag, 1, b"b");
    assert_eq!(submissions.take_partial(DeliveryId(2)), None);
    let partial = submissions.take_partial(DeliveryId(1)).unwrap();
    let (tag, missing, _) = submissions.begin(partial);
    assert_eq!(missing, [0, 2]);
    assert_eq!(submissions.part_accepted(tag, 1, b"c").unwrap().part, 2);
}

#[test]
fn the_number_of_messages_is_limited() {
    let mut submissions = Submissions::default();
    for delivery in 0..10_000 {
        assert_eq!(submissions.begin(submission(delivery, 1)).2, None);
    }
    assert_eq!(submissions.begin(submission(10_000, 1)).2.unwrap().delivery, DeliveryId(0));
}
