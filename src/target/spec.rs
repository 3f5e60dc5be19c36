//! What a target is before it is started: parameters read from a scenario and stored in a plan.

use serde::{Serialize, de::DeserializeOwned};

use crate::config::Fields;

/// One kind of target.
pub trait TargetKind: Sized + Clone + Serialize + DeserializeOwned {
    /// The key that names the kind in a `[targets.x]` table.
    const KEY: &'static str;
    /// What it is, in one sentence.
    const DOC: &'static str;

    /// Reads the parameters from the table under [`Self::KEY`].
    fn read(fields: &mut Fields<'_>) -> Option<Self>;

    /// Whether it is a process that Regatta starts, so that it gets a CPU of its own.
    fn has_process(&self) -> bool;
}

/// Writes the sum type of all targets and its table from one line per kind.
macro_rules! targets {
    ($($variant:ident => $path:path,)*) => {
        /// A target of any kind.
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum TargetSpec {
            $(#[allow(missing_docs)] $variant($path),)*
        }

        impl TargetSpec {
            /// The keys and sentences of all kinds, in documentation order.
            pub const TABLE: &'static [(&'static str, &'static str)] =
                &[$((<$path as $crate::target::TargetKind>::KEY, <$path as $crate::target::TargetKind>::DOC),)*];

            /// Reads the parameters of the kind called `key`; `None` too if there is no such kind.
            pub fn read(key: &str, fields: &mut $crate::config::Fields<'_>) -> Option<Self> {
                $(if key == <$path as $crate::target::TargetKind>::KEY {
                    return <$path as $crate::target::TargetKind>::read(fields).map(Self::$variant);
                })*
                None
            }

            /// The key that names this kind.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$path as $crate::target::TargetKind>::KEY,)* }
            }

            /// See [`TargetKind::has_process`].
            pub fn has_process(&self) -> bool {
                match self { $(Self::$variant(target) => target.has_process(),)* }
            }
        }
    };
}
pub(super) use targets;
