//! Tests of receipts in the forms that SMSCs send, and of inbound texts.

use serde_json::json;

use super::*;
use postrider_core::inbound::UnreadableKind;
use postrider_core::keywords::{KeywordAction, Keywords};

/// Returns a provider that has sent one message with the id `4B2F10A7`.
async fn provider_after_send(more: &str) -> (SmscPeer, Smpp) {
    let peer = SmscPeer::start(json!({})).await;
    let smpp = provider(&peer, more);
    let result = smpp.send(&message("a")).await;
    assert_eq!(result.outcome.as_str(), "accepted");
    (peer, smpp)
}

#[tokio::test]
async fn a_receipt_is_acknowledged_after_it_is_stored() {
    let (mut peer, smpp) = provider_after_send("").await;
    peer.send_receipt(0, "4B2F10A7", "DELIVRD").await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a7");
    // A response to the receipt would arrive before this one, because both use the same session.
    peer.run_command(json!({ "do": "enquire" })).await;
    peer.next_event("enquire_link_resp").await;
    assert_eq!(peer.pending_count("deliver_sm_resp"), 0, "the receipt is not stored yet");
    let again = smpp.receive();
    tokio::select! {
        items = again => panic!("there is no second receipt: {items:?}"),
        response = peer.next_event("deliver_sm_resp") => assert_eq!(response["status"], json!(0)),
    }
}

#[tokio::test]
async fn receipts_in_every_known_form_match_their_message() {
    let (mut peer, smpp) = provider_after_send("").await;
    let payload = "id:4b2f10a7 stat:DELIVRD";
    for pdu in [
        json!({ "esm_class": 4, "short_message": "id:4b2f10a7 sub:001 dlvrd:001 stat:DELIVRD" }),
        json!({ "esm_class": 0, "short_message": "ID:004B2F10A7  STAT:DELIVRD" }),
        json!({ "esm_class": 4, "short_message": "stat:DELIVRD err:000 id:4B2F10A7" }),
        json!({ "esm_class": 4, "receipted_message_id": "4B2F10A7", "message_state": 2 }),
        json!({ "esm_class": 4, "receipted_message_id": "004b2f10a7", "short_message": "stat:DELIVRD" }),
        json!({ "esm_class": 4, "message_payload": { "message": payload } }),
        json!({ "esm_class": 0, "receipted_message_id": "4b2f10a7", "message_state": 2 }),
    ] {
        peer.send_deliver_sm(0, pdu.clone()).await;
        smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a7");
    }
    peer.run_command(json!({ "do": "data", "pdu": { "esm_class": 4, "receipted_message_id": "4B2F10A7", "message_state": 2 } }))
        .await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a7");
}

#[tokio::test]
async fn hexadecimal_and_decimal_ids_match() {
    let (mut peer, smpp) = provider_after_send("message_id_format = \"hex_then_decimal\"").await;
    peer.send_receipt(0, "1261375655", "DELIVRD").await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "1261375655");
    peer.plan_responses(json!([{ "id": "0001261375655" }])).await;
    let other = provider(&peer, "message_id_format = \"decimal_then_hex\"");
    assert_eq!(other.send(&message("a")).await, accepted_result("1261375655"));
    peer.send_receipt(1, "0x4b2F10A7", "DELIVRD").await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&other).await, "1261375655");
}

#[tokio::test]
async fn a_receipt_may_arrive_over_another_connection() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = provider(&peer, "binds = 2");
    assert_eq!(smpp.send(&message("a")).await, accepted_result("4b2f10a7"));
    for _ in 0..2 {
        peer.next_event("bind").await;
    }
    let other_session =
        1 - usize::try_from(peer.next_event("submit").await["session"].as_u64().unwrap()).unwrap();
    peer.send_receipt(other_session, "4B2F10A7", "DELIVRD").await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a7");
}

#[tokio::test]
async fn a_receipt_that_changes_nothing_is_acknowledged_at_once() {
    let (mut peer, smpp) = provider_after_send("").await;
    peer.send_receipt(0, "4B2F10A7", "ENROUTE").await;
    assert_eq!(peer.next_event("deliver_sm_resp").await["status"], json!(0));
    peer.send_deliver_sm(0, json!({ "esm_class": 4, "short_message": "no receipt at all" })).await;
    assert_eq!(peer.next_event("deliver_sm_resp").await["status"], json!(0));
    peer.send_receipt(0, "4B2F10A7", "DELIVRD").await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a7");
}

