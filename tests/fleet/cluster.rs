//! A crowd of processes as an operator would start them: intake on two hosts, workers on three, PostgreSQL and Redis
//! on hosts of their own, and a provider that remembers every send.
//!
//! Judges at the end of a test what came of every message; never looks away.

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

/// The hosts that take messages in.
pub const INTAKE_HOSTS: [&str; 2] = ["intake-a", "intake-b"];

/// The hosts that send them.
pub const WORKER_HOSTS: [&str; 3] = ["worker-a", "worker-b", "worker-c"];

const ALL_HOSTS: [&str; 9] = [
    "intake-a", "intake-b", "worker-a", "worker-b", "worker-c", "store-a", "store-b", "queue-a", "queue-b",
];

/// Where intake listens on its host.
const INTAKE_PORT: u16 = 8080;

/// How long a worker owns a delivery.
pub const LEASE: Duration = Duration::from_secs(8);

/// How soon intake must answer 2xx again after a fault has ended.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(10);

/// What is unusual about a crowd.
#[derive(Clone, Copy, Debug)]
pub struct ClusterOptions {
    /// What the provider does with a call.
    pub provider_behavior: StubBehavior,
    /// More keys for the provider.
    pub provider_config: &'static str,
    /// PostgreSQL has a replica, and every URL names both.
    pub has_replica: bool,
    /// The host whose way to PostgreSQL is a relay that can be slowed and stalled.
    pub relayed_host: Option<&'static str>,
    /// Hosts whose clocks are wrong, and by how much.
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

/// All of it, running.
pub struct TestCluster {
    consoles: BTreeMap<&'static str, ConsoleProcess>,
    intake_addresses: Vec<SocketAddr>,
    pub provider: StubProvider,
    pub redis: RedisHost,
    /// Where every process believes Redis to be.
    pub redis_relay: Arc<TcpRelay>,
    pub postgres: PostgresHost,
    pub replica: Option<PostgresHost>,
    /// That relay.
    pub postgres_relay: Option<Arc<TcpRelay>>,
    options: ClusterOptions,
    fault_count: usize,
    recovery_times: Vec<(String, Duration)>,
    pub network: TestNetwork,
    pub folder: tempfile::TempDir,
}

/// What came of a message.
#[derive(Clone, Debug)]
struct DeliveryResult {
    state: String,
    unknown: usize,
}

impl TestCluster {
    /// Starts everything and waits until intake answers.
    pub fn start(plan: ClusterOptions) -> Self {
        let lan = TestNetwork::new(&ALL_HOSTS);
        let folder = tempfile::tempdir().unwrap();
        let postgres = PostgresHost::new(lan.host("store-a"), folder.path());
        let replica = plan.has_replica.then(|| {
            let way = SocketAddr::from((lan.host("store-a").address, POSTGRES_PORT));
            PostgresHost::start_replica(lan.host("store-b"), folder.path(), &postgres, way)
        });
        let mut crowd = Self {
            consoles: BTreeMap::new(),
            intake_addresses: Vec::new(),
            provider: StubProvider::bind(lan.test_address().into(), plan.provider_behavior),
            redis: RedisHost::new(lan.host("queue-a")),
            redis_relay: lan.relay("here", "queue-a", REDIS_PORT),
            postgres,
            replica,
            postgres_relay: plan
                .relayed_host
                .map(|host| lan.relay(host, "store-a", POSTGRES_PORT)),
            options: plan,
            fault_count: 0,
            recovery_times: Vec::new(),
            network: lan,
            folder,
        };
        for host in INTAKE_HOSTS.iter().chain(&WORKER_HOSTS) {
            crowd.write_config(host);
        }
        crowd.intake_addresses = INTAKE_HOSTS
            .map(|intake| crowd.network.address_of("here", intake, INTAKE_PORT))
            .to_vec();
        for host in INTAKE_HOSTS {
            crowd.start_console(host);
        }
        crowd.wait_for_intakes();
        crowd
    }

    /// Starts everything, workers too, and a load on it.
    pub fn start_under_load(plan: ClusterOptions) -> (Self, SteadyLoad) {
        let mut crowd = Self::start(plan);
        for host in WORKER_HOSTS {
            crowd.start_console(host);
        }
        let load = SteadyLoad::start(&crowd.intake_addresses);
        load.wait_for_accepted(20);
        (crowd, load)
    }

