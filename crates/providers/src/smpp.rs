//! Speaks to message centres of operators and aggregators: SMPP 3.4 as a transceiver.
//!
//! `submit.rs` makes the parts, `link.rs` keeps connections, `session.rs` talks over one, `receipt.rs` reads what comes
//! back. Nothing is repeated here but what the message centre has refused as too fast.

mod account;
mod alphabet;
mod bind;
mod codes;
mod connection;
mod message_id;
mod multipart_receipts;
mod pdu;
mod receipt;
mod session;
mod settings;
mod source_address;
mod submit;
mod tls;
mod window;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex, oneshot};

use super::{AccountCheck, AdapterContext, CallbackError, CallbackRequest, OutboundMessage, Provider};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::{Error, Result};
use postrider_core::inbound::CallbackItem;
use postrider_core::random::Random;
use postrider_core::recipient::AddressKind;

use account::{ReceivedItem, SmppAccount};
use connection::{ConnectionState, SmppConnection};
pub use settings::SmppSettings;
use submit::SubmitEncoder;
use window::SubmitJob;

/// The most receipts handed out at once: they are stored together.
const RECEIPTS_BATCH_MAX: usize = 256;

/// An account at a message centre.
pub struct Smpp {
    account: Arc<SmppAccount>,
    encoder: SubmitEncoder,
    binds: usize,
    /// Made when they are needed for the first time, so that a command that only looks around connects to nobody.
    connections: OnceLock<Vec<SmppConnection>>,
    /// What the parts of one message have in common.
    next_reference: AtomicU8,
    inbound: Mutex<InboundQueue>,
}

/// Receipts and texts on their way out.
struct InboundQueue {
    receiver: UnboundedReceiver<ReceivedItem>,
    /// Handed out, and not yet known to be stored.
    unacknowledged: Vec<ReceivedItem>,
}

impl Smpp {
    /// A provider as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &SmppSettings) -> Result<Self> {
        let (account, heard) = SmppAccount::new(
            &context.name,
            settings,
            &context.limits,
            context.http_clients.transcript(),
        )?;
        let [mark] = Random::default().bytes();
        Ok(Self {
            account: Arc::new(account),
            encoder: SubmitEncoder::new(settings).map_err(Error::usage)?,
            binds: settings.binds,
            connections: OnceLock::new(),
            next_reference: AtomicU8::new(mark),
            inbound: Mutex::new(InboundQueue {
                receiver: heard,
                unacknowledged: Vec::new(),
            }),
        })
    }

    fn connections(&self) -> &[SmppConnection] {
        self.connections.get_or_init(|| {
            (0..self.binds)
                .map(|_| SmppConnection::spawn(Arc::clone(&self.account)))
                .collect()
        })
    }

    /// The link with the least to do, or why there is none.
    async fn bound_connection(&self, patience: Duration) -> std::result::Result<&SmppConnection, SendResult> {
        if let Some(link) = self.least_loaded() {
            return Ok(link);
        }
        let links = self.connections();
        let connecting = links
            .iter()
            .find(|link| matches!(*link.state.borrow(), ConnectionState::Connecting));
        if let Some(link) = connecting {
            let mut standing = link.state.clone();
            let settled = standing.wait_for(|standing| !matches!(standing, ConnectionState::Connecting));
            let _ = tokio::time::timeout(patience, settled).await;
        }
        if let Some(link) = self.least_loaded() {
            return Ok(link);
        }
        let down = links.iter().find_map(|link| match &*link.state.borrow() {
            ConnectionState::Down(answer) => Some(answer.clone()),
            ConnectionState::Connecting | ConnectionState::Bound => None,
        });
        Err(down.unwrap_or_else(|| {
            SendResult::from(Outcome::Unavailable {
                reason: "the link is being made".to_owned(),
            })
        }))
    }

    fn least_loaded(&self) -> Option<&SmppConnection> {
        let up = |link: &&SmppConnection| matches!(*link.state.borrow(), ConnectionState::Bound);
        self.connections()
            .iter()
            .filter(up)
            .min_by_key(|link| link.in_flight())
    }
}

#[async_trait]
impl Provider for Smpp {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let deadline = Instant::now() + self.account.limits.call_timeout;
        let mark = self.next_reference.fetch_add(1, Ordering::Relaxed);
        let bodies = match self.encoder.encode(parcel, mark, Clock::System.now()) {
            Ok(bodies) => bodies,
            Err(reason) => return Outcome::Rejected { reason }.into(),
        };
        let link = match self.bound_connection(self.account.limits.connect_timeout).await {
            Ok(link) => link,
            Err(answer) => return answer,
        };
        let has_receipts = self.encoder.wants_receipts && bodies.len() > 1;
        let multipart = has_receipts.then(|| self.account.multipart().register(bodies.len()));
        let (reply, answered) = oneshot::channel();
        let _load = link.track_message();
        let job = SubmitJob {
            bodies,
            multipart,
            deadline,
            reply,
        };
        if link.jobs.send(job).is_err() {
            let reason = "the link is gone".to_owned();
            return Outcome::Unavailable { reason }.into();
        }
        answered.await.unwrap_or_else(|_| {
            SendResult::from(Outcome::Unknown {
                reason: "the session ended without an answer".to_owned(),
            })
        })
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    /// Who asks again has stored what was handed out before: only then does the message centre hear that we have it.
    /// May be dropped at any await.
    async fn receive(&self) -> Vec<CallbackItem> {
        self.connections();
        let mut arriving = self.inbound.lock().await;
        for (line, request) in arriving
            .unacknowledged
            .drain(..)
            .filter_map(|heard| heard.response)
        {
            // A session that has ended since is told nothing: the receipt comes again, and changes nothing.
            let _ = line.send(request);
        }
        let InboundQueue {
            receiver,
            unacknowledged,
        } = &mut *arriving;
        let count = receiver.recv_many(unacknowledged, RECEIPTS_BATCH_MAX).await;
        self.account.mark_taken(count);
        unacknowledged
            .iter()
            .map(|heard| heard.incoming.clone())
            .collect()
    }

    /// A bind costs nothing and sends nothing.
    async fn check_account(&self) -> AccountCheck {
        let patience = self.account.limits.connect_timeout + self.account.limits.call_timeout;
        match self.bound_connection(patience).await {
            Ok(_) => AccountCheck::Passed(
                "the bind was accepted; the sender can only be tested by sending".to_owned(),
            ),
            Err(SendResult { outcome, code }) => {
                let reason = outcome.reason().unwrap_or("no reason given").to_owned();
                if code == Some(codes::format_status(codes::ESME_RALYBND)) {
                    return AccountCheck::Untested(
                        "its account is in use, perhaps by a gateway that is running".to_owned(),
                    );
                }
                AccountCheck::Failed(match code {
                    Some(code) => format!("{reason} ({code}); compare system_id, password and system_type"),
                    None => format!("{reason}; compare base_url"),
                })
            }
        }
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        (self.account.endpoint.host.clone(), self.account.endpoint.port)
    }
}
