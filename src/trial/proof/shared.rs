//! The accounts of shared objects, beside those of the steps that use them.

use std::time::Duration;

use super::{super::wire::TrialPlan, Proof, numbered_steps, steps};
use crate::{
    measure::ProofLine,
    shared::{NamedShared, ObjectLine, Objects, SharedCalls, SharedCounts},
    step::{Ledger, Reading, Tally},
};

/// The ledger when it has come to rest, and the proof of the shared objects: all lines, or the
/// first that does not hold.
///
/// Tasks that were given up may still be about to do something. So objects and ledger are read
/// until what was counted fits together, or for a while.
pub(in crate::trial) fn settled(
    plan: &TrialPlan,
    ledger: &Ledger,
    objects: &Objects,
) -> (Reading, Result<Vec<ProofLine>, String>) {
    const APART: Duration = Duration::from_millis(1);
    const READINGS: u32 = 200;
    let mut left = READINGS;
    loop {
        let before = ledger.settled(steps(plan));
        let counted = objects.read();
        let after = ledger.read_all(steps(plan));
        let proof = proof(plan, &counted, &before.steps, &after.steps);
        left -= 1;
        let over = after.steps.iter().all(|tally| under_way(tally) == 0);
        if proof.is_ok() || over || left == 0 {
            return (before, proof);
        }
        std::thread::sleep(APART);
    }
}

/// Calls that have begun and not ended.
fn under_way(tally: &Tally) -> u64 {
    tally.started.saturating_sub(tally.ended).saturating_sub(tally.cancelled)
}

/// What holds of all objects, whose accounts were read between two readings of the steps'.
fn proof(
    plan: &TrialPlan,
    objects: &[(&NamedShared, Box<dyn SharedCounts>)],
    before: &[Tally],
    after: &[Tally],
) -> Result<Vec<ProofLine>, String> {
    let mut proof = Proof::default();
    for (named, counted) in objects {
        let calls = |key: &str| calls(plan, (&named.name, key), before, after);
        for ObjectLine { what, expected, found } in counted.lines(&calls) {
            proof.within(format!("{}: {what}", named.words()), expected, found);
        }
    }
    proof.verdict()
}

/// The calls of the steps of this kind on this object.
fn calls(
    plan: &TrialPlan,
    (object, key): (&str, &str),
    before: &[Tally],
    after: &[Tally],
) -> SharedCalls {
    let mut sum = SharedCalls::default();
    for ((_, step), (before, after)) in numbered_steps(plan).zip(before.iter().zip(after)) {
        let uses = step.spec.shared().is_some_and(|used| used.name.text == object);
        if uses && step.spec.key() == key {
            sum.least += before.ended;
            sum.most += after.ended + under_way(after);
            sum.moves |= before != after;
        }
    }
    sum
}
