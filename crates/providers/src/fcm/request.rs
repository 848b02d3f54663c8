//! The body of `messages:send`.
//!
//! FCM has no idempotency key. Every round of a delivery has the same tag, so that a device replaces the notification that
//! the device already shows.

use serde_json::{Value, json};

use postrider_core::clock::Timestamp;

use super::settings::{FcmPriority, FcmSettings};
use crate::json_api::gateway_id;
use crate::provider::OutboundMessage;

/// Maximum time that FCM keeps a message for an offline device: four weeks, in seconds.
const TTL_SECONDS_MAX: i64 = 2_419_200;

/// Returns the JSON document of a message.
pub(super) fn request(fcm_settings: &FcmSettings, message: &OutboundMessage, now: Timestamp) -> Value {
    let message_id = gateway_id(message).to_string();
    let [android_priority, apns_priority, web_urgency] = priority_names(fcm_settings.priority);
    let seconds = (message.expires_at - now).num_seconds().clamp(0, TTL_SECONDS_MAX);
    let mut notification = json!({"body": message.body});
    if let Some(title) = message.subject.as_ref().or(fcm_settings.title.as_ref()) {
        notification["title"] = json!(title);
    }
    let mut app_data = json!(fcm_settings.data);
    app_data["gw_id"] = json!(message_id);
    json!({"message": {
        "token": message.to,
        "notification": notification,
        "data": app_data,
        "android": android_config(fcm_settings, android_priority, &message_id, seconds),
        "apns": apns_config(fcm_settings, apns_priority, &message_id, now.timestamp() + seconds),
        "webpush": {"headers": {"TTL": seconds.to_string(), "Urgency": web_urgency}},
    }})
}

/// Returns a message that FCM validates and does not send.
pub(super) fn dry_run_request() -> Value {
    json!({"validate_only": true, "message": {"token": "dry-run", "notification": {"body": "dry run"}}})
}

/// Returns the names of a priority for Android, APNs and web push.
fn priority_names(priority: FcmPriority) -> [&'static str; 3] {
    match priority {
        FcmPriority::High => ["HIGH", "10", "high"],
        FcmPriority::Normal => ["NORMAL", "5", "normal"],
    }
}

fn android_config(fcm_settings: &FcmSettings, priority: &str, message_id: &str, seconds: i64) -> Value {
    let mut android = json!({
        "priority": priority,
        "ttl": format!("{seconds}s"),
        "notification": {"tag": message_id},
    });
    if let Some(key) = &fcm_settings.collapse_key {
        android["collapse_key"] = json!(key);
    }
    if let Some(channel) = &fcm_settings.channel {
        android["notification"]["channel_id"] = json!(channel);
    }
    android
}

fn apns_config(settings: &FcmSettings, priority: &str, message_id: &str, expires_at: i64) -> Value {
    let mut apns = json!({"headers": {
        "apns-priority": priority,
        "apns-expiration": expires_at.to_string(),
        "apns-collapse-id": message_id,
    }});
    if let Some(sound) = &settings.sound {
        apns["payload"] = json!({"aps": {"sound": sound}});
    }
    apns
}
