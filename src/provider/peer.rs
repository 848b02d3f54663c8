//! Servers of another make that tests run against (tests/peers), and certificates made for them.
//!
//! A peer is a program that says lines of JSON, the first about itself, and obeys such lines.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running peer; it ends with the test.
pub struct Peer {
    /// What it said of itself.
    pub facts: Value,
    said: Lines<BufReader<ChildStdout>>,
    ear: ChildStdin,
    _process: Child,
}

impl Peer {
    /// Starts a script of tests/peers.
    pub async fn start(script: &str, arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(root.join("target/peers/python/bin/python"))
            .arg(root.join("tests/peers").join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the peers are not installed: run ./start.sh test");
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut peer = Self {
            facts: Value::Null,
            said,
            ear: process.stdin.take().unwrap(),
            _process: process,
        };
        peer.facts = peer.next().await;
        peer
    }

    /// Where it listens on this machine.
    pub fn port(&self) -> u16 {
        u16::try_from(self.facts["port"].as_u64().unwrap()).unwrap()
    }

    /// A word it said of itself.
    pub fn fact(&self, name: &str) -> &str {
        self.facts[name].as_str().unwrap()
    }

    /// The next thing it says.
    pub async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.said.next_line())
            .await
            .expect("the peer is silent");
        let line = line
            .unwrap()
            .expect("the peer ended: run ./start.sh test to install what it needs");
        serde_json::from_str(&line).unwrap()
    }

    /// Tells it something, and hears the answer.
    pub async fn tell(&mut self, wish: Value) -> Value {
        self.ear.write_all(format!("{wish}\n").as_bytes()).await.unwrap();
        self.next().await
    }
}

/// A certificate and its key.
pub struct Certificate {
    place: TempDir,
}

impl Certificate {
    /// One that may sign others.
    pub fn authority() -> Self {
        Self::make(
            "/CN=a test's authority",
            &["-addext", "basicConstraints=critical,CA:TRUE"],
        )
    }

    /// One for a server of that name, signed by this one.
    pub fn sign(&self, names: &str) -> Self {
        let (file, key) = (self.file(), self.key());
        let names = format!("subjectAltName={names}");
        Self::make(
            "/CN=server",
            &[
                "-CA",
                &file,
                "-CAkey",
                &key,
                "-addext",
                &names,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        )
    }

    pub fn file(&self) -> String {
        self.path("crt.pem").to_string_lossy().into_owned()
    }

    pub fn key(&self) -> String {
        self.path("key.pem").to_string_lossy().into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn make(subject: &str, more: &[&str]) -> Self {
        let made = Self {
            place: tempfile::tempdir().unwrap(),
        };
        let output = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ])
            .args(["-subj", subject, "-out", &made.file(), "-keyout", &made.key()])
            .args(more)
            .output()
            .expect("openssl is not installed: run ./start.sh test");
        assert!(output.status.success(), "{output:?}");
        made
    }
}
