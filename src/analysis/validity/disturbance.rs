//! Whether other processes, the hypervisor or a quota took CPU time from a trial. Looks at host
//! counters only: a trial that is rejected for its latency would make the latencies of a run better
//! than they are.

use super::cause::{Cause, percent};
use crate::{
    analysis::Validity,
    measure::{CpuSetDelta, HostDelta, Measurements, TICK_NS},
    units::format_ns,
};

/// Others may use this share of the executor's or of the target's CPUs.
const MOST_TAKEN: f64 = 0.05;
/// Windows below this, in ns, are not judged: somebody who had half of a CPU throughout would
/// hardly show among the ticks.
pub(super) const SHORTEST_NS: u64 = 100_000_000;
/// Below this, in ns, ticks are allowed for: two of them are 20 % of the shortest window, and 2 %
/// of this one.
const TICKS_SHOW_NS: u64 = 1_000_000_000;
/// What ticks may be off by, in ns for each CPU: one at each edge of the window.
const TICKS_NS: u64 = 2 * TICK_NS;

/// What took CPU time from a trial, in words; none where nothing is known to have.
pub fn disturbance(host: &HostDelta) -> Option<String> {
    cause(host).map(|cause| cause.evidence)
}

pub(super) fn cause(host: &HostDelta) -> Option<Cause> {
    let sets = [("executor", &host.executor), ("target", &host.target)];
    let taken = sets.into_iter().filter_map(|(whose, set)| taken(whose, set.as_ref()?));
    let throttled = (host.throttled_ns > 0).then(|| {
        (
            host.throttled_ns as f64,
            format!("its CPU quota stopped it for {}", format_ns(host.throttled_ns)),
        )
    });
    let all: Vec<(f64, String)> = throttled.into_iter().chain(taken).collect();
    let severity = all.iter().map(|(share, _)| *share).reduce(f64::max)?;
    let evidence = all.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ");
    Some(Cause { validity: Validity::Disturbed, evidence, severity })
}

/// The share that others had of a set's CPUs, and in words, where it is too large.
fn taken(whose: &str, set: &CpuSetDelta) -> Option<(f64, String)> {
    let (external, steal) = (set.external()?, set.share(set.steal_ns)?);
    let ticks =
        if set.wall_ns < TICKS_SHOW_NS { set.share(TICKS_NS * u64::from(set.cpus))? } else { 0.0 };
    let hypervisor = if steal > MOST_TAKEN / 10.0 {
        format!(", the hypervisor {}", percent(steal))
    } else {
        String::new()
    };
    let unsure = if ticks > 0.0 {
        format!(" (ticks may be {} of it)", percent(ticks))
    } else {
        String::new()
    };
    let words = format!(
        "other processes used {} of the {whose}'s CPU time{hypervisor}{unsure}",
        percent(external)
    );
    let taken = external + steal - ticks;
    (set.wall_ns >= SHORTEST_NS && taken > MOST_TAKEN).then_some((taken, words))
}

