//! Servers of other makes that tests run against (tests/peers), and certificates for them.
//!
//! A peer is a program that writes lines of JSON, the first with its own address, and reads commands as lines of JSON.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
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

/// A certificate and its key.
pub struct TestCertificate {
    directory: TempDir,
}

impl TestCertificate {
    /// Returns a certificate authority.
    pub fn self_signed_ca() -> Self {
        Self::generate("/CN=test authority", &["-addext", "basicConstraints=critical,CA:TRUE"])
    }

    /// Returns a server certificate for these subject alternative names, signed by this authority.
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
        let certificate = Self { directory: tempfile::tempdir().unwrap() };
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
                &certificate.certificate_path(),
                "-keyout",
                &certificate.key_path(),
            ])
            .args(more)
            .output()
            .expect("openssl is not installed: run ./start.sh test");
        assert!(output.status.success(), "{output:?}");
        certificate
    }
}
