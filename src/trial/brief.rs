//! From a plan to what a racer in a process of its own is told.

use crate::{
    load, protocol as wire,
    protocol::{Brief, BriefServer, BriefTargetKind, Hello},
    scenario::LoadKind,
    step::{OnTimeout, StepPlan, Task},
    targets::{NamedTarget, TargetSpec, http},
};

use super::wire::{TrialLoad, TrialPlan};

/// Why a racer that says this of itself cannot do what a plan asks for; none where it can.
pub fn objection(plan: &TrialPlan, hello: &Hello) -> Option<String> {
    match brief(plan, unknown) {
        Ok(brief) => hello.objection(&brief),
        Err(why) => Some(why),
    }
}

/// What a plan says, with the targets as `endpoint` has them; an error names what the protocol has
/// no words for.
pub(super) fn brief(
    plan: &TrialPlan,
    endpoint: impl Fn(&NamedTarget) -> Result<BriefServer, String>,
) -> Result<Brief, String> {
    let targets = plan.targets.iter().map(|target| {
        let kind = BriefTargetKind::Http(endpoint(target)?);
        Ok(wire::BriefTarget { name: target.name.clone(), kind })
    });
    Ok(Brief {
        protocol: wire::VERSION,
        contender: plan.executor.clone(),
        cell: plan.cell.clone(),
        round: plan.round,
        seed: plan.seed,
        workers: plan.setup.workers,
        pool_size: plan.setup.pool_size,
        targets: targets.collect::<Result<_, String>>()?,
        tasks: tasks(&plan.tasks)?,
        loads: plan.loads.iter().map(load).collect::<Result<_, _>>()?,
        warmup_ns: ns(plan.warmup),
        duration_ns: ns(plan.duration),
        timeout_ns: ns(plan.timeout),
    })
}

/// A target that was not started; only those of HTTP can be told.
fn unknown(target: &NamedTarget) -> Result<BriefServer, String> {
    if let TargetSpec::Http(server) = &target.spec {
        if server.http2.is_some() {
            return Err("the protocol has no HTTP/2".to_owned());
        }
        if server.pool.is_some() {
            return Err("the protocol has no `pool`".to_owned());
        }
        let tls = || Err("the protocol has no TLS".to_owned());
        return if server.is_encrypted() { tls() } else { Ok(BriefServer::default()) };
    }
    let (kind, version) = (target.spec.key(), wire::VERSION);
    Err(format!("version {version} of the protocol has no target `{kind}`"))
}

/// A target that was started.
pub(super) fn known(endpoint: &http::HttpEndpoint) -> BriefServer {
    let embedded = endpoint.embedded.as_ref().map(|(spec, seed)| embedded(spec, *seed));
    let (host, base) = (endpoint.host.clone(), endpoint.base.clone());
    BriefServer { address: endpoint.address.to_string(), host, base, embedded }
}

fn embedded(spec: &http::HttpTarget, seed: u64) -> wire::EmbeddedServer {
    let weighted =
        |entry: &http::StatusWeight| wire::Weighted { status: entry.status, weight: entry.weight };
    wire::EmbeddedServer {
        seed,
        delay: spec.delay.into(),
        body_bytes: spec.body,
        status: spec.status.iter().map(weighted).collect(),
    }
}

fn tasks(tasks: &[Task]) -> Result<Vec<wire::BriefTask>, String> {
    let mut number = 0;
    let each = tasks.iter().map(|task| {
        let steps = task.steps.iter().map(|plan| {
            let step = step(number, plan);
            number += 1;
            step
        });
        Ok(wire::BriefTask {
            name: task.name.clone(),
            steps: steps.collect::<Result<_, String>>()?,
        })
    });
    each.collect()
}

fn step(number: usize, plan: &StepPlan) -> Result<wire::BriefStep, String> {
    let on_timeout = match plan.on_timeout {
        OnTimeout::Fail => None,
        OnTimeout::Skip => Some(wire::BriefOnTimeout::Skip),
        OnTimeout::Ignore => Some(wire::BriefOnTimeout::Ignore),
    };
    let (name, timeout_ns) = (plan.name.clone(), plan.timeout.map(ns));
    Ok(wire::BriefStep { number, name, timeout_ns, on_timeout, operation: plan.spec.told()? })
}

fn load(load: &TrialLoad) -> Result<wire::BriefLoad, String> {
    let staged = || Err("the protocol has no `stages` of a load".to_owned());
    let kind = match load.kind.clone() {
        LoadKind::Closed { stages, .. } if !stages.is_empty() => return staged(),
        LoadKind::Open { stages, .. } if !stages.is_empty() => return staged(),
        LoadKind::Batch { tasks, repeat } => wire::BriefLoadKind::Batch { tasks, repeat },
        LoadKind::Closed { concurrency, think, tasks, drain, .. } => {
            let (think, drain_ns) = (think.into(), ns(drain));
            wire::BriefLoadKind::Closed { concurrency, think, tasks, drain_ns }
        }
        LoadKind::Open { rate, arrival, max_in_flight, overflow, drain, .. } => {
            let arrival = match arrival {
                load::Arrival::Constant => wire::BriefArrival::Constant,
                load::Arrival::Poisson => wire::BriefArrival::Poisson,
            };
            let overflow = match overflow {
                load::Overflow::Drop => wire::BriefOverflow::Drop,
                load::Overflow::Delay => wire::BriefOverflow::Delay,
            };
            wire::BriefLoadKind::Open {
                rate,
                arrival,
                max_in_flight,
                overflow,
                drain_ns: ns(drain),
            }
        }
    };
    Ok(wire::BriefLoad { name: load.name.clone(), task: load.task.clone(), kind })
}

fn ns(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
