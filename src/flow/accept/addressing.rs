//! From what a client says of the recipient to the deliveries of a message: which channel gets which address.
//!
//! A channel of one kind takes one address; a channel that mixes kinds takes all that its providers can use. Stores
//! nothing, and asks nobody whether an address exists.

use super::{Refused, Request};
use crate::clock::Timestamp;
use crate::domain::channel::Channel;
use crate::domain::contact::Contact;
use crate::domain::id::DeliveryId;
use crate::domain::message::NewDelivery;
use crate::domain::recipient::{self, AddressKind, PhoneRules};
use crate::gateway::{Gateway, Route};

/// Which contact a channel takes that takes any text: those first that nothing but a provider can judge.
const ANY_PREFERS: [AddressKind; 6] = [
    AddressKind::Any,
    AddressKind::Push,
    AddressKind::Messenger,
    AddressKind::Url,
    AddressKind::Email,
    AddressKind::Phone,
];

/// What becomes of a channel whose address is missing or wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// The whole message is refused.
    #[default]
    Refuse,
    /// Its delivery begins and ends as failed; the others go out.
    FailAlone,
    /// The message does not go over it, unless it could go over none then.
    LeaveOut,
}

/// The deliveries that are asked for, in order.
pub(super) fn deliveries(
    gateway: &Gateway,
    request: &Request,
    parts: u32,
    now: Timestamp,
) -> Result<Vec<NewDelivery>, Refused> {
    let fits = 1..=usize::try_from(DeliveryId::PER_MESSAGE).unwrap_or(1);
    if !fits.contains(&(request.to.len() + request.over.len())) {
        return Err(Refused::NoRecipient);
    }
    let typed = request.to.iter().map(|(channel, typed)| (channel, Some(typed)));
    let by_contacts = request.over.iter().map(|channel| (channel, None));
    let mut deliveries = Vec::with_capacity(request.to.len() + request.over.len());
    let mut left_out = None;
    for (channel, typed) in typed.chain(by_contacts) {
        let route = gateway
            .route(channel)
            .ok_or_else(|| Refused::UnknownChannel(channel.clone()))?;
        let given = match typed {
            Some(typed) => typed_address(route, typed, &gateway.config.phone),
            None => fitting_contacts(route, request, &gateway.config.phone),
        };
        match (given, request.missing) {
            (Ok(given), _) => deliveries.push(delivery(&route.channel, given, request, parts, now)),
            (Err(why), Missing::FailAlone) => {
                let spelling = typed.or_else(|| meant(route, request)).cloned();
                let given = Given::refused(&why, spelling.unwrap_or_default());
                deliveries.push(delivery(&route.channel, given, request, parts, now));
            }
            (Err(why @ Refused::BadContact { .. }), _) | (Err(why), Missing::Refuse) => return Err(why),
            (Err(why), Missing::LeaveOut) => {
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
struct Given {
    address: String,
    spelling: String,
    contacts: Vec<Contact>,
    refusal: Option<String>,
}

impl Given {
    fn refused(why: &Refused, spelling: String) -> Self {
        let refusal = match why {
            Refused::BadAddress { why, .. } | Refused::BadContact { why, .. } => why.to_string(),
            _ => "no address for this channel was given".to_owned(),
        };
        Self {
            address: String::new(),
            spelling,
            contacts: Vec::new(),
            refusal: Some(refusal),
        }
    }

    /// The first one is the delivery's own; all are kept where the channel mixes kinds.
    fn of(mut contacts: Vec<Contact>, route: &Route) -> Option<Self> {
        let first = contacts.first()?;
        let (address, spelling) = (first.address.clone(), first.spelling.clone());
        if !route.is_mixed() {
            contacts.clear();
        }
        Some(Self {
            address,
            spelling,
            contacts,
            refusal: None,
        })
    }
}

/// One address as the client wrote it for this channel.
fn typed_address(route: &Route, typed: &str, rules: &PhoneRules) -> Result<Given, Refused> {
    let read = recipient::read_as_one_of(route.kinds(), typed, rules);
    let (kind, address) = read.map_err(|why| Refused::BadAddress {
        channel: route.channel.name.clone(),
        why,
    })?;
    let spelling = typed.to_owned();
    let contact = Contact {
        kind,
        address,
        spelling,
    };
    Given::of(vec![contact], route).ok_or_else(|| no_address(route))
}

/// What the channel can use of the contacts, in the order of its providers. A wrong one is passed over only where a
/// channel may fail alone.
fn fitting_contacts(route: &Route, request: &Request, rules: &PhoneRules) -> Result<Given, Refused> {
    let mut contacts = Vec::new();
    let mut wrong = None;
    for kind in route.kinds() {
        let Some((kind, typed)) = contact_of(*kind, &request.contacts) else {
            continue;
        };
        match recipient::read(kind, typed, rules) {
            Ok(address) => contacts.push(Contact {
                kind,
                address,
                spelling: typed.clone(),
            }),
            Err(why) => {
                wrong.get_or_insert(Refused::BadContact { kind, why });
            }
        }
    }
    let given = Given::of(contacts, route);
    match (given, wrong) {
        (_, Some(wrong)) if request.missing != Missing::FailAlone => Err(wrong),
        (Some(given), _) => Ok(given),
        (None, Some(wrong)) => Err(wrong),
        (None, None) => own_name(route, request).ok_or_else(|| no_address(route)),
    }
}

/// The client's own name for the person as the address.
fn own_name(route: &Route, request: &Request) -> Option<Given> {
    let user = request.user.as_ref().filter(|_| request.user_is_address)?;
    if !route.takes_any_text() {
        return None;
    }
    let address = recipient::read(AddressKind::Any, user, &PhoneRules::default()).ok()?;
    let spelling = user.clone();
    let contact = Contact {
        kind: AddressKind::Any,
        address,
        spelling,
    };
    Given::of(vec![contact], route)
}

fn no_address(route: &Route) -> Refused {
    let kinds = route.kinds().iter().map(|kind| kind.noun());
    Refused::NoAddress {
        channel: route.channel.name.clone(),
        wanted: kinds.collect::<Vec<_>>().join(" or "),
    }
}

fn contact_of(kind: AddressKind, contacts: &[(AddressKind, String)]) -> Option<(AddressKind, &String)> {
    let of = |wanted: AddressKind| {
        let found = contacts.iter().find(|(kind, _)| *kind == wanted);
        found.map(|(kind, typed)| (*kind, typed))
    };
    if kind == AddressKind::Any {
        return ANY_PREFERS.into_iter().find_map(of);
    }
    of(kind)
}

/// What the client most likely meant for a channel that cannot use it.
fn meant<'r>(route: &Route, request: &'r Request) -> Option<&'r String> {
    let mut kinds = route.kinds().iter();
    kinds.find_map(|kind| contact_of(*kind, &request.contacts).map(|(_, typed)| typed))
}

fn delivery(channel: &Channel, given: Given, request: &Request, parts: u32, now: Timestamp) -> NewDelivery {
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
        refusal: given.refusal,
        parts,
        priority: request.priority.unwrap_or(channel.priority),
        resends_left: channel.bounce_resends,
        due_at,
        expires_at,
    }
}
