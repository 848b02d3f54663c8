//! The README walked by its words alone: its blocks are typed into a shell, line by line, as a newcomer would.
//!
//! Only places are exchanged, because a test has no hosts of those names: addresses, ports, and the URLs of the
//! servers it starts itself. A command that runs until it is stopped is a process of its own.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::databases::database;
use super::peers::Peer;
use super::simulation::is_as_expected;
use super::wire;
use super::world::{Console, World, free_address, until};

const README: &str = include_str!("../../README.md");

/// The text of a section of the README, from its heading to the next one.
fn section(heading: &str) -> &'static str {
    let (_, rest) = README
        .split_once(&format!("## {heading}\n"))
        .expect("the README has the section");
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The fenced blocks of one language, whatever their indentation.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        match &mut open {
            None if line == format!("```{language}") => open = Some(String::new()),
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some(block) => *block += &format!("{line}\n"),
            None => {}
        }
    }
    blocks
}

/// The commands of a block; a backslash at a line's end joins it with the next, a comment is none.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let command = |line: &str| line.split(" # ").next().unwrap_or_default().trim().to_owned();
    joined
        .lines()
        .map(command)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A shell in the world's folder that finds the program under the names the README gives it.
struct Walker {
    world: World,
    places: Vec<(String, String)>,
    running: Vec<Console>,
}

impl Walker {
    fn new(world: World, places: Vec<(String, String)>) -> Self {
        let folder = world.folder.path().join("target/release");
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_console"), folder.join("console")).unwrap();
        Self {
            world,
            places,
            running: Vec::new(),
        }
    }

    fn here(&self, text: &str) -> String {
        let swap = |text: String, (from, to): &(String, String)| text.replace(from, to);
        self.places.iter().fold(text.to_owned(), swap)
    }

    /// Types a command. What it printed, if it ends by itself; it must end well.
    fn type_in(&mut self, command: &str) -> String {
        let line = self.here(command);
        let program = self.world.folder.path().join("target/release");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut typed = Command::new("sh");
        typed.env("PATH", path).stdin(Stdio::null());
        typed.current_dir(self.world.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
            typed.env_remove(name);
        }
        if ["console serve", "console work", "console sandbox"]
            .iter()
            .any(|start| line.starts_with(start))
        {
            typed.args(["-c", &format!("exec {line}")]).stdout(Stdio::null());
            self.running.push(Console::of(typed.spawn().expect("a shell")));
            return String::new();
        }
        let output = typed.args(["-c", &line]).output().expect("a shell");
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        // How long a simulation takes is the machine's affair.
        let is_good =
            output.status.success() || line.starts_with("console simulate") && is_as_expected(&output);
        assert!(is_good, "{line}: {words} {errors}");
        words
    }
    /// Types a block, line by line; after the nth command that goes on it waits until somebody listens at the nth address.
    fn type_all(&mut self, block: &str, listening: &[SocketAddr]) -> Vec<String> {
        let mut listening = listening.iter();
        let mut printed = Vec::new();
        for command in commands(block) {
            let running = self.running.len();
            printed.push(self.type_in(&command));
            if running < self.running.len()
                && let Some(at) = listening.next()
            {
                until("somebody listens", || wire::get(*at, "/").is_some());
            }
        }
        printed
    }
}

fn is_ready(at: SocketAddr) -> bool {
    wire::get(at, "/readyz").is_some_and(|answer| answer.status == 200)
}

/// The JSON that `curl` printed.
fn json(printed: &str) -> serde_json::Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

#[test]
fn from_nothing_to_a_sent_message() {
    let world = World::new("");
    let at = world.at;
    let _console = world.serve(&[]);
    let mut walker = Walker::new(world, vec![("127.0.0.1:8080".into(), at.to_string())]);
    let text = section("From nothing to a sent message");
    assert!(wire::get(at, "/").is_some_and(|page| page.status == 200));
    let typed: Vec<String> = blocks(text, "sh")
        .iter()
        .flat_map(|block| commands(block))
        .collect();
    let mut printed = Vec::new();
    for command in typed.iter().filter(|command| !command.starts_with("./start.sh")) {
        printed.push(walker.type_in(command));
    }
    assert_eq!(printed.len(), 3, "{typed:?}");
    let answer = json(&printed[0]);
    let promised = json(&blocks(text, "json")[0].replace('…', ""));
    let keys = |answer: &serde_json::Value| {
        let fields = answer["Data"][0].as_object().expect("one message");
        fields.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&answer), keys(&promised));
    let id = answer["Data"][0]["id"].as_str().unwrap();
    walker.world.until_state(id, &["sent", "delivered"]);
    assert!(wire::get(at, &format!("/messages/{id}")).is_some_and(|page| page.body.contains("accepted")));
}

