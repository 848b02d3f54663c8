//! Users who are nobody: any number of them, registered with generated names, and notices published to all of them.
//!
//! Goes past the faces, and through everything behind them. Sends nothing itself.

use super::accept::Refused;
use super::alert::{below, number, text};
use super::broadcast::{self, Request, Unpublished};
use super::users;
use crate::dice::Dice;
use crate::domain::broadcast::{Audience, BroadcastId, NewUser, Registered, USERS_AT_ONCE};
use crate::domain::contact::AddressKind;
use crate::error::{Error, Kind, Result};
use crate::gateway::Gateway;

/// What a name begins with.
const BEGINNINGS: [&str; 16] = [
    "Ba", "Ce", "Do", "Fi", "Ga", "Ho", "Ja", "Ki", "Lu", "Me", "No", "Pe", "Ri", "Su", "Te", "Vo",
];

/// What comes in its middle and at its end.
const ENDINGS: [&str; 16] = [
    "bel", "dar", "fen", "gon", "kas", "lim", "mir", "nor", "pal", "ras", "sen", "tan", "ver", "vin", "zar",
    "zo",
];

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its public name.
    pub id: BroadcastId,
    /// What it says.
    pub body: String,
}

/// Registers so many users, each with a name, a number and an id of its own; how many are new. Ends early when `goes_on`
/// says no.
pub async fn register(gateway: &Gateway, users: u32, dice: &Dice, goes_on: impl Fn() -> bool) -> Result<u64> {
    let (mut next, mut added) = (0, 0);
    while next < users && goes_on() {
        let last = users.min(next.saturating_add(u32::try_from(USERS_AT_ONCE).unwrap_or(u32::MAX)));
        let some = (next..last)
            .map(|ordinal| user(gateway, ordinal, dice))
            .collect::<Result<Vec<_>>>()?;
        let outcomes = users::register(gateway, some).await?;
        let new = outcomes
            .into_iter()
            .filter(|outcome| *outcome == Registered::Added);
        added += u64::try_from(new.count()).unwrap_or(u64::MAX);
        next = last;
    }
    Ok(added)
}

/// Publishes an invented text to everybody who is registered now.
pub async fn publish(gateway: &Gateway, channel: &str, dice: &Dice) -> Result<Notice> {
    let body = text(dice);
    let request = Request {
        body: body.clone(),
        channel: channel.to_owned(),
        audience: Audience::All,
        caller: String::new(),
        key: None,
    };
    match broadcast::publish(gateway, request).await {
        Ok(published) => Ok(Notice {
            id: published.id,
            body,
        }),
        Err(Unpublished::Refused(Refused::Store(error))) => Err(error),
        Err(other) => Err(Error::new(
            Kind::Internal,
            format!("an invented notice is refused: {other:?}"),
        )),
    }
}

fn user(gateway: &Gateway, ordinal: u32, dice: &Dice) -> Result<NewUser> {
    let id = format!("user-{}", ordinal + 1);
    let contacts = vec![(AddressKind::Phone, number(dice))];
    let now = gateway.clock.now();
    let rules = &gateway.config.phone;
    users::check(rules, id, Some(name(dice)), Some(contacts), now).map_err(|why| {
        Error::usage(format!(
            "an invented user cannot be registered ({why:?}): set numbers = \"possible\""
        ))
    })
}

/// Two words that could be a name.
fn name(dice: &Dice) -> String {
    let [first, second, family, middle, last] = dice.bytes();
    let of = |list: &[&'static str; 16], byte| {
        list.get(usize::from(below(byte, 16)))
            .copied()
            .unwrap_or_default()
    };
    let given = [of(&BEGINNINGS, first), of(&ENDINGS, second)].concat();
    let family = [of(&BEGINNINGS, family), of(&ENDINGS, middle), of(&ENDINGS, last)].concat();
    format!("{given} {family}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_two_words_of_letters_and_seldom_the_same() {
        let dice = Dice::seeded(4);
        let names: std::collections::HashSet<String> = (0..1_000).map(|_| name(&dice)).collect();
        assert!(names.len() > 900, "{}", names.len());
        for name in &names {
            let words: Vec<&str> = name.split(' ').collect();
            assert_eq!(words.len(), 2, "{name}");
            assert!(
                words.iter().all(|word| word.chars().all(char::is_alphabetic)),
                "{name}"
            );
        }
        assert_eq!(name(&Dice::seeded(5)), name(&Dice::seeded(5)));
    }
}
