//! Makes new connections: asks the hosts of a URL in turn, each for a limited time.
//!
//! The host that answered last is asked first, so that a host that is gone costs one wait and not one for each
//! connection. Keeps no connection: the pool does.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::address::Address;
use super::fault::Trouble;

/// Where new connections come from.
pub struct Door {
    address: Address,
    /// Which host is asked first.
    first: AtomicUsize,
}

impl Door {
    /// A door to these hosts.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            first: AtomicUsize::new(0),
        }
    }

    /// How many hosts there are to ask.
    pub fn hosts(&self) -> usize {
        self.address.hosts.len()
    }

    async fn ask(&self, place: usize) -> Result<Connection, Trouble> {
        let host = &self.address.hosts[place];
        let connecting = host.connect(self.address.tls.clone());
        let (client, connection) = timeout(self.address.host_limit, Box::pin(connecting))
            .await
            .map_err(|_| Trouble::Silent)??;
        let carrier = tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!(
                    "a connection to the database server ended: {}",
                    Trouble::from(error)
                );
            }
        });
        Ok(Connection { client, carrier })
    }
}

impl Manager for Door {
    type Type = Connection;
    type Error = Trouble;

    async fn create(&self) -> Result<Connection, Trouble> {
        let hosts = self.address.hosts.len();
        let first = if self.address.spread {
            self.first.fetch_add(1, Ordering::Relaxed)
        } else {
            self.first.load(Ordering::Relaxed)
        };
        let mut worst = Trouble::Silent;
        for step in 0..hosts {
            let place = first.wrapping_add(step) % hosts;
            match self.ask(place).await {
                Ok(connection) => {
                    if !self.address.spread {
                        self.first.store(place, Ordering::Relaxed);
                    }
                    return Ok(connection);
                }
                Err(trouble) if trouble.says_more_than(&worst) => worst = trouble,
                Err(_) => {}
            }
        }
        Err(worst)
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Trouble> {
        if connection.is_closed() {
            return Err(RecycleError::message("closed"));
        }
        Ok(())
    }
}

/// A connection and the task that carries it. Dropping it ends both.
pub struct Connection {
    client: Client,
    carrier: JoinHandle<()>,
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.carrier.abort();
    }
}
