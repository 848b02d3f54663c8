//! From what a client says of the recipient to the deliveries of a message: which channel gets which address.
//!
//! A channel of one kind takes one address; a channel that mixes kinds takes all that its providers can use. Stores
//! nothing, and asks nobody whether an address exists.

use super::{AcceptError, AcceptRequest};
use crate::gateway::{Gateway, Route};
use postrider_core::address::{self, AddressKind, PhoneRules, parse_address_of_kinds};
use postrider_core::channel::Channel;
use postrider_core::clock::Timestamp;
use postrider_core::contact::Contact;
use postrider_core::id::DeliveryId;
use postrider_core::message::NewDelivery;

/// Which contact a channel takes that takes any text: those first that nothing but a provider can judge.
const ANY_ADDRESS_PREFERENCE: [AddressKind; 6] = [
    AddressKind::Any,
    AddressKind::Push,
    AddressKind::Messenger,
    AddressKind::Url,
    AddressKind::Email,
    AddressKind::Phone,
];

/// What becomes of a channel whose address is missing or wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingAddressPolicy {
    /// The whole message is refused.
    #[default]
    RejectMessage,
    /// Its delivery begins and ends as failed; the others go out.
    FailDelivery,
    /// The message does not go over it, unless it could go over none then.
    SkipChannel,
}

/// The deliveries that are asked for, in order.
pub(super) fn build_deliveries(
    gateway: &Gateway,
    request: &AcceptRequest,
    parts: u32,
    now: Timestamp,
) -> Result<Vec<NewDelivery>, AcceptError> {
    let fits = 1..=usize::try_from(DeliveryId::PER_MESSAGE).unwrap_or(1);
    if !fits.contains(&(request.addresses.len() + request.channels.len())) {
        return Err(AcceptError::NoRecipient);
    }
    let typed = request
        .addresses
        .iter()
        .map(|(channel, typed)| (channel, Some(typed)));
    let by_contacts = request.channels.iter().map(|channel| (channel, None));
    let mut deliveries = Vec::with_capacity(request.addresses.len() + request.channels.len());
    let mut left_out = None;
    for (channel, typed) in typed.chain(by_contacts) {
        let route = gateway
            .route(channel)
            .ok_or_else(|| AcceptError::UnknownChannel(channel.clone()))?;
        let given = match typed {
            Some(typed) => parse_address(route, typed, &gateway.config.phone),
            None => select_contacts(route, request, &gateway.config.phone),
        };
        match (given, request.on_missing_address) {
            (Ok(given), _) => deliveries.push(build_delivery(&route.channel, given, request, parts, now)),
            (Err(why), MissingAddressPolicy::FailDelivery) => {
                let spelling = typed.or_else(|| likely_contact(route, request)).cloned();
                let given = ResolvedAddress::unusable(&why, spelling.unwrap_or_default());
                deliveries.push(build_delivery(&route.channel, given, request, parts, now));
            }
            (Err(why @ AcceptError::InvalidContact { .. }), _)
            | (Err(why), MissingAddressPolicy::RejectMessage) => return Err(why),
            (Err(why), MissingAddressPolicy::SkipChannel) => {
                left_out.get_or_insert(why);
            }
        }
    }
    match left_out {
        Some(why) if deliveries.is_empty() => Err(why),
        _ => Ok(deliveries),
    }
}

/// What a delivery is sent to, or why it cannot be.
struct ResolvedAddress {
    address: String,
    spelling: String,
    contacts: Vec<Contact>,
    rejection_reason: Option<String>,
}

impl ResolvedAddress {
    fn unusable(why: &AcceptError, spelling: String) -> Self {
        let refusal = match why {
            AcceptError::InvalidAddress { cause: why, .. }
            | AcceptError::InvalidContact { cause: why, .. } => why.to_string(),
            _ => "no address for this channel was given".to_owned(),
        };
        Self {
            address: String::new(),
            spelling,
            contacts: Vec::new(),
            rejection_reason: Some(refusal),
        }
    }

    /// The first one is the delivery's own; all are kept where the channel mixes kinds.
    fn from_contacts(mut contacts: Vec<Contact>, route: &Route) -> Option<Self> {
        let first = contacts.first()?;
        let (address, spelling) = (first.address.clone(), first.spelling.clone());
        if !route.is_mixed() {
            contacts.clear();
        }
        Some(Self {
            address,
            spelling,
            contacts,
            rejection_reason: None,
        })
    }
}

