//! `blocking = "process-pool"`: worker processes that compute for all tasks, which wait for a free
//! one, and then for its answer, in the executor's own way.
//!
//! A call is one write and one read on a stream of the executor. Whoever gives a call up leaves the
//! worker at work: the next one that gets this worker waits for that answer first, and workers that
//! owe none are taken before it.

use std::{future::poll_fn, io, net::TcpStream, os::fd::OwnedFd, pin::Pin, sync::Arc};

use concurrent_queue::ConcurrentQueue;
use hyper::rt::{Read, ReadBuf, Write};

use super::{
    kernel::KernelName,
    work::ResultCheck,
    worker::{FRAME, frame, numbers},
    workforce::Workforce,
};
use crate::{
    runtime::{Native, Semaphore as _},
    step::{BuildError, Call, Done, Failure, Opening, Operation, Site, StepOutcome},
};

/// The worker processes of a trial as an executor reaches them.
pub struct ProcessPool<N: Native> {
    workforce: Arc<Workforce>,
    permits: N::Semaphore,
    /// Who has nothing to do; who was idle for longest is taken first.
    idle: ConcurrentQueue<WorkerLine<N::Conn>>,
    /// Who has still to give an answer that nobody waits for.
    owing: ConcurrentQueue<WorkerLine<N::Conn>>,
}

impl<N: Native> ProcessPool<N> {
    /// The pool of the trial that a step is built for.
    pub fn of<R: crate::runtime::Runtime<Native = N>>(
        site: &Site<R>,
    ) -> Result<Arc<Self>, BuildError> {
        let workforce = site.trial.commons.shared::<Option<Arc<Workforce>>>("", || None);
        let Some(workforce) = workforce.as_ref().clone() else {
            let why = "`blocking = \"process-pool\"`: nobody has started worker processes";
            return Err(BuildError(why.to_owned()));
        };
        Ok(site.trial.commons.shared("", || Self::new(workforce)))
    }

    fn new(workforce: Arc<Workforce>) -> Self {
        let size = workforce.size().max(1);
        Self {
            workforce,
            permits: N::Semaphore::new(size),
            idle: ConcurrentQueue::bounded(size),
            owing: ConcurrentQueue::bounded(size),
        }
    }

    /// Takes over the lines, once: they belong to the reactor of the executor that asks.
    fn adopt(&self) -> io::Result<()> {
        self.workforce.hand_over(|number, line| {
            // Reading, writing and waiting are the same for both kinds of socket.
            let stream = N::adopt(TcpStream::from(OwnedFd::from(line)))?;
            let line = WorkerLine { number, stream, exchange: Exchange::default() };
            // There is room for all of them.
            let _ = self.idle.push(line);
            Ok(())
        })
    }

    /// Waits for a worker.
    async fn hire(self: &Arc<Self>) -> Result<Hired<N>, Failure> {
        self.permits.acquire().await;
        let line = self.idle.pop().or_else(|_| self.owing.pop()).ok();
        let hired = Hired { pool: self.clone(), line };
        // There are as many permits as workers, so that one is missing only if it was lost.
        if hired.line.is_none() { Err(self.lost("another")) } else { Ok(hired) }
    }

    fn lost(&self, which: &str) -> Failure {
        let size = self.workforce.size();
        Failure::Refused(format!("cpu: {which} of the {size} worker processes has ended"))
    }
}

impl<N: Native> Drop for ProcessPool<N> {
    fn drop(&mut self) {
        self.workforce.close(self.idle.len() + self.owing.len());
    }
}

/// A worker that is one task's. Dropping it lets others have it.
struct Hired<N: Native> {
    pool: Arc<ProcessPool<N>>,
    /// None once it is lost.
    line: Option<WorkerLine<N::Conn>>,
}

impl<N: Native> Hired<N> {
    /// Waits for the answer that an earlier task has left, if there is one.
    async fn settle(&mut self) -> Result<(), Failure> {
        if self.line.as_ref().is_some_and(|line| line.exchange.owes()) {
            self.answer().await?;
            self.pool.workforce.was_unwanted();
        }
        Ok(())
    }

