//! The pages in a real browser: with the keyboard, narrow and wide, light and dark, with and without scripts.
//!
//! Chromium comes from the system; its driver puppeteer-core and the checker axe-core are pinned in tests/peers. The
//! steps are in `browser/walk.cjs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::peer_programs::peers_folder;
use super::test_gateway::{ConsoleProcess, TestGateway, wait_until};

/// The admin key; the configuration contains its SHA-256.
const ADMIN_KEY: &str = "open:all";

const CONFIG: &str = "
[[keys]]
name = \"admin\"
sha256 = \"KEY\"
scopes = [\"admin\"]

[providers.red]
kind = \"mock\"
rejected = 1.0

[providers.blue]
kind = \"mock\"
rate = 20.0
receipts = \"delivered\"

[providers.slow]
kind = \"mock\"
deferred = 1.0

[channels.sms]
providers = [\"slow\"]

[channels.bad]
providers = [\"red\"]

[channels.good]
providers = [\"blue\"]
";

/// Starts a gateway with messages in every state and returns the id of the last message.
fn gateway_with_messages() -> (TestGateway, ConsoleProcess, String) {
    let configuration = CONFIG.replace("KEY", &sha256(ADMIN_KEY));
    let gateway = TestGateway::new(&configuration);
    let console = gateway.start_serve(&[]);
    let mut last = String::new();
    for (channel, count) in [("bad", 3), ("good", 30), ("sms", 2)] {
        for number in 0..count {
            let message = format!(
                "{{\"body\":\"hello {number}\",\"to\":\"0912222222{}\",\"channels\":[\"{channel}\"],\"user_id\":\"ann\"}}",
                number % 10
            );
            last = submit_message(&gateway, &message);
        }
    }
    post_json(&gateway, "/v1/users", r#"[{"id":"ann"},{"id":"ben"}]"#, 201);
    let broadcast = r#"{"body":"news <b>for</b> all","all":true,"channel":"good"}"#;
    post_json(&gateway, "/v1/broadcasts", broadcast, 202);
    wait_until("the broadcast is fanned out", || {
        gateway.query_number("SELECT count(*) FROM broadcasts WHERE is_fanned_out = 0") == 0
    });
    wait_until("every delivery has been tried", || {
        let untried = "SELECT count(*) FROM deliveries WHERE state = 'waiting' AND tries = 0";
        gateway.query_number(untried) == 0
    });
    gateway.run_ok(&["sync:report"]);
    (gateway, console, last)
}

fn submit_message(gateway: &TestGateway, message: &str) -> String {
    let response = post_json(gateway, "/v1/messages", message, 201);
    response.json()["id"].as_str().expect("an id").to_owned()
}

fn post_json(gateway: &TestGateway, path: &str, body: &str, status: u16) -> super::raw_http::RawResponse {
    let headers = ["Content-Type: application/json", "X-Api-Key: open:all"];
    let response =
        super::raw_http::send_request(gateway.address, "POST", path, &headers, body).expect("a response");
    assert_eq!(response.status, status, "{response:?}");
    response
}

fn sha256(text: &str) -> String {
    let output = Command::new("sh").args(["-c", "printf %s \"$0\" | sha256sum", text]).output().unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

/// Returns the first of these paths that exists.
fn first_existing(paths: &[PathBuf]) -> Option<&PathBuf> {
    paths.iter().find(|path| path.exists())
}

fn run_scenario(scenario: &str, gateway: &TestGateway, last: &str) {
    let peers = peers_folder();
    let node = peers.join("python/bin/node");
    let modules = peers.join("node_modules");
    for part in [&node, &modules.join("puppeteer-core"), &modules.join("axe-core")] {
        assert!(part.exists(), "{} is missing: run ./start.sh test", part.display());
    }
    let browsers =
        ["chromium", "chromium-browser", "google-chrome"].map(|name| Path::new("/usr/bin").join(name));
    let browser = first_existing(&browsers)
        .expect("chromium is missing: run ./start.sh test, or apt-get install chromium");
    let steps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/browser/walk.cjs");
    let output = Command::new(node)
        .arg(steps)
        .args([scenario, &format!("http://{}", gateway.address), ADMIN_KEY, last])
        .env("NODE_PATH", modules)
        .env("CHROMIUM", browser)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{scenario}: {stderr}\n{}", gateway.log());
}

#[test]
fn every_page_is_accessible_at_every_width_in_light_and_dark() {
    let (gateway, _console, last) = gateway_with_messages();
    run_scenario("audit", &gateway, &last);
}

#[test]
fn a_failed_message_is_resent_with_the_keyboard_alone() {
    let (gateway, _console, last) = gateway_with_messages();
    run_scenario("keyboard", &gateway, &last);
    wait_until("the message has failed again", || {
        gateway.query_number("SELECT count(*) FROM attempts WHERE provider = 'red'") == 4
    });
}

#[test]
fn numbers_update_live_and_providers_are_paused_and_resumed() {
    let (gateway, console, last) = gateway_with_messages();
    run_scenario("live", &gateway, &last);
    // An open event stream does not delay the shutdown.
    assert!(console.terminate().success());
}
