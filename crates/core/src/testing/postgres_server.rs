//! A real PostgreSQL server for all tests of one binary, on a free port of 127.0.0.1, and a database for each test.
//!
//! A shell script supervises the server: it ends the server and removes its files when the test binary ends, however that
//! happens.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::backend_server::free_port;

/// Maximum time from the start of the server to its first answer.
const POSTGRES_START_TIMEOUT: Duration = Duration::from_secs(60);

const INSTALL_HINT: &str = "`apt-get install postgresql`, or `./start.sh test`";

struct PostgresTestServer {
    program_dir: PathBuf,
    port: u16,
    /// The shell that supervises the server. It ends the server when this end of its pipe is closed.
    supervisor: Child,
}

static SERVER: OnceLock<PostgresTestServer> = OnceLock::new();

/// Creates an empty database and returns its URL.
pub fn new_database() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(PostgresTestServer::start);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let created = server.client_command("createdb").arg(&name).status();
    assert!(created.is_ok_and(|status| status.success()), "createdb {name}");
    format!("postgres://postgres@127.0.0.1:{}/{name}", server.port)
}

impl PostgresTestServer {
    fn start() -> Self {
        let bin =
            find_postgres_programs().unwrap_or_else(|| panic!("postgres is not installed: {INSTALL_HINT}"));
        // Another process may have taken the free port since.
        for _ in 0..5 {
            let mut server = Self::spawn(&bin);
            if server.is_ready() {
                return server;
            }
        }
        panic!("postgres does not start; run it by hand to see why");
    }

    fn spawn(bin: &Path) -> Self {
        let port = free_port();
        let data_dir = std::env::temp_dir().join(format!("postrider-postgres-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&data_dir).expect("a directory for the server");
        let supervisor = Command::new("sh")
            .args(["-c", include_str!("database.sh"), "database.sh"])
            .arg(bin)
            .arg(&data_dir)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self { program_dir: bin.to_owned(), port, supervisor: supervisor.expect("a shell") }
    }

    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + POSTGRES_START_TIMEOUT;
        while Instant::now() < deadline && matches!(self.supervisor.try_wait(), Ok(None)) {
            let answer = self.client_command("pg_isready").arg("-q").status();
            if answer.is_ok_and(|status| status.success()) {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    }

    fn client_command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program_dir.join(program));
        let port = self.port.to_string();
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port]);
        command.stdin(Stdio::null());
        command
    }
}

/// Returns the folder of the server programs. Debian keeps them outside the search path, one folder for each version.
pub fn find_postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> =
        versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    folders.sort();
    folders.reverse();
    #[allow(clippy::disallowed_methods)]
    // The search path belongs to the machine, not to the configuration.
    let path = std::env::var("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}
