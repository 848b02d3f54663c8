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

use super::tcp_relay::TcpRelay;

/// The share of packets that a bad link loses.
const PACKET_LOSS: &str = "0.05";

/// A network of hosts; gone when dropped, or when the test dies.
pub struct TestNetwork {
    kind: NetworkKind,
    hosts: Vec<NetworkHost>,
    relayed_routes: Mutex<Vec<RelayedRoute>>,
}

enum NetworkKind {
    /// The number of the network, and whoever removes it when its pipe is closed.
    Namespaces(u8, Child),
    /// The number, and what keeps it from others.
    Loopback(u8, #[allow(dead_code)] TcpListener),
}

/// A host: where it is, and how programs are started there.
#[derive(Clone, Debug)]
pub struct NetworkHost {
    pub name: &'static str,
    pub address: Ipv4Addr,
    namespace: Option<String>,
}

/// What goes from one host to another through a relay.
struct RelayedRoute {
    from: &'static str,
    to: &'static str,
    relay: Arc<TcpRelay>,
}

impl TestNetwork {
    /// A network of hosts with these names.
    pub fn new(names: &[&'static str]) -> Self {
        let kind = create_namespaces(names).unwrap_or_else(|| {
            // Not with a macro: what those print is kept back while a test succeeds.
            let words =
                "network namespaces are not permitted here: hosts are plain processes behind relays\n";
            let _ = std::io::stderr().write_all(words.as_bytes());
            reserve_loopback()
        });
        let place = |place: usize| u8::try_from(10 + place).unwrap();
        let host = |(nth, name): (usize, &&'static str)| match &kind {
            NetworkKind::Namespaces(number, _) => NetworkHost {
                name,
                address: Ipv4Addr::new(10, 213, *number, place(nth)),
                namespace: Some(format!("postrider{number}-{name}")),
            },
            NetworkKind::Loopback(number, _) => NetworkHost {
                name,
                address: Ipv4Addr::new(127, 213, *number, place(nth)),
                namespace: None,
            },
        };
        let hosts = names.iter().enumerate().map(host).collect();
        Self {
            kind,
            hosts,
            relayed_routes: Mutex::default(),
        }
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> &NetworkHost {
        self.hosts.iter().find(|host| host.name == name).unwrap()
    }

    /// Where the test itself is on this network.
    pub fn test_address(&self) -> Ipv4Addr {
        match self.kind {
            NetworkKind::Namespaces(number, _) => Ipv4Addr::new(10, 213, number, 1),
            NetworkKind::Loopback(number, _) => Ipv4Addr::new(127, 213, number, 1),
        }
    }

    /// How one host (or `here`) reaches a port of another: directly, where links can be cut.
    pub fn address_of(&self, from: &'static str, to: &'static str, port: u16) -> SocketAddr {
        match self.kind {
            NetworkKind::Namespaces(..) => (self.host(to).address, port).into(),
            NetworkKind::Loopback(..) => self.relay(from, to, port).address,
        }
    }

    /// The same through a relay that a test can slow.
    pub fn relay(&self, from: &'static str, to: &'static str, port: u16) -> Arc<TcpRelay> {
        let relay = Arc::new(TcpRelay::new(
            self.test_address(),
            (self.host(to).address, port).into(),
        ));
        self.relayed_routes.lock().unwrap().push(RelayedRoute {
            from,
            to,
            relay: Arc::clone(&relay),
        });
        relay
    }

    /// Pulls the host's cable.
    pub fn disconnect(&self, name: &str) {
        self.set_link_state(name, "down");
    }

    /// Puts it in again.
    pub fn reconnect(&self, name: &str) {
        self.set_link_state(name, "up");
    }

    fn set_link_state(&self, name: &str, state: &str) {
        match self.kind {
            NetworkKind::Namespaces(number, _) => run_ok(Command::new("ip").args([
                "-n",
                &format!("postrider{number}-bridge"),
                "link",
                "set",
                name,
                state,
            ])),
            NetworkKind::Loopback(..) => {
                self.for_each_relay(name, |relay| relay.set_stalled(state == "down"))
            }
        }
    }

    /// From now on the host loses one packet in twenty, of those it sends and of those it gets.
    pub fn lose_packets(&self, name: &str) {
        match self.kind {
            NetworkKind::Namespaces(..) => self.change_loss_rule(name, "-A"),
            // What TCP makes of a lost packet.
            NetworkKind::Loopback(..) => {
                self.for_each_relay(name, |relay| relay.set_delay(Duration::from_millis(50)))
            }
        }
    }

    /// No longer.
    pub fn stop_losing_packets(&self, name: &str) {
        match self.kind {
            NetworkKind::Namespaces(..) => self.change_loss_rule(name, "-D"),
            NetworkKind::Loopback(..) => self.for_each_relay(name, |relay| relay.set_delay(Duration::ZERO)),
        }
    }

    fn change_loss_rule(&self, name: &str, change: &str) {
        for chain in ["INPUT", "OUTPUT"] {
            let rule = [
                "-m",
                "statistic",
                "--mode",
                "random",
                "--probability",
                PACKET_LOSS,
                "-j",
                "DROP",
            ];
            run_ok(
                self.host(name)
                    .command("iptables")
                    .args(["-w", change, chain])
                    .args(rule),
            );
        }
    }

    fn for_each_relay(&self, name: &str, act: impl Fn(&TcpRelay)) {
        for way in self.relayed_routes.lock().unwrap().iter() {
            if way.from == name || way.to == name {
                act(&way.relay);
            }
        }
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        if let NetworkKind::Namespaces(_, keeper) = &mut self.kind {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

impl NetworkHost {
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
pub fn run_ok(command: &mut Command) {
    let output = command.output();
    let output =
        output.unwrap_or_else(|trouble| panic!("{command:?} cannot be started ({trouble}): ./start.sh test"));
    assert!(
        output.status.success(),
        "{command:?}: {} (installed by `apt-get install iproute2 iptables`, or `./start.sh test`)",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn create_namespaces(names: &[&str]) -> Option<NetworkKind> {
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
        return Some(NetworkKind::Namespaces(number, keeper));
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

fn reserve_loopback() -> NetworkKind {
    let free = (1..=250).find_map(|number| {
        let lock = TcpListener::bind((Ipv4Addr::new(127, 213, number, 1), 7)).or_else(|_| {
            // Low ports may be reserved.
            TcpListener::bind((Ipv4Addr::new(127, 213, number, 1), 7007))
        });
        Some(NetworkKind::Loopback(number, lock.ok()?))
    });
    free.expect("an address that nobody uses")
}
