//! Hosts on a network of a test's own, whose links can be cut, slowed and made to lose packets.
//!
//! Where the machine permits it each host is a network namespace, joined to the others by a cable to a bridge. Where
//! it does not, hosts are addresses of the loopback interface, what goes between them goes through relays, and the
//! test's output says so. Never touches a network that it did not make.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::relay::Relay;

/// The share of packets that a bad link loses.
const LOSS: &str = "0.05";

/// A network of hosts; gone when dropped, or when the test dies.
pub struct Lan {
    kind: Kind,
    hosts: Vec<Host>,
    ways: Mutex<Vec<Way>>,
}

enum Kind {
    /// The number of the network, and whoever removes it when its pipe is closed.
    Namespaces(u8, Child),
    /// The number, and what keeps it from others.
    Loopback(u8, #[allow(dead_code)] TcpListener),
}

/// A host: where it is, and how programs are started there.
#[derive(Clone, Debug)]
pub struct Host {
    pub name: &'static str,
    pub at: Ipv4Addr,
    namespace: Option<String>,
}

/// What goes from one host to another through a relay.
struct Way {
    from: &'static str,
    to: &'static str,
    relay: Arc<Relay>,
}

impl Lan {
    /// A network of hosts with these names.
    pub fn new(names: &[&'static str]) -> Self {
        let kind = namespaces(names).unwrap_or_else(|| {
            // Not with a macro: what those print is kept back while a test succeeds.
            let words =
                "network namespaces are not permitted here: hosts are plain processes behind relays\n";
            let _ = std::io::stderr().write_all(words.as_bytes());
            loopback()
        });
        let place = |place: usize| u8::try_from(10 + place).unwrap();
        let host = |(nth, name): (usize, &&'static str)| match &kind {
            Kind::Namespaces(number, _) => Host {
                name,
                at: Ipv4Addr::new(10, 213, *number, place(nth)),
                namespace: Some(format!("postrider{number}-{name}")),
            },
            Kind::Loopback(number, _) => Host {
                name,
                at: Ipv4Addr::new(127, 213, *number, place(nth)),
                namespace: None,
            },
        };
        let hosts = names.iter().enumerate().map(host).collect();
        Self {
            kind,
            hosts,
            ways: Mutex::default(),
        }
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap()
    }

    /// Where the test itself is on this network.
    pub fn here(&self) -> Ipv4Addr {
        match self.kind {
            Kind::Namespaces(number, _) => Ipv4Addr::new(10, 213, number, 1),
            Kind::Loopback(number, _) => Ipv4Addr::new(127, 213, number, 1),
        }
    }

    /// How one host (or `here`) reaches a port of another: directly, where links can be cut.
    pub fn way(&self, from: &'static str, to: &'static str, port: u16) -> SocketAddr {
        match self.kind {
            Kind::Namespaces(..) => (self.host(to).at, port).into(),
            Kind::Loopback(..) => self.relayed(from, to, port).at,
        }
    }

    /// The same through a relay that a test can slow.
    pub fn relayed(&self, from: &'static str, to: &'static str, port: u16) -> Arc<Relay> {
        let relay = Arc::new(Relay::new(self.here(), (self.host(to).at, port).into()));
        self.ways.lock().unwrap().push(Way {
            from,
            to,
            relay: Arc::clone(&relay),
        });
        relay
    }

    /// Pulls the host's cable.
    pub fn cut(&self, name: &str) {
        self.cable(name, "down");
    }

    /// Puts it in again.
    pub fn rejoin(&self, name: &str) {
        self.cable(name, "up");
    }

    fn cable(&self, name: &str, state: &str) {
        match self.kind {
            Kind::Namespaces(number, _) => run(Command::new("ip").args([
                "-n",
                &format!("postrider{number}-bridge"),
                "link",
                "set",
                name,
                state,
            ])),
            Kind::Loopback(..) => self.each_way(name, |relay| relay.stall(state == "down")),
        }
    }

    /// From now on the host loses one packet in twenty, of those it sends and of those it gets.
    pub fn lose_packets(&self, name: &str) {
        match self.kind {
            Kind::Namespaces(..) => self.filter(name, "-A"),
            // What TCP makes of a lost packet.
            Kind::Loopback(..) => self.each_way(name, |relay| relay.slow(Duration::from_millis(50))),
        }
    }

    /// No longer.
    pub fn keep_packets(&self, name: &str) {
        match self.kind {
            Kind::Namespaces(..) => self.filter(name, "-D"),
            Kind::Loopback(..) => self.each_way(name, |relay| relay.slow(Duration::ZERO)),
        }
    }

    fn filter(&self, name: &str, change: &str) {
        for chain in ["INPUT", "OUTPUT"] {
            let rule = [
                "-m",
                "statistic",
                "--mode",
                "random",
                "--probability",
                LOSS,
                "-j",
                "DROP",
            ];
            run(self
                .host(name)
                .command("iptables")
                .args(["-w", change, chain])
                .args(rule));
        }
    }

    fn each_way(&self, name: &str, act: impl Fn(&Relay)) {
        for way in self.ways.lock().unwrap().iter() {
            if way.from == name || way.to == name {
                act(&way.relay);
            }
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        if let Kind::Namespaces(_, keeper) = &mut self.kind {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

impl Host {
    /// A program on this host, not started yet. It ends when the thread that starts it does.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, "setpriv"]);
                command
            }
            None => Command::new("setpriv"),
        };
        command
            .args(["--pdeathsig", "KILL", program])
            .stdin(Stdio::null());
        command
    }
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) {
    let output = command.output();
    let output =
        output.unwrap_or_else(|trouble| panic!("{command:?} cannot be started ({trouble}): ./start.sh test"));
    assert!(
        output.status.success(),
        "{command:?}: {} (installed by `apt-get install iproute2 iptables`, or `./start.sh test`)",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn namespaces(names: &[&str]) -> Option<Kind> {
    let mut keeper = Command::new("sh")
        .args(["-c", include_str!("lan.sh"), "lan.sh"])
        .args(names)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut said = String::new();
    BufReader::new(keeper.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    if let Ok(number) = said.trim().parse() {
        return Some(Kind::Namespaces(number, keeper));
    }
    let ended = keeper.wait().unwrap();
    assert_ne!(
        ended.code(),
        Some(3),
        "ip is not installed: `apt-get install iproute2`, or `./start.sh test`"
    );
    assert_eq!(ended.code(), Some(2), "the network cannot be made; see above");
    None
}

fn loopback() -> Kind {
    let free = (1..=250).find_map(|number| {
        let lock = TcpListener::bind((Ipv4Addr::new(127, 213, number, 1), 7)).or_else(|_| {
            // Low ports may be reserved.
            TcpListener::bind((Ipv4Addr::new(127, 213, number, 1), 7007))
        });
        Some(Kind::Loopback(number, lock.ok()?))
    });
    free.expect("an address that nobody uses")
}
