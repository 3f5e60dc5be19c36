//! Where an operation's blocking part runs: on the executor's own thread, where the executor puts
//! such work, or in a pool that is nobody's but the scenario's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    site::{BuildError, Site},
    spec::PoolBeside,
};
use crate::{
    config::{Diagnostics, Field, Node, Value, choice_schema, read_choice},
    runtime::{NativeWork, OwnPool, Runtime},
};

/// The choice that operations offer as `blocking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockingChoice {
    /// On the thread that runs the task, which does nothing else meanwhile.
    Inline,
    /// On a thread of the executor's pool for blocking work; executors without a scheduler run it
    /// inline.
    Offload,
    /// On a thread of one pool for all such steps of the trial, the same under every executor.
    OwnPool,
}

const CHOICES: &[(&str, BlockingChoice)] = &[
    ("inline", BlockingChoice::Inline),
    ("offload", BlockingChoice::Offload),
    ("own-pool", BlockingChoice::OwnPool),
];

/// What only computing can be handed to.
pub(super) const PROCESS_POOL: &str = "process-pool";

impl BlockingChoice {
    /// The pool beside the executor that it is.
    pub fn pool_beside(self) -> Option<PoolBeside> {
        (self == Self::OwnPool).then_some(PoolBeside::Threads)
    }

    /// The place itself, for a step that is built there.
    pub fn at<R: Runtime>(self, site: &Site<R>) -> Result<Workplace, BuildError> {
        Ok(match self {
            Self::Inline => Workplace::Inline,
            Self::Offload => Workplace::Offload,
            Self::OwnPool => Workplace::OwnPool(own_pool(site)?),
        })
    }
}

/// The trial's pool, with as many threads as `thread-pool` has; made when it is first asked for.
fn own_pool<R: Runtime>(site: &Site<R>) -> Result<Arc<OwnPool>, BuildError> {
    let threads = site.trial.pool_size;
    let made = site.trial.commons.shared("", || OwnPool::start(threads).map(Arc::new));
    let refused = |why: &String| BuildError(format!("`blocking = \"own-pool\"`: {why}"));
    made.as_ref().as_ref().map(Arc::clone).map_err(refused)
}

/// A place for blocking work.
#[derive(Clone)]
pub enum Workplace {
    /// See [`BlockingChoice::Inline`].
    Inline,
    /// See [`BlockingChoice::Offload`].
    Offload,
    /// See [`BlockingChoice::OwnPool`].
    OwnPool(Arc<OwnPool>),
}

impl Workplace {
    /// Does the work there. It owns what it needs and hands it back, so that nothing is allocated
    /// for it here.
    pub async fn run<N, T, W>(&self, work: W) -> T
    where
        N: NativeWork,
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        match self {
            Self::Inline => work(),
            Self::Offload => N::unblock(work).await,
            Self::OwnPool(pool) => N::wait_for(pool.run(work)).await,
        }
    }
}

impl Field for BlockingChoice {
    fn schema() -> serde_json::Value {
        choice_schema(CHOICES)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if text == PROCESS_POOL) {
            let why = "`process-pool` is for `cpu` only: a file or a connection that this process has opened is not in another one";
            let help = "write \"own-pool\": threads apart from the executor";
            diagnostics.error(node.span.clone(), why, Some(help.to_owned()));
            return None;
        }
        read_choice(node, CHOICES, diagnostics)
    }
}
