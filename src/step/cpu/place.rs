//! Where `cpu` computes: where blocking work is done, or in processes of their own.

use serde::{Deserialize, Serialize};

use crate::{
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
    step::{BlockingChoice, PoolBeside, blocking::PROCESS_POOL},
};

/// The choice that `cpu` offers as `blocking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputePlace {
    /// See [`BlockingChoice::Inline`].
    Inline,
    /// See [`BlockingChoice::Offload`].
    Offload,
    /// See [`BlockingChoice::OwnPool`].
    OwnPool,
    /// In one of the trial's worker processes, the same under every executor.
    ProcessPool,
}

const CHOICES: &[(&str, ComputePlace)] = &[
    ("inline", ComputePlace::Inline),
    ("offload", ComputePlace::Offload),
    ("own-pool", ComputePlace::OwnPool),
    (PROCESS_POOL, ComputePlace::ProcessPool),
];

impl ComputePlace {
    /// The place in the trial's own process, if it is there.
    pub fn in_this_process(self) -> Option<BlockingChoice> {
        match self {
            Self::Inline => Some(BlockingChoice::Inline),
            Self::Offload => Some(BlockingChoice::Offload),
            Self::OwnPool => Some(BlockingChoice::OwnPool),
            Self::ProcessPool => None,
        }
    }

    /// The pool beside the executor that it is.
    pub fn pool_beside(self) -> Option<PoolBeside> {
        self.in_this_process().map_or(Some(PoolBeside::Processes), BlockingChoice::pool_beside)
    }
}

impl Field for ComputePlace {
    fn schema() -> serde_json::Value {
        choice_schema(CHOICES)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, CHOICES, diagnostics)
    }
}
