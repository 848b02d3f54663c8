//! What an operator changes: deliveries are sent again or called off, a provider is put to rest or woken.
//!
//! Deliveries are named one by one in the page that asks for confirmation, so what is done is what was counted there: those
//! that could be changed then. The store has the last word on each. Whoever has done what is in the log.

use askama::Template;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::frame::{self, Frame};
use super::super::words;
use super::list::Row;
use super::{Desk, Operator, query};
use crate::domain::channel::Name;
use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::domain::order::{Order, Word};
use crate::error::Result;
use crate::flow::find::{self, Line};
use crate::flow::resend;
use crate::gateway::{Gateway, fleet};
use crate::http::{form, session};

/// How many deliveries are changed at once at most; a terminal is the place for more.
pub(super) const ALL_MAX: usize = 1_000;

/// How often it is looked on when all found are meant, so that nobody waits for long.
const LOOKS_MAX: usize = 10;

/// How many of those that are to be changed are shown.
const SHOWN: usize = 5;

/// What can be done to deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Resend,
    Cancel,
}

/// Which deliveries are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Selected,
    All,
    One(DeliveryId),
}

impl Deed {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "resend" => Some(Self::Resend),
            "cancel" => Some(Self::Cancel),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Cancel => "cancel",
        }
    }

    /// Whether it would change that delivery, as far as can be seen now.
    fn fits(self, line: &Line, gateway: &Gateway) -> bool {
        let now = gateway.clock.now();
        match self {
            Self::Resend => line.delivery.state.revive(now).is_some(),
            Self::Cancel => line.delivery.state.cancel(now).is_some(),
        }
    }
}

/// What was done, as the next page says it.
pub(super) enum Notice {
    /// So many of so many deliveries were changed.
    Changed {
        /// Whether they are sent again; else they were called off.
        resent: bool,
        /// How many were changed.
        changed: String,
        /// How many were left as they are.
        left: String,
    },
    /// A provider was put to rest.
    Rested(String),
    /// A provider was woken.
    Woken(String),
    /// Nothing was meant.
    Nothing,
    /// Nothing among so many can be changed; there are older ones.
    NothingNear(String),
}

impl Notice {
    /// Reads what an earlier answer put into the address; none when there is nothing, or nothing of ours.
    pub(super) fn read(query: &str) -> Option<Self> {
        let text = |name| form::field(query.as_bytes(), name).unwrap_or_default();
        let number = |name| text(name).parse::<u64>().unwrap_or_default();
        let provider = || text("provider").parse::<Name>().ok().map(|name| name.to_string());
        match text("done").as_ref() {
            word @ ("resend" | "cancel") => Some(Self::Changed {
                resent: word == "resend",
                changed: words::count(number("changed")),
                left: words::count(number("of").saturating_sub(number("changed"))),
            }),
            "rest" => provider().map(Self::Rested),
            "wake" => provider().map(Self::Woken),
            "nothing" => Some(Self::Nothing),
            "nothing-near" => Some(Self::NothingNear(words::count(number("of")))),
            _ => None,
        }
    }
}

/// The page that asks once more.
#[derive(Template)]
#[template(path = "operate_confirm.html", whitespace = "minimize")]
struct ConfirmPage {
    frame: Frame,
    token: String,
    typed: String,
    deed: &'static str,
    count: String,
    ids: String,
    /// What was looked for, where all that is found is meant.
    found_for: Option<String>,
    rows: Vec<Row>,
    shows_all: bool,
    is_more: bool,
}

