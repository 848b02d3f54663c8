//! A mail server of another make (aiosmtpd), and certificates made for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// How long a peer may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; it ends with the test.
pub struct Peer {
    pub port: u16,
    said: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Peer {
    pub async fn start(arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(root.join("target/peers/python/bin/python"))
            .arg(root.join("tests/peers/smtp_server.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("aiosmtpd is not installed: run ./start.sh test");
        let said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut peer = Self {
            port: 0,
            said,
            _process: process,
        };
        peer.port = u16::try_from(peer.next().await["port"].as_u64().unwrap()).unwrap();
        peer
    }

    /// The next mail it took.
    pub async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.said.next_line())
            .await
            .expect("the mail server is silent");
        let line = line
            .unwrap()
            .expect("the mail server ended: run ./start.sh test to install aiosmtpd");
        serde_json::from_str(&line).unwrap()
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
