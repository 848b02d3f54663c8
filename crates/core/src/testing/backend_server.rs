//! Real redis-server and memcached processes for tests, on free ports of 127.0.0.1.
//!
//! A test can kill, restart, suspend and resume its server. The server ends when it is dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Maximum time from the start of a server to its first answer.
const SERVER_START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server of one test.
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
    /// Starts a Redis without persistence.
    pub fn redis() -> Self {
        Self::redis_with(&[])
    }

    /// Starts a Redis with additional arguments, such as `--requirepass`.
    pub fn redis_with(arguments: &[&str]) -> Self {
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        Self::start("redis-server", "PING\r\n", "redis", |port, dir| {
            ["--port", port, "--dir", dir]
                .iter()
                .chain(&fixed)
                .chain(arguments)
                .map(ToString::to_string)
                .collect()
        })
    }

    /// Starts a sentinel with a quorum of one that watches the Redis on `master_port` under the name `main`.
    pub fn sentinel(master_port: u16) -> Self {
        Self::start("redis-server", "PING\r\n", "redis", |port, dir| {
            let settings = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master_port} 1\n\
                 sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
            );
            let file = format!("{dir}/sentinel.conf");
            std::fs::write(&file, settings).expect("a folder to write to");
            vec![file, "--sentinel".to_owned()]
        })
    }

    /// Starts a memcached with 64 MiB.
    pub fn memcached() -> Self {
        Self::start("memcached", "version\r\n", "memcache", |port, _| {
            ["-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-p", port].map(String::from).to_vec()
        })
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `redis://127.0.0.1:PORT` or `memcache://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Ends the server with SIGKILL. Nothing listens on its port afterwards.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server can be killed");
            child.wait().expect("the server can be waited for");
        }
    }

    /// Starts the server again on the same port, empty. Kills it first if it runs.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "{} did not restart on port {}", self.program, self.port);
    }

    /// Suspends the server with SIGSTOP: it keeps its connections and answers nothing. Returns when all threads are stopped.
    pub fn suspend(&self) {
        self.send_signal("-STOP");
        let deadline = Instant::now() + SERVER_START_TIMEOUT;
        while !self.is_suspended() {
            assert!(Instant::now() < deadline, "{} does not stop", self.program);
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Resumes the server with SIGCONT.
    pub fn resume(&self) {
        self.send_signal("-CONT");
    }

    /// Sends one line and returns the first line of the answer.
    pub fn send_command(&self, line: &str) -> String {
        self.first_response_line(line).expect("the server answers")
    }

    fn start(
        program: &'static str,
        ready_probe: &'static str,
        scheme: &'static str,
        arguments: impl Fn(&str, &str) -> Vec<String>,
    ) -> Self {
        // Another process may have taken the free port since.
        for _ in 0..5 {
            let port = free_port();
            let data_dir =
                std::env::temp_dir().join(format!("postrider-{program}-{}-{port}", std::process::id()));
            std::fs::create_dir_all(&data_dir).expect("a directory for the server");
            let mut server = Self {
                program,
                arguments: arguments(&port.to_string(), &data_dir.to_string_lossy()),
                ready_probe,
                scheme,
                port,
                data_dir,
                child: None,
            };
            if server.spawn() {
                return server;
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
        let child = started.unwrap_or_else(|error| {
            panic!(
                "{} cannot be started ({error}): `apt-get install redis-server memcached`, or `./start.sh test`",
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
            if self.first_response_line(self.ready_probe).is_ok_and(|answer| !answer.is_empty()) {
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
        let tasks = format!("/proc/{}/task", self.child.as_ref().expect("the server runs").id());
        let mut threads = std::fs::read_dir(tasks).expect("a proc file system");
        threads.all(|thread| {
            let state = thread.map(|thread| thread.path().join("stat"));
            let state = state.and_then(std::fs::read_to_string).unwrap_or_default();
            // The state follows the name of the program in parentheses.
            state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        })
    }

    fn send_signal(&self, signal: &str) {
        let pid = self.child.as_ref().expect("the server runs").id().to_string();
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

/// Returns a port of 127.0.0.1 that was free at the time of the call.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
