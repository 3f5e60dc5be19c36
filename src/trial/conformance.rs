//! What a racer must do whatever it races: the parts of the protocol that no trial shows, tried on
//! a process each.

use super::racer::Racer;
use crate::{
    clock,
    protocol::{
        Brief, BriefLoad, BriefLoadKind, BriefOperation, BriefStep, BriefTask, BriefTime, Program,
        RacerSaid, VERSION,
    },
    store::TrialFailure,
};

/// How long a racer may take to answer, in ns.
const PATIENCE_NS: u64 = 20_000_000_000;

/// The smallest brief: one nap.
fn brief() -> Brief {
    let operation = BriefOperation::Sleep { time: BriefTime::Const { ns: 1_000_000 } };
    let step = BriefStep { number: 0, name: None, timeout_ns: None, on_timeout: None, operation };
    let kind = BriefLoadKind::Batch { tasks: 1, repeat: Some(1) };
    Brief {
        protocol: VERSION,
        contender: "racer".to_owned(),
        seed: 1,
        workers: 1,
        pool_size: 1,
        tasks: vec![BriefTask { name: "nap".to_owned(), steps: vec![step] }],
        loads: vec![BriefLoad { name: "naps".to_owned(), task: "nap".to_owned(), kind }],
        duration_ns: 1_000_000,
        timeout_ns: PATIENCE_NS,
        ..Brief::default()
    }
}

fn begun(program: &Program) -> Result<(Racer, u64), String> {
    let mut racer = Racer::start(program, None).map_err(said)?;
    racer.hello().map_err(said)?;
    Ok((racer, clock::now_ns() + PATIENCE_NS))
}

fn said(failure: TrialFailure) -> String {
    failure.reason
}

/// A brief of a version that nobody speaks is answered by `failed`.
pub fn refuses_another_version(program: &Program) -> Result<(), String> {
    let (mut racer, until_ns) = begun(program)?;
    let strange = Brief { protocol: 999, ..brief() };
    racer.tell_line(&serde_json::json!({ "brief": strange }).to_string()).map_err(said)?;
    match racer.any(until_ns).map_err(said)? {
        RacerSaid::Failed(_) => Ok(()),
        other => Err(format!("it answered `{}` to a brief of version 999", other.name())),
    }
}

/// What is new in a brief is ignored.
pub fn ignores_what_is_new(program: &Program) -> Result<(), String> {
    let (mut racer, until_ns) = begun(program)?;
    let mut told = serde_json::json!({ "brief": brief() });
    told["brief"]["mood"] = "good".into();
    told["brief"]["loads"][0]["colour"] = serde_json::json!({ "red": 1 });
    racer.tell_line(&told.to_string()).map_err(said)?;
    racer.hear("ready", until_ns).map(drop).map_err(said)
}

/// A racer ends when its input does.
pub fn ends_with_its_input(program: &Program) -> Result<(), String> {
    let (mut racer, _) = begun(program)?;
    if racer.ends() { Ok(()) } else { Err("it had to be killed".to_owned()) }
}
