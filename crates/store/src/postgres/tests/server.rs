//! PostgreSQL servers that belong to one test: it can kill, stop, replicate and promote them, with or without TLS.
//!
//! Other tests share one server. A server of this module ends, by its process id, when it is dropped.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use postrider_core::testing::backend_server::free_port;
use postrider_core::testing::certificates::TestCertificate;
use postrider_core::testing::postgres_server::find_postgres_programs;
use postrider_core::testing::postgres_shutdown;

/// Maximum time of a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// A PostgreSQL server.
pub struct PostgresServer {
    bin: PathBuf,
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts an empty server with these settings, as `name=value`.
    pub fn new(settings: &[&str]) -> Self {
        let mut server = Self::prepare(settings);
        let files = server.cluster_directory();
        let arguments =
            ["-D", &files, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
        run(server.owner_command("initdb").args(arguments));
        server.start();
        server
    }

    /// Starts a server with this certificate that accepts only TLS connections with the password `secret`.
    pub fn with_tls(certificate: &TestCertificate) -> Self {
        let mut server = Self::prepare(&["ssl=on"]);
        let (files, password) = (server.cluster_directory(), server.directory.path().join("password"));
        fs::write(&password, "secret").unwrap();
        let password = format!("--pwfile={}", password.display());
        let arguments = ["-D", &files, "-U", "postgres", "-A", "scram-sha-256", "--no-sync", &password];
        run(server.owner_command("initdb").args(arguments));
        let access = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(Path::new(&files).join("pg_hba.conf"), access).unwrap();
        for (from, to) in
            [(certificate.certificate_path(), "server.crt"), (certificate.key_path(), "server.key")]
        {
            let to = Path::new(&files).join(to);
            fs::copy(from, &to).unwrap();
            let owner = fs::metadata(&files).unwrap();
            std::os::unix::fs::chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
        }
        server.start();
        server
    }

    /// Starts a streaming replica of another server.
    pub fn replica_of(leader: &Self) -> Self {
        let mut server = Self::prepare(&["hot_standby_feedback=on"]);
        let (files, port) = (server.cluster_directory(), leader.port.to_string());
        let arguments = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-D", &files, "-R", "-c", "fast"];
        run(server.owner_command("pg_basebackup").args(arguments));
        server.start();
        server
    }

    /// Makes every commit wait for a replica.
    pub fn require_synchronous_replica(&self) {
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("SELECT pg_reload_conf()");
        wait_until("the replica is synchronous", || {
            self.psql("SELECT sync_state FROM pg_stat_replication") == "sync"
        });
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host_and_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the URL of its only database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.host_and_port())
    }

    /// Returns the output of a statement.
    pub fn psql(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let mut client = Command::new(self.bin.join("psql"));
        client.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-XAtc", sql]);
        run(&mut client).trim().to_owned()
    }

    /// Returns the number of statements that it has run. Needs `log_statement=all`.
    pub fn statements(&self) -> usize {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        log.lines().filter(|line| line.contains("execute ") || line.contains("statement: ")).count()
    }

    /// Promotes a replica.
    pub fn promote(&self) {
        let files = self.cluster_directory();
        run(self.owner_command("pg_ctl").args(["promote", "-w", "-D", &files]));
    }

    /// Kills all its processes.
    pub fn kill(&mut self) {
        let child = self.child.take().expect("the server runs");
        postgres_shutdown::kill_postgres(child, Path::new(&self.cluster_directory()));
    }

    /// Stops all its processes with SIGSTOP: it keeps and accepts connections but does not answer.
    pub fn stop(&self) {
        let child = self.child.as_ref().expect("the server runs");
        postgres_shutdown::send_signal("-STOP", &postgres_shutdown::server_pids(child));
    }

    fn prepare(settings: &[&str]) -> Self {
        let bin = find_postgres_programs().unwrap_or_else(|| {
            panic!("postgres is not installed: `apt-get install postgresql`, or `./start.sh test`")
        });
        let directory = tempfile::Builder::new().prefix("postrider-cluster-").tempdir().unwrap();
        // The server runs as a different user.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
        Self {
            bin,
            directory,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            child: None,
        }
    }

    fn cluster_directory(&self) -> String {
        self.directory.path().join("data").to_string_lossy().into_owned()
    }

    fn owner_command(&self, program: &str) -> Command {
        command_as_owner(&self.bin.join(program), self.directory.path())
    }

    fn start(&mut self) {
        let (port, log) = (self.port.to_string(), self.directory.path().join("log"));
        let fixed = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            postgres_shutdown::MMAP_SHARED_MEMORY_SETTING,
        ];
        let mut command = self.owner_command("postgres");
        command.args(["-D", &self.cluster_directory(), "-p", &port]);
        let settings = fixed.iter().copied().chain(self.settings.iter().map(String::as_str));
        command.args(settings.flat_map(|setting| ["-c", setting]));
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        self.child = Some(command.spawn().expect("postgres starts"));
        wait_until("the server answers", || {
            let mut client = Command::new(self.bin.join("pg_isready"));
            let answer = client.args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            assert!(!ended, "{}", fs::read_to_string(&log).unwrap_or_default());
            answer.is_ok_and(|status| status.success())
        });
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            postgres_shutdown::stop_postgres(child, Path::new(&self.cluster_directory()));
        }
    }
}

#[test]
fn a_server_leaves_no_process_and_no_shared_memory() {
    let (dropped, mut killed, stopped) =
        (PostgresServer::new(&[]), PostgresServer::new(&[]), PostgresServer::new(&[]));
    stopped.stop();
    let servers = [&dropped, &killed, &stopped];
    let segments = servers.map(|server| {
        postgres_shutdown::shared_memory_segment(Path::new(&server.cluster_directory())).unwrap()
    });
    let process_trees = servers.map(|server| postgres_shutdown::server_pids(server.child.as_ref().unwrap()));
    assert_eq!(dropped.psql("SHOW dynamic_shared_memory_type"), "mmap");
    killed.kill();
    drop((dropped, killed, stopped));
    let left = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let left = left.lines().filter_map(|line| line.split_whitespace().nth(1));
    let left = left.filter(|number| segments.iter().any(|segment| segment == number));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new());
    wait_until("all their processes have ended", || {
        let mut all = process_trees.iter().flatten();
        !all.any(|pid| Path::new(&format!("/proc/{pid}/cwd")).read_link().is_ok())
    });
}

/// Returns a command of the server as a user other than root. The process ends with the thread that starts it.
pub fn command_as_owner(program: &Path, directory: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(program);
    command.current_dir(directory).stdin(Stdio::null());
    command
}

/// Polls until a condition is true.
pub fn wait_until(description: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + COMMAND_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {description}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; `./start.sh test` installs it"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
