//! PostgreSQL and Redis servers on test hosts, which can be killed, started again, replicated and promoted.
//!
//! Their data is deleted with the test. They end when dropped.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::network::{NetworkHost, run_ok};
use super::test_gateway::wait_until;
use postrider_core::testing::postgres_server::find_postgres_programs;
use postrider_core::testing::postgres_shutdown;

/// Port of every PostgreSQL server.
pub const POSTGRES_PORT: u16 = 5432;

/// Port of every Redis server.
pub const REDIS_PORT: u16 = 6379;

/// A PostgreSQL server.
pub struct PostgresHost {
    host: NetworkHost,
    program_dir: PathBuf,
    data_dir: PathBuf,
    child: Option<Child>,
}

impl PostgresHost {
    /// Creates and starts a server with an empty database `postgres`.
    pub fn new(host: &NetworkHost, folder: &Path) -> Self {
        let mut server = Self::prepare(host, folder);
        let database_folder = server.database_folder();
        run_ok(server.owner_command("initdb").args([
            "-D",
            &database_folder,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]));
        let access_rules = "host all all 10.213.0.0/16 trust\nhost all all 127.0.0.0/8 trust\n\
                     host replication all 10.213.0.0/16 trust\nhost replication all 127.0.0.0/8 trust\n";
        std::fs::write(server.data_dir.join("data/pg_hba.conf"), access_rules).unwrap();
        server.start();
        server
    }

    /// Creates and starts a synchronous replica: each commit of the primary waits for it.
    pub fn start_replica(
        host: &NetworkHost,
        folder: &Path,
        primary: &Self,
        primary_address: SocketAddr,
    ) -> Self {
        let mut server = Self::prepare(host, folder);
        let (address, port) = (primary_address.ip().to_string(), primary_address.port().to_string());
        let database_folder = server.database_folder();
        run_ok(server.owner_command("pg_basebackup").args([
            "-h",
            &address,
            "-p",
            &port,
            "-U",
            "postgres",
            "-D",
            &database_folder,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]));
        server.start();
        primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.query("SELECT pg_reload_conf()");
        wait_until("the replica is synchronous", || {
            primary.query("SELECT sync_state FROM pg_stat_replication") == "sync"
        });
        server
    }

    fn prepare(host: &NetworkHost, folder: &Path) -> Self {
        let program_dir = find_postgres_programs().unwrap_or_else(|| {
            panic!("postgres is not installed: `apt-get install postgresql`, or `./start.sh test`")
        });
        let data_dir = folder.join(host.name);
        std::fs::create_dir(&data_dir).unwrap();
        // The server runs as another user than the test.
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&data_dir, PermissionsExt::from_mode(0o777)).unwrap();
        Self { host: host.clone(), program_dir, data_dir, child: None }
    }

    fn database_folder(&self) -> String {
        self.data_dir.join("data").to_string_lossy().into_owned()
    }

    /// Returns a command that runs a PostgreSQL program as the owner of the data; PostgreSQL does not run as root.
    fn owner_command(&self, program: &str) -> Command {
        let program = self.program_dir.join(program);
        let is_root = std::fs::metadata("/proc/self")
            .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
        let mut command = if is_root {
            let mut command = self.host.command("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "QUIT"]);
            command.arg(program);
            command
        } else {
            self.host.command(&program.to_string_lossy())
        };
        command.current_dir(&self.data_dir);
        command
    }

    /// Starts the server and waits until it answers.
    pub fn start(&mut self) {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.data_dir.join("log")).unwrap();
        let listen = format!("listen_addresses={}", self.host.address);
        let settings = [
            &listen,
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=32MB",
            postgres_shutdown::MMAP_SHARED_MEMORY_SETTING,
            // Time until a replica tries again to connect to its primary.
            "wal_retrieve_retry_interval=200ms",
        ];
        let database_folder = self.database_folder();
        let mut command = self.owner_command("postgres");
        command.args(["-D", &database_folder, "-p", &POSTGRES_PORT.to_string()]);
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        self.child = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        wait_until("postgres answers", || {
            self.client_command("pg_isready").arg("-q").status().unwrap().success()
        });
    }

    /// Kills the server with `kill -9`.
    pub fn kill(&mut self) {
        if let Some(child) = self.child.take() {
            postgres_shutdown::kill_postgres(child, &self.data_dir.join("data"));
        }
    }

    /// Stops the server in the mode `fast` and starts it again.
    pub fn restart(&mut self) {
        let database_folder = self.database_folder();
        run_ok(self.owner_command("pg_ctl").args(["-D", &database_folder, "-m", "fast", "-w", "stop"]));
        kill_child(&mut self.child);
        self.start();
    }

    /// Promotes a replica to primary.
    pub fn promote(&self) {
        assert_eq!(self.query("SELECT pg_promote(true)"), "t");
    }

    /// Returns whether the server was started and not killed.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Runs a statement and returns its result, one line per row.
    pub fn query(&self, sql: &str) -> String {
        let output = self
            .client_command("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn client_command(&self, program: &str) -> Command {
        let mut command = Command::new(self.program_dir.join(program));
        command.args([
            "-h",
            &self.host.address.to_string(),
            "-p",
            &POSTGRES_PORT.to_string(),
            "-U",
            "postgres",
        ]);
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for PostgresHost {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            postgres_shutdown::stop_postgres(child, &self.data_dir.join("data"));
        }
    }
}

/// A Redis server without persistence.
pub struct RedisHost {
    host: NetworkHost,
    child: Option<Child>,
}

impl RedisHost {
    /// Creates and starts an empty server.
    pub fn new(host: &NetworkHost) -> Self {
        let mut server = Self { host: host.clone(), child: None };
        server.start();
        server
    }

    /// Starts the server without data and waits until it answers.
    pub fn start(&mut self) {
        let (address, port) = (self.host.address.to_string(), REDIS_PORT.to_string());
        let child = self
            .host
            .command("redis-server")
            .args([
                "--bind",
                &address,
                "--port",
                &port,
                "--protected-mode",
                "no",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .current_dir(std::env::temp_dir())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        wait_until("redis answers (`apt-get install redis-server`)", || self.try_command("PING").is_some());
    }

    /// Kills the server with `kill -9`.
    pub fn kill(&mut self) {
        kill_child(&mut self.child);
    }

    /// Sends one command line and returns the first line of the reply.
    pub fn send_command(&self, line: &str) -> String {
        self.try_command(line).expect("redis answers")
    }

    fn try_command(&self, line: &str) -> Option<String> {
        let mut stream = TcpStream::connect((self.host.address, REDIS_PORT)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).ok()?;
        Some(reply.trim_end().to_owned()).filter(|reply| !reply.is_empty())
    }
}

impl Drop for RedisHost {
    fn drop(&mut self) {
        self.kill();
    }
}

fn kill_child(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
