//! Builds the deliveries of a message: chooses an address for each requested channel.
//!
//! A channel of one address kind takes one address; a channel that mixes kinds takes every address that its
//! providers can use. This module stores nothing and does not check whether an address exists.

use super::limits::check_length;
use super::request::{AcceptError, AcceptRequest, MissingAddressPolicy};
use crate::gateway::{Gateway, Route};
use postrider_core::address::{self, AddressError, AddressKind, DestinationRules, PhoneRules};
use postrider_core::{
    channel::Channel, clock::Timestamp, contact::Contact, id::DeliveryId, message::NewDelivery,
};

/// Order in which a channel that accepts any text chooses a contact. Kinds that only a provider can validate come
/// first.
const ANY_ADDRESS_PREFERENCE: [AddressKind; 6] = [
    AddressKind::Any,
    AddressKind::Push,
    AddressKind::Messenger,
    AddressKind::Url,
    AddressKind::Email,
    AddressKind::Phone,
];

/// Returns the requested deliveries, in order, or the first error.
pub(super) fn build_deliveries(
    gateway: &Gateway,
    request: &AcceptRequest,
    parts: u32,
    now: Timestamp,
) -> Result<Vec<NewDelivery>, AcceptError> {
    let mut errors = Vec::new();
    let deliveries = build_with_errors(gateway, request, parts, now, &mut errors);
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(deliveries),
    }
}

/// Returns every error in the recipients of a request, so that a client sees them all at once.
pub(super) fn find_recipient_errors(
    gateway: &Gateway,
    request: &AcceptRequest,
    parts: u32,
    now: Timestamp,
) -> Vec<AcceptError> {
    let mut errors = Vec::new();
    build_with_errors(gateway, request, parts, now, &mut errors);
    errors
}

fn build_with_errors(
    gateway: &Gateway,
    request: &AcceptRequest,
    parts: u32,
    now: Timestamp,
    errors: &mut Vec<AcceptError>,
) -> Vec<NewDelivery> {
    let delivery_counts = 1..=usize::try_from(DeliveryId::PER_MESSAGE).unwrap_or(1);
    if !delivery_counts.contains(&(request.addresses.len() + request.channels.len())) {
        errors.push(AcceptError::NoRecipient);
        return Vec::new();
    }
    let api_key = gateway.api_key(&request.api_key_name);
    let key_countries = api_key.as_ref().map_or(&[][..], |key| &key.limits.countries);
    let explicit = request.addresses.iter().map(|(channel, address)| (channel, Some(address)));
    let by_contacts = request.channels.iter().map(|channel| (channel, None));
    let mut deliveries = Vec::with_capacity(request.addresses.len() + request.channels.len());
    let mut skipped_errors = Vec::new();
    for (channel, written_address) in explicit.chain(by_contacts) {
        let Some(route) = gateway.route(channel) else {
            errors.push(AcceptError::UnknownChannel(channel.clone()));
            continue;
        };
        let rules = AddressRules {
            phone: &gateway.config.phone,
            destination: DestinationRules {
                countries: [&route.channel.countries, key_countries],
                allows_premium: gateway.config.allow_premium_numbers,
                prefixes: api_key.as_ref().map_or(&[][..], |key| &key.account.prefixes),
            },
        };
        let address = match written_address {
            Some(address) => parse_address(route, address, rules),
            None => select_contacts(route, request, rules),
        };
        let address = address.and_then(|address| {
            let title = request.subject.as_deref().or(route.channel.subject.as_deref());
            let parts_max = gateway.config.limits.message_parts_max;
            check_length(address.kind, title, &request.body, parts, parts_max).map(|()| address)
        });
        match (address, request.on_missing_address) {
            (Ok(address), _) => deliveries.push(build_delivery(&route.channel, address, request, parts, now)),
            (Err(error), MissingAddressPolicy::FailDelivery) => {
                let spelling = written_address.or_else(|| likely_contact(route, request)).cloned();
                let address = ResolvedAddress::unusable(&error, spelling.unwrap_or_default());
                deliveries.push(build_delivery(&route.channel, address, request, parts, now));
            }
            (
                Err(error @ (AcceptError::InvalidAddress { .. } | AcceptError::NoUsableContact { .. })),
                MissingAddressPolicy::SkipChannel,
            ) => skipped_errors.push(error),
            (Err(error), _) => errors.push(error),
        }
    }
    if deliveries.is_empty() && errors.is_empty() {
        errors.extend(skipped_errors);
    }
    deliveries
}