    /// Has a piece of work done, and gives its result.
    async fn ask(&mut self, asked: [u64; 2]) -> Result<u64, Failure> {
        if let Some(line) = &mut self.line {
            line.exchange = Exchange { asked: frame(asked), ..Exchange::default() };
        }
        self.answer().await
    }

    /// Ends the exchange that was begun.
    async fn answer(&mut self) -> Result<u64, Failure> {
        let Some(line) = &mut self.line else { return Err(self.pool.lost("one")) };
        let number = line.number;
        if let Ok([result, done]) = line.answer().await {
            self.pool.workforce.said(number, done);
            return Ok(result);
        }
        self.line = None;
        Err(self.pool.lost(&format!("number {number}")))
    }
}

impl<N: Native> Drop for Hired<N> {
    fn drop(&mut self) {
        if let Some(line) = self.line.take() {
            let queue = if line.exchange.owes() { &self.pool.owing } else { &self.pool.idle };
            // There is room: there are no more workers than places.
            let _ = queue.push(line);
        }
        self.pool.permits.release();
    }
}

/// The way to one worker.
struct WorkerLine<S> {
    number: usize,
    stream: S,
    exchange: Exchange,
}

/// A question and its answer, as far as they have come. It outlives the call that began it.
#[derive(Default)]
struct Exchange {
    asked: [u8; FRAME],
    sent: usize,
    answer: [u8; FRAME],
    received: usize,
}

impl Exchange {
    /// Whether the worker knows of a question whose answer has not come as a whole.
    fn owes(&self) -> bool {
        self.sent > 0 && self.received < FRAME
    }
}

impl<S: Read + Write + Unpin> WorkerLine<S> {
    /// Sends what is left of the question, and reads what is left of the answer.
    async fn answer(&mut self) -> io::Result<[u64; 2]> {
        let Self { stream, exchange, .. } = self;
        while exchange.sent < FRAME {
            let rest = &exchange.asked[exchange.sent..];
            let wrote = poll_fn(|context| Pin::new(&mut *stream).poll_write(context, rest)).await?;
            exchange.sent += at_least_one(wrote)?;
        }
        while exchange.received < FRAME {
            let mut free = ReadBuf::new(&mut exchange.answer[exchange.received..]);
            poll_fn(|context| Pin::new(&mut *stream).poll_read(context, free.unfilled())).await?;
            exchange.received += at_least_one(free.filled().len())?;
        }
        Ok(numbers(exchange.answer))
    }
}

/// An error at the end of the stream.
fn at_least_one(moved: usize) -> io::Result<usize> {
    if moved == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(moved) }
}

/// A computation that a worker process does.
pub struct Commission<N: Native> {
    pub kernel: KernelName,
    pub iterations: u64,
    pub known: Arc<ResultCheck>,
    pub pool: Arc<ProcessPool<N>>,
}

impl<N: Native> Operation for Commission<N> {
    /// The expected result is computed in this process.
    async fn prepare(&mut self) -> StepOutcome {
        self.known.expect(self.kernel, self.iterations);
        Ok(Done::default())
    }

    async fn open(&mut self, _when: Opening) -> StepOutcome {
        let refused =
            |why| Failure::Refused(format!("cpu: a worker process cannot be reached: {why}"));
        self.pool.adopt().map(|()| Done::default()).map_err(refused)
    }

