//! SMPP client: a pool of transceiver sessions that submit messages and receive receipts and texts.
//!
//! [`ConnectionPool`] keeps the configured number of sessions bound and reconnects lost ones with backoff.
//! [`ClientHandler`] decides what a status means and takes what the SMSC delivers. A message is submitted at most once;
//! only a part that the SMSC refused as too fast is repeated.

mod backoff;
mod bind;
mod config;
mod connection;
mod handler;
mod pool;
mod session;
mod stream;
mod window;

pub use config::{ClientConfig, SmppEndpoint, WINDOW_SIZE_MAX};
pub use handler::{
    BindFailure, ClientHandler, DeferredResponse, DeliverAction, PduTrace, StatusAction, SubmitOutcome,
};
pub use pool::ConnectionPool;
