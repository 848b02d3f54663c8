use super::*;
use serde_json::json;

#[test]
fn messages_inherit_the_globals_and_incomplete_ones_are_left_out() {
    let object = json!({
        "globals": {"from": "Acme", "content": "hi"},
        "messages": [{"to": "1500"}, {"to": ["1501", "1502"], "content": "ho"}, {"content": "x"}, 7],
    });
    let messages = batch_messages(object.as_object().unwrap());
    let fields =
        |name: &str| messages.iter().map(|message| message[name].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(fields("to"), ["1500", "1501", "1502"]);
    assert_eq!(fields("content"), ["hi", "ho", "ho"]);
    assert_eq!(fields("from"), ["Acme"; 3]);
    let without_content = json!({"messages": [{"to": "1500"}]});
    assert_eq!(batch_messages(without_content.as_object().unwrap()).len(), 0);
    assert_eq!(batch_messages(json!({"messages": 1}).as_object().unwrap()).len(), 0);
}

#[test]
fn schedules_are_dates_or_seconds() {
    let now: Timestamp = "2026-11-30T17:00:00Z".parse().unwrap();
    let parsed = |text| parse_schedule(text, now).map(|at| (at - now).num_seconds());
    assert_eq!(parsed("86400s"), Ok(86_400));
    assert_eq!(parsed("2026-11-30 17:00:10"), Ok(10));
    assert_eq!(parsed("2026-11-30 16:00:00"), Err("Cannot schedule batch in past date"));
    for invalid in ["", "s", "-5s", "tomorrow", "99999999999999999999s"] {
        assert_eq!(parsed(invalid), Err("Cannot parse scheduled_at value"), "{invalid}");
    }
}
