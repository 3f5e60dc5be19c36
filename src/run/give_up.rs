//! When to stop asking what does not answer. Pure: it is told how trials ended, and says what to
//! give up.
//!
//! A target is given up when every cell that uses it has failed in a round, each for the same
//! reason: what has failed everywhere once would fail again, and a server that keeps silent costs a
//! whole time-out each time. Where the server or the watchdog is to blame, some cells of all
//! executors are enough, before the round has ended. So it is with a scenario all of whose cells
//! have failed. What other targets serve goes on.

use std::collections::{BTreeSet, HashMap};

use crate::{
    plan::Cell,
    store::{FailureKind, GivenUp, Outcome, TrialFailure},
};

/// So many cells must have failed before a server is given up within a round: fewer may be the
/// slowest ones by chance.
const FEWEST: usize = 5;

/// What cells have in common that can be given up.
#[derive(Debug, Clone)]
struct SharedFate {
    /// In words, such as "target `api`".
    what: String,
    /// Whether it is a server of the user's own, and no scenario.
    is_server: bool,
    /// Its cells, by their place in the plan.
    cells: BTreeSet<usize>,
    /// How the trials of this round have ended so far: cells that failed, and the reason if all had
    /// the same one.
    failed: BTreeSet<usize>,
    reason: Option<TrialFailure>,
    /// Whether a trial of this round was measured, or failed for another reason.
    differs: bool,
    is_over: bool,
}

/// The groups of a plan, and how the trials of the round have ended.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    groups: Vec<SharedFate>,
    executors: Vec<String>,
    names: Vec<String>,
}

impl Patience {
    /// Watches the cells of a plan of which something is left to run.
    pub(super) fn new<'a>(cells: impl IntoIterator<Item = (usize, &'a Cell)>) -> Self {
        let mut watch = Self { groups: Vec::new(), executors: Vec::new(), names: Vec::new() };
        let mut known: HashMap<String, usize> = HashMap::new();
        for (at, cell) in cells {
            watch.learn(at, cell);
            for (key, what, is_server) in common(cell) {
                let group = *known.entry(key).or_insert_with(|| {
                    watch.groups.push(SharedFate::new(what, is_server));
                    watch.groups.len() - 1
                });
                watch.groups[group].cells.insert(at);
            }
        }
        watch
    }

    fn learn(&mut self, at: usize, cell: &Cell) {
        let most = self.names.len().max(at + 1);
        self.names.resize(most, String::new());
        self.executors.resize(most, String::new());
        self.names[at].clone_from(&cell.stored.name);
        self.executors[at].clone_from(&cell.stored.executor);
    }

    /// Whether a cell is not run any more.
    pub(super) fn is_over(&self, cell: usize) -> bool {
        self.groups.iter().any(|group| group.is_over && group.cells.contains(&cell))
    }

    /// A trial of this round has ended; what is given up for it now.
    pub(super) fn saw(&mut self, cell: usize, outcome: &Outcome) -> Vec<GivenUp> {
        let mut given_up = Vec::new();
        for at in 0..self.groups.len() {
            if self.groups[at].cells.contains(&cell) {
                // What another group's end has ended is told once.
                let is_over = self.groups[at].cells.iter().all(|cell| self.is_over(*cell));
                self.groups[at].saw(cell, outcome);
                let is_lost = !is_over && self.is_lost(&self.groups[at]);
                given_up.extend(
                    self.groups[at]
                        .reason
                        .clone()
                        .filter(|_| is_lost)
                        .map(|failure| self.end(at, failure)),
                );
            }
        }
        given_up
    }

    /// Whether all trials of this round have failed for one reason, and enough of them.
    fn is_lost(&self, group: &SharedFate) -> bool {
        let executors = |cells: &BTreeSet<usize>| {
            cells.iter().map(|at| &self.executors[*at]).collect::<BTreeSet<_>>()
        };
        let by_all =
            || group.failed.len() >= FEWEST && executors(&group.failed) == executors(&group.cells);
        let everywhere = group.failed.len() == group.cells.len();
        !group.differs && (everywhere || group.is_server_s_fault() && by_all())
    }

    fn end(&mut self, at: usize, failure: TrialFailure) -> GivenUp {
        let group = &mut self.groups[at];
        group.is_over = true;
        let cells = group.cells.iter().map(|cell| self.names[*cell].clone()).collect();
        GivenUp { what: group.what.clone(), failed: group.failed.len() as u64, cells, failure }
    }

    /// The next round: what has failed in the last one may be mended.
    pub(super) fn begins_round(&mut self) {
        for group in &mut self.groups {
            (group.failed, group.reason, group.differs) = (BTreeSet::new(), None, false);
        }
    }
}

