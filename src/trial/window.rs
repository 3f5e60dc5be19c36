//! The window of a trial, and what its counters say at the edges: one reading each, however many
//! loads there are.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicUsize, Ordering::AcqRel},
};

use super::{edge::Edge, wire::TrialPlan};
use crate::{clock, load::Window};

/// Loads begin so long after their threads were started, in ns.
const LEAD_NS: u64 = 5_000_000;

/// The window of a trial's loads.
pub(super) struct TrialWindow<'a> {
    sample: Box<dyn Fn() -> Edge + Sync + 'a>,
    /// When the loads begin, in ns of the clock; none: there is one, and it begins at once.
    start_ns: Option<u64>,
    /// When those loads have measured that end by time, in ns of the clock; none: none does.
    end_ns: Option<u64>,
    /// The loads that have not measured yet.
    open: AtomicUsize,
    before: OnceLock<Edge>,
    after: Mutex<Option<Edge>>,
}

/// The window as one of the loads sees it.
pub(super) struct LoadWindow<'a> {
    window: &'a TrialWindow<'a>,
    load: usize,
}

impl<'a> TrialWindow<'a> {
    /// For the loads of a plan; `sample` reads the counters.
    pub(super) fn of(plan: &TrialPlan, sample: impl Fn() -> Edge + Sync + 'a) -> Self {
        let start_ns = (plan.loads.len() > 1).then(|| clock::now_ns() + LEAD_NS);
        let longest = plan.loads.iter().filter_map(|load| load.kind.measured(plan.duration)).max();
        let measured = longest.map(|longest| (plan.warmup + longest).as_nanos() as u64);
        Self {
            sample: Box::new(sample),
            start_ns,
            end_ns: start_ns.zip(measured).map(|(start_ns, ns)| start_ns.saturating_add(ns)),
            open: AtomicUsize::new(plan.loads.len()),
            before: OnceLock::new(),
            after: Mutex::default(),
        }
    }

    /// The window as the load with this place in the plan sees it.
    pub(super) fn of_load(&self, load: usize) -> LoadWindow<'_> {
        LoadWindow { window: self, load }
    }

    /// The counters at its edges, when all loads have ended. A load that could not be run has left
    /// none.
    pub(super) fn edges(&self) -> (Edge, Edge) {
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner).take();
        (self.before.get().cloned().unwrap_or_default(), after.unwrap_or_default())
    }
}

impl Window for LoadWindow<'_> {
    fn load(&self) -> usize {
        self.load
    }

    fn start_ns(&self) -> Option<u64> {
        self.window.start_ns
    }

    fn others_end_ns(&self) -> Option<u64> {
        self.window.end_ns
    }

    /// The first load to begin opens it for all.
    fn opens(&self) {
        self.window.before.get_or_init(|| (self.window.sample)());
    }

    /// The last one closes it.
    fn closes(&self) {
        if self.window.open.fetch_sub(1, AcqRel) == 1 {
            let edge = (self.window.sample)();
            *self.window.after.lock().unwrap_or_else(PoisonError::into_inner) = Some(edge);
        }
    }
}
