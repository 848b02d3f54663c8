//! Redis with TLS, as a cluster and behind sentinels, all with real servers.

use std::process::Command;

use super::*;
use postrider_core::testing::certificates::TestCertificate;

/// Runs a program and returns its output.
fn run_command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): `apt-get install redis-tools`"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Polls until the condition holds. The deadline ends only tests that fail.
async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {TEST_TIMEOUT:?}: {what}");
        postrider_core::clock::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tls_checks_the_authority_and_sends_the_client_certificate() {
    let (our_authority, other_authority) = (TestCertificate::authority(), TestCertificate::authority());
    let [ours, others] = [&our_authority, &other_authority].map(|authority| authority.sign(&["127.0.0.1"]));
    let port = free_port();
    let server = BackendServer::redis_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &ours.certificate_path().display().to_string(),
        "--tls-key-file",
        &ours.key_path().display().to_string(),
        "--tls-ca-cert-file",
        &our_authority.certificate_path().display().to_string(),
    ]);
    let url = |authority: &TestCertificate, client: &TestCertificate| {
        let (ca, cert, key) = (authority.certificate_path(), client.certificate_path(), client.key_path());
        let (ca, cert, key) = (ca.display(), cert.display(), key.display());
        format!("rediss://127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}")
    };
    let queue = open(&url(&our_authority, &ours), 100).await;
    wait_until_working(&*queue, 1).await;
    for (authority, client) in [(&other_authority, &ours), (&our_authority, &others)] {
        let refused_url = url(authority, client);
        let other_queue = open(&refused_url, 100).await;
        assert_eq!(other_queue.depth().await, None, "{refused_url}");
    }
    drop(server);
}

/// A cluster of three members, each with a third of the slots.
struct RedisCluster(Vec<BackendServer>);

impl RedisCluster {
    async fn start() -> Self {
        let buses = [free_port(), free_port(), free_port()].map(|port| port.to_string());
        let member = |bus: &String| {
            let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port"];
            BackendServer::redis_with(&[&settings[..], &[bus]].concat())
        };
        let cluster = Self(buses.iter().map(member).collect());
        for (index, range) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
            assert_eq!(cluster.0[index].send_command(&format!("CLUSTER ADDSLOTSRANGE {range}")), "+OK");
            let meet = format!("CLUSTER MEET 127.0.0.1 {} {}", cluster.0[index].port(), buses[index]);
            assert_eq!(cluster.0[0].send_command(&meet), "+OK");
        }
        for index in 0..3 {
            wait_until("the members know each other", || {
                let info = cluster.query_member(index, "CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
            .await;
        }
        cluster
    }

    fn query_member(&self, index: usize, command: &str) -> String {
        let port = self.0[index].port().to_string();
        let mut arguments = vec!["-p", &port];
        arguments.extend(command.split(' '));
        run_command("redis-cli", &arguments)
    }

    fn url(&self) -> String {
        let hosts = self.0.iter().map(|server| format!("127.0.0.1:{}", server.port()));
        format!("redis-cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    fn slot_owner(&self) -> usize {
        let is_owner =
            |index: &usize| self.0[*index].send_command("SCARD {postrider:}channels").starts_with(':');
        (0..3).find(is_owner).expect("a member owns the slot")
    }

    /// Moves the slot of the queue to another member and drops its content.
    fn move_slot(&self) {
        let (old, new) = (self.slot_owner(), (self.slot_owner() + 1) % 3);
        let slot = self.query_member(old, "CLUSTER KEYSLOT {postrider:}channels");
        let node = self.query_member(new, "CLUSTER MYID");
        assert_eq!(self.0[old].send_command("FLUSHALL"), "+OK");
        for index in [new, old, (new + 1) % 3] {
            let set = format!("CLUSTER SETSLOT {} NODE {}", slot.trim(), node.trim());
            assert_eq!(self.0[index].send_command(&set), "+OK");
        }
    }
}

#[tokio::test]
async fn a_cluster_serves_the_queue_from_any_slot_owner() {
    let cluster = RedisCluster::start().await;
    let (first, second) = (open(&cluster.url(), 100).await, open(&cluster.url(), 100).await);
    wait_until_working(&*first, 1).await;
    let worker = tokio::spawn(async move { second.pop(&10, test_start(), TEST_TIMEOUT).await });
    first.push(&[entry_due_now(2)]);
    assert_eq!(worker.await.expect("the other one"), [DeliveryId(2)], "the worker is notified");
    cluster.move_slot();
    wait_until_working(&*first, 3).await;
}

#[tokio::test]
async fn an_unreachable_member_is_not_needed_to_find_the_slot_owner() {
    let mut cluster = RedisCluster::start().await;
    let killed = (cluster.slot_owner() + 1) % 3;
    cluster.0.swap(0, killed);
    cluster.0[0].kill();
    let queue = open(&cluster.url(), 100).await;
    assert_eq!(queue.depth().await, Some(0), "found before the cluster noticed the failure");
}

#[tokio::test]
async fn sentinels_lead_to_the_next_master() {
    let mut master = BackendServer::redis();
    let replica = BackendServer::redis_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let sentinel = BackendServer::sentinel(master.port());
    let unused = free_port();
    let url = format!("redis+sentinel://127.0.0.1:{unused},127.0.0.1:{}/main/0", sentinel.port());
    let queue = open(&url, 100).await;
    wait_until_working(&*queue, 1).await;
    wait_until("the sentinel knows the replica", || sentinel.send_command("SENTINEL REPLICAS main") == "*1")
        .await;
    wait_until("the replica is in step", || {
        run_command("redis-cli", &["-p", &replica.port().to_string(), "INFO", "replication"])
            .contains("master_link_status:up")
    })
    .await;
    master.kill();
    wait_until_working(&*queue, 2).await;
    assert_eq!(sentinel.send_command("SENTINEL GET-MASTER-ADDR-BY-NAME main"), "*2");
    assert!(
        run_command("redis-cli", &["-p", &replica.port().to_string(), "ROLE"]).starts_with("master"),
        "the replica has become the master"
    );
}
