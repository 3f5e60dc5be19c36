//! The order of the queue, and that nobody sleeps beside work.

use super::*;

struct Count(Mutex<u32>);

impl Job for Count {
    fn run(&self) {
        *self.0.lock().expect("not poisoned") += 1;
    }
}

fn ticket(number: u64) -> Ticket {
    Ticket { number, due_ns: 0 }
}

#[test]
fn tickets_come_in_order_and_end() {
    let queue = Queue::default();
    queue.admit(0, (0..3).map(ticket));
    let first = queue.next_ticket(0).expect("a ticket");
    assert_eq!(queue.exchange(0, first, 7), Some((ticket(1), 7)));
    queue.retire(0);
    let order: Vec<u64> = (0..2)
        .map(|_| {
            let number = queue.next_ticket(0).expect("a ticket").number;
            queue.retire(0);
            number
        })
        .collect();
    assert_eq!(order, [2, 0]);
    assert_eq!(queue.next_ticket(0), None);
}

#[test]
fn a_queue_that_is_held_waits_for_more_and_gives_back_what_nobody_has_taken() {
    let queue = Arc::new(Queue::default());
    *queue.lock().live_mut(0) += 1;
    let serving = queue.clone();
    let worker = std::thread::spawn(move || {
        let mut served = Vec::new();
        while let Some(ticket) = serving.next_ticket(0) {
            served.push(ticket.number);
            serving.retire(0);
        }
        served
    });
    for number in 0..3 {
        queue.admit_one(0, ticket(number));
    }
    while !queue.lock().entries.is_empty() {
        std::thread::yield_now();
    }
    queue.retire(0);
    assert_eq!(worker.join().expect("no panic"), [0, 1, 2]);
    queue.push_job(Arc::new(Count(Mutex::new(0))));
    queue.admit_one(0, ticket(9));
    assert_eq!((queue.withdraw(0), queue.withdraw(0)), (Some(ticket(9)), None));
    assert_eq!(queue.next_ticket(0), None);
}

/// Whoever is due goes first, and nobody waits behind those that are not.
#[test]
fn tickets_that_are_due_pass_those_that_are_not() {
    let mut state = State::default();
    for (number, due_ns) in [(0, 900), (1, 20), (2, 10), (3, 0)] {
        state.put(0, Ticket { number, due_ns }, 5);
    }
    let mut at = |now_ns: u64| {
        state.put_due(now_ns);
        (state.next_due_ns(), state.entries.len())
    };
    assert_eq!((at(5), at(10), at(25)), ((Some(10), 1), (Some(20), 2), (Some(900), 3)));
    let order: Vec<u64> =
        std::iter::from_fn(|| state.take(0)).map(|ticket| ticket.number).collect();
    assert_eq!(order, [3, 2, 1, 0]);
}

/// Of two tickets that become due one after the other, each finds a worker, whichever of them
/// was told.
#[test]
fn who_takes_a_ticket_sees_to_the_next_one() {
    let queue = Arc::new(Queue::default());
    *queue.lock().live_mut(0) += 1;
    let workers = [0; 2].map(|_| {
        let serving = queue.clone();
        std::thread::spawn(move || serving.next_ticket(0))
    });
    while queue.lock().serving < 2 {
        std::thread::yield_now();
    }
    let now_ns = clock::now_ns();
    let mut state = queue.lock();
    for number in 0..2 {
        state.put(0, Ticket { number, due_ns: now_ns + 1 + number }, now_ns);
    }
    queue.wake_serving(&state);
    drop(state);
    let served = workers.map(|worker| worker.join().expect("no panic").map(|ticket| ticket.number));
    assert!(served.contains(&Some(0)) && served.contains(&Some(1)), "{served:?}");
}

/// Nobody waits for the end of the load to end a client that has no turn left.
#[test]
fn a_ticket_that_is_over_is_taken_at_once() {
    let queue = Queue::default();
    let over = |number| Ticket { number, due_ns: Ticket::OVER };
    queue.admit(0, [over(0), ticket(1)].into_iter());
    assert_eq!(queue.next_ticket(0), Some(over(0)));
    queue.retire(0);
    assert_eq!(queue.next_ticket(0), Some(ticket(1)));
    assert_eq!(queue.exchange(0, over(1), 7), Some((over(1), 7)));
    queue.retire(0);
    assert_eq!(queue.next_ticket(0), None);
}

#[test]
fn jobs_in_front_of_a_ticket_are_run() {
    let queue = Queue::default();
    let job = Arc::new(Count(Mutex::new(0)));
    queue.push_job(job.clone());
    queue.admit(0, [ticket(7)].into_iter());
    assert_eq!(queue.next_ticket(0), Some(ticket(7)));
    assert_eq!(*job.0.lock().expect("not poisoned"), 1);
}

#[test]
fn idle_workers_take_jobs_past_tickets_and_stop_when_closed() {
    let queue = Queue::default();
    queue.admit(0, [ticket(1)].into_iter());
    queue.push_job(Arc::new(Count(Mutex::new(0))));
    assert!(matches!(queue.next_work(0), FoundWork::Job(_)));
    queue.close();
    assert!(matches!(queue.next_work(0), FoundWork::Closed));
    assert_eq!(queue.next_ticket(0), Some(ticket(1)));
}
