//! PostgreSQL servers that a test owns: killed, stopped, copied by streaming, promoted, with or without TLS.
//!
//! The server all other tests share can have none of this done to it. They end, by their own pids, when dropped.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use postrider_core::testing::backend_server::free_port;
use postrider_core::testing::postgres_server::find_postgres_programs;
use postrider_core::testing::postgres_shutdown;

/// How long a server may take to do what it is told.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// A server.
pub struct PostgresServer {
    bin: PathBuf,
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl PostgresServer {
    /// A new, empty server with these settings, `name=value`.
    pub fn new(settings: &[&str]) -> Self {
        let mut server = Self::prepare(settings);
        let files = server.data_directory();
        let arguments = [
            "-D",
            &files,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ];
        run(server.owner_command("initdb").args(arguments));
        server.start();
        server
    }

    /// A new server that shows this certificate and lets in with the password `secret` over TLS only.
    pub fn with_tls(certificate: &ServerCertificate) -> Self {
        let mut server = Self::prepare(&["ssl=on"]);
        let (files, password) = (server.data_directory(), server.directory.path().join("password"));
        fs::write(&password, "secret").unwrap();
        let password = format!("--pwfile={}", password.display());
        let arguments = [
            "-D",
            &files,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            "--no-sync",
            &password,
        ];
        run(server.owner_command("initdb").args(arguments));
        let doors = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(Path::new(&files).join("pg_hba.conf"), doors).unwrap();
        for (from, to) in [
            (&certificate.file, "server.crt"),
            (&certificate.key, "server.key"),
        ] {
            let to = Path::new(&files).join(to);
            fs::copy(from, &to).unwrap();
            let owner = fs::metadata(&files).unwrap();
            std::os::unix::fs::chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
        }
        server.start();
        server
    }

    /// A replica that follows another server.
    pub fn replica_of(leader: &Self) -> Self {
        let mut server = Self::prepare(&["hot_standby_feedback=on"]);
        let (files, port) = (server.data_directory(), leader.port.to_string());
        let arguments = [
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-D",
            &files,
            "-R",
            "-c",
            "fast",
        ];
        run(server.owner_command("pg_basebackup").args(arguments));
        server.start();
        server
    }

    /// Lets every commit wait until a replica has it.
    pub fn require_synchronous_replica(&self) {
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("SELECT pg_reload_conf()");
        wait_until("the replica keeps up with every commit", || {
            self.psql("SELECT sync_state FROM pg_stat_replication") == "sync"
        });
    }

    /// `127.0.0.1:PORT`.
    pub fn host_and_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of its only database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.host_and_port())
    }

    /// What it answers to a statement.
    pub fn psql(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let mut client = Command::new(self.bin.join("psql"));
        client.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-XAtc", sql]);
        run(&mut client).trim().to_owned()
    }

    /// How many statements it has run, when it was told to log them (`log_statement=all`).
    pub fn statements(&self) -> usize {
        let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
        log.lines()
            .filter(|line| line.contains("execute ") || line.contains("statement: "))
            .count()
    }

    /// Makes a replica a server of its own.
    pub fn promote(&self) {
        let files = self.data_directory();
        run(self.owner_command("pg_ctl").args(["promote", "-w", "-D", &files]));
    }

    /// Ends all of its processes with SIGKILL.
    pub fn kill(&mut self) {
        let child = self.child.take().expect("the server runs");
        postgres_shutdown::kill_postgres(child, Path::new(&self.data_directory()));
    }

    /// SIGSTOP: it keeps its connections, takes more, and answers nothing any more.
    pub fn stop(&self) {
        let child = self.child.as_ref().expect("the server runs");
        postgres_shutdown::send_signal("-STOP", &postgres_shutdown::process_tree(child));
    }

    fn prepare(settings: &[&str]) -> Self {
        let bin = find_postgres_programs().unwrap_or_else(|| {
            panic!("postgres is not installed: `apt-get install postgresql`, or `./start.sh test`")
        });
        let place = tempfile::Builder::new()
            .prefix("postrider-cluster-")
            .tempdir()
            .unwrap();
        // The server runs as another user than the test.
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        Self {
            bin,
            directory: place,
            port: free_port(),
            settings: settings.iter().map(ToString::to_string).collect(),
            child: None,
        }
    }

    fn data_directory(&self) -> String {
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
        command.args(["-D", &self.data_directory(), "-p", &port]);
        let settings = fixed
            .iter()
            .copied()
            .chain(self.settings.iter().map(String::as_str));
        command.args(settings.flat_map(|setting| ["-c", setting]));
        command
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        self.child = Some(command.spawn().expect("postgres starts"));
        wait_until("the server answers", || {
            let mut client = Command::new(self.bin.join("pg_isready"));
            let answer = client.args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
            let ended = self
                .child
                .as_mut()
                .is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            assert!(!ended, "{}", fs::read_to_string(&log).unwrap_or_default());
            answer.is_ok_and(|status| status.success())
        });
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            postgres_shutdown::stop_postgres(child, Path::new(&self.data_directory()));
        }
    }
}

