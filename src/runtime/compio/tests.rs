//! What holds of compio's threads, tasks and streams.

use std::{
    future::{Future, poll_fn},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    pin::Pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use hyper::rt::{Read, ReadBuf, Write};

use super::{Compio, CompioNative, household::Household, stream::CompioStream};
use crate::runtime::{Io, NativeTimers, NativeWork, Runtime, Setup, threads_by_name};

const LONG: Duration = Duration::from_secs(20);
const TICK: Duration = Duration::from_micros(300);

fn start(workers: usize, pool_size: usize) -> Compio {
    Compio::start(&Setup { workers, pool_size, stack_size: None }).unwrap()
}

/// What a worker is called.
fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

async fn in_time<F: Future + Send>(future: F) -> F::Output
where
    F::Output: Send,
{
    CompioNative::timeout(LONG, future).await.expect("in time")
}

/// Both ends of a connection; the first one is compio's, opened on worker `number`.
fn pair(runtime: &Compio, number: usize) -> (CompioStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let opened = runtime.block_on(on(runtime, number, async move {
        CompioNative::connect(address).await.unwrap()
    }));
    (opened, listener.accept().unwrap().0)
}

/// Runs a future on this worker: starts tasks in turn until one is there.
async fn on<T: Send + 'static>(
    runtime: &Compio,
    number: usize,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let wanted = format!("compio-{number}");
    loop {
        let name = runtime.spawn(async { thread_name() }).unwrap().await;
        if name == wanted {
            // The turns go round: the same one is next after all others.
            for _ in 1..runtime.workers.len() {
                runtime.spawn(async {}).unwrap().await;
            }
            let wanted = wanted.clone();
            return runtime
                .spawn(async move {
                    assert_eq!(thread_name(), wanted);
                    future.await
                })
                .unwrap()
                .await;
        }
    }
}

fn poll_read(
    stream: &mut CompioStream,
    context: &mut Context<'_>,
    room: usize,
) -> Poll<std::io::Result<Vec<u8>>> {
    let mut bytes = vec![0; room];
    let mut buffer = ReadBuf::new(&mut bytes);
    match Pin::new(stream).poll_read(context, buffer.unfilled()) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Err(why)) => Poll::Ready(Err(why)),
        Poll::Ready(Ok(())) => Poll::Ready(Ok(buffer.filled().to_vec())),
    }
}

async fn read(stream: &mut CompioStream, room: usize) -> Vec<u8> {
    poll_fn(|context| poll_read(stream, context, room)).await.unwrap()
}

async fn write(stream: &mut CompioStream, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let taken = poll_fn(|context| Pin::new(&mut *stream).poll_write(context, rest)).await;
        rest = &rest[taken.unwrap()..];
    }
    poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)).await.unwrap();
}

