//! When a step's connection to a server is opened and closed, and who shares it.

use std::sync::Arc;

use crossbeam_utils::atomic::AtomicCell;
use serde::{Deserialize, Serialize};

use super::{
    gate::{Bar, Gate},
    session::Session,
};
use crate::{
    client::{Fault, Lease, Pool},
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
    runtime::Native,
    step::pool_waits::PoolWaits,
    targets::{
        PoolSpec,
        sql::{GivenUpSession, Opened, Server},
    },
};

/// `connection`: when connections are opened and closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    /// Opened when the slot is first used, and kept by it; the steps of a task share it.
    Keep,
    /// Opened and closed by every call.
    PerCall,
    /// Opened by the first step of a task that needs it, and closed by the last.
    PerTask,
    /// One of the target's pool.
    Pool,
}

const CHOICES: &[(&str, Policy)] = &[
    ("keep", Policy::Keep),
    ("per-call", Policy::PerCall),
    ("per-task", Policy::PerTask),
    ("pool", Policy::Pool),
];

impl Field for Policy {
    fn schema() -> serde_json::Value {
        choice_schema(CHOICES)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, CHOICES, diagnostics)
    }
}

/// A connection with what it keeps of each step that has used it.
pub(super) struct SqlConnection<S, P> {
    pub session: S,
    /// The statements of each step, by its number.
    pub prepared: Vec<(usize, Vec<P>)>,
    counted: Opened,
    server: Arc<Server>,
    /// Of the slot that keeps it; none where it has a place in a pool.
    gate: Option<Arc<dyn Bar>>,
}

impl<S, P> SqlConnection<S, P> {
    /// Says good-bye; the server has forgotten the statements then, too.
    async fn close<N: Native>(self)
    where
        S: Session<N>,
    {
        let Self { session, prepared, counted, .. } = self;
        session.close().await;
        drop((prepared, counted));
    }
}

/// Where the steps of one sequence find the connection that they share: they run one after another.
pub(super) struct SqlConnectionSlot<N: Native, T> {
    kept: AtomicCell<Option<Box<T>>>,
    gate: Arc<Gate<N>>,
}

impl<N: Native, T> Default for SqlConnectionSlot<N, T> {
    fn default() -> Self {
        Self { kept: AtomicCell::new(None), gate: Arc::default() }
    }
}

/// The connections of an engine, boxed: they are moved into calls and back.
type Seated<N, S> = SqlConnection<S, <S as Session<N>>::Statement>;

/// Where a step gets its connection from.
pub(super) enum ConnectionSource<N: Native, S: Session<N>> {
    /// See [`Policy::Keep`].
    Kept(Arc<SqlConnectionSlot<N, Seated<N, S>>>),
    /// See [`Policy::PerCall`].
    Fresh(Arc<Gate<N>>),
    /// See [`Policy::PerTask`]: whether the step is the first of its task, and the last, to use it.
    Task { slot: Arc<SqlConnectionSlot<N, Seated<N, S>>>, first: bool, last: bool },
    /// See [`Policy::Pool`]: with the histogram of waits.
    Pooled { pool: Arc<Pool<N, Box<Seated<N, S>>>>, waits: PoolWaits },
}

/// A place in a pool.
type PoolPlace<N, S> = Option<Lease<N, Box<Seated<N, S>>>>;

/// A connection, and its place in the pool that it is of.
type PooledConnection<N, S> = (Box<Seated<N, S>>, PoolPlace<N, S>);

/// A connection while a call uses it. One that is dropped is closed, and its place is free again;
/// while work is under way, only when the server has ended that.
pub(super) struct Taken<N: Native, S: Session<N>> {
    held: Option<PooledConnection<N, S>>,
    under_way: bool,
}

impl<N: Native, S: Session<N>> Taken<N, S> {
    fn new(connection: Box<Seated<N, S>>, lease: PoolPlace<N, S>) -> Self {
        Self { held: Some((connection, lease)), under_way: false }
    }

