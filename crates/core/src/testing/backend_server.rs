//! Real redis-server and memcached processes for tests, each test its own, on a free port of 127.0.0.1.
//!
//! Standard library only, so that unit tests and the end-to-end tests include the same file. A peer can be
//! killed, started again empty, stopped and continued; it ends, by its own pid, when it is dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a peer may take to answer for the first time before the test fails.
const SERVER_START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server that a test owns.
pub struct BackendServer {
    program: &'static str,
    arguments: Vec<String>,
    ready_probe: &'static str,
    scheme: &'static str,
    port: u16,
    data_dir: PathBuf,
    child: Option<Child>,
}

impl BackendServer {
    /// A Redis that keeps nothing on disk.
    pub fn redis() -> Self {
        Self::redis_with(&[])
    }

    /// A Redis with further arguments, such as `--requirepass`.
    pub fn redis_with(further: &[&str]) -> Self {
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        Self::start("redis-server", "PING\r\n", "redis", |port, place| {
            let own = ["--port", port, "--dir", place];
            own.iter()
                .chain(&fixed)
                .chain(further)
                .map(ToString::to_string)
                .collect()
        })
    }

    /// A sentinel that watches a Redis on that port, calls it `main`, and needs nobody's consent to act.
    pub fn sentinel(watched: u16) -> Self {
        Self::start("redis-server", "PING\r\n", "redis", |port, place| {
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {watched} 1\n\
                 sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
            );
            let file = format!("{place}/sentinel.conf");
            std::fs::write(&file, settings).expect("a folder to write to");
            vec![file, "--sentinel".to_owned()]
        })
    }

    /// A memcached of 64 MiB.
    pub fn memcached() -> Self {
        Self::start("memcached", "version\r\n", "memcache", |port, _| {
            ["-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-p", port]
                .map(String::from)
                .to_vec()
        })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT` or `memcache://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Ends it with SIGKILL; nothing listens on its port afterwards.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the peer was still ours to kill");
            child.wait().expect("the peer can be waited for");
        }
    }

    /// Starts it again on the same port, empty, killing it first if it runs.
    pub fn restart(&mut self) {
        self.kill();
        assert!(
            self.spawn(),
            "{} did not come back on port {}",
            self.program,
            self.port
        );
    }

    /// SIGSTOP: it keeps its connections and answers nothing. Returns when its last thread stands still.
    pub fn suspend(&self) {
        self.send_signal("-STOP");
        let deadline = Instant::now() + SERVER_START_TIMEOUT;
        while !self.is_suspended() {
            assert!(Instant::now() < deadline, "{} does not stop", self.program);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// SIGCONT: it goes on where it was stopped.
    pub fn resume(&self) {
        self.send_signal("-CONT");
    }

    /// Sends one line, and returns the first line of the answer.
    pub fn send_command(&self, line: &str) -> String {
        self.first_response_line(line).expect("the peer answers")
    }

    fn start(
        program: &'static str,
        greeting: &'static str,
        scheme: &'static str,
        arguments: impl Fn(&str, &str) -> Vec<String>,
    ) -> Self {
        // A port that was free a moment ago may be taken by now; then another is tried.
        for _ in 0..5 {
            let port = free_port();
            let place =
                std::env::temp_dir().join(format!("postrider-{program}-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&place).expect("a directory for the peer");
            let mut peer = Self {
                program,
                arguments: arguments(&port.to_string(), &place.to_string_lossy()),
                ready_probe: greeting,
                scheme,
                port,
                data_dir: place,
                child: None,
            };
            if peer.spawn() {
                return peer;
            }
        }
        panic!("{program} does not start; run it by hand to see why");
    }

    fn spawn(&mut self) -> bool {
        let started = Command::new(self.program)
            .args(&self.arguments)
            .current_dir(&self.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = started.unwrap_or_else(|trouble| {
            panic!(
                "{} cannot be started ({trouble}): `apt-get install redis-server memcached`, or `./start.sh test`",
                self.program
            )
        });
        self.child = Some(child);
        self.is_ready()
    }

    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + SERVER_START_TIMEOUT;
        while Instant::now() < deadline {
            let ended = self.child.as_mut().map(Child::try_wait);
            if !matches!(ended, Some(Ok(None))) {
                return false;
            }
            if self
                .first_response_line(self.ready_probe)
                .is_ok_and(|answer| !answer.is_empty())
            {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        false
    }

    fn first_response_line(&self, line: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(line.as_bytes())?;
        if !line.ends_with('\n') {
            stream.write_all(b"\r\n")?;
        }
        let mut answer = String::new();
        BufReader::new(stream.take(64 * 1024)).read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }

    fn is_suspended(&self) -> bool {
        let tasks = format!("/proc/{}/task", self.child.as_ref().expect("the peer runs").id());
        let mut threads = std::fs::read_dir(tasks).expect("a proc file system");
        threads.all(|thread| {
            let state = thread.map(|thread| thread.path().join("stat"));
            let state = state.and_then(std::fs::read_to_string).unwrap_or_default();
            // The state follows the program's name, which stands in parentheses.
            state
                .rsplit_once(") ")
                .is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    fn send_signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("the peer runs").id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {pid}");
    }
}

impl Drop for BackendServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _killed = child.kill();
            let _ended = child.wait();
        }
        let _removed = std::fs::remove_dir_all(&self.data_dir);
    }
}

/// A port of 127.0.0.1 on which nobody listened a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
