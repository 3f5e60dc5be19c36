//! A server of the user's own on the CPUs of the executor: that is said, and how to keep the two
//! apart.

use std::collections::BTreeSet;

use super::{place, wire::TrialPlan};
use crate::{
    measure::{Kin, PLACEMENT, Watched},
    targets::Started,
};

/// For each server that may run where the executor does: what to do about it, as a fact of its
/// target.
pub(super) fn facts(plan: &TrialPlan, targets: &[Box<dyn Started>]) -> Vec<(String, String)> {
    let executor = if plan.executor_cpus.is_empty() {
        place::allowed_cpus()
    } else {
        plan.executor_cpus.clone()
    };
    let named = plan.targets.iter().zip(targets);
    let advice = named.filter_map(|(target, started)| {
        let watched = started.watched()?;
        let cpus = watched.cpus();
        let Watched::Server(kin) = watched else { return None };
        let shared: Vec<usize> =
            cpus.iter().copied().filter(|cpu| executor.contains(cpu)).collect();
        let all: BTreeSet<usize> = executor.iter().copied().chain(cpus).collect();
        let all: Vec<usize> = all.into_iter().collect();
        (!shared.is_empty())
            .then(|| (format!("{}: {PLACEMENT}", target.name), advice(&shared, &all, &kin)))
    });
    advice.collect()
}

/// Half of all CPUs to each, in words that can be typed.
fn advice(shared: &[usize], all: &[usize], kin: &Kin) -> String {
    let list = |cpus: &[usize]| cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let noun = if shared.len() == 1 { "CPU" } else { "CPUs" };
    let shares = format!("shares {noun} {} with the executor", list(shared));
    if all.len() < 2 {
        return format!("{shares}, and there is no other");
    }
    let (executor, server) = all.split_at(all.len() / 2);
    format!(
        "{shares}; to keep them apart, run with `--cpus executor={}` and start the server with `taskset -c {} {} …`",
        list(executor),
        list(server),
        kin.program()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_cpus_is_for_each_and_the_words_can_be_typed() {
        let own = std::process::id().cast_signed();
        let kin = Kin::of(&[own]).expect("is there");
        let program = kin.program();
        let said = advice(&[0, 1], &[0, 1], &kin);
        let expected = format!(
            "shares CPUs 0,1 with the executor; to keep them apart, run with `--cpus executor=0` and start the server \
             with `taskset -c 1 {program} …`"
        );
        assert_eq!(said, expected);
        let four = advice(&[2], &[0, 1, 2, 3], &kin);
        assert!(
            four.starts_with("shares CPU 2 ")
                && four.contains("executor=0,1`")
                && four.contains("-c 2,3 "),
            "{four}"
        );
        assert_eq!(
            advice(&[0], &[0], &kin),
            "shares CPU 0 with the executor, and there is no other"
        );
    }
}
