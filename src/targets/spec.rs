//! What a target is before it is started: parameters read from a scenario and stored in a plan.

use std::{any::Any, io, path::Path, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::connections::Connections;
use crate::{
    config::Fields,
    measure::{POOL_WAIT, TargetReport, Watched},
    secret::Lack,
};

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

    /// Whether its work is done in the trial's own process, so that no other one needs a CPU for
    /// it.
    fn is_embedded(&self) -> bool {
        false
    }

    /// What a run needs and this process lacks, with the remedy.
    fn unready(&self) -> Option<Lack> {
        None
    }

    /// Where a server of the user's own is, in words without the password; none of what Regatta
    /// makes itself.
    fn address(&self) -> Option<String> {
        None
    }

    /// What a server of the user's own says that it is, if it answers. It is asked, and waited for.
    fn version(&self) -> Option<String> {
        None
    }

    /// Whether tasks may have to wait for one of a few connections; the waits have a histogram of
    /// their own.
    fn has_pool(&self) -> bool {
        false
    }

    /// What runs in its process, until its standard input ends; only of kinds that have one.
    fn serve(&self, _seed: u64) -> io::Result<()> {
        Err(io::Error::other(format!("a target of kind `{}` has no process of its own", Self::KEY)))
    }

    /// Removes what a trial that was killed has left outside of its scratch folder; `name` is the
    /// target's, and `pid` was the trial's process. An error says what is left behind; the next
    /// trial tries again.
    fn sweep(&self, _name: &str, _pid: u32) -> Result<(), TargetError> {
        Ok(())
    }

    /// Starts it, or gets it ready, before a trial.
    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError>;
}

/// What a target gives to the steps that act on it: its address, its folder, what it will answer.
/// Each kind has its own type.
pub type Endpoint = Arc<dyn Any + Send + Sync>;

/// The name of the histogram of waits for a connection to a target. No step can be called so.
pub fn pool_stream(target: &str) -> String {
    format!("{target}{POOL_WAIT}")
}

/// With what a target is started.
pub struct Start<'a> {
    /// Its name in the scenario.
    pub name: &'a str,
    /// The seed of its contents and of its draws.
    pub seed: u64,
    /// An empty folder for the trial, removed afterwards.
    pub scratch: &'a Path,
    /// Starts its process, where it has one; only the trial layer may.
    pub launcher: &'a dyn Launcher,
    /// Where the harness has its own threads; none: anywhere.
    pub cpus: &'a [usize],
    /// Whether a step has the server keep something in a session from one statement to the next,
    /// such as a prepared statement.
    pub prepares: bool,
}

/// Starts a target's process on its CPUs.
pub trait Launcher {
    /// Starts the process that serves the target which is being started; its first line on standard
    /// output says that it is ready.
    fn launch(&self) -> Result<Box<dyn ServerProcess>, TargetError>;
}

/// A target's process, spoken to by lines of JSON. It is killed when this is dropped.
pub trait ServerProcess: Send {
    /// The process.
    fn pid(&self) -> u32;
    /// The line with which it said that it was ready.
    fn greeting(&self) -> &str;
    /// Sends a line and waits for the answer.
    fn ask(&mut self, line: &str) -> Result<String, TargetError>;
}

/// A target that is ready for a trial. Dropping it stops it.
pub trait Started: Send {
    /// What the steps need to know.
    fn endpoint(&self) -> Endpoint;
    /// The process or processes that do its work, where they are not the trial's and can be seen.
    fn watched(&self) -> Option<Watched> {
        None
    }
    /// What the report should say of it, by label.
    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// The account of the steps' connections to it, where it has one.
    fn connections(&self) -> Option<Connections> {
        None
    }
    /// Whether it still answers, after a trial has failed: connections may be open, and calls under
    /// way.
    fn answers(&mut self) -> Result<(), TargetError> {
        self.report().map(drop)
    }
    /// Operations that it has served so far, where it counts them and can be asked at any time.
    fn served_now(&mut self) -> Option<u64> {
        None
    }
    /// Its own account of what was done to it.
    fn report(&mut self) -> Result<TargetReport, TargetError>;
    /// Removes what it made outside of the trial's scratch folder, when nothing uses it any more.
    /// An error says what is left behind, and what to do about it.
    fn remove(&mut self) -> Result<(), TargetError> {
        Ok(())
    }
}

/// A target could not be started, or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("target `{name}`: {reason}")]
pub struct TargetError {
    /// The target's name.
    pub name: String,
    /// What happened, and what can be done.
    pub reason: String,
}

impl TargetError {
    /// An error of the target of this name.
    pub(super) fn of(name: &str, reason: String) -> Self {
        Self { name: name.into(), reason }
    }

    /// The same error, with what could not be removed after it.
    #[must_use]
    pub(super) fn and(mut self, removed: Result<(), Self>) -> Self {
        if let Err(left) = removed {
            self.reason = format!("{}; {}", self.reason, left.reason);
        }
        self
    }
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
                &[$((<$path as $crate::targets::TargetKind>::KEY, <$path as $crate::targets::TargetKind>::DOC),)*];

            /// Reads the parameters of the kind called `key`; `None` too if there is no such kind.
            pub fn read(key: &str, fields: &mut $crate::config::Fields<'_>) -> Option<Self> {
                $(if key == <$path as $crate::targets::TargetKind>::KEY {
                    return <$path as $crate::targets::TargetKind>::read(fields).map(Self::$variant);
                })*
                None
            }

            /// The key that names this kind.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$path as $crate::targets::TargetKind>::KEY,)* }
            }

            /// See [`TargetKind::start`].
            pub fn start(
                &self,
                start: &$crate::targets::Start<'_>,
            ) -> Result<Box<dyn $crate::targets::Started>, $crate::targets::TargetError> {
                match self { $(Self::$variant(target) => target.start(start),)* }
            }

            /// See [`TargetKind::sweep`].
            pub fn sweep(&self, name: &str, pid: u32) -> Result<(), $crate::targets::TargetError> {
                match self { $(Self::$variant(target) => target.sweep(name, pid),)* }
            }

            /// See [`TargetKind::serve`].
            pub fn serve(&self, seed: u64) -> std::io::Result<()> {
                match self { $(Self::$variant(target) => target.serve(seed),)* }
            }

            /// See [`TargetKind::unready`].
            pub fn unready(&self) -> Option<$crate::secret::Lack> {
                match self { $(Self::$variant(target) => target.unready(),)* }
            }

            /// See [`TargetKind::address`].
            pub fn address(&self) -> Option<String> {
                match self { $(Self::$variant(target) => target.address(),)* }
            }

            /// See [`TargetKind::version`].
            pub fn version(&self) -> Option<String> {
                match self { $(Self::$variant(target) => target.version(),)* }
            }

            /// See [`TargetKind::has_pool`].
            pub fn has_pool(&self) -> bool {
                match self { $(Self::$variant(target) => target.has_pool(),)* }
            }

            /// See [`TargetKind::has_process`].
            pub fn has_process(&self) -> bool {
                match self { $(Self::$variant(target) => target.has_process(),)* }
            }

            /// See [`TargetKind::is_embedded`].
            pub fn is_embedded(&self) -> bool {
                match self { $(Self::$variant(target) => target.is_embedded(),)* }
            }

            /// Whether it is a server of the user's own, whose times nobody knows.
            pub fn is_own_server(&self) -> bool {
                !self.has_process() && !self.is_embedded()
            }
        }
    };
}
pub(super) use targets;
