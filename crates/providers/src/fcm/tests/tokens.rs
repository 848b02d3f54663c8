//! Tests of access tokens: no message is lost when one expires or cannot be renewed.

use std::sync::Arc;

use super::*;

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_calls_and_no_message_is_lost() {
    let server = HttpStub::scripted(|_, request| {
        if request.contains("Bearer t1\r\n") { unauthenticated() } else { response(200, "", ACCEPTED_BODY) }
    })
    .await;
    let tokens = token_server().await;
    let fcm = Arc::new(fcm(&server, &tokens));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let fcm = Arc::clone(&fcm);
        tasks.spawn(async move { fcm.send(&push_message()).await });
    }
    while let Some(result) = tasks.join_next().await {
        let result = result.unwrap();
        assert!(is_accepted(&result), "{result:?}");
    }
    assert_eq!(tokens.requests().len(), 2, "one token and one renewal");
    let sent_with_new_token =
        server.requests().iter().filter(|request| request.contains("Bearer t2\r\n")).count();
    assert_eq!(sent_with_new_token, 50);
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_misconfigured() {
    let (server, tokens) = (HttpStub::start(vec![unauthenticated()]).await, token_server().await);
    let result = fcm(&server, &tokens).send(&push_message()).await;
    assert_eq!((result.outcome.as_str(), result.code.as_deref()), ("misconfigured", Some("UNAUTHENTICATED")));
    assert_eq!((server.requests().len(), tokens.requests().len()), (2, 2));
}

#[tokio::test]
async fn all_waiting_calls_share_a_failed_renewal() {
    let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let tokens = HttpStub::start(vec![response(503, "", "")]).await;
    let fcm = fcm(&server, &tokens);
    let send = || async { fcm.send(&push_message()).await };
    // All calls wait for the token before the first renewal fails: nothing else runs in between.
    let results = tokio::join!(send(), send(), send(), send());
    for result in [results.0, results.1, results.2, results.3] {
        assert_eq!(result.outcome.as_str(), "unavailable", "{result:?}");
    }
    assert_eq!((tokens.requests().len(), server.requests().len()), (1, 0));
    send().await;
    assert_eq!(tokens.requests().len(), 2, "a later call renews again");
}

#[tokio::test]
async fn a_failed_renewal_is_never_unknown() {
    let short_limits = CallLimits {
        connect_timeout: Duration::from_millis(100),
        call_timeout: Duration::from_millis(300),
        ..conformance::sample_limits()
    };
    for (act, outcome) in [
        (
            response(400, "", r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#),
            "misconfigured",
        ),
        (response(401, "", r#"{"error":"invalid_client"}"#), "misconfigured"),
        (response(500, "", ""), "unavailable"),
        (response(200, "", "<html>"), "unavailable"),
        (response(429, "", ""), "throttled"),
        (StubAction::RespondAndStall(Vec::new()), "unavailable"),
        (StubAction::RespondAndClose(Vec::new()), "unavailable"),
    ] {
        let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
        let tokens = HttpStub::start(vec![act.clone()]).await;
        let fcm = fcm_with(&server, &tokens, "", clock(), &short_limits);
        let result = fcm.send(&push_message()).await;
        assert_eq!(result.outcome.as_str(), outcome, "{act:?}: {result:?}");
        assert_eq!(server.requests(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_token_is_renewed_early_and_used_while_the_token_server_fails() {
    let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let tokens = HttpStub::scripted(|count, _| match count {
        1 => token_response("t1", 3_600),
        2 | 3 => response(503, "", ""),
        _ => token_response("t2", 3_600),
    })
    .await;
    let clock = clock();
    let fcm = fcm_with(&server, &tokens, "", clock.clone(), &conformance::sample_limits());
    for (wait, renewals) in [(0, 1), (3_299, 1), (1, 2), (9, 2), (1, 3), (10, 4), (600, 4)] {
        clock.advance(Duration::from_secs(wait));
        let result = fcm.send(&push_message()).await;
        assert!(is_accepted(&result), "{result:?}");
        assert_eq!(tokens.requests().len(), renewals, "{wait} s later");
    }
    let last = server.requests().pop().unwrap();
    assert!(last.contains("Bearer t2\r\n"), "{last}");
}
