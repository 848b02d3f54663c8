//! A crowd of processes as an operator would start them: intake on two hosts, workers on three, PostgreSQL and Redis
//! on hosts of their own, and a provider that remembers every send.
//!
//! Judges at the end of a test what came of every message; never looks away.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::lan::{Host, Lan};
use super::load::Load;
use super::relay::Relay;
use super::servers::{POSTGRES, Postgres, REDIS, Redis};
use super::stub::{Mood, Stub};
use super::wire;
use super::world::{Console, until};
use std::sync::Arc;

/// The hosts that take messages in.
pub const INTAKES: [&str; 2] = ["intake-a", "intake-b"];

/// The hosts that send them.
pub const WORKERS: [&str; 3] = ["worker-a", "worker-b", "worker-c"];

const HOSTS: [&str; 9] = [
    "intake-a", "intake-b", "worker-a", "worker-b", "worker-c", "store-a", "store-b", "queue-a", "queue-b",
];

/// Where intake listens on its host.
const DOOR: u16 = 8080;

/// How long a worker owns a delivery.
pub const LEASE: Duration = Duration::from_secs(8);

/// How soon intake must answer 2xx again after a fault has ended.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// What is unusual about a crowd.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What the provider does with a call.
    pub mood: Mood,
    /// More keys for the provider.
    pub provider: &'static str,
    /// PostgreSQL has a replica, and every URL names both.
    pub replica: bool,
    /// The host whose way to PostgreSQL is a relay that can be slowed and stalled.
    pub relayed: Option<&'static str>,
    /// Hosts whose clocks are wrong, and by how much.
    pub clocks: &'static [(&'static str, &'static str)],
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            mood: Mood::Slow(5),
            provider: "",
            replica: false,
            relayed: None,
            clocks: &[],
        }
    }
}

/// All of it, running.
pub struct Crowd {
    consoles: BTreeMap<&'static str, Console>,
    doors: Vec<SocketAddr>,
    pub stub: Stub,
    pub redis: Redis,
    /// Where every process believes Redis to be.
    pub redis_way: Arc<Relay>,
    pub postgres: Postgres,
    pub replica: Option<Postgres>,
    /// That relay.
    pub slow_way: Option<Arc<Relay>>,
    plan: Plan,
    faults: usize,
    recoveries: Vec<(String, Duration)>,
    pub lan: Lan,
    pub folder: tempfile::TempDir,
}

/// What came of a message.
#[derive(Clone, Debug)]
struct Fate {
    state: String,
    unknown: usize,
}

impl Crowd {
    /// Starts everything and waits until intake answers.
    pub fn start(plan: Plan) -> Self {
        let lan = Lan::new(&HOSTS);
        let folder = tempfile::tempdir().unwrap();
        let postgres = Postgres::new(lan.host("store-a"), folder.path());
        let replica = plan.replica.then(|| {
            let way = SocketAddr::from((lan.host("store-a").at, POSTGRES));
            Postgres::following(lan.host("store-b"), folder.path(), &postgres, way)
        });
        let mut crowd = Self {
            consoles: BTreeMap::new(),
            doors: Vec::new(),
            stub: Stub::on(lan.here().into(), plan.mood),
            redis: Redis::new(lan.host("queue-a")),
            redis_way: lan.relayed("here", "queue-a", REDIS),
            postgres,
            replica,
            slow_way: plan.relayed.map(|host| lan.relayed(host, "store-a", POSTGRES)),
            plan,
            faults: 0,
            recoveries: Vec::new(),
            lan,
            folder,
        };
        for host in INTAKES.iter().chain(&WORKERS) {
            crowd.configure(host);
        }
        crowd.doors = INTAKES.map(|intake| crowd.lan.way("here", intake, DOOR)).to_vec();
        for host in INTAKES {
            crowd.launch(host);
        }
        crowd.until_doors_open();
        crowd
    }

