//! Tests of the bind over an in-memory connection.

use tokio::io::DuplexStream;

use super::*;
use crate::command_status::ESME_RALYBND;

/// Binds against an SMSC that sends `pdus`, and returns the result and what the SMSC received.
async fn bind_with(pdus: &[(u32, u32)]) -> (Result<Vec<u8>, BindFailure>, Vec<u8>) {
    let (mut stream, mut smsc) = tokio::io::duplex(4_096);
    let mut response = Vec::new();
    for (command, status) in pdus {
        pdu::encode_pdu(&mut response, *command, *status, BIND_SEQUENCE, &[]);
    }
    smsc.write_all(&response).await.unwrap();
    let result = bind_transceiver(b"body", None, &mut stream).await;
    drop(stream);
    (result, received_by(&mut smsc).await)
}

async fn received_by(smsc: &mut DuplexStream) -> Vec<u8> {
    let mut received = Vec::new();
    smsc.read_to_end(&mut received).await.unwrap();
    received
}

#[tokio::test]
async fn an_enquire_link_before_the_bind_response_is_answered() {
    let (result, received) = bind_with(&[(command::ENQUIRE_LINK, 0), (BIND_RESPONSE, ESME_ROK)]).await;
    assert_eq!(result, Ok(Vec::new()));
    let mut expected = Vec::new();
    pdu::encode_pdu(&mut expected, command::BIND_TRANSCEIVER, 0, BIND_SEQUENCE, b"body");
    let response = pdu::response_id(command::ENQUIRE_LINK);
    pdu::encode_pdu(&mut expected, response, 0, BIND_SEQUENCE, &[]);
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_refusal_is_reported_with_its_status() {
    for (command, status, reported) in [
        (BIND_RESPONSE, ESME_RALYBND, ESME_RALYBND),
        (command::GENERIC_NACK, ESME_RALYBND, ESME_RALYBND),
        (command::GENERIC_NACK, ESME_ROK, ESME_RINVCMDID),
    ] {
        let (result, _) = bind_with(&[(command, status)]).await;
        assert_eq!(result, Err(BindFailure::Refused { status: reported, is_repeated: false }));
    }
}

#[tokio::test]
async fn a_server_of_another_protocol_is_unreachable() {
    let (mut stream, mut smsc) = tokio::io::duplex(4_096);
    smsc.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
    let result = bind_transceiver(b"body", None, &mut stream).await;
    assert!(matches!(result, Err(BindFailure::Unreachable(reason)) if reason.contains("not SMPP")));
}

#[tokio::test]
async fn messages_before_the_bind_response_are_kept_for_the_session() {
    let (result, _) = bind_with(&[(command::DELIVER_SM, 0), (BIND_RESPONSE, ESME_ROK)]).await;
    let mut expected = Vec::new();
    pdu::encode_pdu(&mut expected, command::DELIVER_SM, 0, BIND_SEQUENCE, &[]);
    assert_eq!(result, Ok(expected));
}