fn sequence(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// compio's own reads lose what they had when they are given up; here a read goes on in its stream.
#[test]
fn no_byte_is_lost_by_reads_that_are_given_up() {
    let runtime = start(1, 1);
    let (mut stream, mut peer) = pair(&runtime, 0);
    let sent = sequence(10_000);
    let sending = {
        let sent = sent.clone();
        thread::spawn(move || {
            for part in sent.chunks(13) {
                peer.write_all(part).unwrap();
                thread::sleep(Duration::from_micros(200));
            }
        })
    };
    let reading = async move {
        let (mut got, mut given_up) = (Vec::new(), 0);
        while got.len() < 10_000 {
            match CompioNative::timeout(TICK, read(&mut stream, 5)).await {
                Ok(part) if part.is_empty() => break,
                Ok(part) => got.extend(part),
                Err(_) => given_up += 1,
            }
        }
        (got, given_up)
    };
    let task = runtime.spawn(in_time(reading)).unwrap();
    let (got, given_up) = runtime.block_on(task);
    sending.join().unwrap();
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    assert!(given_up > 0, "no read was ever given up");
    runtime.stop();
}

/// A read that is under way on one worker goes on when the stream is used on another, and its bytes
/// come first.
#[test]
fn a_stream_moves_between_workers_with_what_is_under_way() {
    let runtime = start(2, 1);
    let (mut stream, mut peer) = pair(&runtime, 0);
    let sent = sequence(4_000);
    let mut got = Vec::new();
    for (turn, part) in sent.chunks(40).enumerate() {
        // The read begins on the worker that has the stream, and is given up there.
        let begun = async move {
            let waiting = poll_read(&mut stream, &mut Context::from_waker(Waker::noop()), 64);
            assert!(waiting.is_pending());
            stream
        };
        stream = runtime.block_on(on(&runtime, turn % 2, begun));
        peer.write_all(part).unwrap();
        let taking = in_time(async move {
            let mut part = Vec::new();
            while part.len() < 40 {
                part.extend(read(&mut stream, 64).await);
            }
            write(&mut stream, &part).await;
            (stream, part)
        });
        let part;
        (stream, part) = runtime.block_on(on(&runtime, (turn + 1) % 2, taking));
        got.extend(part);
    }
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    let mut echoed = vec![0; sent.len()];
    peer.read_exact(&mut echoed).unwrap();
    assert!(echoed == sent);
    assert!(runtime.household.lent() >= 100, "{}", runtime.household.lent());
    // None of that was given up: a stream that moves keeps its operations.
    assert_eq!(runtime.household.given_up(), (0, 0));
    drop(stream);
    runtime.stop();
}

/// Waits until the kernel has given back what was given up.
fn returned(household: &Household) -> u64 {
    let mut looks = 0;
    loop {
        let (given_up, held) = household.given_up();
        if held == 0 {
            return given_up;
        }
        looks += 1;
        assert!(looks < 20_000, "{held} of {given_up} are still with the kernel");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_stream_that_is_dropped_elsewhere_gives_its_read_up_and_is_closed() {
    let runtime = start(2, 1);
    let many = 1_500;
    // More than a ring has places for: compio asks the kernel in vain to end the rest of them.
    let (streams, peers): (Vec<_>, Vec<_>) = (0..many).map(|_| pair(&runtime, 0)).unzip();
    let waiting = async move {
        let mut streams = streams;
        for stream in &mut streams {
            let waiting = poll_read(stream, &mut Context::from_waker(Waker::noop()), 1);
            assert!(waiting.is_pending());
        }
        streams
    };
    let streams = runtime.block_on(on(&runtime, 0, waiting));
    assert_eq!(runtime.household.given_up(), (0, 0));
    // On this thread, which is no worker.
    drop(streams);
    assert_eq!(runtime.household.given_up().0, many);
    for mut peer in peers {
        peer.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the peer sees the end");
    }
    assert_eq!(returned(&runtime.household), many);
    runtime.stop();
}

/// What a stream has taken is sent, even if nobody flushes it.
#[test]
fn what_was_written_is_sent_though_the_stream_is_dropped() {
    let runtime = start(1, 1);
    for _ in 0..200 {
        let (mut stream, mut peer) = pair(&runtime, 0);
        let writing = async move {
            let taken = poll_fn(|context| Pin::new(&mut stream).poll_write(context, b"farewell"));
            assert_eq!(taken.await.unwrap(), 8);
            // A read is under way, too, as hyper has one.
            let waiting = poll_read(&mut stream, &mut Context::from_waker(Waker::noop()), 1);
            assert!(waiting.is_pending());
        };
        runtime.block_on(on(&runtime, 0, writing));
        let mut got = Vec::new();
        peer.set_read_timeout(Some(LONG)).unwrap();
        peer.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"farewell");
    }
    runtime.stop();
}

#[test]
fn more_than_the_sockets_hold_goes_both_ways_at_once() {
    let runtime = start(1, 1);
    let (stream, mut peer) = pair(&runtime, 0);
    let sent = sequence(3_000_000);
    let echoing = thread::spawn(move || {
        let mut bytes = vec![0; 100_000];
        loop {
            let got = peer.read(&mut bytes).unwrap();
            if got == 0 {
                return;
            }
            peer.write_all(&bytes[..got]).unwrap();
        }
    });
    let (mut stream, expected) = (stream, sent.clone());
    let exchanging = in_time(async move {
        let (mut at, mut got) = (0, Vec::new());
        while got.len() < sent.len() {
            let part = poll_fn(|context| {
                while at < sent.len() {
                    match Pin::new(&mut stream).poll_write(context, &sent[at..]) {
                        Poll::Ready(taken) => at += taken.unwrap(),
                        Poll::Pending => break,
                    }
                }
                poll_read(&mut stream, context, 70_000)
            });
            got.extend(part.await.unwrap());
        }
        poll_fn(|context| Pin::new(&mut stream).poll_shutdown(context)).await.unwrap();
        assert!(read(&mut stream, 10).await.is_empty());
        got
    });
    let got = runtime.block_on(runtime.spawn(exchanging).unwrap());
    echoing.join().unwrap();
    assert!(got == expected);
    runtime.stop();
}

/// Says on which thread it is dropped.
struct Farewell(mpsc::Sender<String>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.send(thread_name());
    }
}

#[test]
fn a_task_that_is_given_up_is_dropped_on_its_worker() {
    let runtime = start(2, 1);
    let (tell, told) = mpsc::channel();
    for round in 0..400 {
        let (farewell, (begin, begun)) = (Farewell(tell.clone()), mpsc::channel());
        let task = runtime
            .spawn(async move {
                let _farewell = farewell;
                begin.send(thread_name()).unwrap();
                std::future::pending::<()>().await;
            })
            .unwrap();
        // Some are given up before they have begun.
        let home = (round % 2 == 0).then(|| begun.recv().unwrap());
        drop(task);
        let dropped = told.recv_timeout(LONG).expect("it is dropped");
        assert!(dropped.starts_with("compio-"), "{dropped}");
        assert!(home.is_none_or(|home| home == dropped));
    }
    runtime.stop();
}

#[test]
fn tasks_of_a_load_are_spread_and_children_stay() {
    let runtime = start(2, 1);
    let names = runtime.block_on(async {
        let mut names = Vec::new();
        for _ in 0..4 {
            let its = runtime.clone();
            let parent = async move {
                let child = its.spawn(async { thread_name() }).unwrap().await;
                (thread_name(), child)
            };
            names.push(runtime.spawn(parent).unwrap().await);
        }
        names
    });
    for (turn, (parent, child)) in names.iter().enumerate() {
        assert_eq!(parent, &format!("compio-{}", turn % 2));
        assert_eq!(parent, child);
    }
    runtime.stop();
}

/// So arrivals are started, by a task that is itself on a worker.
#[test]
fn what_nobody_waits_for_is_spread_whoever_starts_it() {
    let runtime = start(2, 1);
    let (tell, told) = mpsc::channel();
    let its = runtime.clone();
    let starts = async move {
        for _ in 0..4 {
            let tell = tell.clone();
            its.spawn_detached(async move { tell.send(thread_name()).unwrap() }).unwrap();
        }
    };
    runtime.block_on(runtime.spawn(starts).unwrap());
    let mut names: Vec<String> = told.into_iter().collect();
    names.sort_unstable();
    assert_eq!(names, ["compio-0", "compio-0", "compio-1", "compio-1"]);
    runtime.stop();
}

#[test]
fn a_panic_of_a_task_reaches_who_waits_and_the_worker_goes_on() {
    let runtime = start(1, 1);
    let broken = runtime.spawn(async { panic!("by the task") }).unwrap();
    let awaited = std::panic::AssertUnwindSafe(|| -> () { runtime.block_on(broken) });
    let why = std::panic::catch_unwind(awaited).unwrap_err();
    assert_eq!(why.downcast_ref::<&str>(), Some(&"by the task"));
    assert_eq!(runtime.block_on(runtime.spawn(async { 5 }).unwrap()), 5);
    runtime.stop();
}

/// The pool has no queue of its own: without ours a worker would spin until a thread is free.
#[test]
fn blocking_work_waits_in_a_queue_and_holds_up_no_worker() {
    let runtime = start(2, 3);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Barrier::new(4));
    let works: Vec<_> = (0..30)
        .map(|number| {
            let (running, most, gate) = (running.clone(), most.clone(), gate.clone());
            let work = move || {
                most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                if number < 3 {
                    gate.wait();
                }
                running.fetch_sub(1, Relaxed);
                number
            };
            runtime.spawn(async move { CompioNative::unblock(work).await }).unwrap()
        })
        .collect();
    // All threads are at work, and 27 wait: each worker still runs what is started on it.
    for number in 0..2 {
        let other = in_time(CompioNative::sleep(TICK));
        runtime.block_on(on(&runtime, number, other));
    }
    assert!(threads_by_name().contains_key("compio-blocking"));
    gate.wait();
    let done = runtime.block_on(async {
        let mut done = Vec::new();
        for work in works {
            done.push(work.await);
        }
        done
    });
    assert_eq!(done, (0..30).collect::<Vec<_>>());
    assert!(most.load(Relaxed) <= 3, "{} at once", most.load(Relaxed));
    assert_eq!(running.load(Relaxed), 0);
    runtime.stop();
}

