//! Redis as others operate it: with TLS, as a cluster, behind sentinels. All of them real.

use std::path::Path;
use std::process::Command;

use super::*;

/// Runs a program to its end; what it said.
fn run_command(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).output();
    let ran = ran.unwrap_or_else(|trouble| {
        panic!("{program} cannot be run ({trouble}): `apt-get install redis-tools openssl`")
    });
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{program} {arguments:?}: {said}{ran:?}");
    said
}

/// Waits until it holds; the deadline only ends a test that fails.
async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} within {TEST_TIMEOUT:?}");
        postrider_core::clock::sleep(Duration::from_millis(20)).await;
    }
}

/// An authority `NAME.pem`, and for a server of 127.0.0.1 the files `NAME-server.pem` and `NAME-server.key`.
fn write_certificates(folder: &Path, name: &str) {
    let file = |ending: &str| folder.join(format!("{name}{ending}")).display().to_string();
    let new_key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    let with = |more: &[&str]| {
        let mut arguments = vec!["req"];
        arguments.extend(new_key);
        arguments.extend(more);
        run_command("openssl", &arguments);
    };
    let (ca, ca_key) = (file(".pem"), file(".key"));
    with(&[
        "-x509",
        "-subj",
        "/CN=authority",
        "-days",
        "2",
        "-keyout",
        &ca_key,
        "-out",
        &ca,
    ]);
    let (request, key) = (file("-server.csr"), file("-server.key"));
    with(&["-subj", "/CN=server", "-keyout", &key, "-out", &request]);
    let extensions = file(".ext");
    std::fs::write(&extensions, "subjectAltName=IP:127.0.0.1").expect("a folder to write to");
    let (signed, server) = (
        ["x509", "-req", "-days", "2", "-CAcreateserial"],
        file("-server.pem"),
    );
    let mut arguments = signed.to_vec();
    arguments.extend(["-in", &request, "-CA", &ca, "-CAkey", &ca_key]);
    arguments.extend(["-extfile", &extensions, "-out", &server]);
    run_command("openssl", &arguments);
}

#[tokio::test]
async fn over_tls_the_authority_is_checked_and_the_client_shows_its_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    write_certificates(folder.path(), "ours");
    write_certificates(folder.path(), "others");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let port = free_port();
    let peer = BackendServer::redis_with(&[
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
        let (ca, cert, key) = (
            file(authority),
            file(&format!("{own}-server.pem")),
            file(&format!("{own}-server.key")),
        );
        format!("rediss://127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}")
    };
    let queue = open(&url("ours.pem", "ours"), 100).await;
    wait_until_working(&*queue, 1).await;
    for (authority, own) in [("others.pem", "ours"), ("ours.pem", "others")] {
        let stranger = open(&url(authority, own), 100).await;
        assert_eq!(stranger.depth().await, None, "{authority} {own}");
    }
    drop(peer);
}

/// Three members, each with a third of the slots.
struct RedisCluster(Vec<BackendServer>);

impl RedisCluster {
    async fn start() -> Self {
        let buses = [free_port(), free_port(), free_port()].map(|port| port.to_string());
        let member = |bus: &String| {
            let settings = [
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
                "--cluster-port",
            ];
            BackendServer::redis_with(&[&settings[..], &[bus]].concat())
        };
        let cluster = Self(buses.iter().map(member).collect());
        for (place, range) in ["0 5460", "5461 10922", "10923 16383"].iter().enumerate() {
            assert_eq!(
                cluster.0[place].send_command(&format!("CLUSTER ADDSLOTSRANGE {range}")),
                "+OK"
            );
            let meet = format!(
                "CLUSTER MEET 127.0.0.1 {} {}",
                cluster.0[place].port(),
                buses[place]
            );
            assert_eq!(cluster.0[0].send_command(&meet), "+OK");
        }
        for place in 0..3 {
            wait_until("the members know each other", || {
                let says = cluster.query_member(place, "CLUSTER INFO");
                says.contains("cluster_state:ok") && says.contains("cluster_known_nodes:3")
            })
            .await;
        }
        cluster
    }

