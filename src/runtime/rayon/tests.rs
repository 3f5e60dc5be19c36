//! Jobs, tasks and waits of rayon. Each test that could hang without what it tests is watched.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc::{Sender, channel},
    },
    thread::{self, ThreadId},
    time::Duration,
};

use ::tokio::sync::Semaphore as Gate;

use super::{super::blocking::Meanwhile as _, *};
use crate::{
    clock,
    runtime::{
        Blocking, Coordination, Mutex as _, NativeTimers as _, NativeWork as _, OwnPool,
        Semaphore as _, Ticket,
    },
};

fn pool(workers: usize, stack_size: Option<u64>) -> Rayon {
    Rayon::start(&Setup { workers: 1, pool_size: workers, stack_size }).expect("threads")
}

/// What comes of work that must not hang.
fn watched<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = channel();
    thread::spawn(move || done.send(work()));
    is_done.recv_timeout(Duration::from_secs(60)).expect("it ends, and does not panic")
}

/// A job on one of two workers waits for its child, which the other has taken and which waits for a
/// stranger: so that only the first worker can run that.
fn stranger_frees_child(pool: &Rayon) -> (ThreadId, ThreadId) {
    let (child_begins, child_has_begun) = channel();
    let (free, is_freed) = channel();
    let (wait, waits) = channel();
    let own = pool.clone();
    let waiting = pool.spawn(async move {
        let child = async move {
            child_begins.send(()).expect("somebody listens");
            is_freed.recv().expect("it is freed");
        };
        let child = own.spawn(child).expect("the pool is there");
        child_has_begun.recv().expect("another worker steals it");
        wait.send(()).expect("somebody listens");
        child.await;
        thread::current().id()
    });
    waits.recv().expect("it comes to wait");
    let stranger = pool.spawn(async move {
        free.send(()).expect("the child listens");
        thread::current().id()
    });
    let both = async { (waiting.expect("given").await, stranger.expect("given").await) };
    pool.block_on(both)
}

#[test]
fn a_worker_that_waits_for_its_children_runs_a_strangers_job() {
    watched(|| {
        let pool = pool(2, None);
        // Often enough that the stranger comes before the worker lies down, and after.
        for _ in 0..300 {
            let (waiting, stranger) = stranger_frees_child(&pool);
            assert_eq!(waiting, stranger);
        }
        pool.stop();
    });
}

/// The same for a task that has not begun, which waits where rayon has its injector.
#[test]
fn a_worker_that_waits_for_its_children_begins_another_task() {
    watched(|| {
        for _ in 0..100 {
            let pool = pool(2, None);
            let tickets = pool.tickets(0).expect("a pool has tickets");
            tickets.hold();
            let freed = Arc::new(Gate::new(0));
            let (begin, has_begun) = channel();
            let start = |number| {
                let its = tickets.of_lane();
                let lane = frees_or_waits(pool.clone(), its.clone(), freed.clone(), begin.clone());
                pool.spawn_lane(&its, number, lane).expect("the pool is there")
            };
            let lanes = [0, 1].map(start);
            tickets.admit_one(Ticket { number: 0, due_ns: 0 });
            has_begun.recv().expect("the child begins, on the other worker");
            tickets.admit_one(Ticket { number: 1, due_ns: 0 });
            tickets.retire();
            pool.block_on(async {
                for lane in lanes {
                    lane.await;
                }
            });
            pool.stop();
        }
    });
}

/// The first task waits for a child that blocks its worker until the second task has run.
async fn frees_or_waits(pool: Rayon, tickets: Tickets, freed: Arc<Gate>, begin: Sender<()>) {
    while let Some(ticket) = tickets.next_ticket().await {
        if ticket.number > 0 {
            freed.add_permits(1);
        } else {
            let (freed, begin) = (freed.clone(), begin.clone());
            let (stolen, is_stolen) = channel();
            let child = async move {
                stolen.send(()).expect("its parent listens");
                begin.send(()).expect("somebody listens");
                while freed.try_acquire().is_err() {
                    thread::sleep(Duration::from_micros(50));
                }
            };
            let child = pool.spawn(child).expect("the pool is there");
            is_stolen.recv().expect("the other worker steals it");
            child.await;
        }
        tickets.retire();
    }
}

/// Each job waits for the last one, so that all of them come to lie on one stack.
#[test]
fn what_lies_on_a_stack_is_bounded_by_its_size() {
    const JOBS: usize = 3000;
    let begun = watched(|| {
        let pool = pool(1, Some(256 << 10));
        let (gate, begun) = (Arc::new(Gate::new(0)), Arc::new(AtomicUsize::new(0)));
        let deep = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..JOBS)
            .map(|_| {
                let (crew, gate) = (pool.0.clone(), gate.clone());
                let (begun, deep) = (begun.clone(), deep.clone());
                let job = async move {
                    let number = begun.fetch_add(1, SeqCst) + 1;
                    if crew.begins_own() {
                        let _ = deep.compare_exchange(0, number, SeqCst, SeqCst);
                        gate.close();
                    }
                    assert!(gate.acquire().await.is_err(), "nobody gives permits");
                };
                pool.spawn(job).expect("the pool is there")
            })
            .collect();
        pool.block_on(async {
            for job in jobs {
                job.await;
            }
        });
        pool.stop();
        assert_eq!(begun.load(SeqCst), JOBS);
        deep.load(SeqCst)
    });
    assert!((2..JOBS).contains(&begun), "{begun} lay on the stack when half of it was used");
}

