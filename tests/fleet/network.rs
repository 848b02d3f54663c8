//! A private network of test hosts whose links can be disconnected, slowed and made to lose packets.
//!
//! With root each host is a network namespace, connected to a bridge. Otherwise hosts are addresses of the loopback
//! interface, connected by relays, and stderr has a warning. Networks that it did not create are never changed.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::tcp_relay::TcpRelay;

/// Probability with which a bad link loses a packet.
const PACKET_LOSS: &str = "0.05";

/// A network of hosts; removed when dropped or when the test process ends.
pub struct TestNetwork {
    kind: NetworkKind,
    hosts: Vec<NetworkHost>,
    relayed_routes: Mutex<Vec<RelayedRoute>>,
}

enum NetworkKind {
    /// Network number, and the script that removes the network when its stdin is closed.
    Namespaces(u8, Child),
    /// Network number, and the listener that reserves it.
    Loopback(u8, #[allow(dead_code)] TcpListener),
}

/// A host of the network, on which programs can be started.
#[derive(Clone, Debug)]
pub struct NetworkHost {
    pub name: &'static str,
    pub address: Ipv4Addr,
    namespace: Option<String>,
}

/// A route between two hosts through a relay.
struct RelayedRoute {
    from: &'static str,
    to: &'static str,
    relay: Arc<TcpRelay>,
}

impl TestNetwork {
    /// Creates a network of hosts with these names.
    pub fn new(names: &[&'static str]) -> Self {
        let kind = create_namespaces(names).unwrap_or_else(|| {
            // `eprintln!` would be captured while the test succeeds.
            let warning =
                "warning: network namespaces are not permitted; hosts are plain processes behind relays\n";
            let _ = std::io::stderr().write_all(warning.as_bytes());
            reserve_loopback()
        });
        let last_octet = |nth: usize| u8::try_from(10 + nth).unwrap();
        let host = |(nth, name): (usize, &&'static str)| match &kind {
            NetworkKind::Namespaces(number, _) => NetworkHost {
                name,
                address: Ipv4Addr::new(10, 213, *number, last_octet(nth)),
                namespace: Some(format!("postrider{number}-{name}")),
            },
            NetworkKind::Loopback(number, _) => NetworkHost {
                name,
                address: Ipv4Addr::new(127, 213, *number, last_octet(nth)),
                namespace: None,
            },
        };
        let hosts = names.iter().enumerate().map(host).collect();
        Self { kind, hosts, relayed_routes: Mutex::default() }
    }

    /// Returns the host with this name.
    pub fn host(&self, name: &str) -> &NetworkHost {
        self.hosts.iter().find(|host| host.name == name).unwrap()
    }

    /// Returns the address of the test process on this network.
    pub fn test_address(&self) -> Ipv4Addr {
        match self.kind {
            NetworkKind::Namespaces(number, _) => Ipv4Addr::new(10, 213, number, 1),
            NetworkKind::Loopback(number, _) => Ipv4Addr::new(127, 213, number, 1),
        }
    }

    /// Returns the address at which `from` (a host or `here`) reaches a port of `to`: directly with namespaces, through
    /// a relay otherwise.
    pub fn address_of(&self, from: &'static str, to: &'static str, port: u16) -> SocketAddr {
        match self.kind {
            NetworkKind::Namespaces(..) => (self.host(to).address, port).into(),
            NetworkKind::Loopback(..) => self.relay(from, to, port).address,
        }
    }

    /// Returns a new relay from `from` to a port of `to`, which a test can slow or stall.
    pub fn relay(&self, from: &'static str, to: &'static str, port: u16) -> Arc<TcpRelay> {
        let relay = Arc::new(TcpRelay::new(self.test_address(), (self.host(to).address, port).into()));
        self.relayed_routes.lock().unwrap().push(RelayedRoute { from, to, relay: Arc::clone(&relay) });
        relay
    }

    /// Disconnects the host from the network.
    pub fn disconnect(&self, name: &str) {
        self.set_link_state(name, "down");
    }

    /// Connects the host again.
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
                self.for_each_relay(name, |relay| relay.set_stalled(state == "down"));
            }
        }
    }

    /// Starts to drop 5 % of the packets that the host sends and receives.
    pub fn lose_packets(&self, name: &str) {
        match self.kind {
            NetworkKind::Namespaces(..) => self.change_loss_rule(name, "-A"),
            // A delay, the effect of a lost packet on TCP.
            NetworkKind::Loopback(..) => {
                self.for_each_relay(name, |relay| relay.set_delay(Duration::from_millis(50)));
            }
        }
    }

    /// Stops the loss of packets.
    pub fn stop_losing_packets(&self, name: &str) {
        match self.kind {
            NetworkKind::Namespaces(..) => self.change_loss_rule(name, "-D"),
            NetworkKind::Loopback(..) => self.for_each_relay(name, |relay| relay.set_delay(Duration::ZERO)),
        }
    }

    fn change_loss_rule(&self, name: &str, change: &str) {
        for chain in ["INPUT", "OUTPUT"] {
            let rule = ["-m", "statistic", "--mode", "random", "--probability", PACKET_LOSS, "-j", "DROP"];
            run_ok(self.host(name).command("iptables").args(["-w", change, chain]).args(rule));
        }
    }

    fn for_each_relay(&self, name: &str, change: impl Fn(&TcpRelay)) {
        for route in self.relayed_routes.lock().unwrap().iter() {
            if route.from == name || route.to == name {
                change(&route.relay);
            }
        }
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        if let NetworkKind::Namespaces(_, script) = &mut self.kind {
            drop(script.stdin.take());
            let _ = script.wait();
        }
    }
}

impl NetworkHost {
    /// Returns a command that runs a program on this host. The program is killed when the thread that starts it ends.
    pub fn command(&self, program: &str) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, "setpriv"]);
                command
            }
            None => Command::new("setpriv"),
        };
        command.args(["--pdeathsig", "KILL", program]).stdin(Stdio::null());
        command
    }
}

/// Runs a command that must succeed.
pub fn run_ok(command: &mut Command) {
    let output = command.output();
    let output =
        output.unwrap_or_else(|error| panic!("cannot start {command:?}: {error}; run ./start.sh test"));
    assert!(
        output.status.success(),
        "{command:?}: {} (installed by `apt-get install iproute2 iptables`, or `./start.sh test`)",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn create_namespaces(names: &[&str]) -> Option<NetworkKind> {
    let mut script = Command::new("sh")
        .args(["-c", include_str!("lan.sh"), "lan.sh"])
        .args(names)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start sh");
    let mut line = String::new();
    BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if let Ok(number) = line.trim().parse() {
        return Some(NetworkKind::Namespaces(number, script));
    }
    let status = script.wait().unwrap();
    assert_ne!(
        status.code(),
        Some(3),
        "ip is not installed: `apt-get install iproute2`, or `./start.sh test`"
    );
    assert_eq!(status.code(), Some(2), "cannot create the network; see the output above");
    None
}

fn reserve_loopback() -> NetworkKind {
    let free = (1..=250).find_map(|number| {
        let lock = TcpListener::bind((Ipv4Addr::new(127, 213, number, 1), 7)).or_else(|_| {
            // Ports below 1024 may need root.
            TcpListener::bind((Ipv4Addr::new(127, 213, number, 1), 7007))
        });
        Some(NetworkKind::Loopback(number, lock.ok()?))
    });
    free.expect("no free network number from 1 to 250")
}
