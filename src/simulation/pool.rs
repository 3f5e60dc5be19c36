//! Little's law at a pool of connections: what is recorded as waits must be the queue that somebody
//! else sees.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{SimulatedNative, simulate};
use crate::{
    client::Pool,
    clock, draw,
    measure::{Ending, Recorders},
    runtime::{NativeTimers as _, Runtime},
};

const TASKS: u64 = 64;
const CONNECTIONS: usize = 4;
const CALLS: u64 = 200;
/// The gauge is read this often.
const GLANCE: Duration = Duration::from_micros(7);

/// Mean number of tasks that wait: by the histogram of waits (arrivals a second times the mean
/// wait), and by a gauge that another task reads in equal steps of time.
fn queue(connections: usize) -> (f64, f64) {
    simulate(|runtime| {
        let pool: Arc<Pool<SimulatedNative, u64>> = Arc::new(Pool::new(connections, None));
        let recorders = Recorders::new(2, vec![("db.pool-wait".into(), false)]);
        recorders.set_window(0, u64::MAX);
        let (waiting, at_work) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(TASKS)));
        let start_ns = clock::now_ns();
        for task in 0..TASKS {
            let (pool, recorder) = (pool.clone(), recorders.of_slot(task as usize));
            let (waiting, at_work) = (waiting.clone(), at_work.clone());
            let calls = async move {
                for call in 0..CALLS {
                    let asked_ns = clock::now_ns();
                    waiting.fetch_add(1, Relaxed);
                    let mut lease = pool.acquire().await.expect("there is no time limit");
                    waiting.fetch_sub(1, Relaxed);
                    recorder.record(1, asked_ns, asked_ns, clock::now_ns(), Ending::Done);
                    let connection = lease.take().unwrap_or(task);
                    SimulatedNative::sleep(Duration::from_micros(
                        20 + draw::draw(5, task, call) % 300,
                    ))
                    .await;
                    lease.give_back(connection);
                    SimulatedNative::sleep(Duration::from_micros(draw::draw(6, task, call) % 900))
                        .await;
                }
                at_work.fetch_sub(1, Relaxed);
            };
            runtime.spawn_detached(calls).expect("virtual tasks can always be started");
        }
        let (sum, glances) = runtime.block_on(async {
            let (mut sum, mut glances) = (0, 0_u64);
            while at_work.load(Relaxed) > 0 {
                SimulatedNative::sleep(GLANCE).await;
                sum += waiting.load(Relaxed);
                glances += 1;
            }
            (sum, glances)
        });
        let seconds = (clock::now_ns() - start_ns) as f64 / 1e9;
        let waits = &recorders.steps()[0].stream;
        assert_eq!(waits.count, TASKS * CALLS);
        let by_histogram = waits.count as f64 / seconds * waits.latency.0.mean() / 1e9;
        (by_histogram, sum as f64 / glances as f64)
    })
}

#[test]
fn waits_for_a_connection_are_the_queue_that_a_gauge_sees() {
    let (by_histogram, by_gauge) = queue(CONNECTIONS);
    // Four connections are far too few, so that most of the tasks wait.
    assert!(by_gauge > 40.0, "{by_gauge}");
    assert!(
        (by_histogram / by_gauge - 1.0).abs() < 0.01,
        "histogram {by_histogram}, gauge {by_gauge}"
    );
}

#[test]
fn nobody_waits_where_everybody_has_a_connection() {
    let (by_histogram, by_gauge) = queue(TASKS as usize);
    assert!(by_gauge == 0.0 && by_histogram < 1e-3, "histogram {by_histogram}, gauge {by_gauge}");
}
