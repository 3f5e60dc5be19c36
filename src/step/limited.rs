//! `timeout` and `on_timeout`: a time limit around any step that can be ended early.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use super::{
    OnTimeout,
    exec::{Call, Opening, Operation, Repeated, Step, Tallied, Work},
    ledger::{Owned, TallyCell, ValueCell},
    outcome::{Done, Failure, StepOutcome},
    sequence::UntilEnd,
    site::{Broken, BuildError},
    value::TakenValue,
};
use crate::{clock, runtime::NativeTimers};

/// What the values of a step are after a time-out that is ignored, and where that is counted.
pub(super) struct Defaults {
    /// Each value, and what it is then.
    pub values: Vec<(Arc<TakenValue>, String)>,
    /// Gives each instance a cell of its own.
    pub counter: Box<dyn Fn() -> Owned<ValueCell> + Send + Sync>,
}

/// Rebuilds the step inside after its state was lost with a cancelled call.
type Rebuild = dyn Fn() -> Result<Box<dyn Step>, BuildError> + Send + Sync;

/// A step with a time limit.
pub struct Limited<N> {
    inner: Box<dyn Step>,
    limit: Duration,
    on_timeout: OnTimeout,
    words: String,
    /// None: the step takes no values, or its time-out ends the task.
    defaults: Option<(Arc<Defaults>, Owned<ValueCell>)>,
    native: PhantomData<fn() -> N>,
}

impl<N: NativeTimers> Limited<N> {
    /// `words` names the step in errors; `stops` counts the tasks that end with it.
    pub(super) fn wrap(
        inner: Box<dyn Step>,
        (limit, on_timeout): (Duration, OnTimeout),
        words: String,
        stops: Owned<TallyCell>,
        defaults: Option<Defaults>,
        rebuild: impl Fn() -> Result<Box<dyn Step>, BuildError> + Send + Sync + 'static,
    ) -> Box<dyn Step> {
        let first = std::sync::Mutex::new(Some(inner));
        let rebuild: Box<Rebuild> = Box::new(rebuild);
        let defaults = defaults.map(Arc::new);
        let make = move || {
            let first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            // What could be built once from the same plan can be built again; if not, its first
            // call says so.
            let inner =
                first.unwrap_or_else(|| rebuild().unwrap_or_else(|error| Box::new(Broken(error))));
            let defaults = defaults.clone().map(|defaults| {
                let counts = (defaults.counter)();
                (defaults, counts)
            });
            Self { inner, limit, on_timeout, words: words.clone(), defaults, native: PhantomData }
        };
        Box::new(Repeated::counted(Tallied::Stops(stops), make))
    }
}

impl<N> Limited<N> {
    /// The call had a time-out, and the task goes on: its values are their defaults.
    fn use_defaults(&self) {
        if let Some((defaults, counts)) = &self.defaults {
            for (value, default) in &defaults.values {
                value.set(default);
            }
            counts.time_out();
        }
    }
}

impl<N: NativeTimers> Operation for Limited<N> {
    async fn prepare(&mut self) -> StepOutcome {
        self.inner.start(Work::Prepare);
        UntilEnd(self.inner.as_mut()).await
    }

    /// What takes longer than a call may is left to the call, whose time-out the scenario speaks
    /// of.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        self.inner.start(Work::Open(when));
        if when == Opening::Preparation {
            return UntilEnd(self.inner.as_mut()).await;
        }
        let in_time = N::timeout(self.limit, UntilEnd(self.inner.as_mut())).await;
        in_time.unwrap_or_else(|_| {
            self.inner.cancel();
            Ok(Done::default())
        })
    }

    async fn call(&mut self, mut call: Call) -> StepOutcome {
        let own = clock::now_ns().saturating_add(self.limit.as_nanos() as u64);
        call.deadline_ns = Some(call.deadline_ns.map_or(own, |outer| outer.min(own)));
        self.inner.start(Work::Run(call));
        if let Ok(outcome) = N::timeout(self.limit, UntilEnd(self.inner.as_mut())).await {
            return outcome;
        }
        self.inner.cancel();
        let counted = Done { timeouts: 1, ..Done::default() };
        match self.on_timeout {
            OnTimeout::Ignore => {
                self.use_defaults();
                Ok(counted)
            }
            OnTimeout::Skip => Err(Failure::Skipped(counted)),
            OnTimeout::Fail => Err(Failure::Wrong(format!(
                "step {} took longer than its limit of {}; raise `timeout`, or say \
                 `on_timeout = \"skip\"` or `\"ignore\"` if that may happen",
                self.words,
                crate::units::format_duration(self.limit)
            ))),
        }
    }
}
