//! An emergency alert that nobody needs: any number of messages to invented numbers, taken in as fast as the store
//! can write.
//!
//! Goes past the faces, and through everything behind them. Sends nothing itself.

use std::sync::Arc;

use crate::dice::Dice;
use crate::error::{Error, Kind, Result};
use crate::flow::accept::{Batch, Refused, Request};
use crate::gateway::Gateway;

/// Messages stored in one transaction. Invented numbers lie all over the index of addresses, and each transaction writes
/// every page of it that it touched once: 1,000 wrote 49,000 messages a second, 8,000 wrote 70,000.
const BATCH: u32 = 8_000;

/// Digits of an invented number.
const DIGITS: usize = 10;

/// Characters of a text at most.
const TEXT_CHARS_MAX: usize = 100;

/// What a text is made of.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Takes in so many messages over the channel, and tells after each batch how many it took; the sum. Ends early, with
/// what it has, when `goes_on` says no.
pub async fn raise(
    gateway: &Arc<Gateway>,
    channel: &str,
    messages: u32,
    dice: &Dice,
    goes_on: impl Fn() -> bool,
    told: impl Fn(u64),
) -> Result<u64> {
    let (mut left, mut taken) = (messages, 0);
    let mut written = None;
    while left > 0 && goes_on() {
        let batch = batch(gateway, channel, left.min(BATCH), dice)?;
        left -= left.min(BATCH);
        // While one is written the next is made; in order, so that a seed gives the same numbers the same texts.
        taken += ended(written.take(), &told).await?;
        let gateway = Arc::clone(gateway);
        written = Some(tokio::spawn(async move { batch.store(&gateway).await }));
    }
    Ok(taken + ended(written, &told).await?)
}

async fn ended(written: Option<tokio::task::JoinHandle<Result<u64>>>, told: &impl Fn(u64)) -> Result<u64> {
    let Some(written) = written else {
        return Ok(0);
    };
    let taken = written
        .await
        .map_err(|panic| Error::because(Kind::Internal, "messages could not be stored", panic))??;
    told(taken);
    Ok(taken)
}

fn batch(gateway: &Gateway, channel: &str, messages: u32, dice: &Dice) -> Result<Batch> {
    let mut batch = Batch::default();
    for _ in 0..messages {
        let request = Request {
            body: text(dice),
            to: vec![(channel.to_owned(), number(dice))],
            ..Request::default()
        };
        batch.add(gateway, request).map_err(|why| unfit(&why, channel))?;
    }
    Ok(batch)
}

fn unfit(why: &Refused, channel: &str) -> Error {
    match why {
        Refused::UnknownChannel(_) => Error::usage(format!(
            "there is no channel {channel} to send messages over; name another with --channel"
        )),
        Refused::BadAddress { why, .. } => Error::usage(format!(
            "an invented number is no address of {channel}: {why}; set numbers = \"possible\", or name a channel that \
             takes phone numbers with --channel"
        )),
        Refused::LongBody(most) => Error::usage(format!(
            "limits.message_chars_max is {most}: texts of {TEXT_CHARS_MAX} characters do not fit"
        )),
        other => Error::new(
            Kind::Internal,
            format!("an invented message is refused: {other:?}"),
        ),
    }
}

/// Ten digits, the first of which is not 0.
pub(super) fn number(dice: &Dice) -> String {
    let digits: [u8; DIGITS] = dice.bytes();
    let mut text = String::with_capacity(DIGITS);
    for (place, byte) in digits.into_iter().enumerate() {
        let digit = match place {
            0 => b'1' + below(byte, 9),
            _ => b'0' + below(byte, 10),
        };
        text.push(char::from(digit));
    }
    text
}

/// From one to a hundred letters and digits.
pub(super) fn text(dice: &Dice) -> String {
    let luck: [u8; TEXT_CHARS_MAX + 1] = dice.bytes();
    let [length, letters @ ..] = luck;
    let length = 1 + usize::from(below(length, 100));
    let letter = |byte: &u8| {
        LETTERS
            .get(usize::from(below(*byte, 62)))
            .copied()
            .map(char::from)
    };
    letters.iter().take(length).filter_map(letter).collect()
}

/// A byte brought into a range, nearly evenly.
pub(super) fn below(byte: u8, range: u8) -> u8 {
    u16::from(byte).wrapping_mul(u16::from(range)).to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recipient::{AddressKind, PhoneRules, read};

    #[test]
    fn invented_numbers_are_possible_ones() {
        let dice = Dice::seeded(1);
        for _ in 0..2_000 {
            let number = number(&dice);
            assert_eq!(number.len(), 10);
            assert!(
                read(AddressKind::Phone, &number, &PhoneRules::default()).is_ok(),
                "{number}"
            );
        }
    }

    #[test]
    fn texts_have_up_to_a_hundred_letters_and_digits() {
        let dice = Dice::seeded(2);
        let texts: Vec<String> = (0..2_000).map(|_| text(&dice)).collect();
        let lengths = texts.iter().map(String::len);
        assert_eq!((lengths.clone().min(), lengths.max()), (Some(1), Some(100)));
        assert!(
            texts
                .iter()
                .flat_map(|text| text.chars())
                .all(|letter| letter.is_ascii_alphanumeric())
        );
        assert_eq!(text(&Dice::seeded(3)), text(&Dice::seeded(3)));
    }
}
