//! A trial whose racer is a process of its own: the referee's part. It starts the racer, tells it
//! what to do, reads all counters from outside, and judges what the racer says that it did.
//!
//! An executor of this program races in the trial's own process (`race.rs`), where nothing stands
//! between its window and its counters.

use super::{
    apart, brief, charging,
    edge::{self, Edge},
    error::TrialError,
    judge::{self, RaceSeen},
    place,
    race::{Race, blame},
    racer::Racer,
    waits,
    watcher::Watcher,
    wire::TrialPlan,
};
use crate::{
    clock,
    measure::{Delay, Measured, TrialMeasured, Watched},
    protocol::{Bare, Brief, BriefServer, Hello, Program, RacerAccount, RacerSaid, RefereeSaid},
    runtime::Facts,
    secret,
    store::{FailureKind, TrialFailure},
    targets::{NamedTarget, Started, http},
};

/// Has a program race, and judges it.
pub(super) fn race(race: Race<'_>, program: &Program) -> Result<Measured, TrialError> {
    let Race { plan, targets, begun_ns, .. } = race;
    let mut racer = Racer::start(program, Some(plan))?;
    let hello = racer.hello()?;
    let brief = briefed(plan, targets, &hello)?;
    let raced = watch(plan, targets, &mut racer, &brief, waits::deadline_ns(plan, begun_ns));
    let (account, seen) = raced.map_err(|failure| match failure.kind {
        // It is the racer's own fault whatever has become of the targets.
        FailureKind::WrongResult | FailureKind::TooShort => failure.into(),
        _ => blame(targets, failure.into()),
    })?;
    racer.end();
    judged(plan, targets, &hello, account, seen)
}

/// What the racer is told; an error if it cannot do that.
fn briefed(
    plan: &TrialPlan,
    targets: &[Box<dyn Started>],
    hello: &Hello,
) -> Result<Brief, TrialFailure> {
    let refused = |reason| TrialFailure { kind: FailureKind::Refused, reason };
    let brief = brief::brief(plan, |target| endpoint(plan, targets, target)).map_err(refused)?;
    hello.objection(&brief).map_or(Ok(brief), |why| Err(refused(why)))
}

/// Where a target of the plan is.
fn endpoint(
    plan: &TrialPlan,
    targets: &[Box<dyn Started>],
    target: &NamedTarget,
) -> Result<BriefServer, String> {
    let place = plan.targets.iter().position(|known| known.name == target.name);
    let started = place.and_then(|place| targets.get(place));
    let endpoint =
        started.and_then(|started| started.endpoint().downcast::<http::HttpEndpoint>().ok());
    let none =
        || format!("racers in processes of their own know no target such as `{}`", target.name);
    Ok(brief::known(&*endpoint.ok_or_else(none)?))
}

/// Lets the racer race, and looks on.
fn watch(
    plan: &TrialPlan,
    targets: &mut [Box<dyn Started>],
    racer: &mut Racer,
    brief: &Brief,
    until_ns: u64,
) -> Result<(RacerAccount, RaceSeen), TrialFailure> {
    racer.tell(&RefereeSaid::Brief(Box::new(brief.clone())))?;
    racer.hear("ready", until_ns)?;
    let outside = racer.outside();
    let prepared_memory_bytes = outside.resident_memory_bytes();
    let watched: Vec<Option<Watched>> = targets.iter().map(|target| target.watched()).collect();
    let watcher = Watcher::of(plan.target_cpus.clone(), move || outside.thread_count());
    // A server that is asked while tasks run would answer in between.
    let still = brief.loads.iter().all(|load| load.kind.stands_still());
    let served = |targets: &mut [Box<dyn Started>]| -> Vec<Option<u64>> {
        targets.iter_mut().map(|target| target.served_now().filter(|_| still)).collect()
    };
    let go_ns = clock::now_ns();
    racer.tell(&RefereeSaid::Go(Bare {}))?;
    racer.hear("opens", until_ns)?;
    let served_before = served(targets);
    let before = Edge::of_racer(&watched, plan.parent, outside);
    let opened_ns = clock::now_ns();
    racer.tell(&RefereeSaid::Read(Bare {}))?;
    racer.hear("closes", until_ns)?;
    let closed_ns = clock::now_ns();
    let after = Edge::of_racer(&watched, plan.parent, outside);
    let (served_after, peak_memory_bytes) = (served(targets), outside.peak_memory_bytes());
    racer.tell(&RefereeSaid::Read(Bare {}))?;
    let RacerSaid::Account(account) = racer.hear("account", until_ns)? else {
        unreachable!("a message is of the name that was waited for")
    };
    let seen = RaceSeen {
        go_ns,
        opened_ns,
        closed_ns,
        ended_ns: clock::now_ns(),
        still,
        served_before,
        served_after,
        edges: (before, after),
        servers: edge::cpus(&watched),
        peak_threads: watcher.stop(),
        prepared_memory_bytes,
        peak_memory_bytes,
    };
    Ok((*account, seen))
}

