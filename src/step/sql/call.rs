//! A step's calls on a blocking engine: in place, or in the executor's pool for blocking work.

use std::{marker::PhantomData, path::Path, sync::Arc};

use super::{sqlite::SqliteSession, work::SqlWork};
use crate::{
    draw,
    runtime::Native,
    step::{Call, Done, Failure, Opening, Operation, StepOutcome, Workplace},
    targets::sql::Database,
};

/// Keys the draws of the round trips apart from those of the arguments.
const ROUND_TRIP: u64 = 1 << 32;

/// A step in one slot, with its own connection.
pub(super) struct SqliteCalls<N> {
    /// None before the first use, and while a call owns it.
    session: Option<Box<SqliteSession>>,
    way: Way<N>,
}

/// How a step's calls reach its database.
pub(super) struct Way<N> {
    pub database: Arc<Database>,
    /// The database file.
    pub path: Arc<Path>,
    pub work: Arc<SqlWork>,
    /// Round trips of a call.
    pub trips: u32,
    /// The step's draws.
    pub seed: u64,
    pub blocking: Workplace,
    pub native: PhantomData<fn() -> N>,
}

impl<N> Clone for Way<N> {
    fn clone(&self) -> Self {
        Self {
            database: self.database.clone(),
            path: self.path.clone(),
            work: self.work.clone(),
            blocking: self.blocking.clone(),
            ..*self
        }
    }
}

impl<N> SqliteCalls<N> {
    /// Calls without a connection as yet.
    pub fn new(way: Way<N>) -> Self {
        Self { session: None, way }
    }
}

impl<N: Native> Way<N> {
    /// Opens the connection and learns what is to be learned.
    async fn open(&self) -> Result<Box<SqliteSession>, Failure> {
        let Self { database, path, work, .. } = self.clone();
        let opened = self.blocking.run::<N, _, _>(move || {
            let mut session = SqliteSession::open(&path, database.account(), work)?;
            session.learn()?;
            Ok(session)
        });
        opened.await.map_err(Failure::Wrong)
    }

    /// The simulated round trips of one call, one wait each.
    ///
    /// A transaction waits for all of them before it begins, so that it never waits with the write
    /// lock in hand: an executor whose threads block on that lock could not run the very task that
    /// is to give it back.
    async fn travel(&self, key: u64) {
        for trip in 0..u64::from(self.trips) {
            let time =
                self.database.delay.sample(draw::mix(draw::mix(self.seed, key), ROUND_TRIP + trip));
            if !time.is_zero() {
                N::sleep(time).await;
            }
        }
    }
}

impl<N: Native> Operation for SqliteCalls<N> {
    async fn open(&mut self, _: Opening) -> StepOutcome {
        if self.session.is_none() {
            self.session = Some(self.way.open().await?);
        }
        Ok(Done::default())
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let mut session = match self.session.take() {
            Some(session) => session,
            // The one before was lost with a cancelled call.
            None => self.way.open().await?,
        };
        if let Err(why) = self.way.work.check_values() {
            self.session = Some(session);
            return Err(Failure::Wrong(why));
        }
        session.bind(&call, self.way.seed);
        self.way.travel(call.key).await;
        session.begin();
        let run = move || {
            let outcome = session.run();
            (session, outcome)
        };
        let (session, outcome) = self.way.blocking.run::<N, _, _>(run).await;
        self.session = Some(session);
        outcome.map_err(Failure::Wrong)
    }
}