    /// Where intake can be reached.
    pub fn intake_addresses(&self) -> &[SocketAddr] {
        &self.intake_addresses
    }

    /// Starts the console of a host.
    pub fn start_console(&mut self, name: &'static str) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file(name))
            .unwrap();
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
        command
            .current_dir(self.host_folder(name))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.consoles
            .insert(name, ConsoleProcess::from_child(command.spawn().unwrap()));
    }

    /// The program on a host whose clock may be wrong.
    fn console_command(&self, host: &NetworkHost) -> std::process::Command {
        let program = env!("CARGO_BIN_EXE_console");
        let Some((_, offset)) = self
            .options
            .clock_offsets
            .iter()
            .find(|(name, _)| *name == host.name)
        else {
            return host.command(program);
        };
        let mut command = host.command(program);
        // What measures time that passes is right even where the time of day is not.
        let wrong = [("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", &"1")];
        command.envs(wrong).env("LD_PRELOAD", faketime_library());
        command
    }

    /// `kill -9` for the console of a host.
    pub fn kill_console(&mut self, name: &str) {
        self.consoles.remove(name).unwrap().kill();
    }

    /// Sends its console a signal by name.
    pub fn signal_console(&self, name: &str, signal: &str) {
        self.consoles[name].signal(signal);
    }

    /// What the console of a host has logged.
    pub fn console_log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    /// The fault is over: waits until every intake takes messages again, and complains when that takes too long. How
    /// long a process needs to start is the machine's affair, and not counted.
    pub fn expect_recovery(&mut self, load: &SteadyLoad, fault: &str) {
        self.wait_for_intakes();
        let took = load.recovery_time(Instant::now());
        println!(
            "{fault}: intake answers again {} ms after its end",
            took.as_millis()
        );
        self.fault_count += 1;
        self.recovery_times.push((fault.to_owned(), took));
        for (name, console) in &mut self.consoles {
            assert!(console.is_alive(), "{name} did not survive: {fault}");
        }
        assert!(
            took <= RECOVERY_TIME_MAX,
            "{fault}: intake answers only {took:?} after its end"
        );
    }

    /// The other doors take messages although this fault goes on.
    pub fn expect_others_accept(&mut self, load: &SteadyLoad, without: &str, fault: &str) {
        let doors = INTAKE_HOSTS
            .iter()
            .zip(&self.intake_addresses)
            .filter(|(name, _)| **name != without);
        let began = Instant::now();
        for (_, door) in doors {
            load.recovery_time_of(*door, began);
        }
        let took = began.elapsed();
        println!(
            "{fault}: the others answer {} ms after its beginning",
            took.as_millis()
        );
        self.recovery_times.push((fault.to_owned(), took));
        assert!(
            took <= RECOVERY_TIME_MAX,
            "{fault}: the others answer only {took:?} after its beginning"
        );
    }