    fn query_member(&self, place: usize, question: &str) -> String {
        let port = self.0[place].port().to_string();
        let mut arguments = vec!["-p", &port];
        arguments.extend(question.split(' '));
        run_command("redis-cli", &arguments)
    }

    fn url(&self) -> String {
        let hosts = self.0.iter().map(|peer| format!("127.0.0.1:{}", peer.port()));
        format!("redis-cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    fn slot_owner(&self) -> usize {
        let holds = |place: &usize| {
            self.0[*place]
                .send_command("SCARD {postrider:}channels")
                .starts_with(':')
        };
        (0..3).find(holds).expect("one of them holds our slot")
    }

    /// Gives our slot, and nothing in it, to another member.
    fn move_slot(&self) {
        let (old, new) = (self.slot_owner(), (self.slot_owner() + 1) % 3);
        let slot = self.query_member(old, "CLUSTER KEYSLOT {postrider:}channels");
        let name = self.query_member(new, "CLUSTER MYID");
        assert_eq!(self.0[old].send_command("FLUSHALL"), "+OK");
        for place in [new, old, (new + 1) % 3] {
            let set = format!("CLUSTER SETSLOT {} NODE {}", slot.trim(), name.trim());
            assert_eq!(self.0[place].send_command(&set), "+OK");
        }
    }
}

#[tokio::test]
async fn a_cluster_holds_the_queue_wherever_its_slot_lies() {
    let cluster = RedisCluster::start().await;
    let (here, there) = (open(&cluster.url(), 100).await, open(&cluster.url(), 100).await);
    wait_until_working(&*here, 1).await;
    let worker = tokio::spawn(async move { there.pop(&10, test_start(), TEST_TIMEOUT).await });
    here.push(&[entry_due_now(2)]);
    assert_eq!(
        worker.await.expect("the other one"),
        [DeliveryId(2)],
        "the bell rings"
    );
    cluster.move_slot();
    wait_until_working(&*here, 3).await;
}

#[tokio::test]
async fn a_member_of_the_cluster_that_is_away_is_not_needed_to_find_the_others() {
    let mut cluster = RedisCluster::start().await;
    let away = (cluster.slot_owner() + 1) % 3;
    cluster.0.swap(0, away);
    cluster.0[0].kill();
    let queue = open(&cluster.url(), 100).await;
    assert_eq!(
        queue.depth().await,
        Some(0),
        "found before the cluster noticed the loss"
    );
}

#[tokio::test]
async fn sentinels_lead_to_the_next_master() {
    let mut master = BackendServer::redis();
    let replica = BackendServer::redis_with(&["--replicaof", "127.0.0.1", &master.port().to_string()]);
    let sentinel = BackendServer::sentinel(master.port());
    let nobody = free_port();
    let url = format!(
        "redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{}/main/0",
        sentinel.port()
    );
    let queue = open(&url, 100).await;
    wait_until_working(&*queue, 1).await;
    wait_until("the sentinel knows the replica", || {
        sentinel.send_command("SENTINEL REPLICAS main") == "*1"
    })
    .await;
    wait_until("the replica is in step", || {
        run_command(
            "redis-cli",
            &["-p", &replica.port().to_string(), "INFO", "replication"],
        )
        .contains("master_link_status:up")
    })
    .await;
    master.kill();
    wait_until_working(&*queue, 2).await;
    assert_eq!(
        sentinel.send_command("SENTINEL GET-MASTER-ADDR-BY-NAME main"),
        "*2"
    );
    assert!(
        run_command("redis-cli", &["-p", &replica.port().to_string(), "ROLE"]).starts_with("master"),
        "what works is the one that was a replica"
    );
}
