//! Checks around the routes: `Host`, wrong keys, sessions, headers of private answers, and what the log says.

use axum::body::Body;
use axum::http::Request;

use super::connection::ListeningServer;
use super::{TestServer, api_key};
use postrider_engine::config::{
    Account, ApiKey, CompatConfig, Config, PasswordDigest, Scope, TwilioLogin, UserLogin, VonageLogin,
};
use sha2::{Digest, Sha256};

fn with_keys(config: &mut Config) {
    config.keys = vec![api_key("shop", "s3nd", Scope::Send), api_key("admin", "all", Scope::Admin)];
}

/// Sends one request over a new connection and returns the response.
async fn request(listening: &ListeningServer, head: &str) -> String {
    listening.send_raw(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await
}

async fn get_with_key(listening: &ListeningServer, path: &str, key: &str) -> String {
    request(listening, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}")).await
}

#[track_caller]
fn assert_status(response: &str, status: u16) {
    assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
}

#[tokio::test]
async fn a_request_needs_exactly_one_host_header() {
    let listening = ListeningServer::new().await;
    for (head, status) in [
        ("GET /healthz HTTP/1.1\r\nhost: localhost", 200),
        ("GET /healthz HTTP/1.1", 400),
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example", 400),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nhost: localhost", 400),
        ("GET /sms/send?number=09122222222&body=hi HTTP/1.1", 400),
    ] {
        assert_status(&request(&listening, head).await, status);
    }
    let old = request(&listening, "GET /healthz HTTP/1.0").await;
    assert!(old.starts_with("HTTP/1.0 200") || old.starts_with("HTTP/1.1 200"), "{old}");
    assert_eq!(listening.server.message_count().await, 0);
}

#[tokio::test]
async fn every_answer_is_kept_out_of_caches_and_has_a_fixed_type() {
    let listening = ListeningServer::with(with_keys).await;
    for path in [
        "/v1/messages",
        "/v1/providers",
        "/v1/usage/totals",
        "/v1/nowhere",
        "/",
        "/usage",
        "/operate",
        "/sign-in",
        "/nowhere",
        "/metrics",
        "/readyz",
        "/healthz",
        "/api.json",
        "/sms/send",
        "/v1/receipts/mock-red",
    ] {
        let response = get_with_key(&listening, path, "all").await;
        assert!(response.contains("\r\nx-content-type-options: nosniff\r\n"), "{path}: {response}");
        assert!(response.contains("\r\ncache-control: "), "{path}: {response}");
        if path != "/api.json" {
            assert!(response.contains("\r\ncache-control: no-store\r\n"), "{path}: {response}");
        }
    }
}

#[tokio::test]
async fn wrong_keys_are_counted_and_an_address_that_guesses_has_to_wait() {
    let listening = ListeningServer::with(with_keys).await;
    assert_status(&get_with_key(&listening, "/v1/messages", "wrong").await, 401);
    assert_status(&get_with_key(&listening, "/v1/messages", "all").await, 200);
    for _ in 0..19 {
        assert_status(&get_with_key(&listening, "/v1/messages", "wrong").await, 401);
    }
    let mut refused = String::new();
    for number in 0..30 {
        refused = get_with_key(&listening, "/v1/messages", &format!("guess-{number}")).await;
    }
    assert_status(&refused, 429);
    assert!(refused.contains("retry-after: 1"), "{refused}");
    let sign_in = "POST /sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0";
    assert_status(&request(&listening, sign_in).await, 429);
    // A key of this address that was right before, requests without a key, and other clients of a proxy.
    assert_status(&get_with_key(&listening, "/v1/messages", "all").await, 200);
    assert_status(&request(&listening, "GET /readyz HTTP/1.1\r\nhost: localhost").await, 200);
    let other =
        "GET /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 192.0.2.9\r\nx-api-key: all";
    assert_status(&request(&listening, other).await, 200);
    let metrics = get_with_key(&listening, "/metrics", "all").await;
    for line in ["reason=\"unknown_key\"} 2", "reason=\"too_many_wrong_keys\"} "] {
        assert!(metrics.contains(&format!("postrider_denied_total{{{line}")), "{metrics}");
    }
}