    /// The connection.
    #[expect(
        clippy::expect_used,
        reason = "only `give_back` and `drop` take it out, and nobody has this after them"
    )]
    pub fn connection(&mut self) -> &mut Seated<N, S> {
        &mut self.held.as_mut().expect("it is held until it is given back").0
    }

    /// The connection, on which work begins.
    pub fn begin(&mut self) -> &mut Seated<N, S> {
        self.under_way = true;
        self.connection()
    }

    /// The work has ended, well or not.
    pub fn has_ended(&mut self) {
        self.under_way = false;
    }
}

impl<N: Native, S: Session<N>> Drop for Taken<N, S> {
    fn drop(&mut self) {
        let Some((connection, lease)) = self.held.take().filter(|_| self.under_way) else { return };
        let Some(session) = connection.session.number() else { return };
        let owed = connection.gate.clone().map(Bar::owe);
        let server = connection.server.clone();
        server.end(GivenUpSession { session, connection, place: Box::new((lease, owed)) });
    }
}

impl<N: Native, S: Session<N>> ConnectionSource<N, S> {
    /// Whether the slot keeps its connection from task to task.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }

    /// A connection: one that is there, or a new one. For one of a pool it waits for as long as the
    /// scenario allows, which is recorded. A call should find the one that the slot keeps.
    pub async fn take(&self, server: &Arc<Server>, in_call: bool) -> Result<Taken<N, S>, Fault> {
        let (found, lease) = match self {
            Self::Fresh(_) => (None, None),
            Self::Kept(slot) => (slot.kept.take(), None),
            Self::Task { slot, first, .. } => (slot.kept.take().filter(|_| !first), None),
            Self::Pooled { pool, waits } => {
                let mut lease = waits.acquire(pool).await?;
                (lease.take(), Some(lease))
            }
        };
        match found {
            Some(connection) if connection.session.is_open() => {
                return Ok(Taken::new(connection, lease));
            }
            // Of a pool, one that was lost is not given back, and the place is free for another
            // one.
            Some(_) => server.reopen(),
            None if in_call && self.is_kept() => server.reopen(),
            None => {}
        }
        Ok(Taken::new(self.open(server).await?, lease))
    }

    /// A new connection, once the server has ended those that this slot has given up.
    async fn open(&self, server: &Arc<Server>) -> Result<Box<Seated<N, S>>, Fault> {
        let gate = match self {
            Self::Fresh(gate) => Some(gate),
            Self::Kept(slot) | Self::Task { slot, .. } => Some(&slot.gate),
            Self::Pooled { .. } => None,
        };
        if let Some(gate) = gate {
            gate.passed().await;
        }
        // In a box of its own: a call's future is moved into its place in every call, and must not
        // have room for a login.
        let session = Box::pin(S::open(server)).await?;
        let gate = gate.map(|gate| gate.clone() as Arc<dyn Bar>);
        Ok(Box::new(SqlConnection {
            session,
            prepared: Vec::new(),
            counted: server.open(),
            server: server.clone(),
            gate,
        }))
    }

    /// After a call that left the connection fit for another one.
    pub async fn give_back(&self, mut taken: Taken<N, S>) {
        let Some((connection, lease)) = taken.held.take() else { return };
        match (self, lease) {
            (Self::Pooled { .. }, Some(lease)) => lease.give_back(connection),
            (Self::Kept(slot) | Self::Task { slot, last: false, .. }, _) => {
                slot.kept.store(Some(connection));
            }
            _ => Box::pin(connection.close()).await,
        }
    }
}

/// The pool of a target.
pub(super) fn pool<N: Native, T: Send + 'static>(server: &Server) -> Pool<N, T> {
    let spec = server.pool.as_ref();
    Pool::new(spec.map_or(1, |spec| spec.max as usize), spec.and_then(PoolSpec::limit))
}
