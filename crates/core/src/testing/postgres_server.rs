//! A real PostgreSQL server for all tests of one binary, on a free port of 127.0.0.1, and a database for each test.
//!
//! Standard library only, so that unit tests and the end-to-end tests include the same file. The server ends, and
//! its files go, when the test binary ends in whatever way.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::backend_server::free_port;

/// How long the server may take to answer for the first time before the test fails.
const POSTGRES_START_TIMEOUT: Duration = Duration::from_secs(60);

const INSTALL_HINT: &str = "`apt-get install postgresql`, or `./start.sh test`";

struct PostgresTestServer {
    program_dir: PathBuf,
    port: u16,
    /// Whoever looks after the server: it ends it when this end of its pipe is closed.
    supervisor: Child,
}

static SERVER: OnceLock<PostgresTestServer> = OnceLock::new();

/// The URL of a new, empty database.
pub fn new_database() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(PostgresTestServer::start);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let made = server.client_command("createdb").arg(&name).status();
    assert!(made.is_ok_and(|status| status.success()), "createdb {name}");
    format!("postgres://postgres@127.0.0.1:{}/{name}", server.port)
}

impl PostgresTestServer {
    fn start() -> Self {
        let bin =
            find_postgres_programs().unwrap_or_else(|| panic!("postgres is not installed: {INSTALL_HINT}"));
        // A port that was free a moment ago may be taken by now; then another is tried.
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
        let place = std::env::temp_dir().join(format!("postrider-postgres-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&place).expect("a directory for the server");
        let keeper = Command::new("sh")
            .args(["-c", include_str!("database.sh"), "database.sh"])
            .arg(bin)
            .arg(&place)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self {
            program_dir: bin.to_owned(),
            port,
            supervisor: keeper.expect("a shell"),
        }
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

/// Where the server's programs are: Debian keeps them out of the search path, one folder for each version.
pub fn find_postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut places: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    places.sort();
    places.reverse();
    #[allow(clippy::disallowed_methods)]
    // The search path is the machine's, not a setting of ours.
    let path = std::env::var("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path));
    places
        .into_iter()
        .find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}