impl SharedFate {
    fn new(what: String, is_server: bool) -> Self {
        let (cells, failed) = (BTreeSet::new(), BTreeSet::new());
        Self { what, is_server, cells, failed, reason: None, differs: false, is_over: false }
    }

    fn saw(&mut self, cell: usize, outcome: &Outcome) {
        let Outcome::Failed(failure) = outcome else {
            self.differs = true;
            return;
        };
        self.differs |= self.reason.as_ref().is_some_and(|known| !is_alike(known, failure));
        self.reason.get_or_insert_with(|| failure.clone());
        self.failed.insert(cell);
    }

    fn is_server_s_fault(&self) -> bool {
        let kind = self.reason.as_ref().map(|failure| failure.kind);
        self.is_server && matches!(kind, Some(FailureKind::Target | FailureKind::TimedOut))
    }
}

/// What a cell shares with others, by a key and in words, and whether it is a server: each one of
/// the user's own, and its scenario. One that is embedded is made anew for each trial.
fn common(cell: &Cell) -> Vec<(String, String, bool)> {
    let servers = cell.trial.targets.iter().filter_map(|target| {
        let address = target.spec.address()?;
        let what = format!("target `{}` ({address})", target.name);
        Some((address, what, true))
    });
    let scenario = format!("scenario `{}`", cell.stored.scenario);
    servers.chain([(scenario.clone(), scenario, false)]).collect()
}

/// Whether two failures have one reason. The words of a wrong result tell it, whatever its figures
/// are; of the other kinds the kind does.
fn is_alike(a: &TrialFailure, b: &TrialFailure) -> bool {
    let is_told = matches!(a.kind, FailureKind::WrongResult | FailureKind::Crashed);
    a.kind == b.kind && (!is_told || without_figures(&a.reason) == without_figures(&b.reason))
}

