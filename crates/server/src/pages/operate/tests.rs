//! The operator's pages through the real route table: who may come in, what forms must carry, what they do.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use sha2::{Digest, Sha256};

use super::live_updates;
use crate::tests::{TestResponse, TestServer};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::name::ConfigName;
use postrider_engine::config::{ApiKey, Config, Scope};

const FORM_URLENCODED: &str = "application/x-www-form-urlencoded";

fn add_keys(config: &mut Config) {
    let key = |name: &str, secret: &str, scope| ApiKey {
        name: name.to_owned(),
        sha256: Sha256::digest(secret).into(),
        scopes: vec![scope],
        user_per_hour: None,
        events: Default::default(),
    };
    config.keys = vec![
        key("eyes", "r3ad", Scope::Read),
        key("boss", "all", Scope::Admin),
        key("shop", "s3nd", Scope::Send),
    ];
}

async fn browse(world: &TestServer, path: &str, cookie: Option<&str>) -> TestResponse {
    let mut request = Request::get(path).header("accept", "text/html,*/*");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    world.request(request.body(Body::empty()).unwrap()).await
}

async fn send_form(world: &TestServer, path: &str, headers: &[(&str, &str)], form: &str) -> TestResponse {
    let mut request = Request::post(path).header("content-type", FORM_URLENCODED);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world
        .request(request.body(Body::from(form.to_owned())).unwrap())
        .await
}

/// Signs in; the cookie as the browser sends it back.
async fn sign_in(world: &TestServer, key: &str) -> String {
    let reply = send_form(world, "/sign-in", &[], &format!("key={key}&next=%2Foperate")).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("location")),
        (303, Some("/operate"))
    );
    let cookie = reply.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// The token in a page's forms.
fn form_token(page: &TestResponse) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"token\" value=\"").expect("a form");
    rest.split('"').next().unwrap().to_owned()
}

/// Accepts so many messages.
async fn accept_messages(world: &TestServer, count: usize) {
    for _ in 0..count {
        let reply = world.get("/sms/send?number=09122222222&body=hello").await;
        assert_eq!(reply.status, 200);
    }
}

async fn delivery_states(world: &TestServer) -> Vec<DeliveryStateKind> {
    let query = postrider_store::MessageQuery {
        limit: 100,
        ..postrider_store::MessageQuery::default()
    };
    let page = world.gateway.store.search(query).await.unwrap();
    let deliveries = page.messages.iter().flat_map(|message| &message.deliveries);
    deliveries.map(|delivery| delivery.state.kind()).collect()
}

