//! A cluster of real processes: `serve` on two intake hosts, `work` on three worker hosts, PostgreSQL and Redis on
//! separate hosts, and a stub provider that records every call.
//!
//! [`TestCluster::verify_all_messages`] checks the result of every accepted message at the end of a test.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::load::SteadyLoad;
use super::network::{NetworkHost, TestNetwork};
use super::raw_http;
use super::servers::{POSTGRES_PORT, PostgresHost, REDIS_PORT, RedisHost};
use super::stub_provider::{StubBehavior, StubProvider};
use super::tcp_relay::TcpRelay;
use super::test_gateway::{ConsoleProcess, wait_until};
use std::sync::Arc;

/// Hosts that accept messages.
pub const INTAKE_HOSTS: [&str; 2] = ["intake-a", "intake-b"];

/// Hosts that deliver messages.
pub const WORKER_HOSTS: [&str; 3] = ["worker-a", "worker-b", "worker-c"];

const ALL_HOSTS: [&str; 9] =
    ["intake-a", "intake-b", "worker-a", "worker-b", "worker-c", "store-a", "store-b", "queue-a", "queue-b"];

/// HTTP port of an intake host.
const INTAKE_PORT: u16 = 8080;

/// Lease of a claimed delivery (`work.lease`).
pub const LEASE: Duration = Duration::from_secs(8);

/// Maximum time from the end of a fault until every intake accepts a message.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(10);

/// Options of a cluster.
#[derive(Clone, Copy, Debug)]
pub struct ClusterOptions {
    /// Response of the stub provider to a call.
    pub provider_behavior: StubBehavior,
    /// Additional configuration lines of the provider.
    pub provider_config: &'static str,
    /// PostgreSQL has a replica, and every store URL lists both servers.
    pub has_replica: bool,
    /// Host that reaches PostgreSQL through a relay that can be slowed and stalled.
    pub relayed_host: Option<&'static str>,
    /// Hosts with wrong clocks, each with its offset as faketime reads it.
    pub clock_offsets: &'static [(&'static str, &'static str)],
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            provider_behavior: StubBehavior::AcceptAfterMs(5),
            provider_config: "",
            has_replica: false,
            relayed_host: None,
            clock_offsets: &[],
        }
    }
}

/// A running cluster.
pub struct TestCluster {
    consoles: BTreeMap<&'static str, ConsoleProcess>,
    intake_addresses: Vec<SocketAddr>,
    pub provider: StubProvider,
    pub redis: RedisHost,
    /// Relay through which every process reaches Redis.
    pub redis_relay: Arc<TcpRelay>,
    pub postgres: PostgresHost,
    pub replica: Option<PostgresHost>,
    /// Relay of [`ClusterOptions::relayed_host`].
    pub postgres_relay: Option<Arc<TcpRelay>>,
    options: ClusterOptions,
    fault_count: usize,
    recovery_times: Vec<(String, Duration)>,
    pub network: TestNetwork,
    pub folder: tempfile::TempDir,
}

/// The final state of a message.
#[derive(Clone, Debug)]
struct DeliveryResult {
    state: String,
    /// Number of attempts with the outcome `unknown`.
    unknown: usize,
}

impl TestCluster {
    /// Starts the servers and the intake hosts, and waits until the intake hosts answer.
    pub fn start(options: ClusterOptions) -> Self {
        let network = TestNetwork::new(&ALL_HOSTS);
        let folder = tempfile::tempdir().unwrap();
        let postgres = PostgresHost::new(network.host("store-a"), folder.path());
        let replica = options.has_replica.then(|| {
            let primary = SocketAddr::from((network.host("store-a").address, POSTGRES_PORT));
            PostgresHost::start_replica(network.host("store-b"), folder.path(), &postgres, primary)
        });
        let mut cluster = Self {
            consoles: BTreeMap::new(),
            intake_addresses: Vec::new(),
            provider: StubProvider::bind(network.test_address().into(), options.provider_behavior),
            redis: RedisHost::new(network.host("queue-a")),
            redis_relay: network.relay("here", "queue-a", REDIS_PORT),
            postgres,
            replica,
            postgres_relay: options.relayed_host.map(|host| network.relay(host, "store-a", POSTGRES_PORT)),
            options,
            fault_count: 0,
            recovery_times: Vec::new(),
            network,
            folder,
        };
        for host in INTAKE_HOSTS.iter().chain(&WORKER_HOSTS) {
            cluster.write_config(host);
        }
        cluster.intake_addresses =
            INTAKE_HOSTS.map(|intake| cluster.network.address_of("here", intake, INTAKE_PORT)).to_vec();
        for host in INTAKE_HOSTS {
            cluster.start_console(host);
        }
        cluster.wait_for_intakes();
        cluster
    }

    /// Starts the cluster with its workers, and a steady load.
    pub fn start_under_load(options: ClusterOptions) -> (Self, SteadyLoad) {
        let mut cluster = Self::start(options);
        for host in WORKER_HOSTS {
            cluster.start_console(host);
        }
        let load = SteadyLoad::start(&cluster.intake_addresses);
        load.wait_for_accepted(20);
        (cluster, load)
    }

