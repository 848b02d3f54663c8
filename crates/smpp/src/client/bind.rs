//! Binds a connection as a transceiver.
//!
//! Reads exactly the bytes of the bind response, because the following bytes belong to the session.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::handler::{BindFailure, PduTrace};
use super::stream::SmppStream;
use crate::command_status::{ESME_RINVCMDID, ESME_ROK};
use crate::pdu::{self, PduFrame, command};

#[cfg(test)]
mod tests;

const BIND_SEQUENCE: u32 = 1;

const BIND_RESPONSE: u32 = command::BIND_TRANSCEIVER | pdu::RESPONSE_BIT;

/// Maximum size, in bytes, of the messages before the bind response that are kept. Further messages are not
/// acknowledged, so the SMSC repeats them.
const EARLY_BYTES_MAX: usize = 1024 * 1024;

/// Sends the bind request and waits for the response. Returns the `deliver_sm` and `data_sm` that arrived before it, for
/// the session. An `enquire_link` before it is answered; other PDUs are ignored.
pub async fn bind_transceiver(
    bind_body: &[u8],
    trace: Option<&dyn PduTrace>,
    stream: &mut dyn SmppStream,
) -> Result<Vec<u8>, BindFailure> {
    let mut early_pdus = Vec::new();
    let mut request = Vec::new();
    pdu::encode_pdu(&mut request, command::BIND_TRANSCEIVER, ESME_ROK, BIND_SEQUENCE, bind_body);
    if let Some(trace) = trace {
        // The bind request is recorded without its body, which contains the password.
        trace.record_sent(&pdu::describe_pdu(command::BIND_TRANSCEIVER, ESME_ROK, BIND_SEQUENCE, &[]));
    }
    write_all(stream, &request).await?;
    loop {
        let pdu_bytes = read_pdu(stream).await?;
        let PduFrame::Complete(pdu, _) = pdu::split_frame(&pdu_bytes) else {
            continue;
        };
        if let Some(trace) = trace {
            trace.record_received(&pdu::describe_pdu(pdu.command, pdu.status, pdu.sequence, pdu.body));
        }
        match (pdu.command, pdu.status) {
            (BIND_RESPONSE, ESME_ROK) => return Ok(early_pdus),
            (command::GENERIC_NACK, ESME_ROK) => return Err(refused(ESME_RINVCMDID)),
            (BIND_RESPONSE | command::GENERIC_NACK, status) => return Err(refused(status)),
            (command::DELIVER_SM | command::DATA_SM, _)
                if early_pdus.len() + pdu_bytes.len() <= EARLY_BYTES_MAX =>
            {
                early_pdus.extend(&pdu_bytes);
            }
            (command::ENQUIRE_LINK, _) => {
                let mut link_response = Vec::new();
                let response_id = pdu::response_id(command::ENQUIRE_LINK);
                pdu::encode_pdu(&mut link_response, response_id, ESME_ROK, pdu.sequence, &[]);
                write_all(stream, &link_response).await?;
            }
            _ => {}
        }
    }
}

fn refused(status: u32) -> BindFailure {
    BindFailure::Refused { status, is_repeated: false }
}

/// Reads one PDU and no byte more.
async fn read_pdu(stream: &mut dyn SmppStream) -> Result<Vec<u8>, BindFailure> {
    let mut pdu_bytes = vec![0; 4];
    stream.read_exact(&mut pdu_bytes).await.map_err(|error| connection_lost(&error))?;
    if let PduFrame::Invalid = pdu::split_frame(&pdu_bytes) {
        return Err(BindFailure::Unreachable("bind response is not SMPP".to_owned()));
    }
    let command_length = pdu_bytes.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    pdu_bytes.resize(command_length, 0);
    stream.read_exact(&mut pdu_bytes[4..]).await.map_err(|error| connection_lost(&error))?;
    Ok(pdu_bytes)
}

async fn write_all(stream: &mut dyn SmppStream, bytes: &[u8]) -> Result<(), BindFailure> {
    stream.write_all(bytes).await.map_err(|error| connection_lost(&error))?;
    stream.flush().await.map_err(|error| connection_lost(&error))
}

fn connection_lost(error: &io::Error) -> BindFailure {
    BindFailure::Unreachable(format!("connection lost during bind: {error}"))
}