/// Asks whether that is really meant.
pub(super) async fn confirm(
    gateway: &Gateway,
    desk: &Desk,
    operator: &Operator<'_>,
    form: &[u8],
) -> Result<Response<Body>> {
    // An empty search finds everything, so one that cannot be read must not pass for it.
    let Some(Ok(typed)) = form::raw(form, "q").map(form::decoded) else {
        return Ok(unclear());
    };
    let Some((deed, target)) = meant(&form::field(form, "act").unwrap_or_default()) else {
        return Ok(unclear());
    };
    let (ids, rows, is_more) = match target {
        Target::One(id) => some(gateway, &[id], deed).await?,
        Target::Selected => some(gateway, &selected(form), deed).await?,
        Target::All => match query::read(gateway, &typed) {
            Ok(wanted) => all(gateway, wanted, deed).await?,
            Err(_) => return Ok(unclear()),
        },
    };
    if ids.is_empty() {
        let near = LOOKS_MAX * find::EXAMINED_MAX;
        let done = if is_more { "nothing-near" } else { "nothing" };
        return Ok(session::see(&back(&typed, done, 0, near)));
    }
    let report = super::report(gateway, &desk.newest).await;
    let page = ConfirmPage {
        frame: Frame::live("Are you sure?", gateway.is_sandbox(), report.as_ref()),
        token: operator.token.clone(),
        found_for: (target == Target::All).then(|| typed.to_string()),
        typed: typed.into_owned(),
        deed: deed.word(),
        count: words::count(u64::try_from(ids.len()).unwrap_or(u64::MAX)),
        ids: ids
            .iter()
            .map(|id| id.0.to_string())
            .collect::<Vec<_>>()
            .join(","),
        shows_all: rows.len() == ids.len(),
        rows,
        is_more,
    };
    frame::operated(StatusCode::OK, &page)
}

/// Those of the deliveries that can be changed, and the first few of them.
async fn some(
    gateway: &Gateway,
    ids: &[DeliveryId],
    deed: Deed,
) -> Result<(Vec<DeliveryId>, Vec<Row>, bool)> {
    let (mask, now) = (gateway.config.mask_numbers, gateway.clock.now());
    let mut lines = find::named(gateway, ids).await?;
    lines.retain(|line| deed.fits(line, gateway));
    let shown = lines.iter().take(SHOWN);
    let rows = shown.map(|line| Row::of(line, mask, now)).collect();
    Ok((lines.iter().map(|line| line.delivery.id).collect(), rows, false))
}

/// All that are found and that can be changed, up to the limit; the first few of them; whether there may be more.
async fn all(
    gateway: &Gateway,
    mut wanted: find::Wanted,
    deed: Deed,
) -> Result<(Vec<DeliveryId>, Vec<Row>, bool)> {
    // Only what waits can be called off, and the store finds that however much has ended.
    if deed == Deed::Cancel && wanted.state.is_none() {
        wanted.state = Some(find::Wish::Standing(Standing::Waiting));
    }
    let (mask, now) = (gateway.config.mask_numbers, gateway.clock.now());
    let (mut ids, mut rows, mut before) = (Vec::new(), Vec::new(), None);
    for _ in 0..LOOKS_MAX {
        let found = find::deliveries(gateway, &wanted, before, ALL_MAX).await?;
        for line in found.lines.iter().filter(|line| deed.fits(line, gateway)) {
            if rows.len() < SHOWN {
                rows.push(Row::of(line, mask, now));
            }
            ids.push(line.delivery.id);
        }
        before = found.next;
        if before.is_none() || ids.len() >= ALL_MAX {
            break;
        }
    }
    let is_more = before.is_some() || ids.len() > ALL_MAX;
    ids.truncate(ALL_MAX);
    Ok((ids, rows, is_more))
}

/// Does what was asked for and confirmed.
pub(super) async fn act(gateway: &Gateway, operator: &Operator<'_>, form: &[u8]) -> Result<Response<Body>> {
    let typed = form::field(form, "q").unwrap_or_default();
    let deed = Deed::from_word(&form::field(form, "act").unwrap_or_default());
    let ids = numbers(&form::field(form, "ids").unwrap_or_default());
    let (Some(deed), Some(ids)) = (deed, ids) else {
        return Ok(unclear());
    };
    let changed = match deed {
        Deed::Resend => {
            let expires_at = gateway.clock.now() + resend::longest_age(gateway);
            resend::revive(gateway, &ids, expires_at, |_| ()).await?
        }
        Deed::Cancel => resend::call_off(gateway, &ids).await?,
    };
    let (who, word, of) = (named(operator), deed.word(), ids.len());
    log::info!("{who} asked to {word} {of} deliveries; {changed} were changed");
    Ok(session::see(&back(&typed, word, changed, of)))
}

