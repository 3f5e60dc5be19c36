//! The server's own account of what it did, against which the client's account is proven.

use std::collections::BTreeMap;

use super::hub::HubCounts;
use crate::targets::http::ServedCounts;

/// What the counts call the messages that were received.
pub(super) const RECEIVED: &str = "messages received";
/// What they call the messages that were sent.
pub(super) const SENT: &str = "messages sent";
/// What they call the connections that became WebSocket ones.
pub(super) const UPGRADES: &str = "upgrades";
/// What they call registrations at the hub.
pub(super) const REGISTERED: &str = "members registered";
/// What they call members that left.
pub(super) const UNREGISTERED: &str = "members unregistered";
/// What they call the deliveries that follow from what was published.
pub(super) const DUE: &str = "deliveries due";
/// What they call full rooms.
pub(super) const ROOMS: &str = "rooms filled";

/// Counts since the server started.
#[derive(Debug, Default)]
pub struct WebSocketCounts {
    /// Connections and TLS handshakes, as the server of `http` counts them.
    pub connections: ServedCounts,
    /// Connections that became WebSocket ones.
    pub upgrades: u64,
    /// Requests that were no upgrade, and frames that broke the protocol.
    pub rejected: u64,
    /// Messages with data that came whole: to be sent back, or published.
    pub received: u64,
    /// Messages with data that were sent whole: echoes, and deliveries.
    pub sent: u64,
    /// Of them, deliveries.
    pub delivered: u64,
    /// Messages that were not sent because the connection had ended.
    pub abandoned: u64,
    /// Close frames that came.
    pub closes: u64,
    /// Most bytes that waited for a peer that read slowly.
    pub waiting_most: u64,
}

impl WebSocketCounts {
    /// The counts by name, as a target reports them.
    pub fn to_map(&self, hub: &HubCounts) -> BTreeMap<String, u64> {
        let of_server = self.connections.to_map();
        let common = of_server.into_iter().filter(|(name, _)| {
            name.starts_with("connections") || name.starts_with("TLS") || name == "accepts refused"
        });
        let own = [
            (UPGRADES, self.upgrades),
            ("upgrades and frames rejected", self.rejected),
            (RECEIVED, self.received),
            (SENT, self.sent),
            ("messages abandoned", self.abandoned),
            ("close frames received", self.closes),
            ("bytes waiting for a peer at most", self.waiting_most),
        ];
        let own =
            own.into_iter().chain(if hub.registered == 0 { Vec::new() } else { of_hub(hub, self) });
        common.chain(own.map(|(name, count)| (name.to_owned(), count))).collect()
    }
}

fn of_hub(hub: &HubCounts, counts: &WebSocketCounts) -> Vec<(&'static str, u64)> {
    vec![
        (ROOMS, hub.rooms),
        (REGISTERED, hub.registered),
        (UNREGISTERED, hub.unregistered),
        ("members lost", hub.lost),
        ("messages published", hub.published),
        (DUE, hub.due),
        ("deliveries", counts.delivered),
    ]
}
