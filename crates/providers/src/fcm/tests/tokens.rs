//! Every trouble with access tokens, and that no message is lost to it.

use std::sync::Arc;

use super::*;

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_once_and_no_message_is_lost() {
    let server = HttpStub::scripted(|_, request| {
        if request.contains("Bearer t1\r\n") {
            unauthenticated()
        } else {
            response(200, "", ACCEPTED_BODY)
        }
    })
    .await;
    let tokens = token_server().await;
    let fcm = Arc::new(fcm(&server, &tokens));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let fcm = Arc::clone(&fcm);
        sending.spawn(async move { fcm.send(&push_message()).await });
    }
    while let Some(answer) = sending.join_next().await {
        let answer = answer.unwrap();
        assert!(is_accepted(&answer), "{answer:?}");
    }
    assert_eq!(
        tokens.requests().len(),
        2,
        "one token to begin with, one renewal for all"
    );
    let carried = server
        .requests()
        .iter()
        .filter(|request| request.contains("Bearer t2\r\n"))
        .count();
    assert_eq!(carried, 50);
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_the_accounts_fault() {
    let (server, tokens) = (
        HttpStub::start(vec![unauthenticated()]).await,
        token_server().await,
    );
    let answer = fcm(&server, &tokens).send(&push_message()).await;
    assert_eq!(
        (answer.outcome.as_str(), answer.code.as_deref()),
        ("misconfigured", Some("UNAUTHENTICATED"))
    );
    assert_eq!((server.requests().len(), tokens.requests().len()), (2, 2));
}

#[tokio::test]
async fn one_renewal_serves_all_who_wait_for_it_also_when_it_fails() {
    let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let tokens = HttpStub::start(vec![response(503, "", "")]).await;
    let fcm = fcm(&server, &tokens);
    let send = || async { fcm.send(&push_message()).await };
    // All of them ask before the first one has been answered: nothing else runs in between.
    let answers = tokio::join!(send(), send(), send(), send());
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer.outcome.as_str(), "unavailable", "{answer:?}");
    }
    assert_eq!((tokens.requests().len(), server.requests().len()), (1, 0));
    send().await;
    assert_eq!(tokens.requests().len(), 2, "whoever comes later asks again");
}

#[tokio::test]
async fn trouble_with_a_token_is_never_an_unknown_outcome() {
    let hasty = CallLimits {
        connect_timeout: Duration::from_millis(100),
        call_timeout: Duration::from_millis(300),
        ..conformance::sample_limits()
    };
    for (act, outcome) in [
        (
            response(
                400,
                "",
                r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#,
            ),
            "misconfigured",
        ),
        (
            response(401, "", r#"{"error":"invalid_client"}"#),
            "misconfigured",
        ),
        (response(500, "", ""), "unavailable"),
        (response(200, "", "<html>"), "unavailable"),
        (response(429, "", ""), "throttled"),
        (StubAction::RespondAndStall(Vec::new()), "unavailable"),
        (StubAction::RespondAndClose(Vec::new()), "unavailable"),
    ] {
        let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
        let tokens = HttpStub::start(vec![act.clone()]).await;
        let fcm = fcm_with(&server, &tokens, "", clock(), &hasty);
        let answer = fcm.send(&push_message()).await;
        assert_eq!(answer.outcome.as_str(), outcome, "{act:?}: {answer:?}");
        assert_eq!(server.requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_token_is_renewed_early_and_used_on_while_its_server_is_away() {
    let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let tokens = HttpStub::scripted(|count, _| match count {
        1 => token_response("t1", 3_600),
        2 | 3 => response(503, "", ""),
        _ => token_response("t2", 3_600),
    })
    .await;
    let clock = clock();
    let fcm = fcm_with(&server, &tokens, "", clock.clone(), &conformance::sample_limits());
    for (wait, asked) in [(0, 1), (3_299, 1), (1, 2), (9, 2), (1, 3), (10, 4), (600, 4)] {
        clock.advance(Duration::from_secs(wait));
        let answer = fcm.send(&push_message()).await;
        assert!(is_accepted(&answer), "{answer:?}");
        assert_eq!(tokens.requests().len(), asked, "after {wait} s more");
    }
    let last = server.requests().pop().unwrap();
    assert!(last.contains("Bearer t2\r\n"), "{last}");
}
