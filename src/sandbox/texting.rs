//! The wire of system C's providers: `POST /messages` with `to_number`, `message` and `callback_url`, and its callback.
//!
//! That wire knows 200 with an id, and 500. Its 400 for a number that does not exist is ours; the configuration that the
//! sandbox prints has a rule for it.

use serde::Deserialize;
use serde_json::json;

use super::turn::Turn;
use super::wire::{JSON, Letter, Order, Reply, Sheet};

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    to_number: String,
    #[serde(default)]
    message: String,
    callback_url: Option<String>,
}

/// What a call asks for, or what is wrong with it.
pub(super) fn order(body: &[u8]) -> Result<Order, Reply> {
    let call: Call = serde_json::from_slice(body).map_err(|_| {
        sorry(
            "unreadable",
            "the body must be JSON with to_number, message and callback_url",
        )
    })?;
    if call.to_number.trim().is_empty() || call.message.is_empty() {
        return Err(sorry("unreadable", "there must be a to_number and a message"));
    }
    Ok(Order {
        number: call.to_number,
        callback: call.callback_url.filter(|url| !url.is_empty()),
        ..Order::default()
    })
}

/// The answer.
pub(super) fn reply(turn: Turn, id: &str) -> Option<Reply> {
    Some(match turn {
        Turn::Taken(_) => Reply::of(200, &json!({"message_id": id})),
        Turn::Refused => sorry("invalid", "there is no such number"),
        Turn::Failed => Reply::of(500, &json!({"error": "the provider fails"})),
        Turn::Throttled { retry_after_seconds } => {
            Reply::of(429, &json!({"error": "too many requests"})).after(retry_after_seconds)
        }
        Turn::Hung | Turn::Garbled | Turn::Reset | Turn::Unreadable => return None,
    })
}

fn sorry(status: &str, why: &str) -> Reply {
    Reply::of(400, &json!({"status": status, "error": why}))
}

/// A receipt.
pub(super) fn sheet(letter: &Letter) -> Sheet {
    let body = json!({"status": letter.verdict.word(), "message_id": letter.id});
    Sheet {
        content_type: JSON,
        proof: None,
        body: body.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::turn::Verdict;
    use crate::sandbox::wire::Wire;

    #[test]
    fn a_call_is_read_as_system_c_writes_it() {
        let call = br#"{"to_number":"1231233211","message":"Hello World","callback_url":"http://a/messages/delivery_status"}"#;
        let read = order(call).unwrap();
        assert_eq!(read.number, "1231233211");
        assert_eq!(
            read.callback.as_deref(),
            Some("http://a/messages/delivery_status")
        );
        for call in [
            "",
            "{}",
            r#"{"to_number":"1231233211"}"#,
            r#"{"to_number":1,"message":"x"}"#,
        ] {
            assert_eq!(order(call.as_bytes()).unwrap_err().status, 400, "{call}");
        }
    }

    #[test]
    fn an_answer_has_the_id_and_nothing_else() {
        assert_eq!(
            reply(Turn::Taken(None), "id-1").unwrap().body,
            r#"{"message_id":"id-1"}"#
        );
        assert_eq!(reply(Turn::Failed, "").unwrap().status, 500);
        assert_eq!(reply(Turn::Refused, "").unwrap().status, 400);
    }

    #[test]
    fn a_receipt_has_one_of_the_callbacks_three_words() {
        for (verdict, word) in [
            (Verdict::Delivered, "delivered"),
            (Verdict::Failed, "failed"),
            (Verdict::Invalid, "invalid"),
        ] {
            let letter = Letter {
                wire: Wire::Texting,
                id: "id-1".to_owned(),
                verdict,
                url: String::new(),
                order: Order::default(),
            };
            let expected = json!({"status": word, "message_id": "id-1"}).to_string();
            assert_eq!(sheet(&letter).body, expected);
        }
    }
}