    /// Starts everything, workers too, and a load on it.
    pub fn at_work(plan: Plan) -> (Self, Load) {
        let mut crowd = Self::start(plan);
        for host in WORKERS {
            crowd.launch(host);
        }
        let load = Load::start(&crowd.doors);
        load.accept(20);
        (crowd, load)
    }

    /// Where intake can be reached.
    pub fn doors(&self) -> &[SocketAddr] {
        &self.doors
    }

    /// Starts the console of a host.
    pub fn launch(&mut self, name: &'static str) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file(name))
            .unwrap();
        let host = self.lan.host(name);
        let mut command = self.program(host);
        if INTAKES.contains(&name) {
            command.args(["serve", "--workers", "0"]);
        } else {
            command.args(["work", "--workers", "8"]);
        }
        for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("POSTRIDER_")) {
            command.env_remove(variable);
        }
        command
            .current_dir(self.place(name))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.consoles.insert(name, Console::of(command.spawn().unwrap()));
    }

    /// The program on a host whose clock may be wrong.
    fn program(&self, host: &Host) -> std::process::Command {
        let program = env!("CARGO_BIN_EXE_console");
        let Some((_, offset)) = self.plan.clocks.iter().find(|(name, _)| *name == host.name) else {
            return host.command(program);
        };
        let mut command = host.command(program);
        // What measures time that passes is right even where the time of day is not.
        let wrong = [("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", &"1")];
        command.envs(wrong).env("LD_PRELOAD", faketime());
        command
    }

    /// `kill -9` for the console of a host.
    pub fn kill(&mut self, name: &str) {
        self.consoles.remove(name).unwrap().kill();
    }

    /// Sends its console a signal by name.
    pub fn signal(&self, name: &str, signal: &str) {
        self.consoles[name].signal(signal);
    }

    /// What the console of a host has logged.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    /// The fault is over: waits until every intake takes messages again, and complains when that takes too long. How
    /// long a process needs to start is the machine's affair, and not counted.
    pub fn recovers(&mut self, load: &Load, fault: &str) {
        self.until_doors_open();
        let took = load.recovery(Instant::now());
        println!(
            "{fault}: intake answers again {} ms after its end",
            took.as_millis()
        );
        self.faults += 1;
        self.recoveries.push((fault.to_owned(), took));
        for (name, console) in &mut self.consoles {
            assert!(console.is_alive(), "{name} did not survive: {fault}");
        }
        assert!(
            took <= RECOVERY_MAX,
            "{fault}: intake answers only {took:?} after its end"
        );
    }

    /// The other doors take messages although this fault goes on.
    pub fn goes_on(&mut self, load: &Load, without: &str, fault: &str) {
        let doors = INTAKES
            .iter()
            .zip(&self.doors)
            .filter(|(name, _)| **name != without);
        let began = Instant::now();
        for (_, door) in doors {
            load.recovery_of(*door, began);
        }
        let took = began.elapsed();
        println!(
            "{fault}: the others answer {} ms after its beginning",
            took.as_millis()
        );
        self.recoveries.push((fault.to_owned(), took));
        assert!(
            took <= RECOVERY_MAX,
            "{fault}: the others answer only {took:?} after its beginning"
        );
    }

    /// Ends the load, waits until nothing waits any more, and judges what came of every message.
    pub fn judge(&self, load: Load) {
        let accepted = load.stop();
        let store = self.store();
        until("nothing waits any more", || {
            store.say("SELECT count(*) FROM deliveries WHERE state = 'waiting'") == "0"
        });
        let fates = fates(store);
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
        let calls = self.calls();
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
            .recoveries
            .iter()
            .map(|(_, took)| took.as_millis())
            .max()
            .unwrap_or(0);
        println!(
            "{} accepted, {} faults, 0 lost, {unknown} unknown, {seconds} sent twice, slowest recovery {slowest} ms",
            accepted.len(),
            self.faults
        );
    }

    /// The server that is written to.
    pub fn store(&self) -> &Postgres {
        let replica = self.replica.as_ref().filter(|_| !self.postgres.runs());
        replica.unwrap_or(&self.postgres)
    }

    /// How often the provider was called with each text.
    pub fn calls(&self) -> HashMap<String, usize> {
        let mut calls = HashMap::new();
        for call in self.stub.calls() {
            let call: serde_json::Value = serde_json::from_str(&call).unwrap();
            *calls
                .entry(call["message"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        calls
    }

    fn until_doors_open(&mut self) {
        for (nth, name) in INTAKES.into_iter().enumerate() {
            let door = self.doors[nth];
            until(&format!("{name} answers"), || {
                let console = self.consoles.get_mut(name).unwrap();
                let alive = console.is_alive();
                let log = std::fs::read_to_string(self.folder.path().join(name).join("console.log"));
                assert!(alive, "{name} ended: {}", log.unwrap_or_default());
                wire::get(door, "/healthz").is_some_and(|answer| answer.status == 200)
            });
        }
    }

    fn configure(&self, name: &'static str) {
        std::fs::create_dir(self.place(name)).unwrap();
        let text = format!(
            "listen = \"{}:{DOOR}\"\ninsecure = true\n[store]\nurl = \"{}\"\n[queue]\nurl = \"redis://{}\"\n\
             [work]\nlease = \"{}s\"\n[schedule]\nresend = \"1s\"\nreport = \"{}\"\n\
             [retry]\nbase = \"100ms\"\ncap = \"1s\"\n{}connect_timeout = \"1s\"\n{}\n\
             [channels.sms]\nproviders = [\"red\"]\n",
            self.lan.host(name).at,
            self.store_url(name),
            self.redis_way.at,
            LEASE.as_secs(),
            if name == INTAKES[0] { "1s" } else { "never" },
            self.stub.texting("red"),
            self.plan.provider,
        );
        std::fs::write(self.place(name).join("console.toml"), text).unwrap();
    }

    fn store_url(&self, name: &'static str) -> String {
        let mut places = vec![match &self.slow_way {
            Some(relay) if self.plan.relayed == Some(name) => relay.at,
            _ => self.lan.way(name, "store-a", POSTGRES),
        }];
        if self.plan.replica {
            places.push(self.lan.way(name, "store-b", POSTGRES));
        }
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        let wanted = if self.plan.replica {
            "?target_session_attrs=read-write"
        } else {
            ""
        };
        format!("postgres://postgres@{}/postgres{wanted}", places.join(","))
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.place(name).join("console.log")
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in INTAKES.iter().chain(&WORKERS) {
                let log = self.log(name);
                let from = log.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
                println!("--- the end of the log of {name}:\n{}", &log[from..]);
            }
        }
    }
}

/// The library that makes a program believe in another time of day.
fn faketime() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut libraries = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.find(|library| library.is_file());
    found.expect("faketime is not installed: `apt-get install faketime`, or `./start.sh test`")
}

/// What came of every stored message, by its text.
fn fates(store: &Postgres) -> HashMap<String, Fate> {
    let rows = store.say(
        "SELECT m.body, d.state, (SELECT count(*) FROM attempts a WHERE a.delivery = d.id AND a.outcome = 'unknown') \
         FROM deliveries d JOIN messages m ON m.number = d.id / 64",
    );
    let fate = |row: &str| {
        let mut parts = row.split('|').map(str::to_owned);
        let (text, state) = (parts.next()?, parts.next()?);
        let unknown = parts.next()?.parse().ok()?;
        Some((text, Fate { state, unknown }))
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
pub fn is_long() -> bool {
    std::env::var("POSTRIDER_LONG").is_ok_and(|value| value != "0")
}

/// How long a host is cut off: longer than a lease.
pub fn outage() -> Duration {
    if is_long() {
        Duration::from_secs(60)
    } else {
        LEASE + Duration::from_secs(4)
    }
}
