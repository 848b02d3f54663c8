//! Tests of the compatible APIs through the route table: each answer of the references, and that the message is on disk.

mod callbacks;
mod jasmin;
mod kannel;
mod twilio;
mod vonage;

use axum::body::Body;
use axum::http::Request;
use sha2::{Digest, Sha256};

use crate::auth::AuthError;
use crate::auth::account::authorize_account;
use crate::peer::ClientAddress;
use crate::tests::{TestResponse, TestServer, api_key};
use postrider_core::address::AddressKind;
use postrider_core::channel::Addressing;
use postrider_core::message::Message;
use postrider_engine::accounts::Credential;
use postrider_engine::config::{
    Account, ApiKey, CompatConfig, Config, PasswordDigest, Scope, TwilioLogin, UserLogin, VonageLogin,
};

/// Account SID of the tests.
const TWILIO_SID: &str = "AC0123456789abcdef0123456789abcdef";
use postrider_providers::EgressPolicy;

/// Returns the account of user `u` with the password `p`.
fn account(scope: Scope) -> ApiKey {
    let login = UserLogin { user: "u".to_owned(), password: PasswordDigest(Sha256::digest("p").into()) };
    let account = Account {
        user: Some(login),
        twilio: Some(TwilioLogin { sid: TWILIO_SID.to_owned(), token: "token".to_owned() }),
        vonage: Some(VonageLogin { key: "vkey".to_owned(), secret: "vsecret".to_owned() }),
        ..Account::default()
    };
    ApiKey { account, ..api_key("shop", "secret-of-the-shop", scope) }
}

/// Returns a server of both APIs with the account; its channels take phone numbers.
async fn server_with(change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::with(|config| {
        config.compat = CompatConfig { kannel: true, jasmin: true, twilio: true, vonage: true };
        config.keys = vec![account(Scope::Send)];
        config.events.egress_policy = EgressPolicy::parse(&["127.0.0.1"], &[443]).unwrap();
        for channel in &mut config.channels {
            channel.addressing = Addressing::Only(AddressKind::Phone);
        }
        change(config);
    })
    .await
}

/// Sends a request from 192.0.2.1.
async fn send(server: &TestServer, mut request: Request<Body>) -> TestResponse {
    request.extensions_mut().insert(ClientAddress([192, 0, 2, 1].into()));
    server.request(request).await
}

async fn get(server: &TestServer, path: &str) -> TestResponse {
    send(server, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post(server: &TestServer, path: &str, content_type: &str, body: impl Into<Body>) -> TestResponse {
    send(server, Request::post(path).header("content-type", content_type).body(body.into()).unwrap()).await
}

async fn stored(server: &TestServer, id: &str) -> Message {
    server.gateway.store.find_message(id.parse().unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_apis_are_off_by_default() {
    let server = TestServer::new().await;
    for path in [
        "/cgi-bin/sendsms?to=1",
        "/send?to=1",
        "/rate",
        "/balance",
        "/ping",
        "/secure/balance",
        "/sms/json",
        "/2010-04-01/Accounts/AC1.json",
    ] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_account_is_used_from_its_networks_only() {
    let server = server_with(|config| {
        config.keys[0].account.networks = vec!["198.51.100.0/24".parse().unwrap()];
    })
    .await;
    let kannel = get(&server, "/cgi-bin/sendsms?user=u&pass=p&to=09122222222&text=hi").await;
    kannel.assert_response(403, "Authorization failed for sendsms");
    let jasmin = get(&server, "/send?username=u&password=p&to=09122222222&content=hi").await;
    jasmin.assert_response(403, "Error \"Authentication failure for username:u\"");
    assert_eq!(server.message_count().await, 0);
}

#[tokio::test]
async fn an_address_outside_the_networks_does_not_learn_whether_a_password_is_right() {
    let server = server_with(|config| {
        config.keys[0].account.networks = vec!["198.51.100.0/24".parse().unwrap()];
    })
    .await;
    let error_from = |client: [u8; 4], user: &'static str, password: &'static str| {
        let credential = Credential::Password { user, password };
        authorize_account(&server.gateway, credential, client.into(), Scope::Send).err()
    };
    let (inside, outside) = ([198, 51, 100, 7], [192, 0, 2, 1]);
    assert_eq!(error_from(outside, "u", "p"), Some(AuthError::NetworkNotAllowed));
    assert_eq!(error_from(outside, "u", "wrong"), Some(AuthError::NetworkNotAllowed));
    assert_eq!(error_from(outside, "unknown", "p"), Some(AuthError::UnknownKey));
    assert_eq!(error_from(inside, "u", "wrong"), Some(AuthError::UnknownKey));
    assert_eq!(error_from(inside, "u", "p"), None);
}

#[tokio::test]
async fn what_an_account_without_an_api_key_accepted_belongs_to_it() {
    let server = server_with(|config| {
        config.keys = vec![
            ApiKey { sha256: None, is_shared: false, ..account(Scope::Send) },
            api_key("bank", "secret-of-the-bank", Scope::Read),
            api_key("operator", "secret-of-the-operator", Scope::Admin),
        ];
    })
    .await;
    let sent = get(&server, "/send?username=u&password=p&to=09122222222&content=hi").await.text();
    let id = sent.trim_start_matches("Success \"").trim_end_matches('"');
    assert_eq!(stored(&server, id).await.owner, "shop");
    for (key, status) in [("secret-of-the-bank", 404), ("secret-of-the-operator", 200)] {
        let request = Request::get(format!("/v1/messages/{id}")).header("x-api-key", key);
        assert_eq!(server.request(request.body(Body::empty()).unwrap()).await.status, status, "{key}");
    }
}