    async fn call(&mut self, _call: Call) -> StepOutcome {
        N::begin();
        let mut hired = self.pool.hire().await?;
        hired.settle().await?;
        self.known.check(hired.ask([self.kernel.place(), self.iterations]).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixStream,
        task::{Context, Waker},
        thread,
    };

    use super::{super::workforce::WorkAccount, *};
    use crate::runtime::{Blocking, block_on};

    /// A step with so many workers, and the workers' ends of their lines.
    fn commission(workers: usize) -> (Commission<Blocking>, Arc<Workforce>, Vec<UnixStream>) {
        let pairs = (0..workers).map(|_| UnixStream::pair().unwrap());
        let (ours, theirs) = pairs.unzip();
        let workforce = Arc::new(Workforce::of(ours));
        let commission = Commission {
            kernel: KernelName::try_from("sum-squares".to_owned()).unwrap(),
            iterations: 3,
            known: Arc::default(),
            pool: Arc::new(ProcessPool::new(workforce.clone())),
        };
        commission.pool.adopt().unwrap();
        (commission, workforce, theirs)
    }

    /// Begins a call, and gives it up while its answer is waited for.
    fn give_up(commission: &mut Commission<Blocking>) {
        let mut call = Box::pin(commission.call(Call::default()));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    fn asked(line: &mut UnixStream) -> [u64; 2] {
        let mut asked = [0; FRAME];
        line.read_exact(&mut asked).unwrap();
        numbers(asked)
    }

    #[test]
    fn an_answer_that_nobody_waits_for_is_not_taken_for_another_one() {
        let (mut commission, workforce, mut theirs) = commission(1);
        commission.known.result.set(42).unwrap();
        give_up(&mut commission);
        let mut line = theirs.remove(0);
        let place = commission.kernel.place();
        let worker = thread::spawn(move || {
            assert_eq!(asked(&mut line), [place, 3]);
            // In two pieces.
            let late = frame([7, 1]);
            line.write_all(&late[..5]).unwrap();
            line.write_all(&late[5..]).unwrap();
            assert_eq!(asked(&mut line), [place, 3]);
            line.write_all(&frame([42, 2])).unwrap();
            line
        });
        assert_eq!(block_on(commission.call(Call::default())), Ok(Done::default()));
        let account = WorkAccount { done: 2, unwanted: 1, size: 1, free: None };
        assert_eq!(workforce.account(), account);
        drop(commission);
        assert_eq!(workforce.account(), WorkAccount { free: Some(1), ..account });
        drop(worker.join().unwrap());
    }

    #[test]
    fn who_owes_nothing_is_asked_first() {
        let (mut commission, workforce, mut theirs) = commission(2);
        give_up(&mut commission);
        let (mut second, first) = (theirs.pop().unwrap(), theirs.pop().unwrap());
        // The first one never answers.
        let worker = thread::spawn(move || {
            for done in 1..=3 {
                asked(&mut second);
                second.write_all(&frame([42, done])).unwrap();
            }
        });
        for _ in 0..3 {
            assert!(block_on(commission.call(Call::default())).is_ok());
        }
        worker.join().unwrap();
        assert_eq!((workforce.account().done, workforce.account().unwanted), (3, 0));
        drop(first);
    }

    #[test]
    fn who_waits_for_a_worker_gets_the_one_that_is_given_back() {
        let (mut one, _, mut theirs) = commission(1);
        let (kernel, known, pool) = (one.kernel, one.known.clone(), one.pool.clone());
        let mut other = Commission { kernel, iterations: 3, known, pool };
        give_up(&mut one);
        let mut line = theirs.remove(0);
        let hired = block_on(one.pool.hire()).unwrap();
        let waiting = thread::spawn(move || block_on(other.call(Call::default())));
        drop(hired);
        for done in 1..=2 {
            asked(&mut line);
            line.write_all(&frame([42, done])).unwrap();
        }
        assert!(waiting.join().unwrap().is_ok());
    }

    #[test]
    fn a_worker_that_has_ended_fails_the_trial() {
        let (mut commission, workforce, theirs) = commission(1);
        drop(theirs);
        for which in ["number 0", "another"] {
            let failed = block_on(commission.call(Call::default())).unwrap_err();
            let Failure::Refused(why) = failed else { panic!("{failed:?}") };
            assert!(why.contains(&format!("{which} of the 1 worker processes has ended")), "{why}");
        }
        drop(commission);
        assert_eq!(workforce.account().free, Some(0));
    }
}
