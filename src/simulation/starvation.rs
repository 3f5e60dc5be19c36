//! Clients that wait for a pool whose places go to who asks first: the figures look well, and the
//! verdict must not.

use std::{sync::Arc, time::Duration};

use super::{SimulatedNative, closed::WINDOW_NS, simulate, verdict::judge};
use crate::{
    analysis::{Judgement, Validity},
    client::Pool,
    clock,
    load::{Closed, ClosedEnd, Launched, Left, LoadShared, Slot, per_client, prepare},
    measure::{Ending, Measurements, POOL_FACTS, Recorder, Recorders, TrialMeasured},
    runtime::{Coordination, NativeTimers as _, Runtime, Semaphore},
    step::{Call, Done, Operation, Repeated, Sequence, StepOutcome},
    units::Distribution,
};

const MS: u64 = 1_000_000;

/// The semaphore of the simulated world, which is that of smol and of async-std.
type Places = <SimulatedNative as Coordination>::Semaphore;

/// A call over a connection of the pool, as `sql` makes it.
struct Pooled {
    pool: Arc<Pool<SimulatedNative, ()>>,
    waits: Recorder,
}

impl Operation for Pooled {
    async fn call(&mut self, _: Call) -> StepOutcome {
        let asked_ns = clock::now_ns();
        let lease = self.pool.acquire().await.expect("there is no time limit");
        let served_ns = clock::now_ns();
        self.waits.record(1, asked_ns, asked_ns, served_ns, Ending::Done);
        if lease.was_passed_over() {
            self.waits.passed_over(1, asked_ns, served_ns);
        }
        SimulatedNative::sleep(Duration::from_millis(1)).await;
        lease.give_back(());
        Ok(Done::default())
    }
}

/// Clients in a closed loop over a pool of so many connections, as a trial stores what it measured.
fn measured(clients: u64, connections: usize) -> Measurements {
    simulate(|runtime| {
        let recorders = Recorders::new(2, vec![("db.pool-wait".into(), false)]);
        let (pool, shared) =
            (Arc::new(Pool::new(connections, None)), Arc::new(LoadShared::default()));
        let slot = |number: usize| {
            let (pool, waits) = (pool.clone(), recorders.of_slot(number));
            let call = Repeated::new(move || Pooled { pool: pool.clone(), waits: waits.clone() });
            Slot::new(number, Sequence::new(vec![Box::new(call)]), &recorders, shared.clone(), 42)
        };
        let mut slots: Vec<Slot> = (0..clients as usize).map(slot).collect();
        prepare(runtime, &mut slots, None).expect("nothing to get ready");
        let think = Distribution::Const(Duration::ZERO);
        let (end, warmup_ns) = (ClosedEnd::After(WINDOW_NS), 100 * MS);
        let load =
            Closed { clients, stages: None, think, end, warmup_ns, drain_ns: WINDOW_NS, seed: 42 };
        let Launched { lanes, watch, .. } =
            load.launch(WINDOW_NS, runtime, &mut slots, &recorders, &());
        runtime.block_on(lanes.run(runtime)).expect("virtual tasks can always be started");
        let facts = POOL_FACTS.into_iter().zip([Places::NAME, Places::TURNS]);
        Measurements {
            window_ns: WINDOW_NS,
            completed: watch.drained(Left::default(), 0).completed,
            clients: per_client(&watch.slots()),
            task: recorders.task(),
            steps: recorders.steps(),
            trial: TrialMeasured {
                facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
                ..TrialMeasured::default()
            }
            .into(),
            ..Measurements::default()
        }
    })
}

fn verdict(clients: u64, connections: usize) -> Judgement {
    judge("closed", (clients, 0), &measured(clients, connections))
}

/// Little's law would call this INVALID ("makes 1.00 clients, and there are 8"), which sends the
/// user to the wrong place.
#[test]
fn who_never_gets_a_place_is_starved_by_a_primitive_with_a_name() {
    let of_clients = measured(8, 1).clients.expect("a closed load has clients");
    assert_eq!((of_clients.clients, of_clients.starved, of_clients.least), (8, 7, 1));
    let judged = verdict(8, 1);
    assert_eq!(judged.validity, Validity::Starved, "{judged:?}");
    let why = judged.reason().expect("it is told");
    assert!(why.starts_with("7 of 8 clients completed less than a tenth of their share"), "{why}");
    assert!(why.contains(": the semaphore of async-lock gives a place to who asks first"), "{why}");
}

#[test]
fn where_there_is_a_place_for_each_nobody_starves() {
    for (clients, connections) in [(1, 1), (8, 8), (4, 5)] {
        let judged = verdict(clients, connections);
        assert_eq!(
            judged.validity,
            Validity::Valid,
            "{clients} clients, {connections} connections: {judged:?}"
        );
    }
}