    /// Ends the load, waits until nothing waits any more, and judges what came of every message.
    pub fn verify_all_messages(&self, load: SteadyLoad) {
        let accepted = load.stop();
        let store = self.primary();
        wait_until("nothing waits any more", || {
            store.query("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == "0"
        });
        let fates = delivery_results(store);
        let lost: Vec<_> = accepted
            .iter()
            .filter(|text| !fates.contains_key(*text))
            .collect();
        assert!(
            lost.is_empty(),
            "{} accepted messages are lost: {lost:?}",
            lost.len()
        );
        let failed: Vec<_> = fates.iter().filter(|(_, fate)| fate.state != "sent").collect();
        assert!(failed.is_empty(), "not sent: {failed:?}");
        let (mut seconds, mut hidden) = (0, Vec::new());
        let calls = self.provider_calls();
        for (text, times) in &calls {
            let fate = fates
                .get(text)
                .unwrap_or_else(|| panic!("{text} was sent and never stored"));
            seconds += times - 1;
            if times - 1 > fate.unknown {
                hidden.push((text, times, fate.unknown));
            }
        }
        assert!(
            hidden.is_empty(),
            "second sends that are not shown (text, sends, unknown): {hidden:?}"
        );
        let unsent: Vec<_> = fates.keys().filter(|text| !calls.contains_key(*text)).collect();
        assert!(unsent.is_empty(), "stored as sent and never sent: {unsent:?}");
        let unknown: usize = fates.values().map(|fate| fate.unknown).sum();
        let slowest = self
            .recovery_times
            .iter()
            .map(|(_, took)| took.as_millis())
            .max()
            .unwrap_or(0);
        println!(
            "{} accepted, {} faults, 0 lost, {unknown} unknown, {seconds} sent twice, slowest recovery {slowest} ms",
            accepted.len(),
            self.fault_count
        );
    }

    /// The server that is written to.
    pub fn primary(&self) -> &PostgresHost {
        let replica = self.replica.as_ref().filter(|_| !self.postgres.is_running());
        replica.unwrap_or(&self.postgres)
    }

    /// How often the provider was called with each text.
    pub fn provider_calls(&self) -> HashMap<String, usize> {
        let mut calls = HashMap::new();
        for call in self.provider.calls() {
            let call: serde_json::Value = serde_json::from_str(&call).unwrap();
            *calls
                .entry(call["message"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        calls
    }

    fn wait_for_intakes(&mut self) {
        for (nth, name) in INTAKE_HOSTS.into_iter().enumerate() {
            let door = self.intake_addresses[nth];
            wait_until(&format!("{name} answers"), || {
                let console = self.consoles.get_mut(name).unwrap();
                let alive = console.is_alive();
                let log = std::fs::read_to_string(self.folder.path().join(name).join("console.log"));
                assert!(alive, "{name} ended: {}", log.unwrap_or_default());
                raw_http::get(door, "/healthz").is_some_and(|answer| answer.status == 200)
            });
        }
    }

    fn write_config(&self, name: &'static str) {
        std::fs::create_dir(self.host_folder(name)).unwrap();
        let text = format!(
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
        std::fs::write(self.host_folder(name).join("console.toml"), text).unwrap();
    }

    fn store_url(&self, name: &'static str) -> String {
        let mut places = vec![match &self.postgres_relay {
            Some(relay) if self.options.relayed_host == Some(name) => relay.address,
            _ => self.network.address_of(name, "store-a", POSTGRES_PORT),
        }];
        if self.options.has_replica {
            places.push(self.network.address_of(name, "store-b", POSTGRES_PORT));
        }
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        let wanted = if self.options.has_replica {
            "?target_session_attrs=read-write"
        } else {
            ""
        };
        format!("postgres://postgres@{}/postgres{wanted}", places.join(","))
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
                println!("--- the end of the log of {name}:\n{}", &log[from..]);
            }
        }
    }
}

/// The library that makes a program believe in another time of day.
fn faketime_library() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.find(|library| library.is_file());
    found.expect("faketime is not installed: `apt-get install faketime`, or `./start.sh test`")
}

/// What came of every stored message, by its text.
fn delivery_results(store: &PostgresHost) -> HashMap<String, DeliveryResult> {
    let rows = store.query(
        "SELECT m.body, d.state, (SELECT count(*) FROM attempts a WHERE a.delivery = d.id AND a.outcome = 'unknown') \
         FROM deliveries d JOIN messages m ON m.number = d.id / 64",
    );
    let fate = |row: &str| {
        let mut parts = row.split('|').map(str::to_owned);
        let (text, state) = (parts.next()?, parts.next()?);
        let unknown = parts.next()?.parse().ok()?;
        Some((text, DeliveryResult { state, unknown }))
    };
    let fates: HashMap<_, _> = rows.lines().filter_map(fate).collect();
    assert_eq!(
        fates.len(),
        rows.lines().count(),
        "every text stands in the store once"
    );
    fates
}

/// Whether the long form was asked for.
pub fn is_long_test() -> bool {
    std::env::var("POSTRIDER_LONG").is_ok_and(|value| value != "0")
}

/// How long a host is cut off: longer than a lease.
pub fn outage_duration() -> Duration {
    if is_long_test() {
        Duration::from_secs(60)
    } else {
        LEASE + Duration::from_secs(4)
    }
}
