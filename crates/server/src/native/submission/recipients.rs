//! Parses `to` and `channels` of `POST /v1/messages`.
//!
//! `to` is one address, or an object of addresses by channel (`{"sms": …}`) or by kind (`{"phone": …, "email": …}`); each
//! channel takes the address that it can use. `postrider_engine::accept` validates the addresses.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};

use crate::errors;
use crate::json_fields::ObjectReader;
use postrider_core::address::AddressKind;
use postrider_engine::accept::{AcceptRequest, MissingAddressPolicy};
use postrider_engine::gateway::Gateway;

/// The members of the object `to` without null members, which count as absent.
type Addresses<'a> = BTreeMap<&'a str, &'a Value>;

/// Returns the schema of `to`.
pub(super) fn recipients_schema() -> Schema {
    let address = || ObjectBuilder::new().schema_type(Type::String);
    AnyOfBuilder::new()
        .description(Some(
            "One address, or addresses by kind (`phone`, `email`, `push`, `messenger`, `url`) or by channel; each channel \
             takes the one it can use.",
        ))
        .item(address().min_length(Some(1)))
        .item(ObjectBuilder::new().additional_properties(Some(address())))
        .build()
        .into()
}

/// Reads recipients and channels; the other fields of the returned request have their defaults.
pub(super) fn read_recipients(message_fields: &mut ObjectReader<'_>, gateway: &Gateway) -> AcceptRequest {
    let channels = read_channels(message_fields, gateway);
    match message_fields.get("to") {
        None => message_fields.add_violation("to", "is missing"),
        Some(Value::String(address)) => return request_for_address(gateway, address, channels),
        Some(Value::Object(to)) if to.values().any(|address| !address.is_null()) => {
            let addresses = to.iter().filter(|(_, address)| !address.is_null());
            let addresses = addresses.map(|(key, address)| (key.as_str(), address)).collect();
            return request_for_addresses(message_fields, gateway, &addresses, channels);
        }
        Some(_) => message_fields.add_violation(
            "to",
            "must be an address or an object such as {\"phone\": \"+98…\", \"email\": \"…\"}",
        ),
    }
    AcceptRequest::default()
}

/// Gives the address to the named channels, or else to those default channels that take its kind: a phone number is no push
/// token unless the client names the channel.
fn request_for_address(gateway: &Gateway, address: &str, channels: Option<Vec<String>>) -> AcceptRequest {
    let is_named = channels.is_some();
    let channels = channels.unwrap_or_else(|| default_channels(gateway));
    let takes = |channel: &String, kind: AddressKind| {
        gateway.route(channel).is_some_and(|route| route.address_kinds().contains(&kind))
    };
    let has_strict_kind =
        STRICT_KINDS.iter().any(|kind| channels.iter().any(|channel| takes(channel, *kind)));
    if is_named || !has_strict_kind {
        let addresses = channels.into_iter().map(|channel| (channel, address.to_owned()));
        return AcceptRequest { addresses: addresses.collect(), ..AcceptRequest::default() };
    }
    let kind = strict_kind(address);
    let (of_kind, others): (Vec<_>, Vec<_>) = channels.into_iter().partition(|channel| takes(channel, kind));
    AcceptRequest {
        channels: if of_kind.is_empty() { others } else { of_kind },
        contacts: vec![(kind, address.to_owned())],
        on_missing_address: MissingAddressPolicy::SkipChannel,
        ..AcceptRequest::default()
    }
}

/// Kinds whose form tells them apart from any text.
const STRICT_KINDS: [AddressKind; 3] = [AddressKind::Url, AddressKind::Email, AddressKind::Phone];

/// Returns the kind of which the text is an address, right or wrong.
fn strict_kind(address: &str) -> AddressKind {
    if address.contains("://") {
        AddressKind::Url
    } else if address.contains('@') {
        AddressKind::Email
    } else {
        AddressKind::Phone
    }
}

/// Gives each channel the address under its own name, else the address of a kind that it can use.
fn request_for_addresses(
    fields: &mut ObjectReader<'_>,
    gateway: &Gateway,
    addresses: &Addresses<'_>,
    channels: Option<Vec<String>>,
) -> AcceptRequest {
    let contacts = read_contacts(fields, gateway, addresses);
    let is_by_channel = addresses.keys().all(|key| gateway.route(key).is_some());
    let channels = match channels {
        Some(channels) => channels,
        None if is_by_channel => addresses.keys().map(|&channel| channel.to_owned()).collect(),
        None => {
            return AcceptRequest {
                channels: default_channels(gateway),
                contacts,
                on_missing_address: MissingAddressPolicy::SkipChannel,
                ..AcceptRequest::default()
            };
        }
    };
    let mut request = AcceptRequest { contacts, ..AcceptRequest::default() };
    for channel in channels {
        match addresses.get(channel.as_str()).and_then(|address| address.as_str()) {
            Some(address) => request.addresses.push((channel, address.to_owned())),
            None => request.channels.push(channel),
        }
    }
    request
}

/// Returns the addresses by kind. A key that is neither a kind nor a channel, or a value that is not a string, is a
/// violation.
fn read_contacts(
    message_fields: &mut ObjectReader<'_>,
    gateway: &Gateway,
    addresses: &Addresses<'_>,
) -> Vec<(AddressKind, String)> {
    let mut contacts = Vec::with_capacity(addresses.len());
    for (key, address) in addresses {
        let contact_kind = AddressKind::parse(key).filter(|contact_kind| *contact_kind != AddressKind::Any);
        match (contact_kind, address) {
            (None, _) if gateway.route(key).is_none() => message_fields.add_violation(
                &format!("to.{key}"),
                "must be a configured channel, or phone, email, push, messenger or url",
            ),
            (Some(contact_kind), Value::String(address)) => contacts.push((contact_kind, address.clone())),
            (None, Value::String(_)) => {}
            (_, _) => message_fields.add_violation(&format!("to.{key}"), "must be a string"),
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
fn read_channels(message_fields: &mut ObjectReader<'_>, gateway: &Gateway) -> Option<Vec<String>> {
    let json = message_fields.get("channels")?;
    let Some(named) = json.as_array().filter(|named| !named.is_empty()) else {
        message_fields.add_violation("channels", unknown_channel_message(gateway));
        return None;
    };
    let mut channels = Vec::with_capacity(named.len());
    for (position, channel) in named.iter().enumerate() {
        let channel_field = format!("channels.{position}");
        match channel.as_str() {
            Some(channel_name) if gateway.route(channel_name).is_none() => {
                message_fields.add_violation(&channel_field, unknown_channel_message(gateway));
            }
            Some(channel_name) if channels.iter().any(|channel| channel == channel_name) => {
                message_fields.add_violation(&channel_field, "repeats a channel");
            }
            Some(channel_name) => channels.push(channel_name.to_owned()),
            None => message_fields.add_violation(&channel_field, "must be a string"),
        }
    }
    Some(channels)
}

fn unknown_channel_message(gateway: &Gateway) -> String {
    let names: Vec<&str> = gateway.config.channels.iter().map(|channel| channel.name.as_str()).collect();
    format!("must name configured channels: {}", names.join(", "))
}