/// Nobody else could run them: there is one worker, which begins nothing of others' any more.
#[test]
fn a_worker_whose_stack_is_half_used_runs_its_own_children() {
    fn below(pool: Rayon, left: Option<u32>) -> Pin<Box<dyn Future<Output = u32> + Send>> {
        Box::pin(async move {
            let left = match left {
                None if pool.0.begins_own() => Some(3),
                None => None,
                Some(0) => return 1,
                Some(left) => Some(left - 1),
            };
            let child = pool.spawn(below(pool.clone(), left)).expect("the pool is there");
            child.await + 1
        })
    }
    let levels = watched(|| {
        let pool = pool(1, Some(256 << 10));
        let top = pool.spawn(below(pool.clone(), None)).expect("the pool is there");
        let levels = pool.block_on(top);
        pool.stop();
        levels
    });
    assert!(levels > 5, "{levels}");
}

#[test]
fn a_job_that_panics_does_so_where_it_is_awaited_and_its_worker_goes_on() {
    watched(|| {
        let pool = pool(1, None);
        let parent = pool.clone();
        let broken = pool.spawn(async move {
            let child = parent.spawn(async { panic!("broken") }).expect("the pool is there");
            child.await;
        });
        let broken = broken.expect("the pool is there");
        assert!(catch_unwind(AssertUnwindSafe(|| pool.block_on(broken))).is_err());
        let job = pool.spawn(async { 5 }).expect("the pool is there");
        assert_eq!(pool.block_on(job), 5);
        pool.stop();
    });
}

#[test]
fn a_job_that_is_given_up_before_it_has_begun_never_begins() {
    let ran = watched(|| {
        let (pool, ran) = (pool(1, None), Arc::new(AtomicUsize::new(0)));
        let (go_on, goes_on) = channel::<()>();
        let busy = pool.spawn(async move { goes_on.recv().expect("it is told") });
        let [given_up, kept] = [1, 10].map(|number| {
            let ran = ran.clone();
            let job = async move { ran.fetch_add(number, SeqCst) };
            pool.spawn(job).expect("the pool is there")
        });
        drop(given_up);
        go_on.send(()).expect("the worker listens");
        pool.block_on(async {
            busy.expect("the pool is there").await;
            kept.await;
        });
        pool.stop();
        ran.load(SeqCst)
    });
    assert_eq!(ran, 10);
}

/// CountsItsEnd when it is dropped, as what belongs to a thread is when that ends.
struct CountsItsEnd(Arc<AtomicUsize>);

