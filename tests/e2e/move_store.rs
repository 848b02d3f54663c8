//! `console move`: a store is moved while it is in use, also when the command is killed and repeated. No message is
//! lost, and processes that still use the old store report that it was moved.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::crash::duplicate_sends;
use super::raw_http;
use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, poll_pause, wait_until};
use postrider_core::testing::postgres_server::new_database;

/// Clients that submit messages continuously.
struct SubmissionLoad {
    stop: Arc<AtomicBool>,
    accepted: Arc<Mutex<HashMap<String, String>>>,
    refused: Arc<AtomicU64>,
    clients: Vec<std::thread::JoinHandle<()>>,
}

impl SubmissionLoad {
    fn start(at: SocketAddr) -> Self {
        let (stop, accepted, refused) = (Arc::default(), Arc::default(), Arc::default());
        let number = Arc::new(AtomicU64::new(0));
        let client = |_| {
            let (stop, accepted, refused): (Arc<AtomicBool>, Arc<Mutex<HashMap<_, _>>>, Arc<AtomicU64>) =
                (Arc::clone(&stop), Arc::clone(&accepted), Arc::clone(&refused));
            let number = Arc::clone(&number);
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    poll_pause();
                    let body = format!("moving-{}", number.fetch_add(1, Ordering::SeqCst));
                    let response = raw_http::get(at, &format!("/sms/send?number=09122222222&body={body}"));
                    match response {
                        Some(response) if response.status == 200 => {
                            let id = response.json()["Data"][0]["id"].as_str().unwrap().to_owned();
                            accepted.lock().unwrap().insert(id, body);
                        }
                        Some(response) if response.status == 503 => {
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                        _ => {}
                    }
                }
            })
        };
        let clients = (0..3).map(client).collect();
        Self { stop, accepted, refused, clients }
    }

    fn accepted_count(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    fn refused_count(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    fn stop(self) -> HashMap<String, String> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        Arc::try_unwrap(self.accepted).unwrap().into_inner().unwrap()
    }
}

/// Returns one number from a database, or `None` while the table does not exist.
fn query_postgres(url: &str, sql: &str) -> Option<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let number = client.query_one(sql, &[]).await.ok().map(|row| row.get(0));
        connection.abort();
        number
    })
}

fn output_text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn config(stub: &StubProvider, store: &str) -> String {
    format!(
        "{}\n[store]\nurl = \"{store}\"\n[work]\nlease = \"16s\"\nconcurrency = 8\n[channels.sms]\n\
         providers = [\"red\"]\n[retry]\nbase = \"100ms\"\ncap = \"1s\"\n[schedule]\nresend = \"1s\"\nreport = \"never\"\n",
        stub.texting_config("red")
    )
}

#[test]
fn moving_a_store_in_use_loses_nothing() {
    let stub = StubProvider::new(StubBehavior::AcceptAfterMs(3));
    let old = TestGateway::new(&config(&stub, "sqlite:postrider.db"));
    let console = old.start_serve(&[]);
    let load = SubmissionLoad::start(old.address);
    wait_until("the store has messages", || load.accepted_count() > 100);
    let url = new_database();

    let killed = old.start(&["move", "--to", &url, "--batch", "2"]);
    wait_until("part of the store is copied", || {
        query_postgres(&url, "SELECT count(*) FROM messages").is_some_and(|count| count > 20)
    });
    killed.kill();
    let new = TestGateway::new(&config(&stub, &url));
    let before_move = new.run(&["status"]);
    assert_eq!(before_move.status.code(), Some(2), "{before_move:?}");
    assert!(output_text(&before_move).contains("not finished"), "{before_move:?}");
    let enough = load.accepted_count() + 20;
    wait_until("the old store continues to accept messages", || load.accepted_count() > enough);
    assert_eq!(load.refused_count(), 0);

    let output = old.run_ok(&["move", "--to", &url, "--batch", "100"]);
    assert!(output.contains("--switch"), "{output}");
    assert_eq!(load.refused_count(), 0);
    let output = old.run_ok(&["move", "--to", &url, "--switch"]);
    assert!(output.contains("both stores are identical"), "{output}");
    wait_until("the old store refuses messages", || load.refused_count() > 5);
    assert_eq!(old.get("/readyz").unwrap().status, 503);
    assert!(old.log().contains("moved to postgres://"), "{}", old.log());
    let accepted = load.stop();
    let calls = stub.calls().len();
    let after_move = old.run(&["status"]);
    assert_eq!(after_move.status.code(), Some(2));
    assert!(output_text(&after_move).contains("was moved to postgres://"), "{after_move:?}");
    // Longer than the interval at which the old processes read due deliveries.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(3);
    while std::time::Instant::now() < deadline {
        let now = stub.calls().len();
        assert_eq!(now, calls, "the old store sends nothing after the switch");
        poll_pause();
    }

    let _new = new.start_serve(&[]);
    wait_until("all deliveries are sent", || {
        query_postgres(&url, "SELECT count(*) FROM deliveries WHERE state <> 'sent'") == Some(0)
    });
    let ids = accepted.keys().map(|id| format!("'{}'", id.replace('-', ""))).collect::<Vec<_>>().join(", ");
    let stored = format!("SELECT count(*) FROM messages WHERE encode(id, 'hex') IN ({ids})");
    let stored = query_postgres(&url, &stored).unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), accepted.len(), "every accepted message was moved");
    drop(console);
    let stored = query_postgres(&url, "SELECT count(*) FROM messages").unwrap();
    assert_eq!(usize::try_from(stored).unwrap(), accepted.len());
    let unknown = query_postgres(&url, "SELECT count(*) FROM attempts WHERE outcome = 'unknown'").unwrap();
    let duplicates = duplicate_sends(&stub, &accepted);
    assert!(duplicates <= unknown, "{duplicates} second sends, {unknown} shown as unknown");
    new.run_ok(&["sync:report", "--full"]);
    assert_eq!(new.get("/v1/report").unwrap().json()["messages"], stored);
}

