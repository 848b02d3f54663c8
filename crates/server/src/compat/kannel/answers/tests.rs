use super::*;
use postrider_core::address::AddressError;
use postrider_core::error::{Error, ErrorKind};
use postrider_core::recipient::RecipientStatus;
use std::time::Duration;

#[test]
fn refusals_are_those_of_the_table() {
    let seconds = Duration::from_secs;
    for (error, expected) in [
        (AcceptError::InvalidBody, Answer::BODY_MISFORMED),
        (AcceptError::BodyTooLong(1), Answer::BODY_MISFORMED),
        (AcceptError::TooManyParts { parts: 9, parts_max: 8 }, Answer::BODY_MISFORMED),
        (AcceptError::NoRecipient, Answer::NUMBER_DENIED),
        (
            AcceptError::InvalidAddress { channel: "sms".parse().unwrap(), cause: AddressError::Empty },
            Answer::NUMBER_DENIED,
        ),
        (AcceptError::Suppressed(RecipientStatus::OptedOut), Answer::NUMBER_DENIED),
        (AcceptError::InvalidSender, Answer::SENDER_MISSING),
        (AcceptError::SenderNotAllowed, Answer::SENDER_MISSING),
        (AcceptError::UnknownChannel("x".to_owned()), Answer::NOT_ROUTABLE),
        (AcceptError::SpendingLimit { retry_after: seconds(3_600) }, Answer::NOT_ROUTABLE),
        (AcceptError::SpendingLimit { retry_after: seconds(60) }, Answer::TRY_LATER),
        (AcceptError::Throttled { retry_after: seconds(3_600) }, Answer::TRY_LATER),
        (AcceptError::ExpiresTooEarly, Answer::VALIDITY_MISFORMED),
        (AcceptError::Store(Error::new(ErrorKind::Unavailable, "x")), Answer::TRY_LATER),
        (AcceptError::IdempotencyKeyReused, Answer::FAILED),
    ] {
        assert_eq!(Answer::from_accept_error(&error), expected, "{error:?}");
    }
}

#[test]
fn the_headers_are_those_of_smsbox() {
    let response = Answer::ACCEPTED.response();
    assert_eq!(response.status(), 202);
    for (name, value) in
        [("content-type", "text/html"), ("pragma", "no-cache"), ("cache-control", "no-cache")]
    {
        assert_eq!(response.headers()[name], value);
    }
}