#[tokio::test]
async fn an_address_that_guesses_passwords_of_an_account_has_to_wait() {
    let listening = ListeningServer::with(|config| {
        config.compat = CompatConfig { kannel: true, jasmin: true, ..CompatConfig::default() };
        let password = PasswordDigest(Sha256::digest("p").into());
        let login = UserLogin { user: "u".to_owned(), password };
        let key = api_key("shop", "s3nd", Scope::Send);
        config.keys = vec![ApiKey { account: Account { user: Some(login), ..Account::default() }, ..key }];
    })
    .await;
    let balance = async |password: &str| {
        let head = format!("GET /balance?username=u&password={password} HTTP/1.1\r\nhost: localhost");
        request(&listening, &head).await
    };
    assert_status(&balance("wrong").await, 403);
    assert_status(&balance("p").await, 200);
    let mut refused = String::new();
    for number in 0..50 {
        refused = balance(&format!("guess-{number}")).await;
    }
    assert_status(&refused, 429);
    let sendsms = "/cgi-bin/sendsms?user=u&pass=x&to=1 HTTP/1.1\r\nhost: localhost";
    assert_status(&request(&listening, &format!("GET {sendsms}")).await, 429);
    assert_status(&request(&listening, &format!("POST {sendsms}\r\ncontent-length: 0")).await, 429);
    // A password of this address that was right before.
    assert_status(&balance("p").await, 200);
}

/// Returns a listener of all compatible APIs with one account, of which this address has guessed the password too often.
async fn listener_after_guesses() -> ListeningServer {
    let listening = ListeningServer::with(|config| {
        config.compat = CompatConfig { kannel: true, jasmin: true, twilio: true, vonage: true };
        let password = PasswordDigest(Sha256::digest("p").into());
        let account = Account {
            user: Some(UserLogin { user: "u".to_owned(), password }),
            twilio: Some(TwilioLogin { sid: "ACu".to_owned(), token: "t".to_owned() }),
            vonage: Some(VonageLogin { key: "v".to_owned(), secret: "p".to_owned() }),
            ..Account::default()
        };
        config.keys = vec![ApiKey { account, ..api_key("shop", "s3nd", Scope::Admin) }];
    })
    .await;
    let guess = "GET /balance?username=u&password=x HTTP/1.1\r\nhost: localhost";
    assert_status(&request(&listening, guess).await, 403);
    listening
}

async fn guess_often(listening: &ListeningServer) {
    for number in 0..50 {
        let head = format!("GET /balance?username=u&password=x{number} HTTP/1.1\r\nhost: localhost");
        request(listening, &head).await;
    }
}

#[tokio::test]
async fn no_other_key_of_a_request_exempts_guesses_of_an_account() {
    let listening = listener_after_guesses().await;
    // Right keys, and a body that Vonage answers with 200 before it knows the sender.
    assert_status(&get_with_key(&listening, "/v1/messages", "s3nd").await, 200);
    let balance = "GET /balance?username=u&password=p HTTP/1.1\r\nhost: localhost";
    assert_status(&request(&listening, balance).await, 200);
    let broken = "POST /sms/json HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                  x-api-key: x\r\ncontent-length: 0";
    assert_status(&request(&listening, broken).await, 200);
    guess_often(&listening).await;
    for guess in [
        "GET /balance?username=u&password=y HTTP/1.1\r\nhost: localhost\r\nx-api-key: s3nd",
        "GET /balance?username=u&password=y HTTP/1.1\r\nhost: localhost\r\nx-api-key: x",
        "GET /sms/json?username=u&password=p&api_key=v&api_secret=y HTTP/1.1\r\nhost: localhost",
        "POST /cgi-bin/sendsms?user=u&pass=p HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0",
    ] {
        assert_status(&request(&listening, guess).await, 429);
    }
}

