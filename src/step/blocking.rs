//! Where an operation's blocking part runs: on the executor's own thread, or where the executor
//! puts such work.

use serde::{Deserialize, Serialize};

use crate::{
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
    runtime::NativeWork,
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
}

const CHOICES: &[(&str, BlockingChoice)] =
    &[("inline", BlockingChoice::Inline), ("offload", BlockingChoice::Offload)];

impl BlockingChoice {
    /// Does the work there. It owns what it needs and hands it back, so that nothing is allocated
    /// for it here.
    pub async fn run<N, T, W>(self, work: W) -> T
    where
        N: NativeWork,
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        match self {
            Self::Inline => work(),
            Self::Offload => N::unblock(work).await,
        }
    }
}

impl Field for BlockingChoice {
    fn schema() -> serde_json::Value {
        choice_schema(CHOICES)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, CHOICES, diagnostics)
    }
}
