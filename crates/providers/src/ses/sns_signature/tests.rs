//! Tests of the notification format.

use super::*;

#[test]
fn only_sns_hosts_are_called() {
    for (url, is_sns) in [
        ("https://sns.eu-central-1.amazonaws.com/a.pem", true),
        ("https://sns.cn-north-1.amazonaws.com.cn/a.pem", true),
        ("http://sns.eu-central-1.amazonaws.com/a.pem", false),
        ("https://sns.eu-central-1.amazonaws.com:8443/a.pem", false),
        ("https://sns.eu-central-1.amazonaws.com.evil.example/a.pem", false),
        ("https://evil.example/sns.eu-central-1.amazonaws.com/a.pem", false),
        ("https://sns.eu-central-1.amazonaws.com@evil.example/a.pem", false),
        ("https://xsns.eu-central-1.amazonaws.com/a.pem", false),
        ("https://sns.x.y.amazonaws.com/a.pem", false),
        ("https://sns.s3.evil.amazonaws.com/a.pem", false),
    ] {
        assert_eq!(parse_sns_url(url).is_some(), is_sns, "{url}");
    }
}

#[test]
fn the_signed_text_equals_the_reference() {
    let notification: SnsMessage = serde_json::from_value(serde_json::json!({
        "Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:eu-central-1:1:ses-feedback",
        "Subject": "Amazon SES Email Event Notification", "Message": "{\"a\":1}",
        "Timestamp": "2026-07-21T14:03:09.123Z", "SignatureVersion": "1", "Signature": "", "SigningCertURL": ""
    }))
    .unwrap();
    assert_eq!(
        notification.signed_text(),
        "Message\n{\"a\":1}\nMessageId\n22b80b92\nSubject\nAmazon SES Email Event Notification\nTimestamp\n\
         2026-07-21T14:03:09.123Z\nTopicArn\narn:aws:sns:eu-central-1:1:ses-feedback\nType\nNotification\n"
    );
}
