//! The first words on a connection: who we are, and whether we may.
//!
//! Reads not a byte more than the answer, because what follows belongs to the session.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::account::SmppAccount;
use super::codes;
use super::connection::BindError;
use super::pdu::{self, PduFrame, command};
use super::session::SmppStream;

/// Opens the session: nothing else may be said before the bind is answered.
pub(super) async fn bind_transceiver(
    account: &SmppAccount,
    mut stream: Box<dyn SmppStream>,
) -> Result<Box<dyn SmppStream>, BindError> {
    let lost =
        |error: std::io::Error| BindError::Unreachable(format!("the link was lost during the bind: {error}"));
    let mut out = Vec::new();
    pdu::encode_pdu(
        &mut out,
        command::BIND_TRANSCEIVER,
        codes::ESME_ROK,
        1,
        &account.bind_body,
    );
    if let Some(tape) = &account.transcript {
        // Its body holds the password.
        tape.record_sent(&pdu::describe_pdu(
            command::BIND_TRANSCEIVER,
            codes::ESME_ROK,
            1,
            &[],
        ));
    }
    stream.write_all(&out).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    loop {
        // Not a byte more than one PDU: what follows is the session's.
        let mut pdu = vec![0; 4];
        stream.read_exact(&mut pdu).await.map_err(lost)?;
        if let PduFrame::Invalid = pdu::split_frame(&pdu) {
            return Err(BindError::Unreachable(
                "the answer to the bind is no SMPP".to_owned(),
            ));
        }
        let length = pdu
            .iter()
            .fold(0, |length, octet| length << 8 | usize::from(*octet));
        pdu.resize(length, 0);
        stream.read_exact(&mut pdu[4..]).await.map_err(lost)?;
        let PduFrame::Complete(pdu, _) = pdu::split_frame(&pdu) else {
            continue;
        };
        if let Some(tape) = &account.transcript {
            tape.record_received(&pdu::describe_pdu(
                pdu.command,
                pdu.status,
                pdu.sequence,
                pdu.body,
            ));
        }
        match pdu.command {
            answer
                if answer == pdu::response_id(command::BIND_TRANSCEIVER)
                    || answer == command::GENERIC_NACK =>
            {
                return match pdu.status {
                    codes::ESME_ROK if answer != command::GENERIC_NACK => Ok(stream),
                    codes::ESME_ROK => Err(BindError::Refused(codes::ESME_RINVCMDID)),
                    status => Err(BindError::Refused(status)),
                };
            }
            command::ENQUIRE_LINK => {
                let mut out = Vec::new();
                let answer = pdu::response_id(pdu.command);
                pdu::encode_pdu(&mut out, answer, codes::ESME_ROK, pdu.sequence, &[]);
                stream.write_all(&out).await.map_err(lost)?;
                stream.flush().await.map_err(lost)?;
            }
            _ => {}
        }
    }
}
