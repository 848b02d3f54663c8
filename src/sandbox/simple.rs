//! The wire of system A's providers: `GET /sms/send/?number=…&body=…`, any 2xx is a success.
//!
//! That wire knows neither ids nor receipts, and whoever asks as it has it gets none. An id stands in the answer all the
//! same, and a `callback_url` in the query is given receipts: a form with `id` and `status`.

use serde_json::{Value, json};

use super::turn::Turn;
use super::wire::{FORM, Letter, Order, Reply, Sheet, fields, optional};

/// What a query asks for, or what is wrong with it.
pub(super) fn order(query: &[u8]) -> Result<Order, Reply> {
    let [number, body, callback] = fields(query, ["number", "body", "callback_url"]);
    if number.trim().is_empty() {
        return Err(sorry(400, "wrong number"));
    }
    if body.is_empty() {
        return Err(sorry(400, "there must be a body"));
    }
    Ok(Order {
        number,
        callback: optional(callback),
        ..Order::default()
    })
}

/// The answer.
pub(super) fn reply(turn: Turn, id: &str) -> Option<Reply> {
    Some(match turn {
        Turn::Taken(_) => Reply::of(200, &json!({"Data": [{"id": id}], "Message": ""})),
        Turn::Refused => sorry(400, "wrong number"),
        Turn::Failed => sorry(500, "the provider fails"),
        Turn::Throttled { retry_after_seconds } => sorry(429, "too many requests").after(retry_after_seconds),
        Turn::Hung | Turn::Garbled | Turn::Reset | Turn::Unreadable => return None,
    })
}

fn sorry(status: u16, why: &str) -> Reply {
    let nothing: [Value; 0] = [];
    Reply::of(status, &json!({"Data": nothing, "Message": [why]}))
}

/// A receipt.
pub(super) fn sheet(letter: &Letter) -> Sheet {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("id", &letter.id)
        .append_pair("status", letter.verdict.word())
        .finish();
    Sheet {
        content_type: FORM,
        proof: None,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::turn::Verdict;
    use crate::sandbox::wire::Wire;

    #[test]
    fn a_query_is_read_as_system_a_has_it() {
        let read = order(b"number=09122222222&body=hi+there").unwrap();
        assert_eq!((read.number.as_str(), read.callback), ("09122222222", None));
        assert_eq!(
            order(b"number=%2B12025550100&body=x").unwrap().number,
            "+12025550100"
        );
        for (query, body) in [
            ("", r#"{"Data":[],"Message":["wrong number"]}"#),
            (
                "number=09122222222",
                r#"{"Data":[],"Message":["there must be a body"]}"#,
            ),
        ] {
            let wrong = order(query.as_bytes()).unwrap_err();
            assert_eq!((wrong.status, wrong.body.as_str()), (400, body), "{query}");
        }
    }

    #[test]
    fn any_2xx_is_a_success_and_any_5xx_a_failure() {
        let taken = reply(Turn::Taken(None), "id-1").unwrap();
        assert_eq!(
            (taken.status, taken.body.as_str()),
            (200, r#"{"Data":[{"id":"id-1"}],"Message":""}"#)
        );
        assert_eq!(reply(Turn::Failed, "").unwrap().status, 500);
        let busy = reply(
            Turn::Throttled {
                retry_after_seconds: 7,
            },
            "",
        )
        .unwrap();
        assert_eq!((busy.status, busy.retry_after), (429, Some(7)));
    }

    #[test]
    fn a_receipt_goes_where_the_query_said() {
        let order = order(b"number=09122222222&body=hi&callback_url=http%3A%2F%2Fa%2Fb").unwrap();
        assert_eq!(order.callback.as_deref(), Some("http://a/b"));
        let letter = Letter {
            wire: Wire::Simple,
            id: "id-1".to_owned(),
            verdict: Verdict::Failed,
            url: String::new(),
            order,
        };
        assert_eq!(sheet(&letter).body, "id=id-1&status=failed");
    }
}
