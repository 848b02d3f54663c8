//! Servers of another make that tests run against (tests/peers), and certificates made for them.
//!
//! A peer is a program that says lines of JSON, the first about itself, and obeys such lines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take for anything.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// A running peer; it ends with the test.
pub struct PeerProcess {
    /// What it said of itself.
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
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut peer = Self {
            startup_info: Value::Null,
            output_lines: said,
            input: process.stdin.take().unwrap(),
            _process: process,
        };
        peer.startup_info = peer.next_message().await;
        peer
    }

    /// Where it listens on this machine.
    pub fn port(&self) -> u16 {
        u16::try_from(self.startup_info["port"].as_u64().unwrap()).unwrap()
    }

    /// A word it said of itself.
    pub fn startup_value(&self, name: &str) -> &str {
        self.startup_info[name].as_str().unwrap()
    }

    /// The next thing it says.
    pub async fn next_message(&mut self) -> Value {
        let line = timeout(PEER_TIMEOUT, self.output_lines.next_line())
            .await
            .expect("the peer is silent");
        let line = line
            .unwrap()
            .expect("the peer ended: run ./start.sh test to install what it needs");
        serde_json::from_str(&line).unwrap()
    }

    /// Tells it something, and hears the answer.
    pub async fn request(&mut self, wish: Value) -> Value {
        self.input
            .write_all(format!("{wish}\n").as_bytes())
            .await
            .unwrap();
        self.next_message().await
    }
}

/// A certificate and its key.
pub struct TestCertificate {
    directory: TempDir,
}

impl TestCertificate {
    /// One that may sign others.
    pub fn self_signed_ca() -> Self {
        Self::generate(
            "/CN=a test's authority",
            &["-addext", "basicConstraints=critical,CA:TRUE"],
        )
    }

    /// One for a server of that name, signed by this one.
    pub fn sign(&self, names: &str) -> Self {
        let (file, key) = (self.certificate_path(), self.key_path());
        let names = format!("subjectAltName={names}");
        Self::generate(
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

    pub fn certificate_path(&self) -> String {
        self.path("crt.pem").to_string_lossy().into_owned()
    }

    pub fn key_path(&self) -> String {
        self.path("key.pem").to_string_lossy().into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn generate(subject: &str, more: &[&str]) -> Self {
        let made = Self {
            directory: tempfile::tempdir().unwrap(),
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
            .args([
                "-subj",
                subject,
                "-out",
                &made.certificate_path(),
                "-keyout",
                &made.key_path(),
            ])
            .args(more)
            .output()
            .expect("openssl is not installed: run ./start.sh test");
        assert!(output.status.success(), "{output:?}");
        made
    }
}
