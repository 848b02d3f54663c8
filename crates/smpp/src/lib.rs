//! SMPP 3.4: PDUs, alphabets, message ids, delivery receipts, `submit_sm` bodies and client sessions.
//!
//! The modules outside [`client`] are pure functions over octets and serve both sides of a session. They read input
//! tolerantly, because SMSCs deviate from the specification in many small ways; unreadable input never panics. This crate
//! is independent of the gateway: the implementation of [`client::ClientHandler`] decides the effect of a status and the
//! destination of receipts.

pub mod alphabet;
pub mod assembly;
pub mod client;
pub mod command_status;
pub mod message_id;
pub mod pdu;
pub mod receipt;
pub mod source_address;
pub mod submit;
pub mod udh;

#[cfg(test)]
mod testing;
