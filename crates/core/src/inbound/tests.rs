use super::*;

fn inbound_message(body: &str) -> InboundMessage {
    InboundMessage {
        reference: None,
        from: "+989122222222".to_owned(),
        to: "+983000".to_owned(),
        body: body.to_owned(),
        at: DateTime::UNIX_EPOCH,
    }
}

#[test]
fn a_keyword_counts_only_as_the_whole_text() {
    for body in ["STOP", " stop\r\n", "StopAll", "unsubscribe", "Cancel", "end", "quit"] {
        assert_eq!(inbound_message(body).opt_action(), Some(OptAction::OptOut), "{body:?}");
    }
    for body in ["START", "yes ", "UnStop"] {
        assert_eq!(inbound_message(body).opt_action(), Some(OptAction::OptIn), "{body:?}");
    }
    for body in ["", "please stop", "STOP!", "stop it", "non-stop", "yes please", "STΟP", "ends"] {
        assert_eq!(inbound_message(body).opt_action(), None, "{body:?}");
    }
}
