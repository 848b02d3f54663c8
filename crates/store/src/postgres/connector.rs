//! Opens connections: tries the hosts of a URL in order, each with a timeout.
//!
//! The host that was used last is tried first, so that an unavailable host costs one timeout and not one for each
//! connection. The pool keeps the connections.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio::{task::JoinHandle, time::timeout};
use tokio_postgres::Client;

use super::{connection_config::PgConnectionConfig, errors::PgError};

/// Opens connections to the servers of a URL.
pub struct PgConnector {
    config: PgConnectionConfig,
    /// Index of the host that is tried first.
    first_host: AtomicUsize,
}

impl PgConnector {
    /// Creates a connector.
    pub fn new(config: PgConnectionConfig) -> Self {
        Self { config, first_host: AtomicUsize::new(0) }
    }

    /// Returns the servers as `HOST:PORT`, separated by commas.
    pub fn server_list(&self) -> String {
        self.config.server_list()
    }

    /// Returns the number of hosts.
    pub fn host_count(&self) -> usize {
        self.config.hosts.len()
    }

    async fn connect_to_host(&self, index: usize) -> Result<PgConnection, PgError> {
        let host = &self.config.hosts[index];
        let connect = host.connect(self.config.tls.clone());
        let (client, connection) =
            timeout(self.config.connect_timeout, Box::pin(connect)).await.map_err(|_| PgError::Timeout)??;
        let driver_task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("connection to the database server ended: {}", PgError::from(error));
            }
        });
        Ok(PgConnection { client, driver_task })
    }
}

impl Manager for PgConnector {
    type Type = PgConnection;
    type Error = PgError;

    async fn create(&self) -> Result<PgConnection, PgError> {
        let host_count = self.host_count();
        let first_host = if self.config.is_load_balanced {
            self.first_host.fetch_add(1, Ordering::Relaxed)
        } else {
            self.first_host.load(Ordering::Relaxed)
        };
        let mut most_specific_error = PgError::Timeout;
        for offset in 0..host_count {
            let host_index = first_host.wrapping_add(offset) % host_count;
            match self.connect_to_host(host_index).await {
                Ok(connection) => {
                    if !self.config.is_load_balanced {
                        self.first_host.store(host_index, Ordering::Relaxed);
                    }
                    return Ok(connection);
                }
                Err(error) if error.is_at_least_as_specific_as(&most_specific_error) => {
                    most_specific_error = error;
                }
                Err(_) => {}
            }
        }
        Err(most_specific_error)
    }

    async fn recycle(&self, connection: &mut PgConnection, _: &Metrics) -> RecycleResult<PgError> {
        if connection.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}

/// A connection and the task that drives it. Dropping a `PgConnection` closes the connection.
pub struct PgConnection {
    client: Client,
    driver_task: JoinHandle<()>,
}

impl Deref for PgConnection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for PgConnection {
    fn drop(&mut self) {
        self.driver_task.abort();
    }
}
