//! This program as a racer in a process of its own, for any of its executors: the racer's part
//! alone. It builds the executor, runs the loads and accounts for what it did; who judges is
//! elsewhere.

use std::{
    io::{self, BufRead as _},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, channel},
    },
    thread,
};

use super::{
    edge::Edge,
    error::TrialError,
    loads::{self, Racing, Ran},
    place, proof,
    race::end,
    window::TrialWindow,
    wire::{self, TrialLoad, TrialPlan},
    witness,
};
use crate::{
    clock, load,
    protocol::{
        self, Bare, Brief, BriefTargetKind, ChildrenAccount, Hello, RacerAccount, RacerFailed,
        RacerFault, RacerSaid, RefereeSaid, StepAccount, TargetAccount,
    },
    runtime::{self, ExecutorInfo, Runtime, Setup, Style, Visitor},
    scenario::LoadKind,
    step::{OnTimeout, Reading, StepPlan, StepSpec, Task},
    store::FailureKind,
    targets::{Endpoint, NamedTarget, TargetSpec, http},
};

/// Loads that an executor can run at once, as far as anybody has asked.
const LOADS_AT_ONCE: usize = 64;

/// The way to the referee.
pub struct RefereeLine {
    heard: Mutex<Receiver<String>>,
    say: Box<dyn Fn(&str) + Send + Sync>,
}

impl RefereeLine {
    /// Hears what stands in standard input, and says what `say` writes. A referee that goes away
    /// takes this process with it.
    pub fn new(say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let (tell, heard) = channel();
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                // Nobody listens after the last line.
                let _ = tell.send(line);
            }
            std::process::exit(super::error::FATHERLESS);
        });
        Self { heard: Mutex::new(heard), say: Box::new(say) }
    }

    fn say(&self, said: &RacerSaid) {
        (self.say)(&protocol::line(said));
    }

    /// The next message.
    fn hear(&self) -> Result<RefereeSaid, String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let line = heard.recv().map_err(|_| "the referee is gone".to_owned())?;
        protocol::parse(&line)
    }
}

/// What this program says of itself as a racer of an executor.
fn hello_of(executor: &ExecutorInfo) -> Hello {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let serial = executor.style == Style::Serial;
    let one_thread = serial || executor.style == Style::OneWorker;
    Hello {
        protocol: protocol::VERSION,
        name: "regatta".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        runtime: executor.name.to_owned(),
        operations: words(&["noop", "yield", "sleep", "http", "parallel", "repeat"]),
        loads: words(&["batch", "closed", "open"]),
        distributions: words(&["const", "exp", "uniform", "lognormal"]),
        templates: words(&["i", "j"]),
        timeouts: true,
        edges: true,
        loads_at_once: if serial { 1 } else { LOADS_AT_ONCE },
        cpus: one_thread.then_some(1),
    }
}

/// Races once on an executor, as the referee at the other end asks; an error says that there is no
/// such executor.
pub fn race(name: &str, line: impl FnOnce() -> RefereeLine) -> Result<(), String> {
    let Some(executor) = runtime::executor(name) else {
        let known: Vec<&str> = runtime::EXECUTORS.iter().map(|info| info.name).collect();
        return Err(format!("unknown executor `{name}`; executors: {}", known.join(", ")));
    };
    let line = line();
    line.say(&RacerSaid::Hello(hello_of(executor)));
    let said = match raced(executor, &line) {
        Ok(account) => RacerSaid::Account(Box::new(account)),
        Err(failed) => RacerSaid::Failed(failed),
    };
    line.say(&said);
    Ok(())
}

fn raced(executor: &ExecutorInfo, line: &RefereeLine) -> Result<RacerAccount, RacerFailed> {
    let RefereeSaid::Brief(brief) = line.hear().map_err(refused)? else {
        return Err(refused("`brief` was to come first".to_owned()));
    };
    if let Some(why) = protocol::other_version("the referee", brief.protocol) {
        return Err(refused(why));
    }
    let plan = plan(executor, &brief).map_err(refused)?;
    let endpoints = endpoints(&brief).map_err(refused)?;
    let began_ns = clock::now_ns();
    place::raise_file_limit();
    let race = OwnRace { plan: &plan, endpoints: &endpoints, line, began_ns };
    let none = || refused(format!("this build has no executor `{}`", executor.name));
    let account = runtime::dispatch(executor.name, race).ok_or_else(none)?;
    account.map_err(|why| RacerFailed { kind: fault(why.kind()), reason: why.to_string() })
}

fn refused(reason: String) -> RacerFailed {
    RacerFailed { kind: RacerFault::Refused, reason }
}

