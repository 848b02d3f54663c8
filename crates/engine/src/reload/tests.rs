use super::*;
use crate::config::Environment;
use crate::testing::{GatewayBuilder, open_store};

/// A configuration with one key, one HTTP provider and one SMPP provider.
const STARTED: &str = r#"
[[keys]]
name = "shop"
key = "first-secret-0123456789"
scopes = ["send"]

[providers.red]
kind = "http"
url = "http://127.0.0.1:9/first"

[providers.blue]
kind = "smpp"
base_url = "smpp://127.0.0.1:9"
system_id = "postrider"
password = "first"
from = "30001"

[channels.sms]
providers = ["red", "blue"]
strategy = "failover"
"#;

fn config(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("console.toml");
    std::fs::write(&file, text).unwrap();
    Config::load(Some(&file), &Environment::default(), &[]).unwrap().0
}

/// Reloads with `STARTED` changed at one place, and returns the result.
fn reload_with(gateway: &Gateway, from: &str, to: &str) -> ReloadResult {
    assert!(STARTED.contains(from), "{from}");
    gateway.reload(&config(&STARTED.replace(from, to))).unwrap()
}

async fn started_gateway(folder: &tempfile::TempDir) -> Gateway {
    GatewayBuilder::new(config(STARTED)).wire(&open_store(folder.path())).await
}

fn sections(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn an_unchanged_configuration_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    let result = gateway.reload(&config(STARTED)).unwrap();
    assert_eq!(result, ReloadResult::default());
    assert_eq!(result.to_string(), "applied=none restart_needed=none");
}

#[tokio::test]
async fn keys_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    let before = gateway.api_key("shop").unwrap().sha256;
    let result = reload_with(&gateway, "first-secret", "second-secret");
    assert_eq!(result, ReloadResult { applied: sections(&["keys"]), ..Default::default() });
    assert_ne!(gateway.api_key("shop").unwrap().sha256, before);
}

#[tokio::test]
async fn the_last_key_is_removed_only_by_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    let without_keys = STARTED.split_once("[providers.red]").unwrap().1;
    let result = gateway.reload(&config(&format!("[providers.red]{without_keys}"))).unwrap();
    assert_eq!(result, ReloadResult { restart_needed: sections(&["keys"]), ..Default::default() });
    assert!(gateway.api_key("shop").is_some());
}

#[tokio::test]
async fn the_adapter_of_a_provider_with_new_settings_is_replaced_once() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    let port = |gateway: &Gateway| gateway.provider(&"red".parse().unwrap()).unwrap().adapter().endpoint().1;
    assert_eq!(port(&gateway), 9);
    let result = reload_with(&gateway, ":9/first", ":10/second");
    assert_eq!(result, ReloadResult { applied: sections(&["providers.red"]), ..Default::default() });
    assert_eq!(port(&gateway), 10);
    assert_eq!(reload_with(&gateway, ":9/first", ":10/second"), ReloadResult::default());
}

#[tokio::test]
async fn a_provider_with_a_connection_needs_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    let result = reload_with(&gateway, "password = \"first\"", "password = \"second\"");
    assert_eq!(result, ReloadResult { restart_needed: sections(&["providers.blue"]), ..Default::default() });
}

#[tokio::test]
async fn other_sections_need_a_restart_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    for (from, to, section) in [
        ("strategy = \"failover\"", "strategy = \"round_robin\"", "channels"),
        ("kind = \"http\"", "kind = \"http\"\nrate = 5", "providers"),
        ("[providers.red]", "[work]\nconcurrency = 8\n[providers.red]", "work"),
        ("\n[[keys]]", "region = \"DE\"\n[[keys]]", "region or numbers"),
    ] {
        let result = reload_with(&gateway, from, to);
        assert_eq!(result, ReloadResult { restart_needed: sections(&[section]), ..Default::default() });
    }
}

#[tokio::test]
async fn invalid_settings_of_one_provider_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = started_gateway(&folder).await;
    let invalid =
        STARTED.replace("first-secret", "second-secret").replace(":9/first\"", ":9/\"\nurll = \"\"");
    let error = gateway.reload(&config(&invalid)).unwrap_err().to_string();
    assert!(error.contains(" line 10: [providers.red] urll: unknown field"), "{error}");
    assert_eq!(gateway.api_key("shop").unwrap().sha256, config(STARTED).keys[0].sha256);
}
