//! `console usage`: sent messages with their recipients as text, CSV and JSON.

use super::test_gateway::{TestGateway, wait_until};

const CONFIG: &str = "[providers.mock]\nkind = \"mock\"\n[channels.sms]\nproviders = [\"mock\"]\n";

fn submit_message(gateway: &TestGateway, user: &str, body: &str) -> String {
    let json = format!(r#"{{"to":"09122222222","body":"{body}","user_id":"{user}"}}"#);
    let response = gateway.post("/v1/messages", &json).expect("a response");
    assert_eq!(response.status, 201, "{response:?}");
    response.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_usage_command_lists_messages_and_recipients() {
    let gateway = TestGateway::new(CONFIG);
    let _serve = gateway.start_serve(&[]);
    let id = submit_message(&gateway, "ann", "=hello");
    submit_message(&gateway, "bob", "bye");
    wait_until("the message is sent", || gateway.state(&id) != "waiting");
    let table = gateway.run_ok(&["usage", "--user", "ann", "--since", "1h"]);
    assert!(table.starts_with("day ") && table.contains("through mock, tries 1"), "{table}");
    assert!(table.contains("+98912***2222") && !table.contains("bob"), "{table}");
    let csv = gateway.run_ok(&["usage", "--user", "ann", "--output", "csv"]);
    let rows = csv.split("\r\n").collect::<Vec<_>>();
    assert!(rows[0].starts_with("created_at,user_id,message_id,"), "{csv}");
    assert!(rows[1].contains(&id) && rows[1].ends_with(",'=hello"), "{csv}");
    assert_eq!(rows.len(), 3, "{csv}");
    let lines = gateway.run_ok(&["usage", "--output", "json", "--limit", "1"]);
    let row: serde_json::Value = serde_json::from_str(lines.trim()).unwrap();
    assert_eq!(row["user_id"], "bob");
    let totals = gateway.run_ok(&["usage", "--totals", "--output", "csv"]);
    assert_eq!(totals.lines().count(), 3, "{totals}");
    assert_eq!(gateway.run_ok(&["usage", "--until", "1h"]), "no messages\n");
}