#[test]
fn a_server_leaves_nothing_behind_whatever_its_end() {
    let (dropped, mut killed, stopped) = (
        PostgresServer::new(&[]),
        PostgresServer::new(&[]),
        PostgresServer::new(&[]),
    );
    stopped.stop();
    let servers = [&dropped, &killed, &stopped];
    let segments = servers
        .map(|server| postgres_shutdown::shared_memory_segment(Path::new(&server.data_directory())).unwrap());
    let families = servers.map(|server| postgres_shutdown::process_tree(server.child.as_ref().unwrap()));
    assert_eq!(dropped.psql("SHOW dynamic_shared_memory_type"), "mmap");
    killed.kill();
    drop((dropped, killed, stopped));
    let left = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let left = left.lines().filter_map(|line| line.split_whitespace().nth(1));
    let left = left.filter(|number| segments.iter().any(|segment| segment == number));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&str>::new());
    wait_until("all their processes have ended", || {
        let mut all = families.iter().flatten();
        !all.any(|pid| Path::new(&format!("/proc/{pid}/cwd")).read_link().is_ok())
    });
}

/// A program of the server's, as a user it is willing to run as. It ends with the thread that starts it.
pub fn command_as_owner(program: &Path, place: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg(program);
    command.current_dir(place).stdin(Stdio::null());
    command
}

/// A certificate with its key, and who signed it.
pub struct ServerCertificate {
    directory: TempDir,
    /// The certificate in PEM form.
    pub file: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl ServerCertificate {
    /// One that nobody else signed, which may sign others.
    pub fn self_signed_authority() -> Self {
        let made = Self::in_new_directory();
        made.openssl(
            &["req", "-x509", "-subj", "/CN=a test's authority"],
            &["-addext", "basicConstraints=critical,CA:TRUE"],
        );
        made
    }

    /// One that nobody else signed, for a server.
    pub fn self_signed_server(names: &str) -> Self {
        let made = Self::in_new_directory();
        made.openssl(
            &["req", "-x509", "-subj", "/CN=alone"],
            &["-addext", &format!("subjectAltName={names}")],
        );
        made
    }

    /// One for a server of these names (`DNS:localhost,IP:127.0.0.1`), signed by this one.
    pub fn sign(&self, names: &str) -> Self {
        let made = Self::in_new_directory();
        let (authority, key) = (self.file.to_string_lossy(), self.key.to_string_lossy());
        made.openssl(
            &[
                "req",
                "-x509",
                "-CA",
                &authority,
                "-CAkey",
                &key,
                "-subj",
                "/CN=server",
            ],
            &[
                "-addext",
                &format!("subjectAltName={names}"),
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ],
        );
        made
    }

    fn in_new_directory() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (file, key) = (place.path().join("crt.pem"), place.path().join("key.pem"));
        Self {
            directory: place,
            file,
            key,
        }
    }

    fn openssl(&self, first: &[&str], last: &[&str]) {
        let mut command = Command::new("openssl");
        command.args(first).args([
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ]);
        command.args(["-keyout", "key.pem", "-out", "crt.pem"]).args(last);
        run(command.current_dir(self.directory.path()));
    }
}

/// Polls until it is so.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + COMMAND_TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}; `./start.sh test` installs it"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}
