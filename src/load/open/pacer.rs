//! The pacer: hands arrivals over when they are due, whatever has become of those before. A pure
//! state machine, told the time and how many tasks are in flight.

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::{measure::Arrivals, runtime::Ticket};

/// How often room among the tasks in flight is looked for, where arrivals wait for it, in ns.
const GLANCE_NS: u64 = 50_000;

/// What becomes of an arrival while as many tasks are in flight as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It is not started, and counted.
    Drop,
    /// It waits for room, and so do all that come after it. Its latency counts from when it was
    /// meant to start.
    Delay,
}

/// What the pacer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacerStep {
    /// Hands this arrival over, and asks again.
    Emit(Ticket),
    /// Waits until then, and asks again.
    SleepUntil(u64),
    /// Nothing: everything has arrived.
    Done,
}

/// What a pacer has counted.
#[derive(Debug, Clone, Default)]
pub struct PacerAccount {
    /// Arrivals handed over, warm-up included.
    pub emitted: u64,
    /// Those meant for the window. Only the pacer's part of it: what is censored is counted
    /// elsewhere.
    pub arrivals: Arrivals,
}

/// The state of the pacer.
#[derive(Debug)]
pub struct Pacer {
    schedule: Schedule,
    start_ns: u64,
    window: (u64, u64),
    max_in_flight: u64,
    overflow: Overflow,
    upcoming: Option<Ticket>,
    /// Whether the upcoming arrival has been seen to be due, and whether it has been seen to have
    /// no room.
    noticed: bool,
    waited: bool,
    /// When there was last seen to be no room; only where arrivals wait for it.
    full_ns: u64,
    account: PacerAccount,
}

impl Pacer {
    /// A pacer for the schedule, whose offsets count from `start_ns`; it counts arrivals that are
    /// due in `window`.
    pub fn new(
        schedule: Schedule,
        start_ns: u64,
        window: (u64, u64),
        max_in_flight: u64,
        overflow: Overflow,
    ) -> Self {
        let mut pacer = Self {
            schedule,
            start_ns,
            window,
            max_in_flight,
            overflow,
            upcoming: None,
            noticed: false,
            waited: false,
            full_ns: 0,
            account: PacerAccount::default(),
        };
        pacer.account.arrivals.pacer.0.prepare();
        pacer.upcoming = pacer.arrival(0);
        pacer
    }

    fn arrival(&mut self, number: u64) -> Option<Ticket> {
        self.schedule.next().map(|offset_ns| Ticket { number, due_ns: self.start_ns + offset_ns })
    }

    /// What to do at `now_ns` while `in_flight` tasks are in flight, queued ones included.
    pub fn next(&mut self, now_ns: u64, in_flight: u64) -> PacerStep {
        while let Some(ticket) = self.upcoming {
            if ticket.due_ns > now_ns {
                return PacerStep::SleepUntil(ticket.due_ns);
            }
            self.notice(ticket, now_ns);
            if in_flight < self.max_in_flight {
                self.account.emitted += 1;
                let most = &mut self.account.arrivals.most_in_flight;
                *most = (*most).max(in_flight + 1);
                self.advance(ticket);
                return PacerStep::Emit(ticket);
            }
            match self.overflow {
                Overflow::Drop => {
                    self.account.arrivals.dropped += u64::from(self.counts(ticket));
                    self.advance(ticket);
                }
                Overflow::Delay => {
                    self.full_ns = now_ns;
                    self.waits(ticket);
                    return PacerStep::SleepUntil(now_ns + GLANCE_NS);
                }
            }
        }
        PacerStep::Done
    }

    /// The arrivals that were not handed over when the load was given up; they count as scheduled.
    pub fn give_up(&mut self) -> Option<Ticket> {
        let ticket = self.upcoming?;
        self.schedules(ticket);
        if ticket.due_ns <= self.full_ns {
            self.waits(ticket);
        }
        self.advance(ticket);
        Some(ticket)
    }

    /// What was counted so far.
    pub fn into_account(self) -> PacerAccount {
        self.account
    }

    fn counts(&self, ticket: Ticket) -> bool {
        (self.window.0..self.window.1).contains(&ticket.due_ns)
    }

    fn schedules(&mut self, ticket: Ticket) {
        if !std::mem::replace(&mut self.noticed, true) {
            self.account.arrivals.scheduled += u64::from(self.counts(ticket));
        }
    }

    /// The first time that an arrival is seen to be due. How late that is, is the pacer's own
    /// doing, but for the time in which it had to wait for room.
    fn notice(&mut self, ticket: Ticket, now_ns: u64) {
        if self.noticed {
            return;
        }
        self.schedules(ticket);
        if self.counts(ticket) {
            let late_ns = now_ns - ticket.due_ns.max(self.full_ns).min(now_ns);
            self.account.arrivals.pacer.0.saturating_record(late_ns);
        }
        if ticket.due_ns <= self.full_ns {
            self.waits(ticket);
        }
    }