/// Rules for the addresses of one channel.
#[derive(Clone, Copy)]
struct AddressRules<'a> {
    phone: &'a PhoneRules,
    destination: DestinationRules<'a>,
}

impl AddressRules<'_> {
    /// Checks whether messages may be sent to a parsed address.
    fn check(self, kind: AddressKind, address: &str) -> Result<(), AddressError> {
        match kind {
            AddressKind::Phone => self.destination.check_phone(address),
            AddressKind::Email
            | AddressKind::Push
            | AddressKind::Messenger
            | AddressKind::Url
            | AddressKind::Any => Ok(()),
        }
    }
}

/// The address of a delivery, or the reason why the delivery has no address.
struct ResolvedAddress {
    /// Kind of the first address.
    kind: AddressKind,
    address: String,
    spelling: String,
    contacts: Vec<Contact>,
    rejection_reason: Option<String>,
}

impl ResolvedAddress {
    fn unusable(error: &AcceptError, spelling: String) -> Self {
        let reason = match error {
            AcceptError::InvalidAddress { cause, .. } | AcceptError::InvalidContact { cause, .. } => {
                cause.to_string()
            }
            AcceptError::TooManyParts { parts, parts_max } => {
                format!("the text has {parts} parts, more than {parts_max}")
            }
            AcceptError::PushTooLong { bytes, bytes_max } => {
                format!("the notification has {bytes} bytes, more than {bytes_max}")
            }
            _ => "missing address for this channel".to_owned(),
        };
        Self {
            kind: AddressKind::Any,
            address: String::new(),
            spelling,
            contacts: Vec::new(),
            rejection_reason: Some(reason),
        }
    }

    /// Uses the first contact as the address; keeps all contacts if the channel mixes kinds.
    fn from_contacts(mut contacts: Vec<Contact>, route: &Route) -> Option<Self> {
        let first_contact = contacts.first()?;
        let (kind, address) = (first_contact.kind, first_contact.address.clone());
        let spelling = first_contact.spelling.clone();
        if !route.is_mixed() {
            contacts.clear();
        }
        Some(Self { kind, address, spelling, contacts, rejection_reason: None })
    }
}

/// Parses an address that the client wrote for this channel.
fn parse_address(
    route: &Route,
    spelling: &str,
    rules: AddressRules<'_>,
) -> Result<ResolvedAddress, AcceptError> {
    let (kind, address) = address::parse_address_of_kinds(route.address_kinds(), spelling, rules.phone)
        .and_then(|(kind, address)| rules.check(kind, &address).map(|()| (kind, address)))
        .map_err(|cause| AcceptError::InvalidAddress { channel: route.channel.name.clone(), cause })?;
    let contact = Contact { kind, address, spelling: spelling.to_owned() };
    ResolvedAddress::from_contacts(vec![contact], route).ok_or_else(|| no_usable_contact(route))
}