    /// Returns the addresses of the intake hosts.
    pub fn intake_addresses(&self) -> &[SocketAddr] {
        &self.intake_addresses
    }

    /// Starts the console of a host.
    pub fn start_console(&mut self, name: &'static str) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file(name)).unwrap();
        let host = self.network.host(name);
        let mut command = self.console_command(host);
        if INTAKE_HOSTS.contains(&name) {
            command.args(["serve", "--concurrency", "0"]);
        } else {
            command.args(["work", "--concurrency", "8"]);
        }
        for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("POSTRIDER_")) {
            command.env_remove(variable);
        }
        command.current_dir(self.host_folder(name)).stdout(log.try_clone().unwrap()).stderr(log);
        self.consoles.insert(name, ConsoleProcess::from_child(command.spawn().unwrap()));
    }

    /// Returns a command that runs `console` on a host, with the clock offset of that host.
    fn console_command(&self, host: &NetworkHost) -> std::process::Command {
        let program = env!("CARGO_BIN_EXE_console");
        let Some((_, offset)) = self.options.clock_offsets.iter().find(|(name, _)| *name == host.name) else {
            return host.command(program);
        };
        let mut command = host.command(program);
        // Only the time of day is wrong; the monotonic clock is right.
        let faketime = [("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", &"1")];
        command.envs(faketime).env("LD_PRELOAD", faketime_library());
        command
    }

    /// Kills the console of a host with `kill -9`.
    pub fn kill_console(&mut self, name: &str) {
        self.consoles.remove(name).unwrap().kill();
    }

    /// Sends a signal, given by name, to the console of a host.
    pub fn signal_console(&self, name: &str, signal: &str) {
        self.consoles[name].signal(signal);
    }

    /// Returns the log of the console of a host.
    pub fn console_log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    /// Waits after the end of a fault until every intake accepts messages again; fails when that takes longer than
    /// [`RECOVERY_TIME_MAX`]. The start time of a process depends on the machine and is not counted.
    pub fn expect_recovery(&mut self, load: &SteadyLoad, fault: &str) {
        self.wait_for_intakes();
        let duration = load.recovery_time(Instant::now());
        println!("{fault}: every intake accepts {} ms after its end", duration.as_millis());
        self.fault_count += 1;
        self.recovery_times.push((fault.to_owned(), duration));
        for (name, console) in &mut self.consoles {
            assert!(console.is_alive(), "{name} exited during: {fault}");
        }
        assert!(
            duration <= RECOVERY_TIME_MAX,
            "{fault}: every intake accepts only {duration:?} after its end"
        );
    }

    /// Checks that the other intake hosts accept messages during a fault.
    pub fn expect_others_accept(&mut self, load: &SteadyLoad, without: &str, fault: &str) {
        let intakes = INTAKE_HOSTS.iter().zip(&self.intake_addresses).filter(|(name, _)| **name != without);
        let started_at = Instant::now();
        for (_, address) in intakes {
            load.recovery_time_of(*address, started_at);
        }
        let duration = started_at.elapsed();
        println!("{fault}: the other intakes accept {} ms after the check started", duration.as_millis());
        self.recovery_times.push((fault.to_owned(), duration));
        assert!(
            duration <= RECOVERY_TIME_MAX,
            "{fault}: the other intakes accept only {duration:?} after the check started"
        );
    }

    /// Ends the load, waits until no delivery is waiting, and checks every message: accepted messages are stored and
    /// sent, the provider got each of them, and each duplicate send has an attempt with the outcome `unknown`.
    pub fn verify_all_messages(&self, load: SteadyLoad) {
        let accepted = load.stop();
        let store = self.primary();
        wait_until("no delivery is waiting", || {
            store.query("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == "0"
        });
        let results = delivery_results(store);
        let missing_messages: Vec<_> = accepted.iter().filter(|body| !results.contains_key(*body)).collect();
        assert!(
            missing_messages.is_empty(),
            "{} accepted messages are missing: {missing_messages:?}",
            missing_messages.len()
        );
        let failed: Vec<_> = results.iter().filter(|(_, result)| result.state != "sent").collect();
        assert!(failed.is_empty(), "not sent: {failed:?}");
        let (mut duplicates, mut unexplained) = (0, Vec::new());
        let calls = self.provider_calls();
        for (body, sends) in &calls {
            let result = results.get(body).unwrap_or_else(|| panic!("{body} was sent but is not stored"));
            duplicates += sends - 1;
            if sends - 1 > result.unknown {
                unexplained.push((body, sends, result.unknown));
            }
        }
        assert!(
            unexplained.is_empty(),
            "duplicate sends without an unknown attempt (body, sends, unknown): {unexplained:?}"
        );
        let unsent: Vec<_> = results.keys().filter(|body| !calls.contains_key(*body)).collect();
        assert!(unsent.is_empty(), "in the state sent without a call to the provider: {unsent:?}");
        let unknown: usize = results.values().map(|result| result.unknown).sum();
        let slowest = self.recovery_times.iter().map(|(_, duration)| duration.as_millis()).max().unwrap_or(0);
        println!(
            "{} accepted, {} faults, 0 missing, {unknown} unknown, {duplicates} duplicate sends, recovery within {slowest} ms",
            accepted.len(),
            self.fault_count
        );
    }

    /// Returns the PostgreSQL server that accepts writes.
    pub fn primary(&self) -> &PostgresHost {
        let replica = self.replica.as_ref().filter(|_| !self.postgres.is_running());
        replica.unwrap_or(&self.postgres)
    }

    /// Returns the number of calls to the provider, by message body.
    pub fn provider_calls(&self) -> HashMap<String, usize> {
        let mut calls = HashMap::new();
        for call in self.provider.calls() {
            let call: serde_json::Value = serde_json::from_str(&call).unwrap();
            *calls.entry(call["message"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        calls
    }

    fn wait_for_intakes(&mut self) {
        for (nth, name) in INTAKE_HOSTS.into_iter().enumerate() {
            let address = self.intake_addresses[nth];
            wait_until(&format!("{name} answers"), || {
                let console = self.consoles.get_mut(name).unwrap();
                let is_alive = console.is_alive();
                let log = std::fs::read_to_string(self.folder.path().join(name).join("console.log"));
                assert!(is_alive, "{name} exited: {}", log.unwrap_or_default());
                raw_http::get(address, "/healthz").is_some_and(|answer| answer.status == 200)
            });
        }
    }

    fn write_config(&self, name: &'static str) {
        std::fs::create_dir(self.host_folder(name)).unwrap();
        let config = format!(
            "listen = \"{}:{INTAKE_PORT}\"\ninsecure = true\n[store]\nurl = \"{}\"\n[queue]\nurl = \"redis://{}\"\n\
             [work]\nlease = \"{}s\"\n[schedule]\nresend = \"1s\"\nreport = \"{}\"\n\
             [retry]\nbase = \"100ms\"\ncap = \"1s\"\n{}connect_timeout = \"1s\"\n{}\n\
             [channels.sms]\nproviders = [\"red\"]\n",
            self.network.host(name).address,
            self.store_url(name),
            self.redis_relay.address,
            LEASE.as_secs(),
            if name == INTAKE_HOSTS[0] { "1s" } else { "never" },
            self.provider.texting_config("red"),
            self.options.provider_config,
        );
        std::fs::write(self.host_folder(name).join("console.toml"), config).unwrap();
    }

    fn store_url(&self, name: &'static str) -> String {
        let mut addresses = vec![match &self.postgres_relay {
            Some(relay) if self.options.relayed_host == Some(name) => relay.address,
            _ => self.network.address_of(name, "store-a", POSTGRES_PORT),
        }];
        if self.options.has_replica {
            addresses.push(self.network.address_of(name, "store-b", POSTGRES_PORT));
        }
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let session_attrs = if self.options.has_replica { "?target_session_attrs=read-write" } else { "" };
        format!("postgres://postgres@{}/postgres{session_attrs}", addresses.join(","))
    }

    fn host_folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.host_folder(name).join("console.log")
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in INTAKE_HOSTS.iter().chain(&WORKER_HOSTS) {
                let log = self.console_log(name);
                let from = log.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
                println!("--- end of the log of {name}:\n{}", &log[from..]);
            }
        }
    }
}

/// Returns the faketime library, which changes the time of day of a program.
fn faketime_library() -> PathBuf {
    let entries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = entries.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|library| library.is_file());
    library.expect("faketime is not installed: `apt-get install faketime`, or `./start.sh test`")
}

/// Returns the result of every stored message, by message body.
fn delivery_results(store: &PostgresHost) -> HashMap<String, DeliveryResult> {
    let rows = store.query(
        "SELECT m.body, d.state, (SELECT count(*) FROM attempts a WHERE a.delivery = d.id AND a.outcome = 'unknown') \
         FROM deliveries d JOIN messages m ON m.number = d.id / 64",
    );
    let result = |row: &str| {
        let mut parts = row.split('|').map(str::to_owned);
        let (body, state) = (parts.next()?, parts.next()?);
        let unknown = parts.next()?.parse().ok()?;
        Some((body, DeliveryResult { state, unknown }))
    };
    let results: HashMap<_, _> = rows.lines().filter_map(result).collect();
    assert_eq!(results.len(), rows.lines().count(), "each body is stored once");
    results
}

/// Returns whether `POSTRIDER_LONG` requests the long form of the tests.
pub fn is_long_test() -> bool {
    std::env::var("POSTRIDER_LONG").is_ok_and(|value| value != "0")
}

/// Returns the time for which a host is disconnected: longer than a lease.
pub fn outage_duration() -> Duration {
    if is_long_test() { Duration::from_secs(60) } else { LEASE + Duration::from_secs(4) }
}
