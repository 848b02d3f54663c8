//! Takes in what a provider brings us: receipts, and texts from people who want no more messages, or want them again.
//!
//! Of other texts nothing is kept. Hearing the same again changes nothing.

use crate::clock::Timestamp;
use crate::domain::inbound::{InboundText, Incoming, Opting, Wish};
use crate::domain::recipient;
use crate::error::Result;
use crate::flow::settle;
use crate::gateway::{Gateway, Lane, Route};

/// Applies all that was heard from one provider.
pub async fn hear(gateway: &Gateway, lane: &Lane, incoming: Vec<Incoming>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut asked = Vec::new();
    for one in incoming {
        match one {
            Incoming::Receipt(receipt) => receipts.push(receipt),
            Incoming::Text(text) => match Asked::of(text) {
                Some(one) => asked.push(one),
                None => gateway.metrics.text_heard("ignored"),
            },
            Incoming::OptedOut(said) => asked.push(Asked {
                wish: Wish::Stop,
                who: said.address,
                reason: said.reason,
                reference: None,
                at: said.at,
            }),
        }
    }
    if !receipts.is_empty() {
        settle::settle(gateway, &lane.name, receipts).await?;
    }
    heed(gateway, lane, &asked).await
}

/// What somebody wants.
struct Asked {
    wish: Wish,
    who: String,
    reason: String,
    reference: Option<String>,
    at: Timestamp,
}

impl Asked {
    fn of(text: InboundText) -> Option<Self> {
        Some(Self {
            wish: text.wish()?,
            reason: format!("wrote \"{}\"", text.body.trim()),
            who: text.from,
            reference: text.reference,
            at: text.at,
        })
    }
}

/// Does what people ask for, on every channel that the provider carries for.
async fn heed(gateway: &Gateway, lane: &Lane, asked: &[Asked]) -> Result<()> {
    let over = |asked| {
        let routes = gateway.routes_over(&lane.name);
        routes.flat_map(move |route| optings(gateway, lane, route, asked))
    };
    let wishes = asked.iter().flat_map(over).collect::<Vec<_>>();
    if wishes.is_empty() {
        return Ok(());
    }
    let kinds = wishes.iter().map(|opting| opting.wish).collect::<Vec<_>>();
    let changed = gateway.store.opt(wishes).await?;
    for (wish, changed) in kinds.into_iter().zip(changed) {
        gateway.metrics.text_heard(match (wish, changed) {
            (Wish::Stop, true) => "opted_out",
            (Wish::Start, true) => "opted_in",
            (Wish::Stop | Wish::Start, false) => "unchanged",
        });
    }
    Ok(())
}

/// The address that wrote, as each kind the channel takes reads it.
fn optings(gateway: &Gateway, lane: &Lane, route: &Route, asked: &Asked) -> Vec<Opting> {
    let wanted = lane.provider.address();
    let kinds = route.kinds().iter().filter(|kind| kind.suits(wanted));
    let mut addresses = kinds
        .filter_map(|kind| recipient::read(*kind, &asked.who, &gateway.config.phone).ok())
        .collect::<Vec<_>>();
    addresses.dedup();
    let opting = |address| Opting {
        channel: route.channel.name.clone(),
        address,
        wish: asked.wish,
        reason: asked.reason.clone(),
        by: lane.name.clone(),
        reference: asked.reference.clone(),
        at: asked.at,
    };
    addresses.into_iter().map(opting).collect()
}
