//! The program under test in a folder of its own, and the questions tests ask of it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::raw_http::{self, RawResponse};

/// Far beyond what any machine needs; reached only when something is broken.
pub const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// A folder with a configuration and a store, and the processes started on it.
pub struct TestGateway {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
}

/// A running `console`; killed when dropped.
pub struct ConsoleProcess {
    child: Child,
}

impl TestGateway {
    /// A world with the text of a configuration file; `listen` is a free port.
    pub fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = free_address();
        let text = format!("listen = \"{at}\"\n{configuration}");
        std::fs::write(folder.path().join("console.toml"), text).unwrap();
        Self { folder, address: at }
    }

    /// `console ARGUMENTS` in the world's folder, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(
            output.status.success(),
            "console {arguments:?}: {} {out} {err}",
            output.status
        );
        out.into_owned()
    }

    /// Starts `serve` and waits until it answers.
    pub fn start_serve(&self, arguments: &[&str]) -> ConsoleProcess {
        let mut words = vec!["serve"];
        words.extend(arguments);
        self.wait_until_ready(self.start(&words))
    }

    /// The same with variables in its environment.
    pub fn start_serve_with_env(&self, variables: &[(&str, &str)]) -> ConsoleProcess {
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().copied());
        self.wait_until_ready(self.spawn(command))
    }

    fn wait_until_ready(&self, mut console: ConsoleProcess) -> ConsoleProcess {
        wait_until("the gateway is ready", || {
            assert!(console.is_alive(), "serve ended: {}", self.log());
            self.get("/healthz").is_some_and(|answer| answer.status == 200)
        });
        console
    }

    /// Starts any command that runs until it is stopped. Its log goes to a file.
    pub fn start(&self, arguments: &[&str]) -> ConsoleProcess {
        self.spawn(self.command(arguments))
    }

    fn spawn(&self, mut command: Command) -> ConsoleProcess {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        ConsoleProcess {
            child: command.spawn().unwrap(),
        }
    }

    /// All that `serve` and `work` have logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> std::path::PathBuf {
        self.folder.path().join("console.log")
    }

    /// `GET path`; none when nobody answers.
    pub fn get(&self, path: &str) -> Option<RawResponse> {
        raw_http::get(self.address, path)
    }

    /// `POST path` with JSON.
    pub fn post(&self, path: &str, json: &str) -> Option<RawResponse> {
        raw_http::send_request(
            self.address,
            "POST",
            path,
            &["Content-Type: application/json"],
            json,
        )
    }

    /// Sends over the simple face; the message's id.
    pub fn send(&self, number: &str, body: &str) -> String {
        let path = format!("/sms/send?number={number}&body={}", body.replace(' ', "+"));
        let answer = self.get(&path).expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["Data"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// A message as the native face tells it.
    pub fn message(&self, id: &str) -> serde_json::Value {
        self.get(&format!("/v1/messages/{id}")).expect("an answer").json()
    }

    /// The state of a message's first delivery.
    pub fn state(&self, id: &str) -> String {
        self.message(id)["deliveries"][0]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Waits until a message's first delivery is in one of these states.
    pub fn wait_for_state(&self, id: &str, states: &[&str]) {
        wait_until(&format!("{id} is {states:?}"), || {
            states.contains(&self.state(id).as_str())
        });
    }

    /// `provider: outcome` for each attempt of a message's first delivery.
    pub fn attempts(&self, id: &str) -> Vec<String> {
        let message = self.message(id);
        let attempts = message["deliveries"][0]["attempts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or("nobody").to_owned();
        attempts
            .iter()
            .map(|one| format!("{}: {}", word(&one["provider"]), word(&one["outcome"])))
            .collect()
    }

    /// A read-only look at the store from outside the program.
    pub fn open_store(&self) -> rusqlite::Connection {
        open_database(&self.folder.path().join("postrider.db"))
    }

    /// One number from the store.
    pub fn query_number(&self, sql: &str) -> i64 {
        self.open_store().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

fn open_database(file: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.busy_timeout(WAIT_LIMIT).unwrap();
    connection
}

impl ConsoleProcess {
    /// A process started in a way of its own.
    pub fn from_child(child: Child) -> Self {
        Self { child }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// SIGTERM, and the exit status.
    pub fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// Waits until it has ended by itself; the exit status.
    pub fn wait_for_exit(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < WAIT_LIMIT, "it did not stop");
            poll_pause();
        }
    }
}

impl Drop for ConsoleProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until the condition holds, and fails at the deadline.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < WAIT_LIMIT, "waited in vain until {what}");
        poll_pause();
    }
}

/// The pause between two looks.
pub fn poll_pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// A port of 127.0.0.1 that nobody listens on now.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}
