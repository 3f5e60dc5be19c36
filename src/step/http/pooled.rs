//! Connections of HTTP/1.1 that all tasks share: at most so many to a target, each lent to one call
//! at a time.

use std::sync::Arc;

use super::{exchange::Connection, lost::Lost, shared::HttpShared};
use crate::{
    client::{Lease, Pool},
    clock,
    runtime::Native,
    step::pool_waits::PoolWaits,
    targets::http::HttpPool,
};

/// A connection that nobody uses.
pub(super) struct Resting<N: Native> {
    connection: Box<Connection<N>>,
    /// Since when; 0 where nobody asks.
    since_ns: u64,
}

/// A target's pool, as one instance of a step sees it.
pub(super) struct HttpPooled<N: Native> {
    connections: Arc<Pool<N, Resting<N>>>,
    spec: HttpPool,
    waits: PoolWaits,
    /// The place of a call that goes again because its connection was lost.
    place: Option<Lease<N, Resting<N>>>,
}

impl<N: Native> Clone for HttpPooled<N> {
    fn clone(&self) -> Self {
        Self::new(self.connections.clone(), self.spec, self.waits.clone())
    }
}

/// A connection of a pool while a call has it. Dropping it closes the connection, and then its place
/// is free.
pub(super) struct PooledLink<N: Native> {
    // Dropped in this order.
    pub connection: Box<Connection<N>>,
    lease: Lease<N, Resting<N>>,
    spec: HttpPool,
}

/// The connections of a target's pool.
pub(super) fn connections<N: Native>(spec: &HttpPool) -> Pool<N, Resting<N>> {
    Pool::new(spec.places.max as usize, spec.places.limit())
}

impl<N: Native> HttpPooled<N> {
    /// A view of these connections, whose waits are recorded there.
    pub fn new(connections: Arc<Pool<N, Resting<N>>>, spec: HttpPool, waits: PoolWaits) -> Self {
        Self { connections, spec, waits, place: None }
    }

    /// A connection, and whether it was opened for this. A call that goes again has a new one.
    pub async fn take(&mut self, shared: &HttpShared) -> Result<(PooledLink<N>, bool), Lost> {
        let (mut lease, mut has_lost) = match self.place.take() {
            Some(lease) => (lease, true),
            None => (self.waits.acquire(&self.connections).await.map_err(Lost::Pool)?, false),
        };
        let spec = self.spec;
        if !has_lost {
            let idle;
            (idle, has_lost) = self.idle(&mut lease, shared);
            if let Some(connection) = idle {
                return Ok((PooledLink { connection, lease, spec }, false));
            }
        }
        let connection = Connection::open(&shared.endpoint, None).await?;
        if has_lost {
            shared.endpoint.connections.reopen();
        }
        Ok((PooledLink { connection, lease, spec }, true))
    }

    /// An idle connection that is fit for a call, if there is one, and whether some had ended. Those
    /// that are not fit are closed.
    fn idle(
        &self,
        lease: &mut Lease<N, Resting<N>>,
        shared: &HttpShared,
    ) -> (Option<Box<Connection<N>>>, bool) {
        let now_ns = if self.spec.ages() { clock::now_ns() } else { 0 };
        let mut has_lost = false;
        while let Some(Resting { mut connection, since_ns }) = lease.take_next() {
            if self.spec.is_stale(since_ns, now_ns) {
                shared.endpoint.connections.expire();
                continue;
            }
            // As with a connection that is kept: what changes something is not sent twice.
            let has_ended =
                !connection.is_open() || (!shared.is_idempotent && connection.has_ended());
            if !has_ended {
                return (Some(connection), has_lost);
            }
            has_lost = true;
        }
        (None, has_lost)
    }

    /// A call that has lost this connection goes again, in its place.
    pub fn go_again(&mut self, link: PooledLink<N>) {
        let PooledLink { connection, lease, .. } = link;
        drop(connection);
        self.place = Some(lease);
    }
}

impl<N: Native> PooledLink<N> {
    /// After a call that left it fit for another one, where there may be one.
    pub fn give_back(self) {
        let Self { connection, lease, spec } = self;
        if !spec.force_close && connection.is_open() {
            let since_ns = if spec.ages() { clock::now_ns() } else { 0 };
            lease.give_back(Resting { connection, since_ns });
        } else {
            drop(connection);
            drop(lease);
        }
    }
}

#[cfg(test)]
mod tests;