#[test]
fn blocking_work_that_is_given_up_in_the_queue_is_not_done() {
    let runtime = start(1, 1);
    let (begin, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let first = runtime
        .spawn(CompioNative::unblock(move || {
            begin.send(()).unwrap();
            released.recv().unwrap();
        }))
        .unwrap();
    begun.recv().unwrap();
    let done = Arc::new(AtomicUsize::new(0));
    let second = {
        let done = done.clone();
        runtime.spawn(CompioNative::unblock(move || done.fetch_add(1, Relaxed))).unwrap()
    };
    // It is in the queue when this has run.
    runtime.block_on(runtime.spawn(async {}).unwrap());
    drop(second);
    runtime.block_on(runtime.spawn(async {}).unwrap());
    release.send(()).unwrap();
    runtime.block_on(first);
    let third = runtime.spawn(CompioNative::unblock(|| 3)).unwrap();
    assert_eq!(runtime.block_on(third), 3);
    assert_eq!(done.load(Relaxed), 0);
    let broken = runtime.spawn(CompioNative::unblock(|| panic!("by work"))).unwrap();
    let awaited = std::panic::AssertUnwindSafe(|| -> () { runtime.block_on(broken) });
    assert!(std::panic::catch_unwind(awaited).is_err());
    runtime.stop();
}

/// With compio's own 64 places for tasks that other threads wake, two workers that wake as many of
/// each other spin for ever.
#[test]
fn workers_may_wake_many_tasks_of_each_other_at_once() {
    let runtime = start(2, 1);
    let tasks = 2_000;
    for _ in 0..20 {
        let calls = [event_listener::Event::<()>::new(), event_listener::Event::new()];
        let calls = Arc::new(calls);
        let woken: Vec<_> = (0..2 * tasks)
            .map(|number| {
                let heard = calls[number % 2].listen();
                runtime.spawn(heard).unwrap()
            })
            .collect();
        // Tasks go to the workers in turn; each worker wakes those of the other one.
        let meet = Arc::new(Barrier::new(2));
        let waking: Vec<_> = (0..2)
            .map(|number| {
                let (calls, meet) = (calls.clone(), meet.clone());
                runtime
                    .spawn(async move {
                        meet.wait();
                        calls[1 - number].notify(usize::MAX);
                    })
                    .unwrap()
            })
            .collect();
        runtime.block_on(in_time(async {
            for task in woken.into_iter().chain(waking) {
                task.await;
            }
        }));
    }
    runtime.stop();
}
