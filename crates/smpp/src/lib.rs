//! SMPP 3.4: PDUs, alphabets, message ids, delivery receipts, `submit_sm` bodies and client sessions.
//!
//! The modules outside [`client`] are pure functions over octets and serve both sides of a session. They read input
//! tolerantly, because SMSCs deviate from the specification in many small ways; unreadable input never panics. This crate
//! knows nothing about the gateway: what a status means for a message and where receipts go is decided by the
//! implementation of [`client::ClientHandler`].

pub mod alphabet;
pub mod client;
pub mod command_status;
pub mod message_id;
pub mod pdu;
pub mod receipt;
pub mod source_address;
pub mod submit;
mod udh;

#[cfg(test)]
mod testing;
