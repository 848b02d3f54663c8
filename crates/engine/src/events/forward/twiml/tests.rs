//! Tests of TwiML.

use super::*;

fn bodies(document: &str) -> Result<Vec<String>, String> {
    replies(document).map(|replies| replies.into_iter().map(|reply| reply.body).collect())
}

#[test]
fn messages_of_a_response_are_replies() {
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    for (document, expected) in [
        ("<Response/>", vec![]),
        ("<Response></Response>", vec![]),
        ("<Response><Message>Hello</Message></Response>", vec!["Hello"]),
        (
            "<Response><Message><Body>Hello</Body><Media>https://a.example/x</Media></Message></Response>",
            vec!["Hello"],
        ),
        (
            "<Response><Message>a</Message><Message> b &amp; c &#x1F600;</Message></Response>",
            vec!["a", "b & c \u{1F600}"],
        ),
        (
            "<Response><!-- no --><Message><![CDATA[1 < 2]]></Message><Redirect>/x</Redirect></Response>",
            vec!["1 < 2"],
        ),
        (
            "<Response><Message></Message><Message action=\"/a\" method='GET'>x</Message></Response>",
            vec!["x"],
        ),
    ] {
        assert_eq!(bodies(&format!("{declaration}{document}")).unwrap(), expected, "{document}");
    }
}

#[test]
fn a_message_names_another_recipient_with_to() {
    let document =
        "<Response><Message to=\"+15005550001\" from='x'>a</Message><Message>b</Message></Response>";
    let recipients = replies(document).unwrap().into_iter().map(|reply| reply.to).collect::<Vec<_>>();
    assert_eq!(recipients, [Some("+15005550001".to_owned()), None]);
}

#[test]
fn what_is_no_twiml_is_an_error() {
    for document in [
        "",
        "hello",
        "<html><body>Hi</body></html>",
        "<Response><Message>a</Response>",
        "<Response",
        "<Response><!-- ",
    ] {
        assert!(replies(document).is_err(), "{document}");
    }
}

#[test]
fn tags_of_a_page_are_removed() {
    assert_eq!(text_of("<html><p>Hi &lt;you&gt; <b>there</b></p></html>"), "Hi <you> there");
    assert_eq!(text_of("plain & simple &unknown; &"), "plain & simple &unknown; &");
}
