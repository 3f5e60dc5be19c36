//! Waits for a connection of a target's pool, which have a histogram of their own.

use std::sync::Arc;

use super::Site;
use crate::{
    client::{Fault, Lease, Pool},
    clock,
    measure::{Ending, Recorder},
    runtime::{Native, Runtime},
    targets::pool_stream,
};

/// Where the waits of one slot are recorded; none: nowhere.
#[derive(Clone)]
pub(super) struct PoolWaits(Option<(Recorder, usize)>);

impl PoolWaits {
    /// Of a step that stands there, for a connection to this target.
    pub fn at<R: Runtime>(site: &Site<R>, target: &str) -> Self {
        let recorders = &site.trial.recorders;
        let stream = recorders.stream_of(&pool_stream(target));
        Self(stream.map(|stream| (recorders.of_slot(site.slot), stream)))
    }

    #[cfg(test)]
    pub fn nowhere() -> Self {
        Self(None)
    }

    /// Waits for the right to a connection, for as long as the pool allows.
    pub async fn acquire<N: Native, T: Send + 'static>(
        &self,
        pool: &Arc<Pool<N, T>>,
    ) -> Result<Lease<N, T>, Fault> {
        let asked_ns = clock::now_ns();
        let lease = pool.acquire().await;
        if let Some((recorder, stream)) = &self.0 {
            let ending = if lease.is_ok() { Ending::Done } else { Ending::TimedOut };
            let now_ns = clock::now_ns();
            recorder.record(*stream, asked_ns, asked_ns, now_ns, ending);
            if lease.as_ref().is_ok_and(Lease::was_passed_over) {
                recorder.passed_over(*stream, asked_ns, now_ns);
            }
        }
        lease
    }
}
