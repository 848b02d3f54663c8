//! One message as FCM wants it.
//!
//! A repetition carries the same tag, so that a device shows it in the place of the first one; there is no idempotency
//! key. The time to live is what is left of the message's own.

use serde_json::{Map, Value, json};

use super::settings::{FcmPriority, FcmSettings};
use crate::OutboundMessage;
use crate::json_api::gateway_id;
use postrider_core::clock::Timestamp;

/// The longest FCM keeps a message for a device that is off: four weeks, in seconds.
const TTL_SECONDS_MAX: i64 = 2_419_200;

/// The document of `messages:send`.
pub(super) fn send_request(settings: &FcmSettings, parcel: &OutboundMessage, now: Timestamp) -> Value {
    let own_id = gateway_id(parcel).to_string();
    let seconds = (parcel.expires_at - now).num_seconds().clamp(0, TTL_SECONDS_MAX);
    let mut notification = json!({"body": parcel.body});
    if let Some(title) = parcel.subject.as_ref().or(settings.title.as_ref()) {
        notification["title"] = json!(title);
    }
    let given = settings.data.iter();
    let mut handed = given
        .map(|(name, text)| (name.clone(), json!(text)))
        .collect::<Map<_, _>>();
    handed.insert("gw_id".to_owned(), json!(own_id));
    json!({"message": {
        "token": parcel.to,
        "notification": notification,
        "data": handed,
        "android": android_config(settings, &own_id, seconds),
        "apns": apns_config(settings, &own_id, now.timestamp() + seconds),
        "webpush": {"headers": {"TTL": seconds.to_string(), "Urgency": urgency(settings).2}},
    }})
}

/// A message for nobody that FCM only looks at.
pub(super) fn dry_run_request() -> Value {
    json!({"validate_only": true, "message": {"token": "nobody", "notification": {"body": "dry run"}}})
}

/// The urgency in the words of Android, Apple and browsers.
fn urgency(settings: &FcmSettings) -> (&'static str, &'static str, &'static str) {
    match settings.priority {
        FcmPriority::High => ("HIGH", "10", "high"),
        FcmPriority::Normal => ("NORMAL", "5", "normal"),
    }
}

fn android_config(settings: &FcmSettings, own_id: &str, seconds: i64) -> Value {
    let mut android = json!({
        "priority": urgency(settings).0,
        "ttl": format!("{seconds}s"),
        "notification": {"tag": own_id},
    });
    if let Some(key) = &settings.collapse_key {
        android["collapse_key"] = json!(key);
    }
    if let Some(channel) = &settings.channel {
        android["notification"]["channel_id"] = json!(channel);
    }
    android
}

fn apns_config(settings: &FcmSettings, own_id: &str, expires_at: i64) -> Value {
    let mut apple = json!({"headers": {
        "apns-priority": urgency(settings).1,
        "apns-expiration": expires_at.to_string(),
        "apns-collapse-id": own_id,
    }});
    if let Some(sound) = &settings.sound {
        apple["payload"] = json!({"aps": {"sound": sound}});
    }
    apple
}
