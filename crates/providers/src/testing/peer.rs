//! Servers of other makes that tests run against (tests/peers).
//!
//! A peer is a program that writes lines of JSON, the first with its own address, and reads commands as lines of JSON.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Maximum time for a line of a peer.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// A running peer. Stops when it is dropped.
pub struct PeerProcess {
    /// The first line.
    pub startup_info: Value,
    output_lines: Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
    _process: Child,
}

impl PeerProcess {
    /// Starts a script of tests/peers.
    pub async fn start(script: &str, arguments: &[&str]) -> Self {
        let root = postrider_core::testing::workspace_root();
        let mut process = Command::new(root.join("target/peers/python/bin/python"))
            .arg(root.join("tests/peers").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the peers are not installed: run ./start.sh test");
        let output_lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut peer = Self {
            startup_info: Value::Null,
            output_lines,
            input: process.stdin.take().unwrap(),
            _process: process,
        };
        peer.startup_info = peer.next_message().await;
        peer
    }

    /// Returns the port on which the peer listens.
    pub fn port(&self) -> u16 {
        u16::try_from(self.startup_info["port"].as_u64().unwrap()).unwrap()
    }

    /// Returns a text of the first line.
    pub fn startup_value(&self, name: &str) -> &str {
        self.startup_info[name].as_str().unwrap()
    }

    /// Waits for the next line.
    pub async fn next_message(&mut self) -> Value {
        let line = timeout(PEER_TIMEOUT, self.output_lines.next_line()).await.expect("the peer is silent");
        let line = line.unwrap().expect("the peer ended: run ./start.sh test to install what it needs");
        serde_json::from_str(&line).unwrap()
    }

    /// Sends a command and returns the response.
    pub async fn request(&mut self, command: Value) -> Value {
        self.input.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        self.next_message().await
    }
}
