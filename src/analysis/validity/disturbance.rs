//! Whether other processes, the hypervisor or a quota took CPU time from a trial. Looks at host counters only: a trial
//! that is rejected for its latency would make the latencies of a run better than they are.

use super::{Cause, percent};
use crate::{
    analysis::Validity,
    measure::{CpuSetDelta, HostDelta},
    units::format_ns,
};

/// Others may use this share of the executor's or of the target's CPUs.
const MOST_TAKEN: f64 = 0.05;

/// What took CPU time from a trial, in words; none where nothing is known to have.
///
/// Windows below a second are not judged: a tick of 10 ms is too coarse for them.
pub fn disturbance(host: &HostDelta) -> Option<String> {
    cause(host).map(|cause| cause.evidence)
}

pub(super) fn cause(host: &HostDelta) -> Option<Cause> {
    let sets = [("executor", &host.executor), ("target", &host.target)];
    let taken = sets.into_iter().filter_map(|(whose, set)| taken(whose, set.as_ref()?));
    let throttled = (host.throttled_ns > 0)
        .then(|| (host.throttled_ns as f64, format!("its CPU quota stopped it for {}", format_ns(host.throttled_ns))));
    let all: Vec<(f64, String)> = throttled.into_iter().chain(taken).collect();
    let severity = all.iter().map(|(share, _)| *share).reduce(f64::max)?;
    let evidence = all.into_iter().map(|(_, words)| words).collect::<Vec<_>>().join("; ");
    Some(Cause { validity: Validity::Disturbed, evidence, severity })
}

/// The share that others had of a set's CPUs, and in words, where it is too large.
fn taken(whose: &str, set: &CpuSetDelta) -> Option<(f64, String)> {
    let external = set.external()?;
    let steal = set.share(set.steal_ns)?;
    let hypervisor =
        if steal > MOST_TAKEN / 10.0 { format!(", the hypervisor {}", percent(steal)) } else { String::new() };
    let words = format!("other processes used {} of the {whose}'s CPU time{hypervisor}", percent(external));
    (external + steal > MOST_TAKEN).then_some((external + steal, words))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(disturbance(&of_target).as_deref(), Some("other processes used 25.0 % of the target's CPU time"));
    }

    #[test]
    fn stolen_time_is_added_and_interrupts_of_nobody_are_not() {
        let mut stolen = host(1560, 1500);
        let set = stolen.executor.as_mut().expect("is there");
        set.steal_ns = 50_000_000;
        let said = disturbance(&stolen).expect("3 % and 2.5 %");
        assert_eq!(said, "other processes used 3.0 % of the executor's CPU time, the hypervisor 2.5 %");
        let mut interrupted = host(1900, 1500);
        interrupted.executor.as_mut().expect("is there").interrupts_ns = 390_000_000;
        assert_eq!(disturbance(&interrupted), None);
    }

    #[test]
    fn windows_below_a_second_are_not_judged() {
        let mut short = host(1000, 0);
        short.executor.as_mut().expect("is there").wall_ns = 999_999_999;
        assert_eq!(disturbance(&short), None);
    }

    #[test]
    fn throttling_disturbs_however_short() {
        let host = HostDelta { throttled_ns: 2_000_000, ..HostDelta::default() };
        assert_eq!(disturbance(&host).as_deref(), Some("its CPU quota stopped it for 2.00ms"));
    }
}
