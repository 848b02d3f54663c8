//! The first words on a connection: who we are, and whether we may.
//!
//! Reads not a byte more than the answer, because what follows belongs to the session.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::account::Account;
use super::codes;
use super::link::Fault;
use super::session::Stream;
use super::wire::{self, Cut, command};

/// Opens the session: nothing else may be said before the bind is answered.
pub(super) async fn bind(account: &Account, mut stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, Fault> {
    let lost =
        |error: std::io::Error| Fault::Unreachable(format!("the link was lost during the bind: {error}"));
    let mut out = Vec::new();
    wire::put(&mut out, command::BIND_TRANSCEIVER, codes::OK, 1, &account.bind);
    if let Some(tape) = &account.tape {
        // Its body holds the password.
        tape.sent(&wire::spoken(command::BIND_TRANSCEIVER, codes::OK, 1, &[]));
    }
    stream.write_all(&out).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    loop {
        // Not a byte more than one PDU: what follows is the session's.
        let mut pdu = vec![0; 4];
        stream.read_exact(&mut pdu).await.map_err(lost)?;
        if let Cut::Garbage = wire::cut(&pdu) {
            return Err(Fault::Unreachable("the answer to the bind is no SMPP".to_owned()));
        }
        let length = pdu
            .iter()
            .fold(0, |length, octet| length << 8 | usize::from(*octet));
        pdu.resize(length, 0);
        stream.read_exact(&mut pdu[4..]).await.map_err(lost)?;
        let Cut::Whole(pdu, _) = wire::cut(&pdu) else {
            continue;
        };
        if let Some(tape) = &account.tape {
            tape.heard(&wire::spoken(pdu.command, pdu.status, pdu.sequence, pdu.body));
        }
        match pdu.command {
            answer
                if answer == wire::answer_to(command::BIND_TRANSCEIVER)
                    || answer == command::GENERIC_NACK =>
            {
                return match pdu.status {
                    codes::OK if answer != command::GENERIC_NACK => Ok(stream),
                    codes::OK => Err(Fault::Refused(codes::UNKNOWN_COMMAND)),
                    status => Err(Fault::Refused(status)),
                };
            }
            command::ENQUIRE_LINK => {
                let mut out = Vec::new();
                let answer = wire::answer_to(pdu.command);
                wire::put(&mut out, answer, codes::OK, pdu.sequence, &[]);
                stream.write_all(&out).await.map_err(lost)?;
                stream.flush().await.map_err(lost)?;
            }
            _ => {}
        }
    }
}
