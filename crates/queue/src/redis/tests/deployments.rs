//! Redis with TLS, as a cluster and behind sentinels, all with real servers.

use std::path::Path;
use std::process::Command;

use super::*;

/// Runs a program and returns its output.
fn run_command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}): `apt-get install redis-tools openssl`")
    });
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

/// Writes the certificate authority `NAME.pem`, and `NAME-server.pem` and `NAME-server.key` for a server on 127.0.0.1.
fn write_certificates(folder: &Path, name: &str) {
    let file = |ending: &str| folder.join(format!("{name}{ending}")).display().to_string();
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let with = |more: &[&str]| {
        let mut arguments = vec!["req"];
        arguments.extend(new_key);
        arguments.extend(more);
        run_command("openssl", &arguments);
    };
    let (ca, ca_key) = (file(".pem"), file(".key"));
    with(&["-x509", "-subj", "/CN=authority", "-days", "2", "-keyout", &ca_key, "-out", &ca]);
    let (request, key) = (file("-server.csr"), file("-server.key"));
    with(&["-subj", "/CN=server", "-keyout", &key, "-out", &request]);
    let extensions = file(".ext");
    std::fs::write(&extensions, "subjectAltName=IP:127.0.0.1").expect("a folder to write to");
    let (signed, server) = (["x509", "-req", "-days", "2", "-CAcreateserial"], file("-server.pem"));
    let mut arguments = signed.to_vec();
    arguments.extend(["-in", &request, "-CA", &ca, "-CAkey", &ca_key]);
    arguments.extend(["-extfile", &extensions, "-out", &server]);
    run_command("openssl", &arguments);
}

#[tokio::test]
async fn tls_checks_the_authority_and_sends_the_client_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), "ours");
    write_certificates(folder.path(), "others");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let port = free_port();
    let server = BackendServer::redis_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &file("ours-server.pem"),
        "--tls-key-file",
        &file("ours-server.key"),
        "--tls-ca-cert-file",
        &file("ours.pem"),
    ]);
    let url = |authority: &str, own: &str| {
        let (ca, cert, key) =
            (file(authority), file(&format!("{own}-server.pem")), file(&format!("{own}-server.key")));
        format!("rediss://127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}")
    };
    let queue = open(&url("ours.pem", "ours"), 100).await;
    wait_until_working(&*queue, 1).await;
    for (authority, own) in [("others.pem", "ours"), ("ours.pem", "others")] {
        let other = open(&url(authority, own), 100).await;
        assert_eq!(other.depth().await, None, "{authority} {own}");
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
