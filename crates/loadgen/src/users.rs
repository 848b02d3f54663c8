//! Users who are nobody: any number of them, registered with generated names, and notices published to all of them.
//!
//! Goes past the faces, and through everything behind them. Sends nothing itself.

use crate::messages::{random_phone_number, random_text, scale_byte};
use postrider_core::address::AddressKind;
use postrider_core::broadcast::{
    BroadcastAudience, BroadcastId, NewUser, USERS_PER_REQUEST_MAX, UserRegistration,
};
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::accept::AcceptError;
use postrider_engine::broadcast::{self, BroadcastError, BroadcastRequest};
use postrider_engine::gateway::Gateway;
use postrider_engine::users;

/// What a name begins with.
const NAME_PREFIXES: [&str; 16] = [
    "Ba", "Ce", "Do", "Fi", "Ga", "Ho", "Ja", "Ki", "Lu", "Me", "No", "Pe", "Ri", "Su", "Te", "Vo",
];

/// What comes in its middle and at its end.
const NAME_SUFFIXES: [&str; 16] = [
    "bel", "dar", "fen", "gon", "kas", "lim", "mir", "nor", "pal", "ras", "sen", "tan", "ver", "vin", "zar",
    "zo",
];

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedBroadcast {
    /// Its public name.
    pub id: BroadcastId,
    /// What it says.
    pub body: String,
}

/// Registers so many users, each with a name, a number and an id of its own; how many are new. Ends early when `goes_on`
/// says no.
pub async fn register_users(
    gateway: &Gateway,
    users: u32,
    dice: &Random,
    goes_on: impl Fn() -> bool,
) -> Result<u64> {
    let (mut next, mut added) = (0, 0);
    while next < users && goes_on() {
        let last = users.min(next.saturating_add(u32::try_from(USERS_PER_REQUEST_MAX).unwrap_or(u32::MAX)));
        let some = (next..last)
            .map(|ordinal| random_user(gateway, ordinal, dice))
            .collect::<Result<Vec<_>>>()?;
        let outcomes = users::register(gateway, some).await?;
        let new = outcomes
            .into_iter()
            .filter(|outcome| *outcome == UserRegistration::Added);
        added += u64::try_from(new.count()).unwrap_or(u64::MAX);
        next = last;
    }
    Ok(added)
}

/// Publishes an invented text to everybody who is registered now.
pub async fn publish_broadcast(
    gateway: &Gateway,
    channel: &str,
    dice: &Random,
) -> Result<GeneratedBroadcast> {
    let body = random_text(dice);
    let request = BroadcastRequest {
        body: body.clone(),
        channel: channel.to_owned(),
        audience: BroadcastAudience::All,
        api_key_name: String::new(),
        idempotency_key: None,
    };
    match broadcast::publish(gateway, request).await {
        Ok(published) => Ok(GeneratedBroadcast {
            id: published.id,
            body,
        }),
        Err(BroadcastError::Accept(AcceptError::Store(error))) => Err(error),
        Err(other) => Err(Error::new(
            ErrorKind::Internal,
            format!("an invented notice is refused: {other:?}"),
        )),
    }
}

fn random_user(gateway: &Gateway, ordinal: u32, dice: &Random) -> Result<NewUser> {
    let id = format!("user-{}", ordinal + 1);
    let contacts = vec![(AddressKind::Phone, random_phone_number(dice))];
    let now = gateway.clock.now();
    let rules = &gateway.config.phone;
    users::validate(rules, id, Some(random_name(dice)), Some(contacts), now).map_err(|why| {
        Error::usage(format!(
            "an invented user cannot be registered ({why:?}): set numbers = \"possible\""
        ))
    })
}

/// Two words that could be a name.
fn random_name(dice: &Random) -> String {
    let [first, second, family, middle, last] = dice.bytes();
    let of = |list: &[&'static str; 16], byte| {
        list.get(usize::from(scale_byte(byte, 16)))
            .copied()
            .unwrap_or_default()
    };
    let given = [of(&NAME_PREFIXES, first), of(&NAME_SUFFIXES, second)].concat();
    let family = [
        of(&NAME_PREFIXES, family),
        of(&NAME_SUFFIXES, middle),
        of(&NAME_SUFFIXES, last),
    ]
    .concat();
    format!("{given} {family}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_two_words_of_letters_and_seldom_the_same() {
        let dice = Random::seeded(4);
        let names: std::collections::HashSet<String> = (0..1_000).map(|_| random_name(&dice)).collect();
        assert!(names.len() > 900, "{}", names.len());
        for name in &names {
            let words: Vec<&str> = name.split(' ').collect();
            assert_eq!(words.len(), 2, "{name}");
            assert!(
                words.iter().all(|word| word.chars().all(char::is_alphabetic)),
                "{name}"
            );
        }
        assert_eq!(random_name(&Random::seeded(5)), random_name(&Random::seeded(5)));
    }
}
