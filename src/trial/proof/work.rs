//! What worker processes say that they did, beside the calls of the steps that they did it for.

use super::{super::wire::TrialPlan, Proof, numbered_steps};
use crate::{
    measure::ProofLine,
    step::{PoolBeside, Tally, WorkAccount},
};

/// The proof of the worker processes, whose account was read between two readings of the steps';
/// an error names the first line that does not hold. Without worker processes there is nothing to
/// prove.
pub(in crate::trial) fn lines(
    plan: &TrialPlan,
    (before, after): (&[Tally], &[Tally]),
    account: Option<&WorkAccount>,
) -> Result<Vec<ProofLine>, String> {
    let Some(account) = account else { return Ok(Vec::new()) };
    let mut proof = Proof::default();
    // What was answered when nobody waited any more was for a call that was given up.
    let (mut least, mut most) = (account.unwanted, 0);
    for ((_, step), (before, after)) in numbered_steps(plan).zip(before.iter().zip(after)) {
        if step.spec.pool_beside() == Some(PoolBeside::Processes) {
            least += before.ended;
            most += after.started;
        }
    }
    proof.within("computations that worker processes did", (least, most), account.done);
    // While a task that was given up has the pool, nobody knows.
    if let Some(free) = account.free {
        proof.equal("worker processes that were free at the end", account.size, free);
    }
    proof.verdict()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::plan, *};
    use crate::step::{OnTimeout, StepPlan, Task, testing::read_step};

    /// What is wrong where the steps counted so, and the workers so.
    fn wrong(tally: Tally, account: WorkAccount) -> Option<String> {
        let computing = "{ cpu = { kernel = 'json', iterations = 1, blocking = 'process-pool' } }";
        let step = |text: &str| StepPlan {
            name: None,
            timeout: None,
            on_timeout: OnTimeout::Fail,
            spec: read_step(text).unwrap(),
        };
        let inline = "{ cpu = { kernel = 'json', iterations = 1 } }";
        let tasks = vec![Task { name: "t".into(), steps: vec![step(computing), step(inline)] }];
        let plan = TrialPlan { tasks, ..plan() };
        let other = Tally { started: 99, ended: 99, ..Tally::default() };
        let tallies = [tally, other];
        lines(&plan, (&tallies, &tallies), Some(&account)).err()
    }

    #[test]
    fn workers_have_done_what_they_were_asked_for() {
        let all = Tally { started: 10, ended: 10, ..Tally::default() };
        let account = WorkAccount { done: 10, size: 2, free: Some(2), ..WorkAccount::default() };
        assert_eq!(wrong(all, account), None);
        let less = wrong(all, WorkAccount { done: 9, ..account }).unwrap();
        assert!(less.contains("worker processes did: expected 10, found 9"), "{less}");
        assert!(wrong(all, WorkAccount { done: 11, ..account }).is_some());
    }

    #[test]
    fn an_answer_that_nobody_waited_for_is_of_a_call_that_was_given_up() {
        let some = Tally { started: 10, ended: 7, cancelled: 3, ..Tally::default() };
        let account = WorkAccount { done: 9, unwanted: 2, size: 2, free: Some(2) };
        assert_eq!(wrong(some, account), None);
        assert!(wrong(some, WorkAccount { done: 8, ..account }).is_some());
        assert!(wrong(some, WorkAccount { done: 11, unwanted: 3, ..account }).is_some());
    }

    #[test]
    fn a_worker_that_is_not_given_back_is_missed() {
        let account = WorkAccount { done: 1, size: 2, free: Some(1), ..WorkAccount::default() };
        let one = Tally { started: 1, ended: 1, ..Tally::default() };
        assert!(wrong(one, account).unwrap().contains("expected 2, found 1"));
        assert_eq!(wrong(one, WorkAccount { free: None, ..account }), None);
    }
}
