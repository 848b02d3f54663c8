//! TODO

use super::*;

#[test]
fn a_secret_is_masked_however_it_is_written() {
    let tape = Transcript::new(&["p\"w/1 ü".to_owned()]);
    tape.record_sent("GET /p%22w%2F1%20%C3%BC?x=p%22w%2F1+%C3%BC");
    tape.record_sent("{\"pw\":\"p\\\"w/1 ü\"} p\"w/1 ü cCJ3LzEgw7w=");
    assert_eq!(tape.lines(), ["> GET /***?x=***", "> {\"pw\":\"***\"} *** ***"]);
}

#[test]
fn credentials_that_providers_give_out_are_masked_too() {
    let tape = Transcript::new(&[]);
    tape.record_received("{\"access_token\": \"abc\", \"expires_in\": 3599}");
    tape.record_sent("grant_type=x&assertion=abc.def&scope=y");
    let lines = tape.lines();
    assert_eq!(lines[0], "< {\"access_token\": \"***\", \"expires_in\": 3599}");
    assert_eq!(lines[1], "> grant_type=x&assertion=***&scope=y");
    assert_eq!(mask_credentials("Bearer abc"), "Bearer ***");
    assert_eq!(mask_credentials("abc"), "***");
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let tape = Transcript::default();
    tape.record_received("a\u{1b}[31m\r\nb");
    assert_eq!(tape.lines(), ["< a\u{fffd}[31m", "< b"]);
}