/// Why nobody can tell whether some of these trials were disturbed: their windows are too short;
/// none where all could be judged. Whoever knows no more than that calls a trial valid, and says
/// so.
pub(super) fn unseen(rounds: &[&Measurements]) -> Option<String> {
    let window_ns = |host: &HostDelta| host.executor.as_ref().map(|set| set.wall_ns);
    let short = || {
        rounds
            .iter()
            .filter_map(|round| window_ns(&round.trial.host))
            .filter(|ns| *ns < SHORTEST_NS)
    };
    let (count, shortest_ns) = (short().count(), short().min()?);
    let of = if count == rounds.len() {
        String::new()
    } else {
        format!("{count} of {} rounds are ", rounds.len())
    };
    Some(format!("{of}below {}, the shortest {}", format_ns(SHORTEST_NS), format_ns(shortest_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::TrialMeasured;

    fn host(busy_ms: u64, own_ms: u64) -> HostDelta {
        let ms = |ms: u64| ms * 1_000_000;
        let set = CpuSetDelta {
            cpus: 2,
            wall_ns: ms(1000),
            busy_ns: ms(busy_ms),
            own_ns: ms(own_ms),
            ..CpuSetDelta::default()
        };
        HostDelta { executor: Some(set), ..HostDelta::default() }
    }

    #[test]
    fn a_twentieth_of_the_set_is_the_most_that_others_may_use() {
        assert_eq!(disturbance(&host(1600, 1500)), None);
        let said = disturbance(&host(1610, 1500)).expect("5.5 % of two CPUs");
        assert_eq!(said, "other processes used 5.5 % of the executor's CPU time");
        assert_eq!(disturbance(&host(100, 1500)), None);
    }

    #[test]
    fn the_target_s_cpus_count_too() {
        let of_target = HostDelta { target: host(500, 0).executor, ..HostDelta::default() };
        assert_eq!(
            disturbance(&of_target).as_deref(),
            Some("other processes used 25.0 % of the target's CPU time")
        );
    }

    #[test]
    fn stolen_time_is_added_and_interrupts_of_nobody_are_not() {
        let mut stolen = host(1560, 1500);
        let set = stolen.executor.as_mut().expect("is there");
        set.steal_ns = 50_000_000;
        let said = disturbance(&stolen).expect("3 % and 2.5 %");
        assert_eq!(
            said,
            "other processes used 3.0 % of the executor's CPU time, the hypervisor 2.5 %"
        );
        let mut interrupted = host(1900, 1500);
        interrupted.executor.as_mut().expect("is there").interrupts_ns = 390_000_000;
        assert_eq!(disturbance(&interrupted), None);
    }

    /// A window in which others used `others_ms` of one CPU.
    fn short(wall_ms: u64, others_ms: u64) -> HostDelta {
        let (wall_ns, busy_ns) = (wall_ms * 1_000_000, others_ms * 1_000_000);
        HostDelta {
            executor: Some(CpuSetDelta { cpus: 1, wall_ns, busy_ns, ..CpuSetDelta::default() }),
            ..HostDelta::default()
        }
    }

    #[test]
    fn below_a_second_a_tick_at_each_edge_is_allowed_for() {
        assert_eq!(disturbance(&short(200, 30)), None);
        let said =
            "other processes used 15.5 % of the executor's CPU time (ticks may be 10.0 % of it)";
        assert_eq!(disturbance(&short(200, 31)).as_deref(), Some(said));
        assert_eq!(disturbance(&short(999, 69)), None);
        assert!(disturbance(&short(999, 70)).is_some());
        assert!(disturbance(&short(1_000, 51)).is_some());
        // Each CPU has its own ticks.
        let mut two = short(200, 60);
        two.executor.as_mut().expect("is there").cpus = 2;
        assert_eq!(disturbance(&two), None);
    }

    #[test]
    fn windows_below_a_tenth_of_a_second_are_not_judged_and_that_is_said() {
        assert_eq!(disturbance(&short(99, 99)), None);
        assert!(disturbance(&short(100, 50)).is_some(), "somebody who had half of the CPU");
        let round = |host| Measurements {
            trial: TrialMeasured { host, ..TrialMeasured::default() }.into(),
            ..Measurements::default()
        };
        let (long, brief) = (round(short(100, 0)), round(short(99, 0)));
        assert_eq!(unseen(&[&long, &long]), None);
        assert_eq!(unseen(&[&brief, &brief]).as_deref(), Some("below 100ms, the shortest 99.0ms"));
        assert_eq!(
            unseen(&[&long, &brief]).as_deref(),
            Some("1 of 2 rounds are below 100ms, the shortest 99.0ms")
        );
        // Where there are no counters there is nothing to be too short for.
        assert_eq!(unseen(&[&Measurements::default()]), None);
    }

    #[test]
    fn throttling_disturbs_however_short() {
        let host = HostDelta { throttled_ns: 2_000_000, ..HostDelta::default() };
        assert_eq!(disturbance(&host).as_deref(), Some("its CPU quota stopped it for 2.00ms"));
    }
}
