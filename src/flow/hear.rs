//! Takes in what a provider brings us: receipts, and texts from people who want no more messages, or want them again.
//!
//! Of other texts nothing is kept. Hearing the same again changes nothing.

use crate::domain::inbound::{InboundText, Incoming, Opting, Wish};
use crate::domain::recipient;
use crate::error::Result;
use crate::flow::settle;
use crate::gateway::{Gateway, Lane, Route};

/// Applies all that was heard from one provider.
pub async fn hear(gateway: &Gateway, lane: &Lane, incoming: Vec<Incoming>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut texts = Vec::new();
    for one in incoming {
        match one {
            Incoming::Receipt(receipt) => receipts.push(receipt),
            Incoming::Text(text) => texts.push(text),
        }
    }
    if !receipts.is_empty() {
        settle::settle(gateway, Some(&lane.name), receipts).await?;
    }
    heed(gateway, lane, &texts).await
}

/// Does what people ask for, on every channel that the provider carries for.
async fn heed(gateway: &Gateway, lane: &Lane, texts: &[InboundText]) -> Result<()> {
    let mut wishes = Vec::new();
    for text in texts {
        match text.wish() {
            Some(wish) => {
                let routes = gateway.routes_over(&lane.name);
                wishes.extend(routes.flat_map(|route| optings(gateway, lane, route, text, wish)));
            }
            None => gateway.metrics.text_heard("ignored"),
        }
    }
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
fn optings(gateway: &Gateway, lane: &Lane, route: &Route, text: &InboundText, wish: Wish) -> Vec<Opting> {
    let wanted = lane.provider.address();
    let kinds = route.kinds().iter().filter(|kind| kind.suits(wanted));
    let mut addresses = kinds
        .filter_map(|kind| recipient::read(*kind, &text.from, &gateway.config.phone).ok())
        .collect::<Vec<_>>();
    addresses.dedup();
    let opting = |address| Opting {
        channel: route.channel.name.clone(),
        address,
        wish,
        reason: format!("wrote \"{}\"", text.body.trim()),
        by: lane.name.clone(),
        at: text.at,
    };
    addresses.into_iter().map(opting).collect()
}
