//! The child's side of a trial: its life, its targets, and what becomes of its errors. The rest is
//! in `race.rs`.

use std::{
    io::{self, Read},
    os::unix::process::CommandExt,
    path::Path,
    thread,
};

use super::{
    error::{FATHERLESS, TrialError},
    last_words,
    parent::environment,
    place,
    race::Race,
    referee,
    scratch::Scratch,
    server::ProcessLauncher,
    wire::{Answer, Ended, TrialPlan},
    workers::Workers,
};
use crate::{
    clock, draw,
    measure::Measured,
    runtime::{self, Runtime, Visitor},
    secret,
    step::StepPlan,
    store::TrialFailure,
    targets::{Start, Started},
    units::file_name,
};

/// Ends this process when its standard input ends: the second line of defence, should the kernel
/// not kill it. Before, the parent may ask for the last words, which `say` prints.
pub fn die_with_stdin(parent: Option<u32>, say: impl FnMut(&Ended) + Send + 'static) {
    if parent.is_some_and(|parent| !place::die_with_parent(parent)) {
        std::process::exit(FATHERLESS);
    }
    let ends = move || {
        let mut question = [0];
        if io::stdin().lock().read_exact(&mut question).is_ok() {
            last_words::say(say);
        }
        std::process::exit(FATHERLESS);
    };
    // Without a thread the first line of defence is left.
    let _ = thread::Builder::new().name(format!("{}stdin", place::OWN_THREAD)).spawn(ends);
}

/// Some executors size their pools once from the environment. If this process was started by hand
/// without it, it starts itself again with it; returns only if that is not necessary, or not
/// possible.
pub fn ensure_environment(plan: &TrialPlan) -> io::Result<()> {
    let wanted = [
        ("ASYNC_STD_THREAD_COUNT", plan.setup.workers.to_string()),
        ("BLOCKING_MAX_THREADS", plan.setup.pool_size.to_string()),
    ];
    if wanted.iter().all(|(name, value)| std::env::var(name).as_ref() == Ok(value)) {
        return Ok(());
    }
    Err(environment(&std::env::current_exe()?, plan).args(std::env::args_os().skip(1)).exec())
}

/// Runs a trial in this process, on the executor that its plan names.
pub fn run(plan: &TrialPlan) -> Ended {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(source) => {
            return ended(Err(TrialError::System { what: "no program", source }), Vec::new());
        }
    };
    if let Some(racer) = &plan.program {
        return measure(plan, &program, |race| referee::race(race, racer));
    }
    measure(plan, &program, |race| {
        runtime::dispatch(&plan.executor, race).unwrap_or_else(|| {
            let reason = format!(
                "this build has no executor `{}`; build with its cargo feature",
                plan.executor
            );
            Err(TrialError::Wrong(reason))
        })
    })
}

/// Runs a trial in this process on the executor `R`, for executors that are not in the table.
/// `program` is the `regatta` binary, which the plan's embedded targets run in.
pub fn run_on<R: Runtime>(plan: &TrialPlan, program: &Path) -> Ended {
    measure(plan, program, |race| race.visit::<R>())
}

fn ended(outcome: Result<Measured, TrialError>, left_behind: Vec<String>) -> Ended {
    let answer = match outcome {
        Ok(measurements) => Answer::Measured(Box::new(measurements)),
        // What a server has answered may be in it.
        Err(error) => Answer::Failed(TrialFailure {
            kind: error.kind(),
            reason: secret::blanked(&error.to_string()),
        }),
    };
    Ended { answer, left_behind: left_behind.iter().map(|left| secret::blanked(left)).collect() }
}

/// Starts the plan's targets, races, and removes what the targets have made, whatever came of it.
fn measure(
    plan: &TrialPlan,
    program: &Path,
    race: impl FnOnce(Race<'_>) -> Result<Measured, TrialError>,
) -> Ended {
    let begun_ns = clock::now_ns();
    place::raise_file_limit();
    let scratch = match Scratch::new() {
        Ok(scratch) => scratch,
        Err(source) => {
            return ended(
                Err(TrialError::System { what: "no scratch folder", source }),
                Vec::new(),
            );
        }
    };
    let mut targets = Vec::new();
    let outcome = start(plan, program, &scratch, &mut targets)
        .and_then(|()| Workers::start(plan, program))
        .and_then(|mut workers| {
            race(Race { plan, targets: &mut targets, workers: &mut workers, begun_ns })
        });
    let left = targets.iter_mut().filter_map(|target| target.remove().err());
    let left_behind = left.map(|left| left.to_string()).collect();
    ended(outcome, left_behind)
}

/// Starts the plan's targets into `targets`, and goes to the executor's CPUs.
fn start(
    plan: &TrialPlan,
    program: &Path,
    scratch: &Scratch,
    targets: &mut Vec<Box<dyn Started>>,
) -> Result<(), TrialError> {
    let system = |what: &'static str| move |source| TrialError::System { what, source };
    for target in &plan.targets {
        let folder = scratch.path().join(file_name(&target.name));
        std::fs::create_dir(&folder).map_err(system("no scratch folder"))?;
        let seed = draw::mix(plan.seed, targets.len() as u64);
        let mut steps = plan.tasks.iter().flat_map(|task| &task.steps);
        let uses =
            |step: &StepPlan| step.spec.targets().iter().any(|user| user.name.text == target.name);
        let prepares = steps.any(|step| step.spec.prepares() && uses(step));
        let (name, cpus) = (&target.name, &plan.target_cpus);
        let launcher = ProcessLauncher { program, cpus, target: &target.spec, seed };
        let start = Start { name, seed, scratch: &folder, launcher: &launcher, cpus, prepares };
        targets.push(target.spec.start(&start)?);
    }
    place::pin(&plan.executor_cpus).map_err(system("placement"))
}