/// One address as the client wrote it for this channel.
fn parse_address(route: &Route, typed: &str, rules: &PhoneRules) -> Result<ResolvedAddress, AcceptError> {
    let read = parse_address_of_kinds(route.address_kinds(), typed, rules);
    let (kind, address) = read.map_err(|why| AcceptError::InvalidAddress {
        channel: route.channel.name.clone(),
        cause: why,
    })?;
    let spelling = typed.to_owned();
    let contact = Contact {
        kind,
        address,
        spelling,
    };
    ResolvedAddress::from_contacts(vec![contact], route).ok_or_else(|| no_usable_contact(route))
}

/// What the channel can use of the contacts, in the order of its providers. A wrong one is passed over only where a
/// channel may fail alone.
fn select_contacts(
    route: &Route,
    request: &AcceptRequest,
    rules: &PhoneRules,
) -> Result<ResolvedAddress, AcceptError> {
    let mut contacts = Vec::new();
    let mut wrong = None;
    for kind in route.address_kinds() {
        let Some((kind, typed)) = find_contact(*kind, &request.contacts) else {
            continue;
        };
        match address::parse_address(kind, typed, rules) {
            Ok(address) => contacts.push(Contact {
                kind,
                address,
                spelling: typed.clone(),
            }),
            Err(why) => {
                wrong.get_or_insert(AcceptError::InvalidContact { kind, cause: why });
            }
        }
    }
    let given = ResolvedAddress::from_contacts(contacts, route);
    match (given, wrong) {
        (_, Some(wrong)) if request.on_missing_address != MissingAddressPolicy::FailDelivery => Err(wrong),
        (Some(given), _) => Ok(given),
        (None, Some(wrong)) => Err(wrong),
        (None, None) => user_as_address(route, request).ok_or_else(|| no_usable_contact(route)),
    }
}

/// The client's own name for the person as the address.
fn user_as_address(route: &Route, request: &AcceptRequest) -> Option<ResolvedAddress> {
    let user = request
        .user
        .as_ref()
        .filter(|_| request.can_use_user_as_address)?;
    if !route.can_use_any_text() {
        return None;
    }
    let address = address::parse_address(AddressKind::Any, user, &PhoneRules::default()).ok()?;
    let spelling = user.clone();
    let contact = Contact {
        kind: AddressKind::Any,
        address,
        spelling,
    };
    ResolvedAddress::from_contacts(vec![contact], route)
}

fn no_usable_contact(route: &Route) -> AcceptError {
    let kinds = route.address_kinds().iter().map(|kind| kind.description());
    AcceptError::NoUsableContact {
        channel: route.channel.name.clone(),
        expected: kinds.collect::<Vec<_>>().join(" or "),
    }
}

fn find_contact(kind: AddressKind, contacts: &[(AddressKind, String)]) -> Option<(AddressKind, &String)> {
    let of = |wanted: AddressKind| {
        let found = contacts.iter().find(|(kind, _)| *kind == wanted);
        found.map(|(kind, typed)| (*kind, typed))
    };
    if kind == AddressKind::Any {
        return ANY_ADDRESS_PREFERENCE.into_iter().find_map(of);
    }
    of(kind)
}

/// What the client most likely meant for a channel that cannot use it.
fn likely_contact<'r>(route: &Route, request: &'r AcceptRequest) -> Option<&'r String> {
    let mut kinds = route.address_kinds().iter();
    kinds.find_map(|kind| find_contact(*kind, &request.contacts).map(|(_, typed)| typed))
}

fn build_delivery(
    channel: &Channel,
    given: ResolvedAddress,
    request: &AcceptRequest,
    parts: u32,
    now: Timestamp,
) -> NewDelivery {
    let due_at = request.send_at.map_or(now, |send_at| send_at.max(now));
    let oldest = due_at + channel.retry.age_max;
    let expires_at = request
        .expires_at
        .map_or(oldest, |expires_at| expires_at.min(oldest));
    NewDelivery {
        channel: channel.name.clone(),
        address: given.address,
        spelling: given.spelling,
        contacts: given.contacts,
        rejection_reason: given.rejection_reason,
        parts,
        priority: request.priority.unwrap_or(channel.priority),
        resends_left: channel.bounce_resends,
        due_at,
        expires_at,
    }
}