/// Selects the contacts that the channel can use, in the order of its providers. An invalid contact is
/// ignored only under [`MissingAddressPolicy::FailDelivery`].
fn select_contacts(
    route: &Route,
    request: &AcceptRequest,
    rules: AddressRules<'_>,
) -> Result<ResolvedAddress, AcceptError> {
    let mut valid_contacts = Vec::new();
    let mut first_error = None;
    for channel_kind in route.address_kinds() {
        let Some((kind, spelling)) = find_contact(*channel_kind, &request.contacts) else {
            continue;
        };
        let parsed_address = address::parse_address(kind, spelling, rules.phone)
            .and_then(|address| rules.check(kind, &address).map(|()| address));
        match parsed_address {
            Ok(address) => valid_contacts.push(Contact { kind, address, spelling: spelling.clone() }),
            Err(cause) => {
                first_error.get_or_insert(AcceptError::InvalidContact { kind, cause });
            }
        }
    }
    let address = ResolvedAddress::from_contacts(valid_contacts, route);
    match (address, first_error) {
        (_, Some(error)) if request.on_missing_address != MissingAddressPolicy::FailDelivery => Err(error),
        (Some(address), _) => Ok(address),
        (None, Some(error)) => Err(error),
        (None, None) => user_as_address(route, request).ok_or_else(|| no_usable_contact(route)),
    }
}

/// Returns the client's user id as the address, if the request allows it and the providers take any text.
fn user_as_address(route: &Route, request: &AcceptRequest) -> Option<ResolvedAddress> {
    let user = request.user.as_ref().filter(|_| request.can_use_user_as_address)?;
    if !route.can_use_any_text() {
        return None;
    }
    let address = address::parse_address(AddressKind::Any, user, &PhoneRules::default()).ok()?;
    let contact = Contact { kind: AddressKind::Any, address, spelling: user.clone() };
    ResolvedAddress::from_contacts(vec![contact], route)
}

fn no_usable_contact(route: &Route) -> AcceptError {
    let expected_kinds = route.address_kinds().iter().map(|kind| kind.description()).collect::<Vec<_>>();
    AcceptError::NoUsableContact {
        channel: route.channel.name.clone(),
        expected: expected_kinds.join(" or "),
    }
}

fn find_contact(kind: AddressKind, contacts: &[(AddressKind, String)]) -> Option<(AddressKind, &String)> {
    let contact_of_kind = |wanted: AddressKind| {
        let contact = contacts.iter().find(|(contact_kind, _)| *contact_kind == wanted);
        contact.map(|(contact_kind, spelling)| (*contact_kind, spelling))
    };
    if kind == AddressKind::Any {
        return ANY_ADDRESS_PREFERENCE.into_iter().find_map(contact_of_kind);
    }
    contact_of_kind(kind)
}

/// Returns the contact to show with a delivery that failed for lack of a valid address.
fn likely_contact<'r>(route: &Route, request: &'r AcceptRequest) -> Option<&'r String> {
    let mut channel_kinds = route.address_kinds().iter();
    channel_kinds.find_map(|kind| find_contact(*kind, &request.contacts).map(|(_, spelling)| spelling))
}

fn build_delivery(
    channel: &Channel,
    address: ResolvedAddress,
    request: &AcceptRequest,
    parts: u32,
    now: Timestamp,
) -> NewDelivery {
    let due_at = request.send_at.map_or(now, |send_at| send_at.max(now));
    let latest_expiry = due_at + channel.retry.age_max;
    let expires_at = request.expires_at.map_or(latest_expiry, |expires_at| expires_at.min(latest_expiry));
    NewDelivery {
        channel: channel.name.clone(),
        address: address.address,
        spelling: address.spelling,
        // The claim would leave out the only contact, because its person has opted out.
        contacts: if request.ignores_opt_out { Vec::new() } else { address.contacts },
        ignores_opt_out: request.ignores_opt_out,
        rejection_reason: address.rejection_reason,
        parts,
        priority: request.priority.unwrap_or(channel.priority),
        // A bounce report can be wrong. A message that must be sent at most once is therefore not sent again after a
        // bounce.
        resends_left: if request.at_most_once { 0 } else { channel.bounce_resends },
        due_at,
        expires_at,
    }
}
