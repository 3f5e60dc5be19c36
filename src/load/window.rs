//! The measured window. It belongs to the trial: several loads may share it, begin together and end
//! when each of them has measured what it should.

use std::time::Duration;

use super::LoadShared;
use crate::{
    clock,
    runtime::{Native, Runtime, Tickets},
};

/// The window of a trial, as one of its loads sees it.
pub trait Window: Sync {
    /// The place of this load among those of its trial.
    fn load(&self) -> usize {
        0
    }

    /// When the loads of its trial begin to warm up, in ns of the clock; none: it is alone, and
    /// begins at once.
    fn start_ns(&self) -> Option<u64> {
        None
    }

    /// When those of the other loads have measured that end by time, in ns of the clock; none:
    /// there are none.
    fn others_end_ns(&self) -> Option<u64> {
        None
    }

    /// This load begins to measure.
    fn opens(&self);

    /// This load has measured.
    fn closes(&self);
}

/// A window at whose edges nobody looks.
impl Window for () {
    fn opens(&self) {}

    fn closes(&self) {}
}

/// The load's way to the workers of a pool, where there is one.
pub(super) fn tickets<R: Runtime>(runtime: &R, window: &impl Window) -> Option<Tickets> {
    runtime.tickets(window.load())
}

/// Waits until the loads begin to measure after a warm-up of so many ns; not at all, if the load is
/// alone.
pub(super) async fn wait<N: Native>(window: &impl Window, warmup_ns: u64, shared: &LoadShared) {
    /// How often it is looked whether the trial must fail, in ns.
    const GLANCE_NS: u64 = 50_000_000;
    let Some(from_ns) = window.start_ns().map(|start_ns| start_ns.saturating_add(warmup_ns)) else {
        return;
    };
    while clock::now_ns() < from_ns && !shared.stopped() {
        let rest_ns = from_ns.saturating_sub(clock::now_ns());
        N::sleep(Duration::from_nanos(rest_ns.min(GLANCE_NS))).await;
    }
}
