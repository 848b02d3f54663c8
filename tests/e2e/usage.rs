//! `console usage`: what was sent to whom, for people, spreadsheets and programs.

use super::test_gateway::{TestGateway, wait_until};

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

fn submit_message(world: &TestGateway, user: &str, body: &str) -> String {
    let json = format!(r#"{{"to":"09122222222","body":"{body}","user_id":"{user}"}}"#);
    let answer = world.post("/v1/messages", &json).expect("an answer");
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_usage_command_lists_messages_and_recipients() {
    let world = TestGateway::new(CONFIG);
    let _serve = world.start_serve(&[]);
    let id = submit_message(&world, "ann", "=hello");
    submit_message(&world, "bob", "bye");
    wait_until("it has left", || world.state(&id) != "waiting");
    let people = world.run_ok(&["usage", "--user", "ann", "--since", "1h"]);
    assert!(
        people.starts_with("day ") && people.contains("through mock, tries 1"),
        "{people}"
    );
    assert!(
        people.contains("+98912***2222") && !people.contains("bob"),
        "{people}"
    );
    let csv = world.run_ok(&["usage", "--user", "ann", "--output", "csv"]);
    let rows = csv.split("\r\n").collect::<Vec<_>>();
    assert!(rows[0].starts_with("created_at,user_id,message_id,"), "{csv}");
    assert!(rows[1].contains(&id) && rows[1].ends_with(",'=hello"), "{csv}");
    assert_eq!(rows.len(), 3, "{csv}");
    let lines = world.run_ok(&["usage", "--output", "json", "--limit", "1"]);
    let line: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(line["user_id"], "bob");
    let totals = world.run_ok(&["usage", "--totals", "--output", "csv"]);
    assert_eq!(totals.lines().count(), 3, "{totals}");
    assert_eq!(world.run_ok(&["usage", "--until", "1h"]), "no messages\n");
}
