use super::*;
use crate::events::callback::test_events::{callback, delivered, event, failed, sent};
use postrider_core::callback::CallbackFormat;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn built(event: &Event) -> Result<CallbackCall, NoCall> {
    let fields = [("AccountSid", ACCOUNT), ("From", "+15005550006")];
    build(event, &callback(CallbackFormat::Twilio, "https://gw.example.org/cb?m=1", &fields), Some(TOKEN))
}

#[test]
fn a_failure_is_a_signed_form() {
    let call = built(&failed(Failure::InvalidRecipient, 1)).unwrap();
    let sid = format!("SM{}", "ab".repeat(16));
    let body = format!(
        "SmsSid={sid}&SmsStatus=undelivered&MessageStatus=undelivered&To=%2B15005550001&MessageSid={sid}\
         &AccountSid={ACCOUNT}&From=%2B15005550006&ApiVersion=2010-04-01&ErrorCode=30005"
    );
    assert_eq!((call.method.as_str(), call.body), ("POST", body));
    let header = |name| call.headers.iter().find(|(header, _)| *header == name).unwrap().1.as_str();
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header("user-agent"), "TwilioProxy/1.1");
    let token = header("i-twilio-idempotency-token");
    assert_eq!((token.len(), &token[14..15]), (36, "4"));
    let signed_text = format!(
        "https://gw.example.org/cb?m=1AccountSid{ACCOUNT}ApiVersion2010-04-01ErrorCode30005From+15005550006\
         MessageSid{sid}MessageStatusundeliveredSmsSid{sid}SmsStatusundeliveredTo+15005550001"
    );
    assert_eq!(header("x-twilio-signature"), sign_twilio_form(TOKEN, &signed_text, &[]).unwrap());
}

#[test]
fn the_signature_is_that_of_the_reference() {
    let pairs = form_urlencoded::parse(
        b"AccountSid=AC00000000000000000000000000000001&ApiVersion=2010-04-01&From=%2B15005550006\
          &MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=undelivered&ErrorCode=30005\
          &SmsSid=SM0123456789abcdef0123456789abcdef&SmsStatus=undelivered&To=%2B989121234567",
    );
    let pairs: Vec<_> = pairs.into_owned().collect();
    let url = "https://gw.example.org/v1/callbacks/twilio?m=01J9ZC5T";
    assert_eq!(sign_twilio_form(TOKEN, url, &pairs).unwrap(), "x5K/Fb09YaDrE50WFVsRYdSBV2E=");
}

#[test]
fn statuses_and_codes_are_those_of_the_table() {
    for (failure, status, code) in [
        (Failure::Rejected, "failed", Some("30007")),
        (Failure::InvalidRecipient, "undelivered", Some("30005")),
        (Failure::Suppressed, "failed", Some("21610")),
        (Failure::Exhausted, "undelivered", Some("30003")),
        (Failure::Expired, "undelivered", Some("30036")),
        (Failure::Bounced, "undelivered", Some("30008")),
        (Failure::Cancelled, "canceled", None),
        (Failure::Unknown, "undelivered", Some("30008")),
    ] {
        assert_eq!(message_status(&failed(failure, 1)), Some((status, code)), "{failure:?}");
    }
    assert_eq!(message_status(&sent()), Some(("sent", None)));
    assert_eq!(message_status(&delivered()), Some(("delivered", None)));
    assert_eq!(built(&event(EventType::Waiting, None, 2)), Err(NoCall::NotAskedFor));
    assert_eq!(built(&event(EventType::Opened, None, 3)), Err(NoCall::NotAskedFor));
    assert!(built(&delivered()).unwrap().body.ends_with("&RawDlrDoneDate=2611301724"));
}

#[test]
fn the_service_and_another_spelling_of_the_number_are_repeated() {
    let fields = [("To", "+15005550009"), ("MessagingServiceSid", "MG1"), ("AccountSid", ACCOUNT)];
    let call =
        build(&sent(), &callback(CallbackFormat::Twilio, "https://gw.example.org", &fields), Some(TOKEN));
    let call = call.unwrap();
    assert_eq!(call.url, "https://gw.example.org/");
    assert!(call.body.contains("&To=%2B15005550009&MessagingServiceSid=MG1&MessageSid=SM"), "{}", call.body);
}

#[test]
fn a_callback_without_a_token_is_not_sent() {
    let callback = callback(CallbackFormat::Twilio, "https://gw.example.org/", &[]);
    for token in [None, Some("")] {
        assert!(matches!(build(&sent(), &callback, token), Err(NoCall::Impossible(_))));
    }
}
