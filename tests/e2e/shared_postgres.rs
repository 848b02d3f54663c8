//! Intake and workers on several hosts share one PostgreSQL store and keep no state of their own.

use super::test_gateway::TestGateway;
use postrider_core::testing::postgres_server::new_database;

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
                    [schedule]\nresend = \"1s\"\nreport = \"never\"\n";

fn gateway_on_postgres() -> TestGateway {
    TestGateway::new(&format!("[store]\nurl = \"{}\"\n{CONFIG}", new_database()))
}

#[test]
fn workers_on_other_hosts_send_what_intake_accepts() {
    let gateway = gateway_on_postgres();
    let intake = gateway.start_serve(&["--concurrency", "0"]);
    let mut ids: Vec<String> = (0..30).map(|n| gateway.send("09122222222", &format!("first {n}"))).collect();
    let (one, other) = (gateway.start(&["work"]), gateway.start(&["work"]));
    ids.extend((0..30).map(|n| gateway.send("09122222222", &format!("second {n}"))));
    for id in &ids {
        gateway.wait_for_state(id, &["sent"]);
        assert_eq!(gateway.attempts(id), ["mock: accepted"], "{id}");
    }
    gateway.run_ok(&["sync:report"]);
    let report = gateway.get("/v1/report").unwrap().json();
    assert_eq!(report["messages"], 60, "{report}");
    for console in [intake, one, other] {
        assert_eq!(console.terminate().code(), Some(0));
    }
}

#[test]
fn accepted_messages_survive_the_death_of_the_accepting_process() {
    let gateway = gateway_on_postgres();
    let intake = gateway.start_serve(&["--concurrency", "0"]);
    let ids: Vec<String> = (0..20).map(|n| gateway.send("09122222222", &format!("before {n}"))).collect();
    intake.kill();
    let _again = gateway.start_serve(&[]);
    for id in &ids {
        gateway.wait_for_state(id, &["sent"]);
    }
}

#[test]
fn commands_work_on_postgres_as_on_sqlite() {
    let gateway = gateway_on_postgres();
    assert!(gateway.run_ok(&["check"]).contains("applied by `console migrate`"));
    assert!(gateway.run_ok(&["migrate"]).contains("0001_schema"));
    assert!(gateway.run_ok(&["check"]).contains("readable and writable"));
    let refused = gateway.run(&["backup", "copy.db"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(stderr.contains("pg_dump"), "{stderr}");
}
