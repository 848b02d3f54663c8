//! Parses `to` and `channels` of `POST /v1/messages`.
//!
//! `to` is one address, or an object of addresses by channel (`{"sms": …}`) or by kind (`{"phone": …, "email": …}`); each
//! channel takes the one it can use. `postrider_engine::accept` validates the addresses.

use serde_json::{Map, Value};

use super::super::fields::ObjectReader;
use crate::errors;
use postrider_core::address::AddressKind;
use postrider_engine::accept::{AcceptRequest, MissingAddressPolicy};
use postrider_engine::gateway::Gateway;

/// Parses recipients and channels; the other fields of the request have their defaults.
pub(super) fn read_recipients(fields: &mut ObjectReader<'_>, gateway: &Gateway) -> AcceptRequest {
    let channels = read_channels(fields, gateway);
    let to = fields.get("to").cloned().map(without_nulls);
    match to {
        Some(Value::String(address)) => request_for_address(gateway, &address, channels),
        Some(Value::Object(to)) if !to.is_empty() => {
            let to = &to;
            let by_channel = to.keys().all(|key| gateway.route(key).is_some());
            match channels {
                None if by_channel => request_by_channel(fields, gateway, to, to.keys().cloned().collect()),
                None => AcceptRequest {
                    channels: default_channels(gateway),
                    contacts: read_contacts(fields, gateway, to),
                    on_missing_address: MissingAddressPolicy::SkipChannel,
                    ..AcceptRequest::default()
                },
                Some(channels) => request_by_channel(fields, gateway, to, channels),
            }
        }
        Some(_) => {
            let expected = "must be an address or an object such as {\"phone\": \"+98…\", \"email\": \"…\"}";
            fields.add_violation("to", expected);
            AcceptRequest::default()
        }
        None => {
            fields.add_violation("to", "is missing");
            AcceptRequest::default()
        }
    }
}

/// Removes null members, which count as absent.
fn without_nulls(mut to: Value) -> Value {
    if let Some(addresses) = to.as_object_mut() {
        addresses.retain(|_, address| !address.is_null());
    }
    to
}

fn request_for_address(gateway: &Gateway, address: &str, channels: Option<Vec<String>>) -> AcceptRequest {
    let on_missing_address = match channels {
        Some(_) => MissingAddressPolicy::RejectMessage,
        None => MissingAddressPolicy::SkipChannel,
    };
    let channels = channels.unwrap_or_else(|| default_channels(gateway));
    let addresses = channels.into_iter().map(|channel| (channel, address.to_owned()));
    AcceptRequest { addresses: addresses.collect(), on_missing_address, ..AcceptRequest::default() }
}

/// Gives each channel the address under its own name, else the one of a kind that it can use.
fn request_by_channel(
    fields: &mut ObjectReader<'_>,
    gateway: &Gateway,
    to: &Map<String, Value>,
    channels: Vec<String>,
) -> AcceptRequest {
    let mut request =
        AcceptRequest { contacts: read_contacts(fields, gateway, to), ..AcceptRequest::default() };
    for channel in channels {
        match to.get(&channel).and_then(Value::as_str) {
            Some(address) => request.addresses.push((channel, address.to_owned())),
            None => request.channels.push(channel),
        }
    }
    request
}

/// Returns the addresses by kind. A key that is neither a kind nor a channel, or a value that is not a string, is a
/// violation.
fn read_contacts(
    fields: &mut ObjectReader<'_>,
    gateway: &Gateway,
    to: &Map<String, Value>,
) -> Vec<(AddressKind, String)> {
    let mut contacts = Vec::with_capacity(to.len());
    for (key, value) in to {
        let kind = AddressKind::parse(key).filter(|kind| *kind != AddressKind::Any);
        match (kind, value) {
            (None, _) if gateway.route(key).is_none() => fields.add_violation(
                &format!("to.{key}"),
                "must be a configured channel, or phone, email, push, messenger or url",
            ),
            (Some(kind), Value::String(address)) => contacts.push((kind, address.clone())),
            (None, Value::String(_)) => {}
            (_, _) => fields.add_violation(&format!("to.{key}"), "must be a string"),
        }
    }
    contacts
}

/// Returns the channels of a message that names none.
fn default_channels(gateway: &Gateway) -> Vec<String> {
    let config = &gateway.config;
    if config.has_used_channels {
        return config.used_channels.iter().map(ToString::to_string).collect();
    }
    vec![errors::default_channel(gateway).to_owned()]
}

/// Returns the named channels, each once; `None` without the field.
fn read_channels(fields: &mut ObjectReader<'_>, gateway: &Gateway) -> Option<Vec<String>> {
    let value = fields.get("channels")?;
    let Some(names) = value.as_array().filter(|names| !names.is_empty()) else {
        fields.add_violation("channels", unknown_channel_message(gateway));
        return None;
    };
    let mut channels = Vec::with_capacity(names.len());
    for (position, channel) in names.iter().enumerate() {
        let field = format!("channels.{position}");
        match channel.as_str() {
            Some(name) if gateway.route(name).is_none() => {
                fields.add_violation(&field, unknown_channel_message(gateway));
            }
            Some(name) if channels.iter().any(|other| other == name) => {
                fields.add_violation(&field, "repeats a channel");
            }
            Some(name) => channels.push(name.to_owned()),
            None => fields.add_violation(&field, "must be a string"),
        }
    }
    Some(channels)
}

fn unknown_channel_message(gateway: &Gateway) -> String {
    let names: Vec<&str> = gateway.config.channels.iter().map(|channel| channel.name.as_str()).collect();
    format!("must name configured channels: {}", names.join(", "))
}
