//! The program under test in its own folder: start, stop, requests, log and store.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::raw_http::{self, RawResponse};

/// Maximum time that a test waits for a condition; reached only when something is broken.
pub const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// A folder with a configuration file and, once a process has run, a store.
pub struct TestGateway {
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
}

/// A running `console`; killed when dropped.
pub struct ConsoleProcess {
    child: Child,
}

impl TestGateway {
    /// Creates a folder with this configuration; `listen` is a free port of 127.0.0.1.
    pub fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let text = format!("listen = \"{address}\"\n{configuration}");
        std::fs::write(folder.path().join("console.toml"), text).unwrap();
        Self { folder, address }
    }

    /// Returns `console ARGUMENTS` in the folder, not started and without our `POSTRIDER_…` variables.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POSTRIDER_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command until it exits.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed and returns its standard output.
    pub fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "console {arguments:?}: {} {out} {err}", output.status);
        out.into_owned()
    }

    /// Starts `serve` and waits until it responds.
    pub fn start_serve(&self, arguments: &[&str]) -> ConsoleProcess {
        let mut command_line = vec!["serve"];
        command_line.extend(arguments);
        self.wait_until_ready(self.start(&command_line))
    }

    /// Starts `serve` with these environment variables and waits until it responds.
    pub fn start_serve_with_env(&self, variables: &[(&str, &str)]) -> ConsoleProcess {
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().copied());
        self.wait_until_ready(self.spawn(command))
    }

    fn wait_until_ready(&self, mut console: ConsoleProcess) -> ConsoleProcess {
        wait_until("the gateway is ready", || {
            assert!(console.is_alive(), "serve ended: {}", self.log());
            self.get("/healthz").is_some_and(|response| response.status == 200)
        });
        console
    }

    /// Starts a command that runs until it is stopped; its output goes to the log file.
    pub fn start(&self, arguments: &[&str]) -> ConsoleProcess {
        self.spawn(self.command(arguments))
    }

    fn spawn(&self, mut command: Command) -> ConsoleProcess {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        ConsoleProcess { child: command.spawn().unwrap() }
    }

    /// Returns the output of all started processes so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> std::path::PathBuf {
        self.folder.path().join("console.log")
    }

    /// Sends `GET path`; returns `None` without a response.
    pub fn get(&self, path: &str) -> Option<RawResponse> {
        raw_http::get(self.address, path)
    }

    /// Sends `POST path` with a JSON body.
    pub fn post(&self, path: &str, json: &str) -> Option<RawResponse> {
        raw_http::send_request(self.address, "POST", path, &["Content-Type: application/json"], json)
    }

    /// Sends a message over the simple API and returns its id.
    pub fn send(&self, number: &str, body: &str) -> String {
        let path = format!("/sms/send?number={number}&body={}", body.replace(' ', "+"));
        let response = self.get(&path).expect("a response");
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["Data"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// Returns a message as the native API shows it.
    pub fn message(&self, id: &str) -> serde_json::Value {
        self.get(&format!("/v1/messages/{id}")).expect("a response").json()
    }

    /// Returns the state of a message's first delivery.
    pub fn state(&self, id: &str) -> String {
        self.message(id)["deliveries"][0]["state"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a message's first delivery is in one of these states.
    pub fn wait_for_state(&self, id: &str, states: &[&str]) {
        wait_until(&format!("{id} is {states:?}"), || states.contains(&self.state(id).as_str()));
    }

    /// Returns `provider: outcome` for each attempt of a message's first delivery.
    pub fn attempts(&self, id: &str) -> Vec<String> {
        let message = self.message(id);
        let attempts = message["deliveries"][0]["attempts"].as_array().cloned().unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_owned();
        attempts
            .iter()
            .map(|attempt| format!("{}: {}", text(&attempt["provider"]), text(&attempt["outcome"])))
            .collect()
    }

    /// Opens the SQLite store from outside the program.
    pub fn open_store(&self) -> rusqlite::Connection {
        open_database(&self.folder.path().join("postrider.db"))
    }

    /// Returns one number from the SQLite store.
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
    /// Wraps a process that the test started itself.
    pub fn from_child(child: Child) -> Self {
        Self { child }
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns whether the process runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends SIGKILL and waits until the process has ended.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Sends SIGTERM and returns the exit status.
    pub fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// Waits until the process ends and returns its exit status.
    pub fn wait_for_exit(mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < WAIT_LIMIT, "the process did not stop");
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

/// Polls until the condition holds; panics after [`WAIT_LIMIT`].
pub fn wait_until(condition: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < WAIT_LIMIT, "timeout waiting until {condition}");
        poll_pause();
    }
}

/// Sleeps between two polls.
pub fn poll_pause() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Returns an address of 127.0.0.1 without a listener.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
