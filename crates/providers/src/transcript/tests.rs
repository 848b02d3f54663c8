use super::*;

#[test]
fn a_secret_is_masked_in_every_encoding() {
    let transcript = Transcript::new(&["p\"w/1 ü".to_owned()]);
    transcript.record_sent("GET /p%22w%2F1%20%C3%BC?x=p%22w%2F1+%C3%BC");
    transcript.record_sent("{\"pw\":\"p\\\"w/1 ü\"} p\"w/1 ü cCJ3LzEgw7w=");
    assert_eq!(transcript.lines(), ["> GET /***?x=***", "> {\"pw\":\"***\"} *** ***"]);
}

#[test]
fn credentials_that_a_provider_issues_are_masked() {
    let transcript = Transcript::new(&[]);
    transcript.record_received("{\"access_token\": \"abc\", \"expires_in\": 3599}");
    transcript.record_sent("grant_type=x&assertion=abc.def&scope=y");
    let lines = transcript.lines();
    assert_eq!(lines[0], "< {\"access_token\": \"***\", \"expires_in\": 3599}");
    assert_eq!(lines[1], "> grant_type=x&assertion=***&scope=y");
    assert_eq!(mask_credentials("Bearer abc"), "Bearer ***");
    assert_eq!(mask_credentials("abc"), "***");
}

#[test]
fn control_characters_are_replaced() {
    let transcript = Transcript::default();
    transcript.record_received("a\u{1b}[31m\r\nb");
    assert_eq!(transcript.lines(), ["< a\u{fffd}[31m", "< b"]);
}
