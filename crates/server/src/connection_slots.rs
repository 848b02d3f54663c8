//! Decides which connections stay open when the maximum number is reached.
//!
//! When all places are taken, the connections that were idle for the longest time are closed. If no connection is idle,
//! a few reserved places answer probes, so that a busy process does not look dead. The number of connections of one
//! address is limited, except for proxies, which carry the connections of many clients.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::connection_timer::ConnectionTimer;
use super::peer::peer_network;

/// Number of connections beyond the maximum, each of which serves one probe. Enough for a few load balancers and a
/// kubelet.
const PROBE_CONNECTIONS_MAX: usize = 8;

/// One of `EVICTED_SHARE` connections is closed at once to make room, so that during a flood not every new connection
/// causes a search of all connections.
const EVICTED_SHARE: usize = 100;

/// The permission of a new connection.
pub(super) enum Admission {
    /// Any number of requests.
    Full(ConnectionSlot),
    /// One request for `/healthz` or `/readyz`.
    ProbeOnly(ConnectionSlot),
    /// No request: the connection must be closed.
    Refused,
}

/// The places of all connections of a listener.
pub(super) struct ConnectionSlots {
    connections_max: usize,
    connections_per_peer_max: usize,
    table: Mutex<SlotTable>,
}

/// The open connections.
#[derive(Default)]
struct SlotTable {
    next_id: u64,
    open: HashMap<u64, OpenConnection>,
    /// Number of open connections by address, without proxies.
    by_peer: HashMap<IpAddr, usize>,
    probe_count: usize,
}

struct OpenConnection {
    /// `None` for a proxy.
    peer: Option<IpAddr>,
    timer: Arc<ConnectionTimer>,
    close: Arc<Notify>,
}

/// The place of one connection. Dropping it makes the place free.
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    /// `None` for a place that is reserved for probes.
    id: Option<u64>,
    /// Phase of the connection.
    pub(super) timer: Arc<ConnectionTimer>,
    /// Notified when the connection must be closed to make room.
    pub(super) close: Arc<Notify>,
}

impl ConnectionSlots {
    /// Returns only free places.
    pub(super) fn new(connections_max: usize, connections_per_peer_max: usize) -> Self {
        Self { connections_max, connections_per_peer_max, table: Mutex::default() }
    }

    /// Returns a place for a new connection, after closing others if needed. `is_proxy` exempts it from the limit of its
    /// address.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, is_proxy: bool) -> Admission {
        let peer = (!is_proxy).then(|| peer_network(address));
        let (timer, close) = (Arc::new(ConnectionTimer::new()), Arc::<Notify>::default());
        let slot = |id| ConnectionSlot {
            slots: Arc::clone(self),
            id,
            timer: Arc::clone(&timer),
            close: Arc::clone(&close),
        };
        let mut connection_table = self.table.lock();
        let peer_count = peer.and_then(|peer| connection_table.by_peer.get(&peer)).copied().unwrap_or(0);
        if peer_count >= self.connections_per_peer_max && !connection_table.evict(peer, 1) {
            return Admission::Refused;
        }
        if connection_table.open.len() >= self.connections_max
            && !connection_table.evict(None, self.connections_max.div_ceil(EVICTED_SHARE))
        {
            if connection_table.probe_count >= PROBE_CONNECTIONS_MAX {
                return Admission::Refused;
            }
            connection_table.probe_count += 1;
            return Admission::ProbeOnly(slot(None));
        }
        let connection = OpenConnection { peer, timer: Arc::clone(&timer), close: Arc::clone(&close) };
        Admission::Full(slot(Some(connection_table.insert(connection))))
    }
}

impl SlotTable {
    fn insert(&mut self, connection: OpenConnection) -> u64 {
        let connection_id = self.next_id;
        self.next_id += 1;
        if let Some(peer) = connection.peer {
            *self.by_peer.entry(peer).or_default() += 1;
        }
        self.open.insert(connection_id, connection);
        connection_id
    }

    fn remove(&mut self, id: u64) -> Option<OpenConnection> {
        let connection = self.open.remove(&id)?;
        if let Some(peer) = connection.peer
            && let Some(peer_count) = self.by_peer.get_mut(&peer)
        {
            *peer_count -= 1;
            if *peer_count == 0 {
                self.by_peer.remove(&peer);
            }
        }
        Some(connection)
    }

    /// Closes up to `count` connections, the longest idle first; only those of `peer` if it is given. Returns whether at
    /// least one could be closed.
    fn evict(&mut self, peer: Option<IpAddr>, count: usize) -> bool {
        let of_peer = self.open.iter().filter(|(_, open)| peer.is_none() || open.peer == peer);
        let mut evictable: Vec<_> =
            of_peer.filter_map(|(id, open)| Some((open.timer.eviction_order()?, *id))).collect();
        if count < evictable.len() {
            evictable.select_nth_unstable(count);
            evictable.truncate(count);
        }
        for (_, id) in &evictable {
            if let Some(connection) = self.remove(*id) {
                connection.close.notify_one();
            }
        }
        !evictable.is_empty()
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut connection_table = self.slots.table.lock();
        match self.id {
            Some(connection_id) => drop(connection_table.remove(connection_id)),
            None => connection_table.probe_count -= 1,
        }
    }
}
