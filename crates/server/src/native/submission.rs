//! Parses `POST /v1/messages`: a JSON object becomes an [`AcceptRequest`], or a list of all invalid fields.
//!
//! Recipients and channels are parsed in `recipients`; `postrider_engine::accept` validates the addresses.

mod reader;
mod recipients;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use self::reader::FIELDS;
use super::fields::ObjectReader;
use crate::problem::Violation;
use postrider_engine::accept::AcceptRequest;
use postrider_engine::gateway::Gateway;

/// Parses the request without its idempotency key, or returns all invalid fields.
pub(super) fn parse_submission(
    gateway: &Gateway,
    object: &Map<String, Value>,
) -> Result<AcceptRequest, Vec<Violation>> {
    let mut fields = ObjectReader::new(object, &FIELDS, "");
    let send_at = fields.timestamp("send_at");
    let request = AcceptRequest {
        subject: fields.string("subject"),
        body: fields.body(gateway),
        user: fields.user_id(),
        priority: fields.priority(),
        expects_reply: fields.boolean("expects_reply"),
        callback_url: fields.callback_url(gateway),
        expires_at: fields.expiry(send_at.unwrap_or_else(|| gateway.clock.now())),
        send_at,
        ..recipients::read_recipients(&mut fields, gateway)
    };
    fields.finish(request)
}
