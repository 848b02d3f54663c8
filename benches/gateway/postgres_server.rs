//! A PostgreSQL server for the time of a row, on a free port, with its files in a temporary folder.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::processes::{cpu_ticks, free_address};
use crate::workload::MOCK_CONFIG;

/// A PostgreSQL server; stopped and deleted on drop.
pub struct BenchPostgres {
    program_dir: PathBuf,
    data_dir: PathBuf,
    port: u16,
    supervisor: Child,
}

/// Settings of a server with two cores and a few GiB of memory.
const SERVER_SETTINGS: [&str; 10] = [
    "-c",
    "fsync=on",
    "-c",
    "full_page_writes=on",
    "-c",
    "shared_buffers=1GB",
    "-c",
    "max_wal_size=8GB",
    "-c",
    "wal_compression=on",
];

impl BenchPostgres {
    /// Starts a server and waits until it is ready.
    pub fn start() -> Self {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let program_dirs = versions.flatten().map(|version| version.path().join("bin"));
        let program_dir = program_dirs.max().expect("PostgreSQL; ./start.sh test installs it");
        let port = free_address().port();
        let data_dir = std::env::temp_dir().join(format!("postrider-bench-{port}"));
        std::fs::create_dir_all(&data_dir).expect("a folder");
        let supervisor = Command::new("sh")
            .args(["-c", include_str!("../../crates/core/src/testing/database.sh"), "database.sh"])
            .arg(&program_dir)
            .arg(&data_dir)
            .arg(port.to_string())
            .args(SERVER_SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Self { program_dir, data_dir, port, supervisor: supervisor.expect("a shell") };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.run("pg_isready", &["-q"], "") {
            assert!(Instant::now() < deadline, "postgres was not ready within 60 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Runs a client program and returns whether it succeeded.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> bool {
        let port = self.port.to_string();
        let mut child = Command::new(self.program_dir.join(program))
            .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("start a PostgreSQL program");
        let mut stdin = child.stdin.take().expect("a pipe to stdin");
        stdin.write_all(input.as_bytes()).expect("write to stdin");
        drop(stdin);
        child.wait().is_ok_and(|status| status.success())
    }

    /// Creates an empty database and returns its URL.
    pub fn create_database(&self, name: &str) -> String {
        assert!(self.run("createdb", &[name], ""), "createdb {name}");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Returns the single number that a query selects.
    pub fn query_number(&self, name: &str, sql: &str) -> i64 {
        let port = self.port.to_string();
        let connection = ["-h", "127.0.0.1", "-U", "postgres", "-p", &port, "-d", name];
        let mut command = Command::new(self.program_dir.join("psql"));
        let output = command.args(connection).args(["-Atc", sql]).output().expect("run psql");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse().expect("a number")
    }

    /// Returns the processor time of all its processes, in clock ticks.
    pub fn server_cpu_ticks(&self) -> u64 {
        let file =
            std::fs::read_to_string(self.data_dir.join("data/postmaster.pid")).expect("the process id");
        let id = file.lines().next().and_then(|line| line.parse().ok()).expect("the process id");
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = list.split_whitespace().filter_map(|child| child.parse().ok());
        cpu_ticks(id) + children.map(cpu_ticks).sum::<u64>()
    }

    /// Runs SQL statements.
    pub fn run_sql(&self, name: &str, sql: &str) {
        let arguments = ["-q", "-v", "ON_ERROR_STOP=1", "-d", name];
        assert!(self.run("psql", &arguments, sql), "psql failed");
    }
}

impl Drop for BenchPostgres {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// Returns the configuration of a gateway on a database.
pub fn postgres_config(url: &str) -> String {
    format!("[store]\nurl = \"{url}\"\n{MOCK_CONFIG}")
}
