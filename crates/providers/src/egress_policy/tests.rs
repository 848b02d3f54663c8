use std::time::Duration;

use super::*;
use crate::testing::http_stub::{self, HttpStub};
use crate::webhook::{SigningSecrets, WebhookClient, WebhookRequest, WebhookResult};

fn policy(networks: &[&str]) -> EgressPolicy {
    EgressPolicy::parse(networks, &[443]).unwrap()
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

async fn post(policy: EgressPolicy, target: &str) -> WebhookResult {
    let client = WebhookClient::new(policy, Duration::from_secs(5), Duration::from_secs(20), None).unwrap();
    let webhook = WebhookRequest {
        url: &url(target),
        secrets: &SigningSecrets::default(),
        id: "msg_1",
        body: Vec::new(),
        now: postrider_core::clock::from_millis(0),
    };
    client.post(webhook).await
}

#[test]
fn private_addresses_are_refused_in_every_notation() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd12::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:db8::1]",
        "[2001::1]",
        "[3fff::1]",
        "[4000::1]",
        "[fec0::1]",
    ] {
        let refused = policy(&[]).check_url(&url(&format!("https://{host}/")));
        assert_eq!(refused, Err(FORBIDDEN_ADDRESS.to_owned()), "{host}");
    }
}

#[test]
fn public_addresses_are_called_over_https_on_the_allowed_port_only() {
    for host in
        ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "[64:ff9b::1.1.1.1]"]
    {
        let check = |text: String| policy(&[]).check_url(&url(&text));
        assert_eq!(check(format!("https://{host}/x")), Ok(()), "{host}");
        assert_eq!(check(format!("https://{host}:443/x")), Ok(()), "{host}");
        assert!(check(format!("https://{host}:8443/x")).is_err(), "{host}");
        assert!(check(format!("http://{host}/x")).is_err(), "{host}");
    }
    let check = |text: &str| policy(&[]).check_url(&url(text));
    assert_eq!(check("https://hooks.example/x"), Ok(()));
    for wrong in [
        "http://hooks.example/x",
        "https://hooks.example:22/x",
        "ftp://hooks.example/x",
        "https://anna:secret@hooks.example/x",
        "file:///etc/passwd",
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_allowed_network_is_called_over_any_scheme_and_port() {
    let policy = policy(&["10.0.0.0/8", "127.0.0.1", "fd00::/8"]);
    for (target, is_allowed) in [
        ("http://10.200.3.4:9000/", true),
        ("http://127.0.0.1:9000/", true),
        ("http://[::ffff:10.0.0.1]/", true),
        ("http://[fd00::7]/", true),
        ("http://127.0.0.2:9000/", false),
        ("https://192.168.0.1/", false),
        ("http://1.1.1.1/", false),
        ("https://1.1.1.1/", true),
    ] {
        assert_eq!(policy.check_url(&url(target)).is_ok(), is_allowed, "{target}");
    }
}

#[test]
fn an_invalid_network_is_refused() {
    for wrong in ["", "10.0.0.0/33", "10.0.0/8", "host", "::/129", "1.2.3.4/-1"] {
        assert!(EgressPolicy::parse(&[wrong], &[443]).is_err(), "{wrong}");
    }
    let every_address = policy(&["0.0.0.0/0", "::/0"]);
    for target in ["http://8.8.8.8/", "http://[::1]/"] {
        assert_eq!(every_address.check_url(&url(target)), Ok(()), "{target}");
    }
}

#[test]
fn every_non_public_network_is_parsed() {
    assert_eq!(PARSED_NON_PUBLIC_NETWORKS.len(), NON_PUBLIC_NETWORKS.split_whitespace().count());
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_refused_by_the_call() {
    let stub = HttpStub::start(vec![http_stub::response(200, "", "yes")]).await;
    let port = stub.address.port();
    let policy_of_port = EgressPolicy::parse(&[] as &[&str], &[port]).unwrap();
    let target = url(&format!("https://localhost:{port}/"));
    let resolver = PolicyResolver { policy: policy_of_port.clone(), allows_public: true };
    assert!(resolver.resolve("localhost".parse().unwrap()).await.is_err(), "whatever the name is");
    let refused = post(policy_of_port, target.as_str()).await;
    assert!(matches!(refused, WebhookResult::Forbidden(_)), "{refused:?}");
    let refused = post(policy(&["10.0.0.0/8"]), &format!("http://localhost:{port}/")).await;
    assert!(matches!(refused, WebhookResult::Forbidden(_)), "{refused:?}");
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn an_allowed_name_is_called() {
    let stub = HttpStub::start(vec![http_stub::response(204, "", "")]).await;
    let target = format!("http://localhost:{}/", stub.address.port());
    let result = post(policy(&["127.0.0.0/8", "::1"]), &target).await;
    assert!(matches!(result, WebhookResult::Response { .. }), "{result:?}");
}

#[tokio::test]
async fn a_redirect_is_a_response_and_is_not_followed() {
    for redirect in [301, 302, 303, 307, 308] {
        let stub = HttpStub::start(vec![http_stub::response(redirect, "Location: /elsewhere\r\n", "")]).await;
        let result = post(policy(&["127.0.0.1"]), &format!("http://{}/", stub.address)).await;
        let WebhookResult::Response { status, .. } = result else {
            panic!("{result:?}");
        };
        assert_eq!((status, stub.requests().len()), (redirect, 1));
    }
}

#[test]
fn names_of_this_machine_are_refused_unless_its_network_is_allowed() {
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "localhost..",
        "a.localhost",
        "localhost.localdomain",
        "ip6-localhost",
        "ip6-loopback",
        "%6cocalhost",
    ] {
        let Ok(target) = format!("https://{host}/hook").parse::<Url>() else {
            continue;
        };
        assert_eq!(policy(&[]).check_url(&target), Err(FORBIDDEN_ADDRESS.to_owned()), "{host}");
        assert_eq!(policy(&["10.0.0.0/8"]).check_url(&target), Err(FORBIDDEN_ADDRESS.to_owned()), "{host}");
        assert_eq!(policy(&["127.0.0.0/8"]).check_url(&target), Ok(()), "{host}");
        assert_eq!(policy(&["::1"]).check_url(&target), Ok(()), "{host}");
    }
    assert_eq!(policy(&[]).check_url(&url("https://localhost.example.org/")), Ok(()));
}
