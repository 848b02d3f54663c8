//! Every trouble with access tokens, and that no message is lost to it.

use std::sync::Arc;

use super::*;

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_once_and_no_message_is_lost() {
    let server = Stub::playing(|_, request| {
        if request.contains("Bearer t1\r\n") {
            unauthenticated()
        } else {
            answer(200, "", TAKEN)
        }
    })
    .await;
    let tokens = tokens().await;
    let fcm = Arc::new(fcm(&server, &tokens));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let fcm = Arc::clone(&fcm);
        sending.spawn(async move { fcm.send(&parcel()).await });
    }
    while let Some(answer) = sending.join_next().await {
        let answer = answer.unwrap();
        assert!(accepted(&answer), "{answer:?}");
    }
    assert_eq!(
        tokens.heard().len(),
        2,
        "one token to begin with, one renewal for all"
    );
    let carried = server
        .heard()
        .iter()
        .filter(|request| request.contains("Bearer t2\r\n"))
        .count();
    assert_eq!(carried, 50);
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_the_accounts_fault() {
    let (server, tokens) = (Stub::start(vec![unauthenticated()]).await, tokens().await);
    let answer = fcm(&server, &tokens).send(&parcel()).await;
    assert_eq!(
        (answer.outcome.word(), answer.code.as_deref()),
        ("misconfigured", Some("UNAUTHENTICATED"))
    );
    assert_eq!((server.heard().len(), tokens.heard().len()), (2, 2));
}

#[tokio::test]
async fn one_renewal_serves_all_who_wait_for_it_also_when_it_fails() {
    let server = Stub::start(vec![answer(200, "", TAKEN)]).await;
    let tokens = Stub::start(vec![answer(503, "", "")]).await;
    let fcm = fcm(&server, &tokens);
    let send = || async { fcm.send(&parcel()).await };
    // All of them ask before the first one has been answered: nothing else runs in between.
    let answers = tokio::join!(send(), send(), send(), send());
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer.outcome.word(), "unavailable", "{answer:?}");
    }
    assert_eq!((tokens.heard().len(), server.heard().len()), (1, 0));
    send().await;
    assert_eq!(tokens.heard().len(), 2, "whoever comes later asks again");
}

#[tokio::test]
async fn trouble_with_a_token_is_never_an_unknown_outcome() {
    let hasty = CallLimits {
        connect: Duration::from_millis(100),
        call: Duration::from_millis(300),
        ..contract::limits()
    };
    for (act, outcome) in [
        (
            answer(
                400,
                "",
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
            ),
            "misconfigured",
        ),
        (answer(401, "", r#"{"error":"invalid_client"}"#), "misconfigured"),
        (answer(500, "", ""), "unavailable"),
        (answer(200, "", "<html>"), "unavailable"),
        (answer(429, "", ""), "throttled"),
        (Act::Hang(Vec::new()), "unavailable"),
        (Act::Break(Vec::new()), "unavailable"),
    ] {
        let server = Stub::start(vec![answer(200, "", TAKEN)]).await;
        let tokens = Stub::start(vec![act.clone()]).await;
        let fcm = fcm_with(&server, &tokens, "", clock(), &hasty);
        let answer = fcm.send(&parcel()).await;
        assert_eq!(answer.outcome.word(), outcome, "{act:?}: {answer:?}");
        assert_eq!(server.heard(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_token_is_renewed_early_and_used_on_while_its_server_is_away() {
    let server = Stub::start(vec![answer(200, "", TAKEN)]).await;
    let tokens = Stub::playing(|count, _| match count {
        1 => token("t1", 3_600),
        2 | 3 => answer(503, "", ""),
        _ => token("t2", 3_600),
    })
    .await;
    let clock = clock();
    let fcm = fcm_with(&server, &tokens, "", clock.clone(), &contract::limits());
    for (wait, asked) in [(0, 1), (3_299, 1), (1, 2), (9, 2), (1, 3), (10, 4), (600, 4)] {
        clock.advance(Duration::from_secs(wait));
        let answer = fcm.send(&parcel()).await;
        assert!(accepted(&answer), "{answer:?}");
        assert_eq!(tokens.heard().len(), asked, "after {wait} s more");
    }
    let last = server.heard().pop().unwrap();
    assert!(last.contains("Bearer t2\r\n"), "{last}");
}
