use reqwest::header::HeaderMap;

use super::*;
use crate::http_response::{BodyEnd, HttpCallResult, HttpResponse};
use crate::json_api::into_json_response;
use crate::outcome_kind::OutcomeKind::{Misconfigured, Rejected, Throttled, Unavailable};
use crate::testing::code_table::expect_code_table;

fn result_of(status: u16, kind: Option<&str>, body: &str) -> SendResult {
    let mut headers = HeaderMap::new();
    if let Some(kind) = kind {
        headers.insert("x-amzn-errortype", kind.parse().unwrap());
    }
    let response = HttpCallResult::Response(HttpResponse {
        status,
        headers,
        body: body.into(),
        body_end: BodyEnd::Complete,
    });
    let Ok(response) = into_json_response(response) else {
        panic!("there is a response");
    };
    send_result(&response, "user@example.com")
}

#[test]
fn every_response_has_the_outcome_of_the_reference() {
    for (status, kind, body, outcome, code) in [
        (200, None, "{\"MessageId\":\"0107-1\"}", "accepted", None),
        (
            400,
            Some("MessageRejected:http://x/"),
            "{\"message\":\"virus\"}",
            "rejected",
            Some("MessageRejected"),
        ),
        (
            400,
            Some("MessageRejected"),
            "{\"message\":\"Email address is not verified.\"}",
            "misconfigured",
            Some("MessageRejected"),
        ),
        (
            400,
            None,
            "{\"__type\":\"com.amazonaws#BadRequestException\",\"message\":\"Illegal address user@example.com\"}",
            "invalid_recipient",
            Some("BadRequestException"),
        ),
        (
            400,
            Some("BadRequestException"),
            "{\"message\":\"no body\"}",
            "rejected",
            Some("BadRequestException"),
        ),
        (429, Some("TooManyRequestsException"), "{}", "throttled", Some("TooManyRequestsException")),
        (400, None, "{\"code\":\"Throttling\"}", "throttled", Some("Throttling")),
        (403, Some("SignatureDoesNotMatch"), "{}", "misconfigured", Some("SignatureDoesNotMatch")),
        (404, Some("NotFoundException"), "{}", "misconfigured", Some("NotFoundException")),
        (500, Some("InternalFailure"), "", "unavailable", Some("InternalFailure")),
        (503, None, "<html>", "unavailable", Some("HTTP 503")),
        (400, Some("Novelty"), "{\"message\":\"x\"}", "rejected", Some("Novelty")),
        (301, None, "", "unavailable", Some("HTTP 301")),
    ] {
        let result = result_of(status, kind, body);
        assert_eq!(
            (result.outcome.as_str(), result.code.as_deref()),
            (outcome, code),
            "{status} {kind:?} {body}"
        );
    }
    for (kind, message, reason) in [
        ("MessageRejected", "virus", "invalid message: virus"),
        ("BadRequestException", "no user@example.com", "invalid email address: no user@example.com"),
        (
            "MessageRejected",
            "a@b is not verified",
            "the sender is not verified, or the account is in the sandbox: a@b is not verified",
        ),
    ] {
        let result = result_of(400, Some(kind), &format!("{{\"message\":\"{message}\"}}"));
        assert_eq!(result.outcome.reason(), Some(reason));
    }
}

#[test]
fn a_used_up_quota_has_a_longer_cooldown_than_an_exceeded_rate() {
    let wait = |text: &str| {
        let body = format!("{{\"message\":\"{text}\"}}");
        let Outcome::Throttled { retry_after } =
            result_of(429, Some("TooManyRequestsException"), &body).outcome
        else {
            panic!("{text}")
        };
        retry_after.unwrap()
    };
    assert_eq!(wait("Maximum sending rate exceeded."), RATE_LIMIT_RETRY_AFTER);
    assert_eq!(wait("Daily message quota exceeded."), QUOTA_RETRY_AFTER);
}

#[test]
#[rustfmt::skip]
fn every_error_name_has_its_outcome_and_reason() {
    expect_code_table(SES_ERROR_CODES, &[
        ("MessageRejected", Rejected, "invalid message"),
        ("BadRequestException", Rejected, "invalid request"),
        ("MailFromDomainNotVerifiedException", Misconfigured, "the sender's domain is not verified"),
        ("AccountSuspendedException", Misconfigured, "the account is suspended"),
        ("SendingPausedException", Misconfigured, "sending is paused for this account"),
        ("NotFoundException", Misconfigured, "the configuration set does not exist"),
        ("LimitExceededException", Throttled, "a quota of the account is used up"),
        ("TooManyRequestsException", Throttled, "too many requests"),
        ("ThrottlingException", Throttled, "too many requests"),
        ("Throttling", Throttled, "too many requests"),
        ("RequestLimitExceeded", Throttled, "too many requests"),
        ("SlowDown", Throttled, "too many requests"),
        ("InternalServiceErrorException", Unavailable, "internal error of SES"),
        ("InternalFailure", Unavailable, "internal error of SES"),
        ("ServiceUnavailable", Unavailable, "SES is unavailable"),
        ("ServiceUnavailableException", Unavailable, "SES is unavailable"),
        ("ConcurrentModificationException", Unavailable, "the account is being changed"),
        ("ConflictException", Unavailable, "the account is being changed"),
        ("AccessDeniedException", Misconfigured, "the access key lacks a permission"),
        ("AccessDenied", Misconfigured, "the access key lacks a permission"),
        ("UnrecognizedClientException", Misconfigured, "the access key does not exist"),
        ("InvalidClientTokenId", Misconfigured, "the access key does not exist"),
        ("SignatureDoesNotMatch", Misconfigured, "wrong secret_access_key"),
        ("IncompleteSignature", Misconfigured, "the signature is incomplete"),
        ("MissingAuthenticationToken", Misconfigured, "the access key is missing"),
        ("OptInRequired", Misconfigured, "the account is not subscribed to SES"),
        ("ExpiredTokenException", Misconfigured, "the session token has expired"),
        ("RequestExpired", Misconfigured, "the request is too old; check the clock of this machine"),
    ]);
}