/// Judges what the racer says by what was seen of it.
fn judged(
    plan: &TrialPlan,
    targets: &mut [Box<dyn Started>],
    hello: &Hello,
    account: RacerAccount,
    seen: RaceSeen,
) -> Result<Measured, TrialError> {
    for told in &account.targets {
        let place = plan.targets.iter().position(|target| target.name == told.name);
        if let Some(connections) = place.and_then(|place| targets[place].connections()) {
            connections.told(told.opened, told.reopened);
        }
    }
    let facts = facts(plan, targets, hello, &account);
    let reports = edge::reports(targets, &seen.edges, plan)?;
    let judged = judge::judge(plan, hello, &account, &seen, &reports).map_err(TrialError::Wrong)?;
    judge::some_completed(plan, &account)?;
    let delay = || Delay::NotApplicable("a probe runs on executors of this program".to_owned());
    let trial = TrialMeasured {
        delay: plan.probe.then(delay),
        peak_memory_bytes: seen.peak_memory_bytes,
        prepared_memory_bytes: seen.prepared_memory_bytes,
        peak_threads: seen.peak_threads,
        targets: reports,
        proof: judged.proof,
        facts: facts.into_iter().chain(judged.facts).collect(),
        ..edge::used_by_racer(plan, charging::to_processes(), &seen.servers, &seen.edges)
    };
    Ok(Measured::new(judged.loads, trial.into()))
}

/// The fairness manifest, as far as it can be seen from outside or was told.
fn facts(
    plan: &TrialPlan,
    targets: &[Box<dyn Started>],
    hello: &Hello,
    account: &RacerAccount,
) -> Facts {
    let program = plan.program.as_ref().map(Program::words).unwrap_or_default();
    let slots: u64 = account.loads.iter().map(|load| load.slots).sum();
    let mut facts = Facts::from(
        [
            ("racer", format!("{} {}", hello.name, hello.version).trim_end().to_owned()),
            ("racer: runtime", hello.runtime.clone()),
            ("racer: program", program),
            ("slots", slots.to_string()),
            ("executor CPUs", place::words(&plan.executor_cpus)),
            (
                "measured from outside",
                "CPU time, memory, context switches of threads that are alive, and threads of the racer's processes"
                    .to_owned(),
            ),
            (
                "not seen from outside",
                "names and stacks of threads, options of sockets, pools, and the memory of the racer's own recorders"
                    .to_owned(),
            ),
        ]
        .map(|(what, value)| (what.to_owned(), value)),
    );
    facts.extend(
        account
            .facts
            .iter()
            .map(|(what, value)| (format!("racer: {what}"), secret::blanked(value))),
    );
    for told in &account.targets {
        let words = format!(
            "{} opened, {} in place of lost ones, by the racer's account",
            told.opened, told.reopened
        );
        facts.insert(format!("{}: connections", told.name), words);
    }
    if plan.targets.iter().any(|target| target.spec.has_process()) {
        facts.insert("target CPUs".to_owned(), place::words(&plan.target_cpus));
    }
    let told = targets.iter().flat_map(|target| target.facts());
    facts.extend(told.map(|(what, value)| (what, secret::blanked(&value))));
    facts.extend(apart::facts(plan, targets));
    facts
}