    fn waits(&mut self, ticket: Ticket) {
        if !std::mem::replace(&mut self.waited, true) {
            self.account.arrivals.delayed += u64::from(self.counts(ticket));
        }
    }

    fn advance(&mut self, ticket: Ticket) {
        (self.noticed, self.waited) = (false, false);
        self.upcoming = self.arrival(ticket.number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Arrival, Stage},
        *,
    };

    const MS: u64 = 1_000_000;

    /// One arrival per ms, from 100 ms on, for 10 ms; the first two are warm-up.
    fn pacer(max_in_flight: u64, overflow: Overflow) -> Pacer {
        let stage = Stage { from: 1_000.0, to: 1_000.0, length_ns: 10 * MS };
        let schedule = Schedule::new(vec![stage], Arrival::Constant, 1);
        Pacer::new(schedule, 100 * MS, (102 * MS, 110 * MS), max_in_flight, overflow)
    }

    fn ticket(number: u64) -> Ticket {
        Ticket { number, due_ns: (100 + number) * MS }
    }

    #[test]
    fn missed_ticks_are_all_emitted_and_their_lateness_is_measured() {
        let mut pacer = pacer(100, Overflow::Drop);
        assert_eq!(pacer.next(0, 0), PacerStep::SleepUntil(100 * MS));
        assert_eq!(pacer.next(100 * MS, 0), PacerStep::Emit(ticket(0)));
        assert_eq!(pacer.next(100 * MS, 1), PacerStep::SleepUntil(101 * MS));
        // The clock stalls for more than five ticks.
        for number in 1..=6 {
            assert_eq!(pacer.next(106 * MS + 7, number), PacerStep::Emit(ticket(number)));
        }
        assert_eq!(pacer.next(106 * MS + 7, 7), PacerStep::SleepUntil(107 * MS));
        for number in 7..10 {
            assert_eq!(pacer.next(ticket(number).due_ns, 0), PacerStep::Emit(ticket(number)));
        }
        assert_eq!(pacer.next(u64::MAX, 0), PacerStep::Done);
        let account = pacer.into_account();
        assert_eq!(
            (account.emitted, account.arrivals.scheduled, account.arrivals.most_in_flight),
            (10, 8, 7)
        );
        let late = &account.arrivals.pacer;
        assert_eq!((late.count(), late.0.min()), (8, 0));
        assert!(late.0.max().abs_diff(4 * MS) < 4_000, "{}", late.0.max());
    }

    #[test]
    fn without_room_arrivals_are_dropped_and_counted() {
        let mut pacer = pacer(2, Overflow::Drop);
        assert_eq!(pacer.next(100 * MS, 0), PacerStep::Emit(ticket(0)));
        assert_eq!(pacer.next(101 * MS, 1), PacerStep::Emit(ticket(1)));
        assert_eq!(pacer.next(105 * MS, 2), PacerStep::SleepUntil(106 * MS));
        assert_eq!(pacer.next(106 * MS, 1), PacerStep::Emit(ticket(6)));
        assert_eq!(pacer.next(109 * MS, 2), PacerStep::Done);
        let arrivals = pacer.into_account().arrivals;
        assert_eq!((arrivals.scheduled, arrivals.dropped, arrivals.delayed), (8, 7, 0));
        assert_eq!((arrivals.most_in_flight, arrivals.pacer.count()), (2, 8));
    }

    #[test]
    fn without_room_arrivals_can_wait_which_is_not_the_pacers_lateness() {
        let mut pacer = pacer(1, Overflow::Delay);
        assert_eq!(pacer.next(100 * MS, 0), PacerStep::Emit(ticket(0)));
        assert_eq!(pacer.next(101 * MS, 0), PacerStep::Emit(ticket(1)));
        let mut now = 102 * MS;
        while now < 105 * MS {
            assert_eq!(pacer.next(now, 1), PacerStep::SleepUntil(now + GLANCE_NS));
            now += GLANCE_NS;
        }
        // Arrivals 3 and 4 were due meanwhile, and 5 is due now.
        for number in 2..=5 {
            assert_eq!(pacer.next(now, 0), PacerStep::Emit(ticket(number)));
        }
        assert_eq!(pacer.next(now, 1), PacerStep::SleepUntil(106 * MS));
        // The rest is given up.
        let given_up: Vec<u64> =
            std::iter::from_fn(|| pacer.give_up()).map(|ticket| ticket.number).collect();
        assert_eq!(given_up, [6, 7, 8, 9]);
        let account = pacer.into_account();
        assert_eq!(
            (account.emitted, account.arrivals.scheduled, account.arrivals.delayed),
            (6, 8, 3)
        );
        assert!(
            account.arrivals.pacer.0.max() <= 2 * GLANCE_NS,
            "{}",
            account.arrivals.pacer.0.max()
        );
    }
}
