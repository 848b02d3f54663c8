use super::*;

fn refused_result() -> SendResult {
    Outcome::InvalidRecipient { reason: "no".to_owned() }.into()
}

#[test]
fn ten_refused_tokens_are_evidence_only_against_an_account_that_never_sent() {
    let unproven = AccountEvidence::default();
    let outcomes: Vec<_> =
        (0..11).map(|_| unproven.assess(refused_result(), true, "why").outcome.as_str()).collect();
    assert_eq!(outcomes[..9], ["invalid_recipient"; 9]);
    assert_eq!(outcomes[9..], ["misconfigured"; 2]);
    let proven = AccountEvidence::default();
    proven.assess(Outcome::Accepted { reference: None }.into(), false, "why");
    for _ in 0..50 {
        assert_eq!(proven.assess(refused_result(), true, "why"), refused_result());
    }
}