#[test]
fn the_five_minute_tour() {
    let (serve, second, sandbox) = (free_address(), free_address(), free_address());
    let places = [
        ("127.0.0.1:8080", serve),
        ("127.0.0.1:8081", second),
        ("127.0.0.1:8090", sandbox),
    ];
    let places = places
        .map(|(from, to)| (from.to_owned(), to.to_string()))
        .to_vec();
    let mut walker = Walker::new(World::new(""), places);
    let folder = walker.world.folder.path().to_owned();
    std::fs::write(folder.join("console.toml"), format!("listen = \"{serve}\"\n")).unwrap();
    let blocks = blocks(section("The five-minute tour"), "sh");
    let [simulations, parts, gateway, faults] = &blocks[..] else {
        panic!("{blocks:?}");
    };

    let simulated = walker.type_all(simulations, &[]);
    assert!(
        simulated.iter().all(|table| table.contains("theory")),
        "{simulated:?}"
    );
    assert_eq!(simulated[1].matches("received_ratio").count(), 5, "{simulated:?}");
    let watched = walker.type_all(parts, &[]).pop().unwrap();
    assert_eq!(
        watched.matches("Average time per message: ").count(),
        3,
        "{watched}"
    );

    let seen = walker.type_all(gateway, &[serve]);
    assert!(wire::get(serve, "/operate").is_some_and(|page| page.status == 200));
    assert!(wire::get(serve, "/broadcasts").is_some_and(|page| page.body.contains("Storm tonight")));
    assert!(
        seen.last().unwrap().contains("postrider_accepted_total"),
        "{seen:?}"
    );

    walker.running.clear();
    let seen = walker.type_all(faults, &[sandbox, second]);
    assert!(
        seen[3].contains("sent") || seen[3].contains("delivered"),
        "{seen:?}"
    );
    assert!(json(&seen[4])["calls"].is_object(), "{seen:?}");
}

#[test]
fn two_more_hosts() {
    let (redis, memcached) = (Peer::redis(), Peer::memcached());
    let (one, two) = (free_address(), free_address());
    let places = [
        ("postgres://postrider:SECRET@10.0.0.10/postrider", database()),
        ("redis://10.0.0.10:6379", redis.url()),
        ("memcache://10.0.0.10:11211", memcached.url()),
        ("10.0.0.1:8080", one.to_string()),
        ("10.0.0.2:8080", two.to_string()),
    ];
    let places = places.map(|(from, to)| (from.to_owned(), to)).to_vec();
    let mut walker = Walker::new(World::new(""), places);
    let text = section("Two more hosts");
    let file = walker.here(&blocks(text, "toml").concat());
    std::fs::write(walker.world.folder.path().join("console.toml"), file).unwrap();

    let mut printed = Vec::new();
    for command in blocks(text, "sh").iter().flat_map(|block| commands(block)) {
        if command.starts_with("curl") {
            until("both hosts are ready", || is_ready(one) && is_ready(two));
        }
        printed.push(walker.type_in(&command));
    }
    let id = json(&printed[printed.len() - 2])["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert!(
        printed[printed.len() - 1].contains(&id),
        "the other host knows it: {printed:?}"
    );
    assert_eq!(walker.running.len(), 3, "two serve and one work");

    until_sent(two, &id);
    walker.running.remove(0).kill();
    let body = r#"{"to":"09122222222","body":"without the first host"}"#;
    let headers = [KEY, "Content-Type: application/json"];
    let answer = wire::request(two, "POST", "/v1/messages", &headers, body).expect("an answer");
    until_sent(two, answer.json()["id"].as_str().expect("an id"));
}

const KEY: &str = "Authorization: Bearer SHOP-KEY-0123456789";

fn until_sent(at: SocketAddr, id: &str) {
    until("the message is sent", || {
        let message = wire::request(at, "GET", &format!("/v1/messages/{id}"), &[KEY], "");
        let message = message.expect("an answer").json();
        let state = message["deliveries"][0]["state"].as_str().unwrap_or_default();
        ["sent", "delivered"].contains(&state)
    });
}
