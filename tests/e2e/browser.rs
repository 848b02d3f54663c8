//! The pages in a real browser: by keyboard, narrow and wide, light and dark, with and without scripts.
//!
//! Chromium is the system's, driver and checker are pinned in tests/peers. The steps are in `browser/walk.cjs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::{Console, World, until};

/// `open:all` as the configuration knows it.
const KEY: &str = "open:all";

const CONFIGURATION: &str = "
[[keys]]
name = \"boss\"
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

/// A gateway with messages in every state, and the id of one.
fn gateway() -> (World, Console, String) {
    let configuration = CONFIGURATION.replace("KEY", &sha256(KEY));
    let world = World::new(&configuration);
    let console = world.serve(&[]);
    let mut last = String::new();
    for (channel, count) in [("bad", 3), ("good", 30), ("sms", 2)] {
        for number in 0..count {
            let message = format!(
                "{{\"body\":\"hello {number}\",\"to\":\"0912222222{}\",\"channels\":[\"{channel}\"],\"user_id\":\"ann\"}}",
                number % 10
            );
            last = post(&world, &message);
        }
    }
    call(&world, "/v1/users", r#"[{"id":"ann"},{"id":"ben"}]"#, 201);
    let news = r#"{"body":"news <b>for</b> all","all":true,"channel":"good"}"#;
    call(&world, "/v1/broadcasts", news, 202);
    until("the broadcast is spread", || {
        world.count("SELECT count(*) FROM broadcasts WHERE spread = 0") == 0
    });
    until("everything has been tried", || {
        let untried = "SELECT count(*) FROM deliveries WHERE state = 'waiting' AND tries = 0";
        world.count(untried) == 0
    });
    world.say(&["sync:report"]);
    (world, console, last)
}

fn post(world: &World, message: &str) -> String {
    let answer = call(world, "/v1/messages", message, 201);
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn call(world: &World, path: &str, body: &str, status: u16) -> super::wire::Answer {
    let headers = ["Content-Type: application/json", "X-Api-Key: open:all"];
    let answer = super::wire::request(world.at, "POST", path, &headers, body).expect("an answer");
    assert_eq!(answer.status, status, "{answer:?}");
    answer
}

fn sha256(text: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", "printf %s \"$0\" | sha256sum", text])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

/// The first of these that is there.
fn found(places: &[PathBuf]) -> Option<&PathBuf> {
    places.iter().find(|place| place.exists())
}

fn walk(scenario: &str, world: &World, last: &str) {
    let peers = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
            PathBuf::from,
        )
        .join("peers");
    let node = peers.join("python/bin/node");
    let modules = peers.join("node_modules");
    for part in [&node, &modules.join("puppeteer-core"), &modules.join("axe-core")] {
        assert!(
            part.exists(),
            "{} is missing: run ./start.sh test",
            part.display()
        );
    }
    let browsers =
        ["chromium", "chromium-browser", "google-chrome"].map(|name| Path::new("/usr/bin").join(name));
    let browser =
        found(&browsers).expect("chromium is missing: run ./start.sh test, or apt-get install chromium");
    let steps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/browser/walk.cjs");
    let output = Command::new(node)
        .arg(steps)
        .args([scenario, &format!("http://{}", world.at), KEY, last])
        .env("NODE_PATH", modules)
        .env("CHROMIUM", browser)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{scenario}: {words}\n{}", world.log());
}

#[test]
fn every_page_is_accessible_at_every_width_in_light_and_dark() {
    let (world, _console, last) = gateway();
    walk("audit", &world, &last);
}

#[test]
fn what_failed_is_sent_again_without_a_mouse() {
    let (world, _console, last) = gateway();
    walk("keyboard", &world, &last);
    until("it has failed again", || {
        world.count("SELECT count(*) FROM attempts WHERE provider = 'red'") == 4
    });
}

#[test]
fn numbers_move_by_themselves_and_providers_rest_and_wake() {
    let (world, console, last) = gateway();
    walk("live", &world, &last);
    // An open stream of events does not hold up the end.
    assert!(console.stop().success());
}
