//! Runs the commands of the documents: each block is entered into a shell line by line, as a new user would.
//!
//! Only addresses, ports, and the URLs of the servers that the test starts are replaced. A command that runs until it is
//! stopped is a process of its own.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::raw_http;
use super::test_gateway::{ConsoleProcess, TestGateway, free_address, wait_until};
use postrider_core::testing::backend_server::BackendServer;
use postrider_core::testing::postgres_server::new_database;

const README: &str = include_str!("../../README.md");
const GETTING_STARTED: &str = include_str!("../../docs/src/getting-started.md");
const TOUR: &str = include_str!("../../docs/src/tour.md");
const HIGH_AVAILABILITY: &str = include_str!("../../docs/src/high-availability.md");

/// Returns the fenced blocks of one language, at any indentation.
fn code_blocks(text: &str, language: &str) -> Vec<String> {
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

/// Returns the commands of a block without comments; a backslash at the end of a line joins it with the next one.
fn commands_in(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let command = |line: &str| line.split(" # ").next().unwrap_or_default().trim().to_owned();
    joined.lines().map(command).filter(|line| !line.is_empty()).collect()
}

/// A shell in the folder of the gateway that finds the program under the names that the documents use.
struct DocsShell {
    gateway: TestGateway,
    replacements: Vec<(String, String)>,
    processes: Vec<ConsoleProcess>,
}

impl DocsShell {
    fn new(gateway: TestGateway, replacements: Vec<(String, String)>) -> Self {
        let folder = gateway.folder.path().join("target/release");
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_console"), folder.join("console")).unwrap();
        Self { gateway, replacements, processes: Vec::new() }
    }

    fn apply_replacements(&self, text: &str) -> String {
        let swap = |text: String, (from, to): &(String, String)| text.replace(from, to);
        self.replacements.iter().fold(text.to_owned(), swap)
    }

    /// Runs a command and returns what it printed, if it ends by itself; it must succeed.
    fn run_command(&mut self, command: &str) -> String {
        let line = self.apply_replacements(command);
        let program = self.gateway.folder.path().join("target/release");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut entered = Command::new("sh");
        entered.env("PATH", path).stdin(Stdio::null());
        entered.current_dir(self.gateway.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
            entered.env_remove(name);
        }
        if ["console serve", "console work", "console sandbox"].iter().any(|start| line.starts_with(start)) {
            entered.args(["-c", &format!("exec {line}")]).stdout(Stdio::null());
            self.processes.push(ConsoleProcess::from_child(entered.spawn().expect("a shell")));
            return String::new();
        }
        let output = entered.args(["-c", &line]).output().expect("a shell");
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {words} {errors}");
        words
    }

    /// Runs a block line by line. After the nth command that keeps running it waits until the nth address answers.
    fn run_block(&mut self, block: &str, listening: &[SocketAddr]) -> Vec<String> {
        let mut listening = listening.iter();
        let mut printed = Vec::new();
        for command in commands_in(block) {
            let running = self.processes.len();
            printed.push(self.run_command(&command));
            if running < self.processes.len()
                && let Some(at) = listening.next()
            {
                wait_until("the address answers", || raw_http::get(*at, "/").is_some());
            }
        }
        printed
    }
}

fn is_ready(at: SocketAddr) -> bool {
    raw_http::get(at, "/readyz").is_some_and(|answer| answer.status == 200)
}

/// Parses the JSON that `curl` printed.
fn parse_json(printed: &str) -> serde_json::Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// Runs the blocks of a page that send a message and look at it, and checks the documented answer.
fn send_first_message(page: &str, commands: usize) {
    let gateway = TestGateway::new("");
    let at = gateway.address;
    let _console = gateway.start_serve(&[]);
    let mut shell = DocsShell::new(gateway, vec![("127.0.0.1:8080".into(), at.to_string())]);
    assert!(raw_http::get(at, "/").is_some_and(|page| page.status == 200));
    let entered: Vec<String> = code_blocks(page, "sh")
        .iter()
        .flat_map(|block| commands_in(block))
        .filter(|command| !command.starts_with("./start.sh") && !command.starts_with("docker"))
        .collect();
    let printed: Vec<String> = entered.iter().map(|command| shell.run_command(command)).collect();
    assert_eq!(printed.len(), commands, "{entered:?}");
    let answer = parse_json(&printed[0]);
    let documented = parse_json(&code_blocks(page, "json")[0].replace('…', ""));
    let keys = |answer: &serde_json::Value| {
        let fields = answer["Data"][0].as_object().expect("one message");
        fields.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&answer), keys(&documented));
    let id = answer["Data"][0]["id"].as_str().unwrap();
    shell.gateway.wait_for_state(id, &["sent", "delivered"]);
    assert!(raw_http::get(at, &format!("/messages/{id}")).is_some_and(|page| page.body.contains("accepted")));
}