impl Drop for CountsItsEnd {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn no_thread_is_left_after_the_end_and_every_job_has_run() {
    thread_local! {
        static OWN: std::cell::OnceCell<CountsItsEnd> = const { std::cell::OnceCell::new() };
    }
    let (ended, ran) = watched(|| {
        let (pool, ended, ran) = (pool(3, None), Arc::default(), Arc::new(AtomicUsize::new(0)));
        let meet = Arc::new(std::sync::Barrier::new(3));
        for number in 0..40 {
            let (ended, ran, meet) = (Arc::clone(&ended), ran.clone(), meet.clone());
            let job = async move {
                if number < 3 {
                    meet.wait();
                    OWN.with(|own| own.get_or_init(|| CountsItsEnd(ended)).0.load(SeqCst));
                }
                ran.fetch_add(1, SeqCst);
            };
            pool.spawn_detached(job).expect("the pool is there");
        }
        // A worker that waits for what is due, of which there will be nothing.
        let tickets = pool.tickets(0).expect("a pool has tickets");
        tickets.admit(std::iter::once(Ticket { number: 0, due_ns: u64::MAX / 2 }));
        let other = pool.clone();
        pool.stop();
        assert!(other.spawn_detached(async {}).is_err(), "the pool has ended");
        (ended.load(SeqCst), ran.load(SeqCst))
    });
    assert_eq!((ended, ran), (3, 40));
}

/// A lane that notes which tickets it served, and puts each back once, to be due a little later.
async fn lane(tickets: Tickets, again: u64) -> Vec<u64> {
    let (mut served, mut held) = (Vec::new(), tickets.next_ticket().await);
    while let Some(ticket) = held {
        let now_ns = clock::now_ns();
        assert!(ticket.due_ns <= now_ns, "nobody begins a task early");
        served.push(ticket.number);
        held = if ticket.number < again {
            let due_ns = now_ns + 100_000 * (ticket.number % 3);
            let next = Ticket { number: ticket.number + again, due_ns };
            tickets.exchange(next, now_ns).await.map(|(ticket, _)| ticket)
        } else {
            tickets.retire();
            tickets.next_ticket().await
        };
    }
    served
}

/// Fewer lanes than workers, and more; several loads share the pool.
#[test]
fn every_ticket_is_served_and_every_lane_ends() {
    watched(|| {
        for round in 0..60 {
            let pool = pool(3, None);
            let loads = [(0, 1 + round % 5, 40), (1, 1, 25), (2, 30, 30)];
            let mut started = Vec::new();
            for (load, lanes, clients) in loads {
                let tickets = pool.tickets(load).expect("a pool has tickets");
                tickets.admit((0..clients).map(|number| Ticket { number, due_ns: 0 }));
                for number in 0..lanes {
                    let its = tickets.of_lane();
                    let lane = pool.spawn_lane(&its, number, lane(its.clone(), clients));
                    started.push((load, lane.expect("the pool is there")));
                }
            }
            let mut served = [const { Vec::new() }; 3];
            pool.block_on(async {
                for (load, lane) in started {
                    served[load].extend(lane.await);
                }
            });
            for (load, _, clients) in loads {
                served[load].sort_unstable();
                assert_eq!(served[load], (0..2 * clients).collect::<Vec<_>>(), "load {load}");
            }
            pool.stop();
        }
    });
}

/// What the tasks of a random plan share.
struct WhatPlansShare {
    pool: Rayon,
    mutexes: [<Blocking as Coordination>::Mutex; 2],
    permits: <Blocking as Coordination>::Semaphore,
}

/// A number that follows from another one.
fn next(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) ^ (mixed >> 31)
}

/// A task of a random plan: children, and whoever holds something has none meanwhile. How many
/// leaves it has come to.
fn random(
    things: Arc<WhatPlansShare>,
    seed: u64,
    levels: u32,
) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        let pause = Duration::from_micros(next(seed) % 60);
        match next(seed ^ 5) % 6 {
            0 | 1 if levels > 0 => {
                let each = (0..=seed % 4).map(|child| next(seed.wrapping_add(child)));
                let children: Vec<_> = each
                    .map(|seed| things.pool.spawn(random(things.clone(), seed, levels - 1)))
                    .collect();
                let mut leaves = 0;
                for child in children {
                    leaves += child.expect("the pool is there").await;
                }
                leaves
            }
            0..=2 => {
                let mutex = &things.mutexes[(seed % 2) as usize];
                let _held = mutex.lock().await;
                Blocking::sleep(pause).await;
                1
            }
            3 => {
                things.permits.acquire().await;
                Blocking::sleep(pause).await;
                things.permits.release();
                1
            }
            4 => {
                let limited = Blocking::timeout(pause, things.mutexes[0].lock()).await;
                u64::from(limited.is_ok() || limited.is_err())
            }
            _ => {
                Blocking::sleep(pause).await;
                1
            }
        }
    })
}

#[test]
fn random_plans_of_children_locks_and_permits_come_to_their_end() {
    for workers in 1..=4 {
        watched(move || {
            let pool = pool(workers, Some(128 << 10));
            let mutexes = [(); 2].map(|()| <Blocking as Coordination>::Mutex::new());
            let permits = <Blocking as Coordination>::Semaphore::new(2);
            let things = Arc::new(WhatPlansShare { pool: pool.clone(), mutexes, permits });
            let plans: Vec<_> = (0..400)
                .map(|number| pool.spawn(random(things.clone(), next(number * 7), 5)))
                .collect();
            pool.block_on(async {
                for plan in plans {
                    assert!(plan.expect("the pool is there").await > 0);
                }
            });
            pool.stop();
        });
    }
}

/// A worker that ran another task meanwhile would ask for the mutex that lies beneath it.
#[test]
fn who_waits_for_a_pool_of_ones_own_runs_nothing_else() {
    watched(|| {
        let pool = pool(2, None);
        let own = std::sync::Arc::new(OwnPool::start(1).expect("a thread"));
        let mutex = std::sync::Arc::new(<Blocking as Coordination>::Mutex::new());
        let tasks = (0..16).map(|_| {
            let (own, mutex) = (own.clone(), mutex.clone());
            let task = async move {
                let _held = mutex.lock().await;
                // Long enough for a worker to look for something else.
                let work = || thread::sleep(Duration::from_millis(1));
                Blocking::wait_for(own.run(work)).await;
            };
            pool.spawn(task).expect("given")
        });
        let tasks: Vec<_> = tasks.collect();
        pool.block_on(async {
            for task in tasks {
                task.await;
            }
        });
        pool.stop();
    });
}
