//! SMPP client: a pool of transceiver sessions that submit messages and receive receipts and texts.
//!
//! [`ConnectionPool`] keeps the configured number of sessions bound and reconnects lost ones with backoff. The
//! application implements [`ClientHandler`], which decides the effect of a status and receives the messages of the
//! SMSC. A message is submitted at most once; only a part that the SMSC refused as too fast is submitted again.

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
