//! Binds a connection as a transceiver.
//!
//! Reads exactly the bytes of the bind response, because what follows belongs to the session.

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

/// Sends the bind request and waits for the response. An `enquire_link` before it is answered; other PDUs are ignored.
pub async fn bind_transceiver(
    bind_body: &[u8],
    trace: Option<&dyn PduTrace>,
    stream: &mut dyn SmppStream,
) -> Result<(), BindFailure> {
    let mut request = Vec::new();
    pdu::encode_pdu(&mut request, command::BIND_TRANSCEIVER, ESME_ROK, BIND_SEQUENCE, bind_body);
    if let Some(trace) = trace {
        // Recorded without its body, which contains the password.
        trace.record_sent(&pdu::describe_pdu(command::BIND_TRANSCEIVER, ESME_ROK, BIND_SEQUENCE, &[]));
    }
    write_all(stream, &request).await?;
    loop {
        let received = read_pdu(stream).await?;
        let PduFrame::Complete(pdu, _) = pdu::split_frame(&received) else {
            continue;
        };
        if let Some(trace) = trace {
            trace.record_received(&pdu::describe_pdu(pdu.command, pdu.status, pdu.sequence, pdu.body));
        }
        match (pdu.command, pdu.status) {
            (BIND_RESPONSE, ESME_ROK) => return Ok(()),
            (command::GENERIC_NACK, ESME_ROK) => {
                return Err(BindFailure::Refused { status: ESME_RINVCMDID });
            }
            (BIND_RESPONSE | command::GENERIC_NACK, status) => return Err(BindFailure::Refused { status }),
            (command::ENQUIRE_LINK, _) => {
                let mut response = Vec::new();
                let command = pdu::response_id(command::ENQUIRE_LINK);
                pdu::encode_pdu(&mut response, command, ESME_ROK, pdu.sequence, &[]);
                write_all(stream, &response).await?;
            }
            _ => {}
        }
    }
}

/// Reads one PDU and no byte more.
async fn read_pdu(stream: &mut dyn SmppStream) -> Result<Vec<u8>, BindFailure> {
    let mut received = vec![0; 4];
    stream.read_exact(&mut received).await.map_err(|error| connection_lost(&error))?;
    if let PduFrame::Invalid = pdu::split_frame(&received) {
        let reason = "bind response is not SMPP".to_owned();
        return Err(BindFailure::Unreachable(reason));
    }
    let length = received.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    received.resize(length, 0);
    stream.read_exact(&mut received[4..]).await.map_err(|error| connection_lost(&error))?;
    Ok(received)
}

async fn write_all(stream: &mut dyn SmppStream, bytes: &[u8]) -> Result<(), BindFailure> {
    stream.write_all(bytes).await.map_err(|error| connection_lost(&error))?;
    stream.flush().await.map_err(|error| connection_lost(&error))
}

fn connection_lost(error: &io::Error) -> BindFailure {
    BindFailure::Unreachable(format!("connection lost during bind: {error}"))
}