#[tokio::test]
async fn a_browser_signs_in_once_and_out_again() {
    let world = TestServer::with(add_keys).await;
    for path in ["/operate", "/", "/operate/messages?q=state%3Afailed"] {
        let reply = browse(&world, path, None).await;
        assert_eq!(reply.status, 303, "{path}");
        assert!(reply.header("location").unwrap().starts_with("/sign-in?next=%2F"));
    }
    let wrong = send_form(&world, "/sign-in", &[], "key=wrong").await;
    assert_eq!((wrong.status.as_u16(), wrong.header("set-cookie")), (401, None));
    let cookie = sign_in(&world, "all").await;
    let page = browse(&world, "/operate", Some(&cookie)).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<strong>boss</strong>"));
    assert_eq!(browse(&world, "/", Some(&cookie)).await.status, 200);
    let forged = cookie.replace('.', ".A");
    assert_eq!(browse(&world, "/operate", Some(&forged)).await.status, 303);
    let out = send_form(&world, "/sign-out", &[], "").await;
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn operators_need_the_scope_admin() {
    let world = TestServer::with(add_keys).await;
    let cookie = sign_in(&world, "r3ad").await;
    assert_eq!(browse(&world, "/", Some(&cookie)).await.status, 200);
    for path in ["/operate", "/operate/messages", "/operate/events"] {
        assert_eq!(browse(&world, path, Some(&cookie)).await.status, 403, "{path}");
    }
    let send_only = send_form(&world, "/sign-in", &[], "key=s3nd").await;
    assert_eq!(send_only.status, 401, "a key that only sends opens no page");
    for path in [
        "/operate/confirm",
        "/operate/act",
        "/operate/providers/mock-red/rest",
    ] {
        assert_eq!(send_form(&world, path, &[], "").await.status, 401, "{path}");
        let reply = send_form(&world, path, &[("cookie", &cookie)], "").await;
        assert_eq!(reply.status, 403, "{path}");
    }
    // A cookie changes nothing on the faces of programs.
    let admin = sign_in(&world, "all").await;
    let request = Request::post("/v1/messages").header("cookie", &admin);
    let reply = world.request(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 401);
}

#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let world = TestServer::with(add_keys).await;
    let cookie = sign_in(&world, "all").await;
    let rest = "/operate/providers/mock-red/rest";
    let ours = format!(
        "token={}",
        form_token(&browse(&world, "/operate", Some(&cookie)).await)
    );
    for (headers, form) in [
        (vec![("cookie", cookie.as_str())], "token="),
        (vec![("cookie", &cookie)], "token=1.x"),
        (vec![("cookie", &cookie), ("sec-fetch-site", "cross-site")], &ours),
        (vec![("cookie", &cookie), ("sec-fetch-site", "same-site")], &ours),
        (
            vec![("cookie", &cookie), ("host", "a"), ("origin", "http://b")],
            &ours,
        ),
        (
            vec![("cookie", &cookie), ("host", "a"), ("origin", "null")],
            &ours,
        ),
    ] {
        let reply = send_form(&world, rest, &headers, form).await;
        assert_eq!(reply.status, 403, "{headers:?} {form}");
    }
    assert!(world.gateway.store.provider_controls().await.unwrap().is_empty());
    let headers = [
        ("cookie", cookie.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("host", "a"),
        ("origin", "http://a"),
    ];
    assert_eq!(send_form(&world, rest, &headers, &ours).await.status, 303);
    assert_eq!(world.gateway.store.provider_controls().await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_keys_a_foreign_name_opens_nothing() {
    let world = TestServer::new().await;
    let from = async |host: &str| {
        let request = Request::get("/operate").header("host", host);
        world
            .request(request.body(Body::empty()).unwrap())
            .await
            .status
            .as_u16()
    };
    for (host, status) in [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
    ] {
        assert_eq!(from(host).await, status, "{host}");
    }
}

#[tokio::test]
async fn a_provider_is_put_to_rest_and_woken() {
    let world = TestServer::new().await;
    let name: ConfigName = "mock-red".parse().unwrap();
    let form = format!("token={}", form_token(&world.get("/operate").await));
    let is_fit = || {
        world
            .gateway
            .provider(&name)
            .unwrap()
            .is_available(world.gateway.clock.now())
    };
    let rest = world
        .post("/operate/providers/mock-red/rest", FORM_URLENCODED, form.clone())
        .await;
    assert_eq!(rest.status, 303);
    assert!(!is_fit());
    let page = world.get(rest.header("location").unwrap()).await.text();
    assert!(
        page.contains("was put to rest") && page.contains("paused by an operator"),
        "{page}"
    );
    world
        .post("/operate/providers/mock-red/wake", FORM_URLENCODED, form.clone())
        .await;
    assert!(is_fit());
    let nobody = world
        .post("/operate/providers/nobody/rest", FORM_URLENCODED, form)
        .await;
    assert_eq!(nobody.status, 400);
}

#[tokio::test]
async fn what_is_selected_is_called_off_after_a_confirmation() {
    let world = TestServer::new().await;
    accept_messages(&world, 3).await;
    let list = world.get("/operate/messages?q=state%3Awaiting").await;
    let text = list.text();
    let ids: Vec<&str> = text
        .split("name=\"id\" value=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(ids.len(), 3, "{text}");
    let form = format!(
        "token={}&q=state%3Awaiting&id={}&id={}&act=cancel%3Aselected",
        form_token(&list),
        ids[0],
        ids[1]
    );
    let confirm = world.post("/operate/confirm", FORM_URLENCODED, form).await;
    assert!(confirm.text().contains("Call 2 off?"), "{}", confirm.text());
    assert_eq!(confirm.text().matches("<li>").count(), 2, "both are shown");
    assert_eq!(
        delivery_states(&world).await,
        [DeliveryStateKind::Waiting; 3],
        "nothing is done before"
    );
    let form = format!(
        "token={}&q=state%3Awaiting&ids={},{}&act=cancel",
        form_token(&confirm),
        ids[0],
        ids[1]
    );
    let done = world.post("/operate/act", FORM_URLENCODED, form).await;
    let page = world.get(done.header("location").unwrap()).await.text();
    assert!(page.contains("<strong>2</strong> were called off"), "{page}");
    let failed = delivery_states(&world)
        .await
        .into_iter()
        .filter(|one| *one == DeliveryStateKind::Failed);
    assert_eq!(failed.count(), 2);
    let form = format!(
        "token={}&q=&id={}&act=cancel%3Aselected",
        form_token(&list),
        ids[0]
    );
    let late = world.post("/operate/confirm", FORM_URLENCODED, form).await;
    assert!(
        late.header("location").unwrap().contains("done=nothing&"),
        "what has ended is not counted"
    );
}

#[tokio::test]
async fn all_that_are_found_are_changed_and_no_others() {
    let world = TestServer::new().await;
    accept_messages(&world, 30).await;
    world.get("/sms/send?number=09123333333&body=other").await;
    let list = world.get("/operate/messages?q=to%3A09122222222").await;
    let form = format!("token={}&q=to%3A09122222222&act=cancel%3Aall", form_token(&list));
    let confirm = world.post("/operate/confirm", FORM_URLENCODED, form).await;
    let text = confirm.text();
    assert!(text.contains("Call 30 off?"), "{text}");
    assert!(text.contains("Found for <bdi>to:09122222222</bdi>"), "{text}");
    let (_, rest) = text.split_once("name=\"ids\" value=\"").unwrap();
    let ids = rest.split('"').next().unwrap();
    let form = format!("token={}&q=&ids={ids}&act=cancel", form_token(&confirm));
    let done = world.post("/operate/act", FORM_URLENCODED, form).await;
    assert!(
        done.header("location")
            .unwrap()
            .ends_with("done=cancel&changed=30&of=30")
    );
    let waiting = delivery_states(&world)
        .await
        .into_iter()
        .filter(|one| *one == DeliveryStateKind::Waiting);
    assert_eq!(waiting.count(), 1);
}

#[tokio::test]
async fn a_search_that_cannot_be_read_never_passes_for_an_empty_one() {
    let world = TestServer::new().await;
    accept_messages(&world, 3).await;
    let list = world.get("/operate/messages?q=%25ZZ%").await;
    assert_eq!(list.status, 400);
    assert!(!list.text().contains("name=\"id\""), "{}", list.text());
    let token = form_token(&world.get("/operate").await);
    for form in [
        "act=cancel%3Aall",
        "q=%ZZ&act=cancel%3Aall",
        "q=state%3Alost&act=cancel%3Aall",
    ] {
        let form = format!("token={token}&{form}");
        assert_eq!(
            world.post("/operate/confirm", FORM_URLENCODED, form).await.status,
            400
        );
    }
}

#[tokio::test]
async fn no_more_watch_at_once_than_may_and_all_are_let_go_at_the_end() {
    let world = TestServer::new().await;
    let (stop, told) = tokio::sync::watch::channel(false);
    let (live, newest) = (Arc::default(), Arc::default());
    let watch = || live_updates::event_stream(&live, &world.gateway, &newest, told.clone());
    let watching: Vec<_> = (0..64).map(|_| watch()).collect();
    assert!(watching.iter().all(|one| one.status() == 200));
    assert_eq!(watch().status(), 503);
    stop.send(true).unwrap();
    for one in watching {
        let all = axum::body::to_bytes(one.into_body(), usize::MAX);
        let all = tokio::time::timeout(Duration::from_secs(30), all).await;
        let all = all.expect("it ends").unwrap();
        assert!(all.is_empty() || all.starts_with(b"data: {"), "{all:?}");
    }
}

#[tokio::test]
async fn a_search_that_cannot_be_read_says_what_can() {
    let world = TestServer::new().await;
    let reply = world.get("/operate/messages?q=colour%3Ared+state%3Alost").await;
    assert_eq!(reply.status, 400);
    for words in ["“colour:” is not known", "“lost” is no state"] {
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    let twice = world
        .get("/operate/messages?q=state%3Afailed+State%3Awaiting")
        .await;
    assert_eq!(twice.status, 400);
    assert!(
        twice.text().contains("“state:” stands there twice"),
        "{}",
        twice.text()
    );
    let nasty = world.get("/operate/messages?q=%3Cscript%3E").await.text();
    assert!(
        !nasty.contains("<script>") && nasty.contains("&#60;script&#62;"),
        "{nasty}"
    );
}

#[tokio::test]
async fn the_script_is_ours_alone() {
    let world = TestServer::new().await;
    let page = world.get("/operate").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(!page.text().contains(" style=") && !page.text().contains(" onclick="));
    let report = world.get("/").await;
    assert!(
        !report
            .header("content-security-policy")
            .unwrap()
            .contains("script-src")
    );
    let script = world.get("/operate.js").await;
    assert!(
        script
            .header("content-type")
            .unwrap()
            .starts_with("text/javascript")
    );
}