/// Returns the report after a full rebuild, without its time.
fn report_json(gateway: &TestGateway) -> serde_json::Value {
    gateway.run_ok(&["sync:report", "--full"]);
    let console = gateway.start_serve(&["--concurrency", "0"]);
    let mut report = gateway.get("/v1/report").unwrap().json();
    console.terminate();
    report.as_object_mut().unwrap().remove("as_of");
    report
}

#[test]
fn the_report_is_the_same_after_moving_there_and_back() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let old = TestGateway::new(&config(&stub, "sqlite:postrider.db"));
    let console = old.start_serve(&[]);
    let sent: Vec<String> =
        (0..12).map(|n| old.send(&format!("0912222222{}", n % 10), &format!("text %1A0 {n}"))).collect();
    for id in &sent {
        old.wait_for_state(id, &["sent"]);
    }
    old.run_ok(&["recipient", "09122222299", "--set", "opted_out"]);
    old.post("/v1/messages", r#"{"to": "09122222299", "body": "no"}"#);
    console.terminate();
    let before = report_json(&old);
    assert_eq!(before["messages"], 12, "{before}");

    let url = new_database();
    old.run_ok(&["move", "--to", &url, "--switch", "--batch", "5"]);
    let new = TestGateway::new(&config(&stub, &url));
    assert_eq!(report_json(&new), before);

    new.run_ok(&["move", "--to", "sqlite:back.db", "--switch"]);
    let back = new.folder.path().join("back.db");
    let back = TestGateway::new(&config(&stub, &format!("sqlite:{}", back.display())));
    assert_eq!(report_json(&back), before);
    back.run_ok(&["move", "--to", "sqlite:beside.db", "--switch"]);

    let beside = back.folder.path().join("beside.db");
    let beside = TestGateway::new(&config(&stub, &format!("sqlite:{}", beside.display())));
    assert_eq!(report_json(&beside), before);
    let _console = beside.start_serve(&[]);
    let next = beside.send("09122222222", "after every move");
    beside.wait_for_state(&next, &["sent"]);
    assert_eq!(beside.message(&sent[0])["body"], "text \u{1A}0 0");
    let recipient = beside.run_ok(&["recipient", "09122222299"]);
    assert!(recipient.contains("opted_out"), "{recipient}");
}

#[test]
fn an_impossible_move_is_refused_with_a_remedy() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let gateway = TestGateway::new(&config(&stub, "sqlite:postrider.db"));
    gateway.run_ok(&["send", "09122222222", "hello"]);
    let full = TestGateway::new(&config(&stub, "sqlite:postrider.db"));
    full.run_ok(&["send", "09122222222", "hello"]);
    let full = format!("sqlite:{}", full.folder.path().join("postrider.db").display());
    let unreachable =
        format!("postgres://127.0.0.1:{}/none", postrider_core::testing::backend_server::free_port());
    for (arguments, code, reason) in [
        (vec!["--to", "sqlite:postrider.db"], 2, "same store"),
        (vec!["--to", "sqlite:./postrider.db"], 2, "same store"),
        (vec!["--to", &full], 2, "not empty"),
        (vec!["--to", "mysql://host/name"], 2, "must begin with"),
        (vec!["--from", "sqlite:none.db", "--to", "sqlite:new.db"], 2, "none.db does not exist"),
        (vec!["--to", &unreachable], 1, "cannot be reached"),
        (vec!["--to", "sqlite:new.db", "--abandon"], 2, "no move"),
    ] {
        let mut command_line = vec!["move"];
        command_line.extend(&arguments);
        let refused = gateway.run(&command_line);
        assert_eq!(refused.status.code(), Some(code), "{arguments:?} {refused:?}");
        assert!(output_text(&refused).contains(reason), "{arguments:?} {refused:?}");
    }
    assert!(!gateway.folder.path().join("none.db").exists());
}

#[test]
fn an_abandoned_move_leaves_nothing_behind() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let gateway = TestGateway::new(&config(&stub, "sqlite:postrider.db"));
    gateway.run_ok(&["send", "09122222222", "hello"]);
    let left = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'copy%' OR name LIKE 'write_guard%'";
    gateway.run_ok(&["move", "--to", "sqlite:new.db"]);
    assert!(gateway.query_number(left) > 0);
    gateway.run_ok(&["move", "--to", "sqlite:new.db", "--abandon"]);
    assert_eq!(gateway.query_number(left), 0);
    let again = gateway.run(&["move", "--to", "sqlite:new.db"]);
    assert!(output_text(&again).contains("abandoned"), "{again:?}");
    gateway.run_ok(&["move", "--to", "sqlite:other.db", "--switch"]);
    let closed = gateway.run(&["move", "--to", "sqlite:other.db", "--abandon"]);
    assert!(output_text(&closed).contains("finished"), "{closed:?}");
}
