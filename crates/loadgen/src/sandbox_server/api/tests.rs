use super::*;

#[test]
fn the_size_of_a_pending_receipt_is_limited() {
    let message = |number: usize, callback: usize| SubmittedMessage {
        number: "1".repeat(number),
        callback_url: Some("u".repeat(callback)),
        ..SubmittedMessage::default()
    };
    assert!(message(64, 2_048).validate_lengths().is_ok());
    assert_eq!(message(65, 1).validate_lengths().unwrap_err().status, 400);
    assert_eq!(message(1, 2_049).validate_lengths().unwrap_err().status, 400);
}