#[tokio::test]
async fn a_credential_of_each_api_that_was_right_before_is_still_taken() {
    let listening = listener_after_guesses().await;
    let requests = [
        "GET /2010-04-01/Accounts/ACu/Balance.json HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic QUN1OnQ=",
        "GET /account/get-balance HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic djpw",
        "GET /account/get-balance?api_key=v&api_secret=p HTTP/1.1\r\nhost: localhost",
        "GET /secure/balance HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic dTpw",
        "GET /balance?username=u&password=p HTTP/1.1\r\nhost: localhost",
    ];
    for head in requests {
        assert_status(&request(&listening, head).await, 200);
    }
    guess_often(&listening).await;
    for head in requests {
        assert_status(&request(&listening, head).await, 200);
    }
}

#[tokio::test]
async fn denied_requests_are_counted_by_reason() {
    let listening = ListeningServer::with(with_keys).await;
    for (head, status) in [
        ("GET /v1/messages HTTP/1.1\r\nhost: localhost", 401),
        ("GET /sms/send HTTP/1.1\r\nhost: localhost\r\nx-api-key: wrong", 401),
        ("POST /messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: wrong\r\ncontent-length: 0", 401),
        ("GET /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: s3nd", 403),
        ("GET /operate HTTP/1.1\r\nhost: localhost\r\nx-api-key: s3nd", 403),
        ("POST /v1/receipts/mock-red HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0", 403),
        ("POST /messages/delivery_status?token=x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0", 401),
    ] {
        assert_status(&request(&listening, head).await, status);
    }
    let metrics = get_with_key(&listening, "/metrics", "all").await;
    for (reason, count) in [
        ("missing_key", 1),
        ("unknown_key", 2),
        ("insufficient_scope", 2),
        ("callback_unauthenticated", 2),
        ("callback_unverified", 0),
        ("cross_site", 0),
    ] {
        let line = format!("postrider_denied_total{{reason=\"{reason}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}

#[tokio::test]
async fn a_caller_cannot_find_out_which_providers_exist() {
    let server = TestServer::with_texting_callbacks(|_| {}).await;
    let request = |name: &str| {
        let request = Request::post(format!("/v1/receipts/{name}")).body(Body::empty()).unwrap();
        server.request(request)
    };
    let existing = request("mock-red").await;
    for name in ["nowhere", "mock-green", "no%20name"] {
        let unknown = request(name).await;
        assert_eq!((unknown.status, unknown.text()), (existing.status, existing.text()), "{name}");
    }
    assert_eq!(existing.status, 404);
}

/// Signs in and returns the cookie.
async fn sign_in(listening: &ListeningServer) -> String {
    let head =
        "POST /sign-in HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 7\r\n\r\nkey=all";
    let response = listening.send_raw(head.as_bytes()).await;
    assert_status(&response, 303);
    let (_, cookie) = response.split_once("set-cookie: ").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn get_with_cookie(listening: &ListeningServer, path: &str, cookie: &str) -> String {
    request(listening, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}")).await
}

#[tokio::test]
async fn signing_out_ends_the_sessions_of_the_key_in_every_browser_and_process() {
    let listening = ListeningServer::with(with_keys).await;
    let (cookie, copied_cookie) = (sign_in(&listening).await, sign_in(&listening).await);
    for path in ["/operate", "/v1/messages", "/"] {
        assert_status(&get_with_cookie(&listening, path, &copied_cookie).await, 200);
    }
    let sign_out =
        format!("POST /sign-out HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncookie: {cookie}");
    assert_status(&request(&listening, &sign_out).await, 303);
    for old_cookie in [&cookie, &copied_cookie] {
        for path in ["/operate", "/v1/messages", "/"] {
            assert_status(&get_with_cookie(&listening, path, old_cookie).await, 401);
        }
    }
    assert_status(&get_with_cookie(&listening, "/operate", &sign_in(&listening).await).await, 200);
    // A process that shares only the store.
    let gateway = &listening.server.gateway;
    assert_eq!(gateway.store.session_generation("admin").await.unwrap(), 1);
}

#[tokio::test]
async fn a_changed_generation_makes_a_cookie_invalid() {
    let listening = ListeningServer::with(with_keys).await;
    let cookie = sign_in(&listening).await;
    listening.server.gateway.store.end_sessions("admin").await.unwrap();
    let forged = cookie.replacen(".0.", ".1.", 1);
    assert_ne!(forged, cookie);
    assert_status(&get_with_cookie(&listening, "/operate", &forged).await, 401);
}

#[tokio::test]
async fn the_cookie_belongs_to_this_host_alone_over_https() {
    let server = TestServer::with(|config| {
        with_keys(config);
        config.public_url = "https://gw.example.org".to_owned();
    })
    .await;
    let response = server.post("/sign-in", "application/x-www-form-urlencoded", "key=all").await;
    let cookie = response.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-postrider_session=") && cookie.contains("; Secure"), "{cookie}");
    let (name_and_value, _) = cookie.split_once(';').unwrap();
    let page = Request::get("/operate").header("cookie", name_and_value).body(Body::empty()).unwrap();
    assert_eq!(server.request(page).await.status, 200);
}

#[tokio::test]
async fn responses_name_their_route_for_the_log_and_no_path() {
    use tower::ServiceExt as _;
    let server = TestServer::new().await;
    let router = crate::routes::routes(&server.gateway, &tokio::sync::watch::channel(false).1);
    for (path, route) in [
        ("/v1/recipients/sms/09122222222", Some("/v1/recipients/{channel}/{*address}")),
        ("/v1/users/ana", Some("/v1/users/{id}")),
        ("/messages/01-2", Some("/messages/{id}")),
        ("/v1/recipient/09122222222", Some("/v1/{*rest}")),
        ("/09122222222", None),
        ("/healthz", Some("/healthz")),
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let matched = response.extensions().get::<axum::extract::MatchedPath>();
        assert_eq!(matched.map(axum::extract::MatchedPath::as_str), route, "{path}");
    }
}

#[tokio::test]
async fn a_response_lists_at_most_twenty_violations() {
    let server = TestServer::new().await;
    let fields = (0..5_000).map(|number| format!("\"f{number}\":1")).collect::<Vec<_>>().join(",");
    let users = (0..1_000).map(|_| r#"{"x":1,"y":2}"#).collect::<Vec<_>>().join(",");
    let query = (0..2_000).map(|number| format!("f{number}=1")).collect::<Vec<_>>().join("&");
    let responses = [
        server.post("/v1/messages", "application/json", format!("{{{fields}}}")).await,
        server.post("/v1/users", "application/json", format!("[{users}]")).await,
        server.get(&format!("/v1/messages?{query}")).await,
        server.get(&format!("/v1/usage?{query}")).await,
    ];
    for response in responses {
        let violations = response.json()["violations"].as_array().unwrap().clone();
        assert_eq!(violations.len(), 20);
        assert!(violations[19]["detail"].as_str().unwrap().ends_with("more violations are not listed"));
        assert!(response.body.len() < 20_000, "{} bytes", response.body.len());
    }
    let page = server.get(&format!("/usage?{query}")).await;
    assert!(page.body.len() < 20_000, "{} bytes", page.body.len());
}

#[tokio::test]
async fn a_key_and_its_sessions_are_used_from_its_networks_only() {
    let listening = ListeningServer::with(|config| {
        with_keys(config);
        config.keys[1].account.networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let cookie = sign_in(&listening).await;
    let get = |headers: String| format!("GET /operate HTTP/1.1\r\nhost: localhost\r\n{headers}");
    for credentials in ["x-api-key: all".to_owned(), format!("cookie: {cookie}")] {
        assert_status(&request(&listening, &get(credentials.clone())).await, 200);
        let elsewhere = get(format!("{credentials}\r\nx-forwarded-for: 192.0.2.1"));
        assert_status(&request(&listening, &elsewhere).await, 403);
    }
    let sign_in_elsewhere = "POST /sign-in HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                             x-forwarded-for: 192.0.2.1\r\ncontent-length: 7\r\n\r\nkey=all";
    assert_status(&listening.send_raw(sign_in_elsewhere.as_bytes()).await, 401);
}
