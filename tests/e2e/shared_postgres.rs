//! Several processes share one PostgreSQL: intake here, workers there, none of them alone holds anything.

use super::test_gateway::TestGateway;
use postrider_core::testing::postgres_server::new_database;

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n\
                    [schedule]\nresend = \"1s\"\nreport = \"never\"\n";

fn gateway_on_postgres() -> TestGateway {
    TestGateway::new(&format!("[store]\nurl = \"{}\"\n{CONFIG}", new_database()))
}

#[test]
fn workers_on_other_hosts_send_what_intake_accepts() {
    let world = gateway_on_postgres();
    let intake = world.start_serve(&["--concurrency", "0"]);
    let mut ids: Vec<String> = (0..30)
        .map(|n| world.send("09122222222", &format!("first {n}")))
        .collect();
    let (one, other) = (world.start(&["work"]), world.start(&["work"]));
    ids.extend((0..30).map(|n| world.send("09122222222", &format!("second {n}"))));
    for id in &ids {
        world.wait_for_state(id, &["sent"]);
        assert_eq!(world.attempts(id), ["mock: accepted"], "{id}");
    }
    world.run_ok(&["sync:report"]);
    let report = world.get("/v1/report").unwrap().json();
    assert_eq!(report["messages"], 60, "{report}");
    for console in [intake, one, other] {
        assert_eq!(console.terminate().code(), Some(0));
    }
}

#[test]
fn accepted_messages_survive_the_death_of_the_accepting_process() {
    let world = gateway_on_postgres();
    let intake = world.start_serve(&["--concurrency", "0"]);
    let ids: Vec<String> = (0..20)
        .map(|n| world.send("09122222222", &format!("before {n}")))
        .collect();
    intake.kill();
    let _again = world.start_serve(&[]);
    for id in &ids {
        world.wait_for_state(id, &["sent"]);
    }
}

#[test]
fn commands_work_on_postgres_as_on_sqlite() {
    let world = gateway_on_postgres();
    assert!(world.run_ok(&["check"]).contains("applied by `console migrate`"));
    assert!(world.run_ok(&["migrate"]).contains("0001_schema"));
    assert!(world.run_ok(&["check"]).contains("readable and writable"));
    let refused = world.run(&["backup", "copy.db"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("pg_dump"), "{words}");
}