fn without_figures(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        limits::Limits,
        plan::{Machine, Plan},
        scenario::{Overrides, from_text},
    };

    /// Cells of scenarios, each with a target (none: embedded), a sweep over four values, and two
    /// executors: scenario n has the cells from 8 n on, the even ones of threads.
    fn patience(targets: &[&str]) -> Patience {
        let scenarios: Vec<_> = targets
            .iter()
            .enumerate()
            .map(|(at, target)| {
                let text = format!(
                    "schema = 1\nname = 's{at}'\n[sweep]\nn = [1, 2, 3, 4]\n[targets.api]\nhttp = {{ {target} }}\n[tasks.get]\n\
                     steps = [{{ http = {{ target = 'api', path = '/' }} }}]\n[load.b]\ntask = 'get'\nbatch = {{ tasks = \
                     '${{n}}' }}\n[executors]\nuse = ['threads', 'tokio']\n"
                );
                from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap()
            })
            .collect();
        let machine = Machine {
            cpus: vec![0],
            executor_cpus: None,
            target_cpus: None,
            limits: Limits::default(),
        };
        Patience::new(Plan::new(&scenarios, &machine, 1, |_| true).cells.iter().enumerate())
    }

    const A: &str = "url = 'http://127.0.0.1:1'";
    const B: &str = "url = 'http://127.0.0.1:2'";

    fn failed(kind: FailureKind, reason: &str) -> Outcome {
        Outcome::Failed(TrialFailure { kind, reason: reason.into() })
    }

    fn measured() -> Outcome {
        Outcome::Measured(Box::default())
    }

    /// After how many trials something is given up, and what.
    fn given_up(patience: &mut Patience, trials: &[(usize, Outcome)]) -> Option<(usize, GivenUp)> {
        patience.begins_round();
        (1..)
            .zip(trials)
            .find_map(|(count, (cell, outcome))| Some((count, patience.saw(*cell, outcome).pop()?)))
    }

    fn everywhere(cells: &[usize], kind: FailureKind, reason: &str) -> Vec<(usize, Outcome)> {
        cells.iter().map(|cell| (*cell, failed(kind, reason))).collect()
    }

    #[test]
    fn a_silent_server_is_given_up_when_every_executor_has_met_it() {
        for kind in [FailureKind::TimedOut, FailureKind::Target] {
            let mut all = patience(&[A]);
            let (count, what) =
                given_up(&mut all, &everywhere(&[0, 1, 2, 3, 4, 5], kind, "late")).unwrap();
            assert_eq!((count, what.failed, what.cells.len()), (5, 5, 8));
            assert_eq!(what.what, "target `api` (http://127.0.0.1:1)");
            assert!((0..8).all(|cell| all.is_over(cell)));
            // Those of tokio might do what those of threads cannot.
            let (count, _) =
                given_up(&mut patience(&[A]), &everywhere(&[0, 2, 4, 6, 0, 0, 1], kind, "late"))
                    .unwrap();
            assert_eq!(count, 7);
        }
    }

    #[test]
    fn what_may_be_the_executor_s_own_fault_takes_a_whole_round() {
        for kind in [
            FailureKind::WrongResult,
            FailureKind::Crashed,
            FailureKind::Refused,
            FailureKind::TooShort,
        ] {
            let found = given_up(
                &mut patience(&[A]),
                &everywhere(&[0, 1, 2, 3, 4, 5, 6, 7], kind, "the same"),
            );
            assert_eq!(found.map(|(count, _)| count), Some(8), "{kind:?}");
        }
        // So it is without a server that could be to blame.
        let late = everywhere(&[0, 1, 2, 3, 4, 5, 6, 7], FailureKind::TimedOut, "late");
        assert_eq!(given_up(&mut patience(&[""]), &late).map(|(count, _)| count), Some(8));
    }

    #[test]
    fn figures_do_not_make_another_reason() {
        let words = |a: &str, b: &str| {
            let mut trials = everywhere(&[0, 1, 2, 3, 4, 5, 6], FailureKind::WrongResult, a);
            trials.extend(everywhere(&[7], FailureKind::WrongResult, b));
            given_up(&mut patience(&[A]), &trials).is_some()
        };
        assert!(words("expected 200, found 401", "expected 200, found 403"));
        assert!(!words("expected 200, found 401", "a body of 12 bytes"));
    }

    #[test]
    fn one_that_was_measured_keeps_all_others() {
        let mut all = patience(&[A]);
        let mut trials = everywhere(&[0, 1, 2, 3, 4, 5, 6], FailureKind::TimedOut, "late");
        trials.insert(1, (7, measured()));
        assert_eq!(given_up(&mut all, &trials), None);
        // In the next round it may be otherwise.
        assert!(
            given_up(&mut all, &everywhere(&[7, 6, 5, 4, 3], FailureKind::TimedOut, "late"))
                .is_some()
        );
    }

    #[test]
    fn another_reason_keeps_all_others() {
        let mut trials = everywhere(&[0, 1, 2, 3, 4, 5, 6, 7], FailureKind::TimedOut, "late");
        trials[0] = (0, failed(FailureKind::Crashed, "SIGSEGV"));
        assert_eq!(given_up(&mut patience(&[A]), &trials), None);
    }

    #[test]
    fn other_targets_go_on_and_the_same_one_does_not() {
        let mut all = patience(&[A, B, A]);
        let (count, what) =
            given_up(&mut all, &everywhere(&[0, 17, 1, 3, 22], FailureKind::Target, "refused"))
                .unwrap();
        assert_eq!((count, what.cells.len()), (5, 16));
        let over: Vec<usize> = (0..24).filter(|cell| all.is_over(*cell)).collect();
        assert_eq!(over, (0..8).chain(16..24).collect::<Vec<_>>());
    }

    #[test]
    fn a_scenario_that_fails_as_a_whole_ends_alone() {
        let wrong = everywhere(&[0, 1, 2, 3, 4, 5, 6, 7], FailureKind::WrongResult, "no");
        for target in ["", A] {
            let mut all = patience(&[target, target]);
            let (_, what) = given_up(&mut all, &wrong).unwrap();
            assert_eq!(what.what, "scenario `s0`");
            assert!(all.is_over(7) && !all.is_over(8));
        }
    }
}
