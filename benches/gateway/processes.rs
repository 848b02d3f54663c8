//! Processes of a run: gateway, worker, bare server and provider stubs (this binary again), Redis, memcached.
//!
//! Each listens on a free port of 127.0.0.1 and is killed on drop.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process; killed on drop.
pub struct BenchProcess {
    child: Child,
    /// Listen address.
    pub address: SocketAddr,
    /// Time from the start until it accepted a connection.
    pub ready_after: Duration,
}

impl Drop for BenchProcess {
    fn drop(&mut self) {
        for child in self.children() {
            let _ = Command::new("kill").args(["-9", &child]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns an unused port of 127.0.0.1.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    listener.local_addr().expect("know the port")
}

/// Starts this binary again as a server: `bare`, `stub`, `smpp` or `smpp-receipts`.
pub fn spawn_self_as(role: &str) -> BenchProcess {
    let at = free_address();
    let binary = std::env::current_exe().expect("the path of this binary");
    let mut command = Command::new(binary);
    command.env("POSTRIDER_BENCH_ROLE", role).env("POSTRIDER_BENCH_AT", at.to_string());
    wait_until_listening(command, at)
}

/// Starts the release binary with `serve` in `folder`; with slow fsync under strace, which delays each by 5 ms.
pub fn spawn_gateway(
    folder: &Path,
    configuration: &str,
    arguments: &[&str],
    is_fsync_slow: bool,
) -> BenchProcess {
    let at = free_address();
    let file = folder.join("console.toml");
    std::fs::write(&file, configuration).expect("write the configuration");
    let console = env!("CARGO_BIN_EXE_console");
    let mut command = if is_fsync_slow {
        let mut strace = Command::new("strace");
        let inject = "inject=fdatasync,fsync:delay_exit=5000";
        // Without `trace=` every system call stops for the tracer, which would dominate the result.
        let traced = "trace=fdatasync,fsync";
        strace.args(["--seccomp-bpf", "-f", "-o", "/dev/null", "-e", traced, "-e", inject, console]);
        strace
    } else {
        Command::new(console)
    };
    command.current_dir(folder).args(["serve", "--config"]).arg(&file);
    command.args(["--listen", &at.to_string()]).args(arguments);
    command.env("RUST_LOG", "error");
    wait_until_listening(command, at)
}

/// Starts a worker with the configuration of the gateway in `folder`.
pub fn spawn_worker(folder: &Path) -> BenchProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command.current_dir(folder).args(["work", "--config", "console.toml"]);
    command.env("RUST_LOG", "error");
    let child = spawn(&mut command);
    BenchProcess { child, address: free_address(), ready_after: Duration::ZERO }
}

/// Starts a Redis server without persistence.
pub fn spawn_redis() -> BenchProcess {
    let at = free_address();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &at.port().to_string()]);
    wait_until_listening(command, at)
}

/// Starts a memcached server.
pub fn spawn_memcached() -> BenchProcess {
    let at = free_address();
    let mut command = Command::new("memcached");
    command.args(["-l", "127.0.0.1", "-u", "root", "-p", &at.port().to_string()]);
    wait_until_listening(command, at)
}

fn spawn(command: &mut Command) -> Child {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let program = command.get_program().to_string_lossy();
    child.unwrap_or_else(|error| panic!("start {program}: {error}; ./start.sh test installs it"))
}

fn wait_until_listening(mut command: Command, at: SocketAddr) -> BenchProcess {
    let started = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    let child = spawn(&mut command);
    let mut process = BenchProcess { child, address: at, ready_after: Duration::ZERO };
    while std::net::TcpStream::connect(at).is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "{program} was not ready within 30 s");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.ready_after = started.elapsed();
    process
}

impl BenchProcess {
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the resident memory, in MiB.
    pub fn resident_mib(&self) -> f64 {
        let status =
            std::fs::File::open(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let line =
            BufReader::new(status).lines().map_while(Result::ok).find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.expect("resident memory in kB") / 1024.0
    }

    /// Returns its child processes: the gateway, if this is strace.
    fn children(&self) -> Vec<String> {
        let id = self.child.id();
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        list.split_whitespace().map(str::to_owned).collect()
    }

    /// Requests a page and returns the response.
    pub fn http_get(&self, path: &str) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(self.address).expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("send the request");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("read the response");
        response
    }

    /// Returns the sum of all series in `/metrics` that begin with `prefix`.
    pub fn metric_sum(&self, prefix: &str) -> u64 {
        let text = self.http_get("/metrics");
        let lines = text.lines().filter(|line| line.starts_with(prefix));
        lines.filter_map(|line| line.rsplit(' ').next()?.trim().parse::<u64>().ok()).sum()
    }
}

/// Returns the processor time of a process and its ended children, in clock ticks.
pub fn cpu_ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name before the last bracket may contain blanks. Fields 14 to 17 are user and system time of the process and of
    // its children.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let times = fields.split_whitespace().skip(11).take(4);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}