fn fault(kind: FailureKind) -> RacerFault {
    match kind {
        FailureKind::WrongResult | FailureKind::TooShort => RacerFault::WrongResult,
        FailureKind::Target => RacerFault::Target,
        FailureKind::Refused | FailureKind::Crashed | FailureKind::TimedOut => RacerFault::Refused,
    }
}

/// The plan that a brief is of.
fn plan(executor: &ExecutorInfo, brief: &Brief) -> Result<TrialPlan, String> {
    let time = std::time::Duration::from_nanos;
    let target = |target: &protocol::BriefTarget| {
        let BriefTargetKind::Http(found) = &target.kind;
        let spec = TargetSpec::Http(served(found));
        NamedTarget { name: target.name.clone(), spec }
    };
    Ok(TrialPlan {
        regatta_trial: wire::VERSION,
        cell: brief.cell.clone(),
        round: brief.round,
        executor: executor.name.to_owned(),
        program: None,
        setup: Setup {
            workers: brief.workers.max(1),
            pool_size: brief.pool_size.max(1),
            stack_size: None,
        },
        executor_cpus: Vec::new(),
        target_cpus: Vec::new(),
        seed: brief.seed,
        targets: brief.targets.iter().map(target).collect(),
        shared: Vec::new(),
        data: Vec::new(),
        tasks: brief.tasks.iter().map(task).collect::<Result<_, _>>()?,
        loads: brief.loads.iter().map(load_of).collect(),
        warmup: time(brief.warmup_ns),
        duration: time(brief.duration_ns),
        timeout: time(brief.timeout_ns),
        probe: false,
        parent: None,
    })
}

fn task(task: &protocol::BriefTask) -> Result<Task, String> {
    let step = |step: &protocol::BriefStep| {
        Ok(StepPlan {
            name: step.name.clone(),
            timeout: step.timeout_ns.map(std::time::Duration::from_nanos),
            on_timeout: match step.on_timeout {
                None => OnTimeout::Fail,
                Some(protocol::BriefOnTimeout::Skip) => OnTimeout::Skip,
                Some(protocol::BriefOnTimeout::Ignore) => OnTimeout::Ignore,
            },
            spec: StepSpec::heard(&step.operation)?,
        })
    };
    let steps = task.steps.iter().map(step).collect::<Result<_, String>>()?;
    Ok(Task { name: task.name.clone(), steps })
}

fn load_of(load: &protocol::BriefLoad) -> TrialLoad {
    let time = std::time::Duration::from_nanos;
    let kind = match load.kind.clone() {
        protocol::BriefLoadKind::Batch { tasks, repeat } => LoadKind::Batch { tasks, repeat },
        protocol::BriefLoadKind::Closed { concurrency, think, tasks, drain_ns } => {
            LoadKind::Closed {
                concurrency,
                stages: Vec::new(),
                think: think.into(),
                tasks,
                drain: time(drain_ns),
            }
        }
        protocol::BriefLoadKind::Open { rate, arrival, max_in_flight, overflow, drain_ns } => {
            let arrival = match arrival {
                protocol::BriefArrival::Constant => load::Arrival::Constant,
                protocol::BriefArrival::Poisson => load::Arrival::Poisson,
            };
            let overflow = match overflow {
                protocol::BriefOverflow::Drop => load::Overflow::Drop,
                protocol::BriefOverflow::Delay => load::Overflow::Delay,
            };
            let (stages, drain) = (Vec::new(), time(drain_ns));
            LoadKind::Open { rate, arrival, max_in_flight, overflow, stages, drain }
        }
    };
    // What only the referee needs to know is not said.
    let (least_task_ns, delays_vary) = (0, false);
    TrialLoad { name: load.name.clone(), task: load.task.clone(), kind, least_task_ns, delays_vary }
}

/// What a server will answer.
fn served(target: &protocol::BriefServer) -> http::HttpTarget {
    let usual = http::HttpTarget::default();
    let Some(embedded) = &target.embedded else { return usual };
    let status = embedded.status.iter();
    http::HttpTarget {
        delay: embedded.delay.into(),
        body: embedded.body_bytes,
        status: status
            .map(|entry| http::StatusWeight {
                status: entry.status,
                weight: entry.weight,
                // No racer is told of a `retry`, and nobody else looks at it.
                retry_after: None,
            })
            .collect(),
        ..usual
    }
}

