//! The processes of a run: the bare server and the provider stub (this binary again), the gateway, memcached.
//!
//! Each ends when it is dropped; each listens on a free port of 127.0.0.1.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed when dropped.
pub struct BenchProcess {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From its start until it was ready.
    pub ready_after: Duration,
}

impl Drop for BenchProcess {
    fn drop(&mut self) {
        for traced in self.children() {
            let _ = Command::new("kill").args(["-9", &traced]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that nobody listens on now.
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind a free port");
    listener.local_addr().expect("know the port")
}

/// This binary again, as a server: `bare`, `stub`, `smpp` or `smpp-receipts`.
pub fn spawn_self_as(role: &str) -> BenchProcess {
    let at = free_address();
    let this = std::env::current_exe().expect("know this binary");
    let mut command = Command::new(this);
    command
        .env("POSTRIDER_BENCH_ROLE", role)
        .env("POSTRIDER_BENCH_AT", at.to_string());
    wait_until_listening(command, at)
}

/// The release binary `serve` in `folder`, with a configuration file's text.
pub fn spawn_gateway(
    folder: &Path,
    configuration: &str,
    arguments: &[&str],
    slow_flush: bool,
) -> BenchProcess {
    let at = free_address();
    let file = folder.join("console.toml");
    std::fs::write(&file, configuration).expect("write the configuration");
    let console = env!("CARGO_BIN_EXE_console");
    let mut command = if slow_flush {
        let mut strace = Command::new("strace");
        let inject = "inject=fdatasync,fsync:delay_exit=5000";
        // Without `trace=` every system call would stop for the tracer, and that is what would be measured.
        let flushes = "trace=fdatasync,fsync";
        strace.args([
            "--seccomp-bpf",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            flushes,
            "-e",
            inject,
            console,
        ]);
        strace
    } else {
        Command::new(console)
    };
    command.current_dir(folder).args(["serve", "--config"]).arg(&file);
    command.args(["--listen", &at.to_string()]).args(arguments);
    command.env("RUST_LOG", "error");
    wait_until_listening(command, at)
}

/// A worker beside the gateway that was started in `folder`, with the same configuration.
pub fn spawn_worker(folder: &Path) -> BenchProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_console"));
    command
        .current_dir(folder)
        .args(["work", "--config", "console.toml"]);
    command.env("RUST_LOG", "error");
    let child = spawn(&mut command);
    BenchProcess {
        child,
        address: free_address(),
        ready_after: Duration::ZERO,
    }
}

/// A Redis of its own that keeps nothing on disk.
pub fn spawn_redis() -> BenchProcess {
    let at = free_address();
    let mut command = Command::new("redis-server");
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--port",
        &at.port().to_string(),
    ]);
    wait_until_listening(command, at)
}

/// A memcached of its own.
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
    let mut peer = BenchProcess {
        child,
        address: at,
        ready_after: Duration::ZERO,
    };
    while std::net::TcpStream::connect(at).is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{program} was not ready within 30 s"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    peer.ready_after = started.elapsed();
    peer
}

impl BenchProcess {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in MiB, read from the kernel.
    pub fn resident_mib(&self) -> f64 {
        let status =
            std::fs::File::open(format!("/proc/{}/status", self.child.id())).expect("see the process");
        let line = BufReader::new(status)
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.expect("resident memory in kB") / 1024.0
    }

    /// What it started itself: the gateway, when this is strace.
    fn children(&self) -> Vec<String> {
        let id = self.child.id();
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        list.split_whitespace().map(str::to_owned).collect()
    }

    /// Asks for a page; the body of the answer.
    pub fn http_get(&self, path: &str) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(self.address).expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("ask");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        answer
    }

    /// The sum of all series whose name and labels begin so, from `/metrics`.
    pub fn metric_sum(&self, series: &str) -> u64 {
        let text = self.http_get("/metrics");
        let lines = text.lines().filter(|line| line.starts_with(series));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.trim().parse::<u64>().ok())
            .sum()
    }
}
