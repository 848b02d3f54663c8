//! The body of `messages:send`.
//!
//! FCM has no idempotency key. Every round of a delivery has the same tag, so that a device replaces the notification that
//! it already shows.

use serde_json::{Map, Value, json};

use super::settings::{FcmPriority, FcmSettings};
use crate::OutboundMessage;
use crate::json_api::gateway_id;
use postrider_core::clock::Timestamp;

/// Maximum time that FCM keeps a message for an offline device: four weeks, in seconds.
const TTL_SECONDS_MAX: i64 = 2_419_200;

/// Returns the body for a message.
pub(super) fn send_request(settings: &FcmSettings, message: &OutboundMessage, now: Timestamp) -> Value {
    let message_id = gateway_id(message).to_string();
    let seconds = (message.expires_at - now).num_seconds().clamp(0, TTL_SECONDS_MAX);
    let mut notification = json!({"body": message.body});
    if let Some(title) = message.subject.as_ref().or(settings.title.as_ref()) {
        notification["title"] = json!(title);
    }
    let mut data =
        settings.data.iter().map(|(name, text)| (name.clone(), json!(text))).collect::<Map<_, _>>();
    data.insert("gw_id".to_owned(), json!(message_id));
    json!({"message": {
        "token": message.to,
        "notification": notification,
        "data": data,
        "android": android_config(settings, &message_id, seconds),
        "apns": apns_config(settings, &message_id, now.timestamp() + seconds),
        "webpush": {"headers": {"TTL": seconds.to_string(), "Urgency": urgency(settings).2}},
    }})
}

/// Returns a message that FCM validates and does not send.
pub(super) fn dry_run_request() -> Value {
    json!({"validate_only": true, "message": {"token": "dry-run", "notification": {"body": "dry run"}}})
}

/// Returns the priority as Android, APNs and web push write it.
fn urgency(settings: &FcmSettings) -> (&'static str, &'static str, &'static str) {
    match settings.priority {
        FcmPriority::High => ("HIGH", "10", "high"),
        FcmPriority::Normal => ("NORMAL", "5", "normal"),
    }
}

fn android_config(settings: &FcmSettings, message_id: &str, seconds: i64) -> Value {
    let mut android = json!({
        "priority": urgency(settings).0,
        "ttl": format!("{seconds}s"),
        "notification": {"tag": message_id},
    });
    if let Some(key) = &settings.collapse_key {
        android["collapse_key"] = json!(key);
    }
    if let Some(channel) = &settings.channel {
        android["notification"]["channel_id"] = json!(channel);
    }
    android
}

fn apns_config(settings: &FcmSettings, message_id: &str, expires_at: i64) -> Value {
    let mut apns = json!({"headers": {
        "apns-priority": urgency(settings).1,
        "apns-expiration": expires_at.to_string(),
        "apns-collapse-id": message_id,
    }});
    if let Some(sound) = &settings.sound {
        apns["payload"] = json!({"aps": {"sound": sound}});
    }
    apns
}