/// Puts a provider to rest, or wakes it, for every process on the store.
pub(super) async fn order(
    gateway: &Gateway,
    operator: &Operator<'_>,
    provider: &str,
    word: &str,
) -> Result<Response<Body>> {
    let lane = provider.parse::<Name>().ok().and_then(|name| gateway.lane(&name));
    let (Some(lane), Some(word)) = (lane, Word::from_word(word)) else {
        return Ok(unclear());
    };
    let order = Order {
        provider: lane.name.clone(),
        word,
        by: operator.name.to_owned(),
        at: gateway.clock.now(),
    };
    gateway.store.order(order).await?;
    // This process need not wait for its next look, and neither does whoever sees the page. The word is kept anyway.
    if let Err(error) = fleet::exchange(gateway).await {
        log::error!("{} hears of it a moment later: {}", lane.name, error.chain());
    }
    let (who, word) = (named(operator), word.word());
    log::info!("{who} told {} to {word}", lane.name);
    let path = format!("/operate?done={word}&provider={}#providers", lane.name);
    Ok(session::see(&path))
}

fn named<'a>(operator: &Operator<'a>) -> &'a str {
    if operator.name.is_empty() {
        "an operator"
    } else {
        operator.name
    }
}

/// `resend:selected`, `cancel:all`, `resend:123`.
fn meant(word: &str) -> Option<(Deed, Target)> {
    let (deed, target) = word.split_once(':')?;
    let target = match target {
        "selected" => Target::Selected,
        "all" => Target::All,
        number => Target::One(DeliveryId(number.parse().ok()?)),
    };
    Some((Deed::from_word(deed)?, target))
}

fn selected(form: &[u8]) -> Vec<DeliveryId> {
    let decoded = form::values(form, "id").filter_map(|value| form::decoded(value).ok());
    let ids = decoded.filter_map(|id| id.parse().ok()).map(DeliveryId);
    ids.take(ALL_MAX).collect()
}

/// The numbers between commas; none when there is anything else, or more than may be changed at once.
fn numbers(text: &str) -> Option<Vec<DeliveryId>> {
    let ids = text.split(',').map(|id| id.parse().ok().map(DeliveryId));
    let ids = ids.collect::<Option<Vec<_>>>()?;
    (ids.len() <= ALL_MAX).then_some(ids)
}

fn back(typed: &str, done: &str, changed: usize, of: usize) -> String {
    let typed = utf8_percent_encode(typed, NON_ALPHANUMERIC);
    format!("/operate/messages?q={typed}&done={done}&changed={changed}&of={of}")
}

fn unclear() -> Response<Body> {
    frame::missing(
        StatusCode::BAD_REQUEST,
        "This cannot be done",
        "The form does not say what to do, or with what. Nothing was changed. Load the page anew and try again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_says_what_to_do_with_what() {
        assert_eq!(meant("resend:selected"), Some((Deed::Resend, Target::Selected)));
        assert_eq!(meant("cancel:all"), Some((Deed::Cancel, Target::All)));
        assert_eq!(
            meant("cancel:64"),
            Some((Deed::Cancel, Target::One(DeliveryId(64))))
        );
        for word in ["", "resend", "resend:", "drop:all", "cancel:x"] {
            assert_eq!(meant(word), None, "{word}");
        }
    }

    #[test]
    fn only_numbers_are_changed_and_not_too_many() {
        assert_eq!(numbers("64,128"), Some(vec![DeliveryId(64), DeliveryId(128)]));
        assert_eq!(numbers("64,x"), None);
        assert_eq!(numbers(&["64"; 1_001].join(",")), None);
    }
}