#[test]
fn the_quick_start_of_the_readme_sends_a_message() {
    send_first_message(README, 1);
}

#[test]
fn getting_started_sends_a_message_and_runs_the_jobs() {
    send_first_message(GETTING_STARTED, 3);
}

#[test]
fn the_five_minute_tour() {
    let (serve, second, sandbox) = (free_address(), free_address(), free_address());
    let replacements = [("127.0.0.1:8080", serve), ("127.0.0.1:8081", second), ("127.0.0.1:8090", sandbox)];
    let replacements = replacements.map(|(from, to)| (from.to_owned(), to.to_string())).to_vec();
    let mut shell = DocsShell::new(TestGateway::new(""), replacements);
    let folder = shell.gateway.folder.path().to_owned();
    std::fs::write(folder.join("console.toml"), format!("listen = \"{serve}\"\n")).unwrap();
    let blocks = code_blocks(TOUR, "sh");
    let [simulations, parts, gateway, faults] = &blocks[..] else {
        panic!("{blocks:?}");
    };

    let simulated = shell.run_block(simulations, &[]);
    assert!(simulated.iter().all(|table| table.contains("result: as expected")), "{simulated:?}");
    assert_eq!(simulated[1].matches("received_ratio").count(), 5, "{simulated:?}");
    let watched = shell.run_block(parts, &[]).pop().unwrap();
    assert_eq!(watched.matches("Average time per message: ").count(), 3, "{watched}");

    let seen = shell.run_block(gateway, &[serve]);
    assert!(raw_http::get(serve, "/operate").is_some_and(|page| page.status == 200));
    assert!(raw_http::get(serve, "/broadcasts").is_some_and(|page| page.body.contains("Storm tonight")));
    assert!(seen.last().unwrap().contains("postrider_waiting"), "{seen:?}");

    shell.processes.clear();
    let seen = shell.run_block(faults, &[sandbox, second]);
    assert!(seen[3].contains("sent") || seen[3].contains("delivered"), "{seen:?}");
    assert!(parse_json(&seen[4])["calls"].is_object(), "{seen:?}");
}

#[test]
fn several_hosts_share_one_store() {
    let (redis, memcached) = (BackendServer::redis(), BackendServer::memcached());
    let (one, two) = (free_address(), free_address());
    let replacements = [
        ("postgres://postrider:SECRET@10.0.0.10/postrider", new_database()),
        ("redis://10.0.0.10:6379", redis.url()),
        ("memcache://10.0.0.10:11211", memcached.url()),
        ("${env:SHOP_KEY}", SHOP_KEY.to_owned()),
        ("$SHOP_KEY", SHOP_KEY.to_owned()),
        ("10.0.0.1:8080", one.to_string()),
        ("10.0.0.2:8080", two.to_string()),
    ];
    let replacements = replacements.map(|(from, to)| (from.to_owned(), to)).to_vec();
    let mut shell = DocsShell::new(TestGateway::new(""), replacements);
    let text = HIGH_AVAILABILITY;
    let file = shell.apply_replacements(&code_blocks(text, "toml").concat());
    std::fs::write(shell.gateway.folder.path().join("console.toml"), file).unwrap();

    let mut printed = Vec::new();
    for command in code_blocks(text, "sh").iter().flat_map(|block| commands_in(block)) {
        if command.starts_with("curl") {
            wait_until("both hosts are ready", || is_ready(one) && is_ready(two));
        }
        printed.push(shell.run_command(&command));
    }
    let id = parse_json(&printed[printed.len() - 2])["id"].as_str().expect("an id").to_owned();
    assert!(printed[printed.len() - 1].contains(&id), "the other host knows it: {printed:?}");
    assert_eq!(shell.processes.len(), 3, "two serve and one work");

    wait_until_sent(two, &id);
    shell.processes.remove(0).kill();
    let body = r#"{"to":"09122222222","body":"without the first host"}"#;
    let headers = [AUTHORIZATION_HEADER, "Content-Type: application/json"];
    let answer = raw_http::send_request(two, "POST", "/v1/messages", &headers, body).expect("an answer");
    wait_until_sent(two, answer.json()["id"].as_str().expect("an id"));
}

const SHOP_KEY: &str = "walkthrough-key-0123456789";
const AUTHORIZATION_HEADER: &str = "Authorization: Bearer walkthrough-key-0123456789";

fn wait_until_sent(at: SocketAddr, id: &str) {
    wait_until("the message is sent", || {
        let message =
            raw_http::send_request(at, "GET", &format!("/v1/messages/{id}"), &[AUTHORIZATION_HEADER], "");
        let message = message.expect("an answer").json();
        let state = message["deliveries"][0]["state"].as_str().unwrap_or_default();
        ["sent", "delivered"].contains(&state)
    });
}