#[tokio::test]
async fn a_text_from_a_phone_is_an_inbound_message() {
    let (mut peer, smpp) = provider_after_send("").await;
    let stop = json!({ "esm_class": 0, "source_addr_ton": 1, "source_addr": "989121234567",
        "destination_addr": "30001", "short_message": "Stop" });
    peer.send_deliver_sm(0, stop).await;
    let items = smsc_peer::receive(&smpp).await;
    let [CallbackItem::InboundMessage(text)] = &items[..] else {
        panic!("expected one text: {items:?}");
    };
    assert_eq!((text.from.as_str(), text.to.as_str()), ("+989121234567", "30001"));
    assert_eq!(Keywords::default().action_of(&text.body), Some(KeywordAction::OptOut));
    let persian = json!({ "source_addr": "09121234567", "data_coding": 8, "short_message": "سلام" });
    peer.send_deliver_sm(0, persian).await;
    let items = smsc_peer::receive(&smpp).await;
    let [CallbackItem::InboundMessage(text)] = &items[..] else {
        panic!("expected one text: {items:?}");
    };
    assert_eq!((text.from.as_str(), text.body.as_str()), ("09121234567", "سلام"));
}

#[tokio::test]
async fn opt_outs_of_the_trials_arrive() {
    let (mut peer, smpp) = provider_after_send("").await;
    for frame in [
        "0000003b00000005000000000000000100010131353030353535303130330005003330303031000000000000000008000afeff00530054004f0050",
        "0000003b00000005000000000000000100010131353030353535303130330005003330303031000000000000000008000afffe530054004f005000",
        "0000003b00000005000000000000000100010131353030353535303130330005003330303031004800000000000000000a05000301010153544f50",
        "0000003600000005000000000000000100010131353030353535303130330005003330303031000000000000000000000553544f5000",
        "0000003500000005000000000000000100010131353030353535303130330005003330303031000800000000000015000453544f50",
    ] {
        peer.run_command(json!({ "do": "raw", "hex": frame })).await;
        let items = smsc_peer::receive(&smpp).await;
        let [CallbackItem::InboundMessage(text)] = &items[..] else {
            panic!("expected one text: {items:?}");
        };
        let action = Keywords::default().action_of(&text.body);
        assert_eq!((text.from.as_str(), action), ("+15005550103", Some(KeywordAction::OptOut)));
    }
}

#[tokio::test]
async fn a_text_in_parts_is_judged_as_a_whole() {
    let (mut peer, smpp) = provider_after_send("").await;
    let head = "0000003900000005000000000000000100010131353030353535303130330005003330303031004000000000000000000805000301";
    for part in ["02015354", "02024f50"] {
        peer.run_command(json!({ "do": "raw", "hex": format!("{head}{part}") })).await;
    }
    let items = smsc_peer::receive(&smpp).await;
    let [CallbackItem::InboundMessage(text)] = &items[..] else {
        panic!("expected one text: {items:?}");
    };
    assert_eq!(text.body, "STOP");
}

#[tokio::test]
async fn a_receipt_of_a_phone_carries_its_sender() {
    let (mut peer, smpp) = provider_after_send("invalid_errors = [\"001\"]").await;
    let forged = "0000004d00000005000000000000000100010131353030353535393939390005003330303031000000000000000000001c69643a3130303120737461743a554e44454c4956206572723a303031";
    peer.run_command(json!({ "do": "raw", "hex": forged })).await;
    let items = smsc_peer::receive(&smpp).await;
    let [CallbackItem::TextReceipt(text_receipt)] = &items[..] else {
        panic!("expected a receipt of a phone: {items:?}");
    };
    assert_eq!(
        (text_receipt.from.as_str(), text_receipt.receipt.reference.as_str()),
        ("+15005559999", "1001")
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_counted() {
    let (mut peer, smpp) = provider_after_send("").await;
    peer.send_deliver_sm(0, json!({ "esm_class": 4, "short_message": "no receipt at all" })).await;
    let mut items = smpp.receive().await;
    while !items.contains(&CallbackItem::Unreadable(UnreadableKind::Receipt)) {
        items = smpp.receive().await;
    }
    let binary = "0000003500000005000000000000000100010131353030353535303130330005003330303031000000000000000004000401020304";
    peer.run_command(json!({ "do": "raw", "hex": binary })).await;
    assert_eq!(smpp.receive().await, [CallbackItem::Unreadable(UnreadableKind::InboundMessage)]);
}
