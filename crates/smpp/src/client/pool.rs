//! The connections of one account.
//!
//! A message goes over the connection with the fewest messages in flight. The connections are opened on first use, so that
//! a command that only reads the configuration connects to no SMSC.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::config::ClientConfig;
use super::connection::{ConnectionState, SmppConnection};
use super::handler::{BindFailure, ClientHandler, SubmitOutcome};

/// The connections of one account.
pub struct ConnectionPool {
    config: Arc<ClientConfig>,
    handler: Arc<dyn ClientHandler>,
    connections: OnceLock<Vec<SmppConnection>>,
}

impl ConnectionPool {
    /// Creates a pool. Connects nowhere yet.
    pub fn new(config: ClientConfig, handler: Arc<dyn ClientHandler>) -> Self {
        Self { config: Arc::new(config), handler, connections: OnceLock::new() }
    }

    /// Returns the settings of the pool.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Starts the connections unless they run already. Must be called within a tokio runtime.
    pub fn start(&self) {
        self.connections();
    }

    /// Submits the parts of one message over the connection with the fewest messages in flight.
    ///
    /// Waits up to the connect timeout for a bind that is under way, or that follows the end of a session within
    /// seconds. If a session ends before the message has left, the message is submitted over the next session. `tag`
    /// identifies the message to [`ClientHandler::part_accepted`].
    pub async fn submit(&self, bodies: Vec<Vec<u8>>, tag: u64, deadline: Instant) -> SubmitOutcome {
        let bodies: Arc<[Vec<u8>]> = bodies.into();
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let connection = match self.bound_connection(self.config.connect_timeout.min(remaining)).await {
                Ok(connection) => connection,
                Err(failure) => return SubmitOutcome::NotBound(failure),
            };
            match connection.submit(Arc::clone(&bodies), tag, deadline).await {
                SubmitOutcome::NotBound(_) | SubmitOutcome::SessionLost { may_have_been_sent: false, .. }
                    if Instant::now() < deadline => {}
                outcome => return outcome,
            }
        }
    }

    /// Waits up to `timeout` for a session.
    ///
    /// # Errors
    /// Returns the reason if there is no session after `timeout`.
    pub async fn wait_bound(&self, timeout: Duration) -> Result<(), BindFailure> {
        self.bound_connection(timeout).await.map(|_| ())
    }

    async fn bound_connection(&self, timeout: Duration) -> Result<&SmppConnection, BindFailure> {
        if let Some(connection) = self.least_loaded() {
            return Ok(connection);
        }
        let is_connecting = |state: &ConnectionState| {
            matches!(state, ConnectionState::Connecting | ConnectionState::Reconnecting)
        };
        let connections = self.connections();
        let connecting = connections.iter().find(|connection| is_connecting(&connection.state.borrow()));
        if let Some(connection) = connecting {
            let mut connection_state = connection.state.clone();
            let bind_ended = connection_state.wait_for(|state| !is_connecting(state));
            let _ = tokio::time::timeout(timeout, bind_ended).await;
        }
        if let Some(connection) = self.least_loaded() {
            return Ok(connection);
        }
        let bind_failure = connections.iter().find_map(|connection| match &*connection.state.borrow() {
            ConnectionState::Down(bind_failure) => Some(bind_failure.clone()),
            ConnectionState::Connecting | ConnectionState::Reconnecting | ConnectionState::Bound => None,
        });
        Err(bind_failure.unwrap_or(BindFailure::Connecting))
    }

    fn least_loaded(&self) -> Option<&SmppConnection> {
        self.connections()
            .iter()
            .filter(|connection| connection.is_bound())
            .min_by_key(|connection| connection.in_flight())
    }

    fn connections(&self) -> &[SmppConnection] {
        self.connections.get_or_init(|| {
            (0..self.config.binds)
                .map(|_| SmppConnection::spawn(Arc::clone(&self.config), Arc::clone(&self.handler)))
                .collect()
        })
    }
}