fn endpoints(brief: &Brief) -> Result<Vec<Arc<http::HttpEndpoint>>, String> {
    let each = brief.targets.iter().map(|target| {
        let BriefTargetKind::Http(found) = &target.kind;
        let address = found.address.parse();
        let address = address.map_err(|why| format!("`{}` is no address: {why}", found.address))?;
        let embedded = found.embedded.as_ref().map(|embedded| (served(found), embedded.seed));
        let (host, base) = (found.host.clone(), found.base.clone());
        Ok(Arc::new(http::HttpEndpoint::new(address, host, base, embedded)))
    });
    each.collect()
}

/// A race of this process, whose executor is still only a name.
struct OwnRace<'a> {
    plan: &'a TrialPlan,
    endpoints: &'a [Arc<http::HttpEndpoint>],
    line: &'a RefereeLine,
    /// When this process was told what to do, in ns of the clock.
    began_ns: u64,
}

impl Visitor for OwnRace<'_> {
    type Output = Result<RacerAccount, TrialError>;

    fn visit<R: Runtime>(self) -> Self::Output {
        let (plan, line) = (self.plan, self.line);
        let system =
            |source| TrialError::System { what: "the executor could not be started", source };
        let runtime = R::start(&plan.setup).map_err(system)?;
        let endpoints: Vec<Endpoint> =
            self.endpoints.iter().map(|endpoint| endpoint.clone() as Endpoint).collect();
        let mut racing = loads::build(plan, &runtime, &endpoints, None)?;
        let (ledger, commons) = (racing[0].trial.ledger.clone(), racing[0].trial.commons.clone());
        for load in &mut racing {
            load.prepare(&runtime)?;
        }
        line.say(&RacerSaid::Ready(Bare {}));
        if !matches!(line.hear(), Ok(RefereeSaid::Go(_))) {
            return Err(TrialError::Wrong("`go` was to come after `ready`".to_owned()));
        }
        let edges = Mutex::new([RacerSaid::Closes(Bare {}), RacerSaid::Opens(Bare {})].to_vec());
        let window = TrialWindow::of(plan, || at_edge(line, &edges));
        let ran = loads::run(plan, self.began_ns, &runtime, racing, &window)?;
        if let Some(failure) = ran.iter().find_map(|load| load.shared.failure()) {
            return Err(TrialError::Step(failure.clone()));
        }
        let facts = facts(&runtime, &ran, plan);
        let hangs = ran.iter().any(|load| load.outcome.given_up() > 0);
        let ran: Vec<Ran<'_>> = ran.into_iter().map(|load| load.close(&ledger, plan)).collect();
        commons.clear();
        let account = RacerAccount {
            loads: ran.iter().map(Ran::account).collect(),
            steps: steps(&ledger.settled(proof::steps(plan))),
            targets: connections(plan, self.endpoints),
            facts,
        };
        end(runtime, hangs);
        Ok(account)
    }
}

/// Says that the window opens or closes, and waits until the counters were read.
fn at_edge(line: &RefereeLine, edges: &Mutex<Vec<RacerSaid>>) -> Edge {
    if let Some(said) = edges.lock().unwrap_or_else(PoisonError::into_inner).pop() {
        line.say(&said);
        // Whatever comes instead is the referee's own affair: it judges what it has read.
        let _ = line.hear();
    }
    Edge::default()
}

fn facts<R: Runtime>(
    runtime: &R,
    ran: &[Racing<'_, R>],
    plan: &TrialPlan,
) -> std::collections::BTreeMap<String, String> {
    let mut facts = runtime.facts();
    for load in ran {
        facts.extend(load.facts(plan));
    }
    facts.extend(witness::facts(runtime));
    facts
}

/// The account of each step that was begun.
fn steps(reading: &Reading) -> Vec<StepAccount> {
    let each = reading.steps.iter().zip(&reading.edges).enumerate();
    let told = each.map(|(number, (tally, edges))| StepAccount {
        number,
        started: tally.started,
        ended: tally.ended,
        failed: tally.failed,
        cancelled: tally.cancelled,
        stopped: tally.stopped,
        missed: tally.missed,
        errors: tally.done.errors,
        timeouts: tally.done.timeouts,
        children: edges
            .first()
            .map(|edge| ChildrenAccount { asked: edge.asked, returned: edge.returned }),
    });
    told.filter(|told| told.started > 0 || told.missed > 0).collect()
}

fn connections(plan: &TrialPlan, endpoints: &[Arc<http::HttpEndpoint>]) -> Vec<TargetAccount> {
    let each = plan.targets.iter().zip(endpoints);
    let told = each.map(|(target, endpoint)| TargetAccount {
        name: target.name.clone(),
        opened: endpoint.connections.opened(),
        reopened: endpoint.connections.reopened(),
    });
    told.collect()
}
