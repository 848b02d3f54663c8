//! Texts in parts of which some never arrive.

use std::time::Duration;

use postrider_core::clock::{Clock, from_millis};
use postrider_core::inbound::{CallbackItem, UnreadableKind};
use postrider_smpp::pdu::ShortMessage;

use super::super::account::SmppAccount;
use super::{AdapterContext, conformance, settings};

/// Returns a part of a text of three parts.
fn part(octets: &[u8], data_coding: u8) -> ShortMessage<'_> {
    ShortMessage {
        source_addr_ton: 1,
        source_addr: b"15005550103",
        destination_addr: b"30001",
        esm_class: 0x40,
        data_coding,
        short_message: octets,
        ..ShortMessage::default()
    }
}

#[test]
fn after_ten_minutes_the_parts_that_have_arrived_are_one_incomplete_text() {
    let clock = Clock::manual(from_millis(1_800_000_000_000));
    let context = AdapterContext { clock: clock.clone(), ..conformance::sample_context() };
    let (account, mut receiver) = SmppAccount::new(&context, &settings("")).unwrap();
    for message in [
        part(b"\x05\x00\x03\x01\x03\x03 end", 0),
        part(b"\x05\x00\x03\x01\x03\x01begin", 0),
        part(b"\x05\x00\x03\x02\x03\x01\x01\x02", 4),
    ] {
        let place = message.concatenation().unwrap();
        assert_eq!(account.inbound.lock().parts.add(&message, place, clock.now()), None);
    }
    account.give_up_incomplete();
    assert!(receiver.try_recv().is_err(), "the other parts may still arrive");
    clock.advance(Duration::from_secs(601));
    account.give_up_incomplete();
    let CallbackItem::InboundMessage(text) = receiver.try_recv().unwrap().item else {
        panic!("a text");
    };
    assert_eq!((text.from.as_str(), text.to.as_str()), ("+15005550103", "30001"));
    assert_eq!((text.body.as_str(), text.is_incomplete), ("begin end", true));
    let binary = receiver.try_recv().unwrap().item;
    assert_eq!(binary, CallbackItem::Unreadable(UnreadableKind::InboundMessage));
    assert!(receiver.try_recv().is_err());
}
