//! An emergency alert that nobody needs: any number of messages to invented numbers, taken in as fast as the store
//! can write.
//!
//! Goes past the faces, and through everything behind them. Sends nothing itself.

use std::sync::Arc;

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::random::Random;
use postrider_engine::accept::{AcceptBatch, AcceptError, AcceptRequest};
use postrider_engine::gateway::Gateway;

/// Messages stored in one transaction. Invented numbers lie all over the index of addresses, and each transaction writes
/// every page of it that it touched once: 1,000 wrote 49,000 messages a second, 8,000 wrote 70,000.
const MESSAGES_PER_TRANSACTION: u32 = 8_000;

/// Digits of an invented number.
const PHONE_DIGITS: usize = 10;

/// Characters of a text at most.
const TEXT_CHARS_MAX: usize = 100;

/// What a text is made of.
const TEXT_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Takes in so many messages over the channel, and tells after each batch how many it took; the sum. Ends early, with
/// what it has, when `goes_on` says no.
pub async fn generate_messages(
    gateway: &Arc<Gateway>,
    channel: &str,
    messages: u32,
    dice: &Random,
    goes_on: impl Fn() -> bool,
    told: impl Fn(u64),
) -> Result<u64> {
    let (mut left, mut taken) = (messages, 0);
    let mut written = None;
    while left > 0 && goes_on() {
        let batch = generate_batch(gateway, channel, left.min(MESSAGES_PER_TRANSACTION), dice)?;
        left -= left.min(MESSAGES_PER_TRANSACTION);
        // While one is written the next is made; in order, so that a seed gives the same numbers the same texts.
        taken += await_batch(written.take(), &told).await?;
        let gateway = Arc::clone(gateway);
        written = Some(tokio::spawn(async move { batch.store(&gateway).await }));
    }
    Ok(taken + await_batch(written, &told).await?)
}

async fn await_batch(
    written: Option<tokio::task::JoinHandle<Result<u64>>>,
    told: &impl Fn(u64),
) -> Result<u64> {
    let Some(written) = written else {
        return Ok(0);
    };
    let taken = written
        .await
        .map_err(|panic| Error::with_source(ErrorKind::Internal, "messages could not be stored", panic))??;
    told(taken);
    Ok(taken)
}

fn generate_batch(gateway: &Gateway, channel: &str, messages: u32, dice: &Random) -> Result<AcceptBatch> {
    let mut batch = AcceptBatch::default();
    for _ in 0..messages {
        let request = AcceptRequest {
            body: random_text(dice),
            addresses: vec![(channel.to_owned(), random_phone_number(dice))],
            ..AcceptRequest::default()
        };
        batch
            .add(gateway, request)
            .map_err(|why| explain_refusal(&why, channel))?;
    }
    Ok(batch)
}

fn explain_refusal(why: &AcceptError, channel: &str) -> Error {
    match why {
        AcceptError::UnknownChannel(_) => Error::usage(format!(
            "there is no channel {channel} to send messages over; name another with --channel"
        )),
        AcceptError::InvalidAddress { cause: why, .. } => Error::usage(format!(
            "an invented number is no address of {channel}: {why}; set numbers = \"possible\", or name a channel that \
             takes phone numbers with --channel"
        )),
        AcceptError::BodyTooLong(most) => Error::usage(format!(
            "limits.message_chars_max is {most}: texts of {TEXT_CHARS_MAX} characters do not fit"
        )),
        other => Error::new(
            ErrorKind::Internal,
            format!("an invented message is refused: {other:?}"),
        ),
    }
}

/// Ten digits, the first of which is not 0.
pub(super) fn random_phone_number(dice: &Random) -> String {
    let digits: [u8; PHONE_DIGITS] = dice.bytes();
    let mut text = String::with_capacity(PHONE_DIGITS);
    for (place, byte) in digits.into_iter().enumerate() {
        let digit = match place {
            0 => b'1' + scale_byte(byte, 9),
            _ => b'0' + scale_byte(byte, 10),
        };
        text.push(char::from(digit));
    }
    text
}

/// From one to a hundred letters and digits.
pub(super) fn random_text(dice: &Random) -> String {
    let luck: [u8; TEXT_CHARS_MAX + 1] = dice.bytes();
    let [length, letters @ ..] = luck;
    let length = 1 + usize::from(scale_byte(length, 100));
    let letter = |byte: &u8| {
        TEXT_ALPHABET
            .get(usize::from(scale_byte(*byte, 62)))
            .copied()
            .map(char::from)
    };
    letters.iter().take(length).filter_map(letter).collect()
}

/// A byte brought into a range, nearly evenly.
pub(super) fn scale_byte(byte: u8, range: u8) -> u8 {
    u16::from(byte).wrapping_mul(u16::from(range)).to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::address::{AddressKind, PhoneRules, parse_address};

    #[test]
    fn invented_numbers_are_possible_ones() {
        let dice = Random::seeded(1);
        for _ in 0..2_000 {
            let number = random_phone_number(&dice);
            assert_eq!(number.len(), 10);
            assert!(
                parse_address(AddressKind::Phone, &number, &PhoneRules::default()).is_ok(),
                "{number}"
            );
        }
    }

    #[test]
    fn texts_have_up_to_a_hundred_letters_and_digits() {
        let dice = Random::seeded(2);
        let texts: Vec<String> = (0..2_000).map(|_| random_text(&dice)).collect();
        let lengths = texts.iter().map(String::len);
        assert_eq!((lengths.clone().min(), lengths.max()), (Some(1), Some(100)));
        assert!(
            texts
                .iter()
                .flat_map(|text| text.chars())
                .all(|letter| letter.is_ascii_alphanumeric())
        );
        assert_eq!(random_text(&Random::seeded(3)), random_text(&Random::seeded(3)));
    }
}
