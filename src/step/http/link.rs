//! The connection of a slot, whatever the version of the protocol and whoever has it beside the
//! slot.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Request;

use super::{
    answer::{HttpAnswer, Want},
    exchange::Connection,
    failed::Failed,
    http2::{Home, OwnLink, SharedLink, SharedLinks},
    lost::Lost,
    pooled::{HttpPooled, PooledLink},
    shared::HttpShared,
    spec::HttpLifetime,
};
use crate::runtime::Native;

/// Where a slot's connection comes from.
pub(super) enum LinkRoute<N: Native> {
    /// It is one of HTTP/1.1, and the slot's own.
    Lines,
    /// It is one of HTTP/1.1, and of the target's pool.
    Pooled(HttpPooled<N>),
    /// It is one of HTTP/2, and the slot's own.
    Own(Home<N>),
    /// It is one of HTTP/2 that all share.
    Shared {
        /// All of them.
        links: Arc<SharedLinks<N>>,
        /// The slot.
        slot: usize,
        /// The number of the one that the slot has lost.
        lost: Option<u64>,
    },
}

impl<N: Native> Clone for LinkRoute<N> {
    fn clone(&self) -> Self {
        match self {
            Self::Lines => Self::Lines,
            Self::Pooled(pooled) => Self::Pooled(pooled.clone()),
            Self::Own(home) => Self::Own(home.clone()),
            Self::Shared { links, slot, lost } => {
                Self::Shared { links: links.clone(), slot: *slot, lost: *lost }
            }
        }
    }
}

/// A slot's connection.
pub(super) enum Link<N: Native> {
    /// Of HTTP/1.1.
    Lines(Box<Connection<N>>),
    /// Of HTTP/1.1, and lent by the target's pool.
    Pooled(PooledLink<N>),
    /// Of HTTP/2, and the slot's own.
    Own(OwnLink<N>),
    /// Of HTTP/2, and shared.
    Shared(SharedLink),
}

impl<N: Native> LinkRoute<N> {
    /// A connection, and whether it was opened for this.
    pub(super) async fn open(&mut self, shared: &HttpShared) -> Result<(Link<N>, bool), Lost> {
        let endpoint = &shared.endpoint;
        match self {
            Self::Lines => {
                if endpoint.pool.is_some() {
                    // Said once is enough.
                    let _ = endpoint.around_pool.set(());
                }
                let opened = Connection::open(endpoint, shared.spec.chunk).await?;
                Ok((Link::Lines(opened), true))
            }
            Self::Pooled(pooled) => {
                let (link, is_new) = pooled.take(shared).await?;
                Ok((Link::Pooled(link), is_new))
            }
            Self::Own(home) => {
                let home = Some(home).filter(|_| shared.lifetime == HttpLifetime::Keep);
                Ok((Link::Own(OwnLink::open(endpoint, home.as_deref()).await?), true))
            }
            Self::Shared { links, slot, lost } => {
                let (link, is_new) = links.of_slot(*slot, *lost).await?;
                Ok((Link::Shared(link), is_new))
            }
        }
    }

    /// A connection that is open since a call which was given up.
    pub(super) fn left_open(&self) -> Option<Link<N>> {
        match self {
            Self::Own(home) => home.take().map(Link::Own),
            Self::Lines | Self::Pooled(_) | Self::Shared { .. } => None,
        }
    }

    /// The slot has lost this one.
    pub(super) fn lose(&mut self, link: &Link<N>) {
        if let (Self::Shared { lost, .. }, Link::Shared(link)) = (self, link)
            && !link.is_open()
        {
            *lost = Some(link.number());
        }
    }

    /// The call that has lost this one goes again.
    pub(super) fn go_again(&mut self, link: Link<N>) {
        self.lose(&link);
        if let (Self::Pooled(pooled), Link::Pooled(link)) = (self, link) {
            pooled.go_again(link);
        }
    }
}

impl<N: Native> Link<N> {
    /// Whether another exchange can be made on it, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.is_open(),
            Self::Pooled(lent) => lent.connection.is_open(),
            Self::Own(own) => own.is_open(),
            Self::Shared(link) => link.is_open(),
        }
    }

    /// Looks whether the peer has closed it, without waiting.
    pub(super) fn has_ended(&mut self) -> bool {
        match self {
            Self::Lines(lines) => lines.has_ended(),
            Self::Pooled(lent) => lent.connection.has_ended(),
            Self::Own(own) => own.has_ended(),
            Self::Shared(link) => !link.is_open(),
        }
    }

    /// Sends a request and reads its answer to the end.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Bytes>,
        want: Want<'_>,
    ) -> Result<HttpAnswer, Failed> {
        match self {
            Self::Lines(lines) => lines.exchange(request, want).await,
            Self::Pooled(lent) => lent.connection.exchange(request, want).await,
            Self::Own(own) => own.exchange(request, want).await,
            Self::Shared(link) => link.exchange(request, want).await,
        }
    }
}
