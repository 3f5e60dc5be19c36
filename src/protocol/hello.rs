//! Who a racer is and what it can do.

use serde::{Deserialize, Serialize};

use super::{Brief, BriefLoad, BriefLoadKind, BriefOperation, BriefStep, BriefTime, HttpCall};

/// The first line of a racer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// Its name, such as `asyncio-racer`.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// What runs its tasks, such as `CPython 3.11 asyncio`.
    #[serde(default)]
    pub runtime: String,
    /// Operations and combinators that it can do: `sleep`, `http`, `parallel`, …
    pub operations: Vec<String>,
    /// Kinds of loads: `batch`, `closed`, `open`.
    pub loads: Vec<String>,
    /// Distributions of times that it can draw from.
    #[serde(default = "constant")]
    pub distributions: Vec<String>,
    /// Keys of templates that it fills in: `i`, `j`.
    #[serde(default)]
    pub templates: Vec<String>,
    /// Whether steps may have a time-out.
    #[serde(default)]
    pub timeouts: bool,
    /// Whether it counts how often each combinator ran its children. Without it, the referee says
    /// so.
    #[serde(default)]
    pub edges: bool,
    /// Loads that it can run at once.
    #[serde(default = "one")]
    pub loads_at_once: usize,
    /// CPUs that it can keep busy at once; none: as many as it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<usize>,
}

fn constant() -> Vec<String> {
    vec!["const".to_owned()]
}

fn one() -> usize {
    1
}

impl Hello {
    /// Why it cannot do what a brief says; none where it can.
    pub fn objection(&self, brief: &Brief) -> Option<String> {
        let steps = || brief.tasks.iter().flat_map(|task| &task.steps);
        let lack = steps().find_map(|step| self.lacks_for_step(step));
        let lack = lack.or_else(|| brief.loads.iter().find_map(|load| self.lacks_for_load(load)));
        lack.map(|what| format!("the racer {} cannot do {what}", self.name)).or_else(|| {
            let loads = brief.loads.len();
            (loads > self.loads_at_once.max(1))
                .then(|| format!("the racer {} cannot run {loads} loads at once", self.name))
        })
    }

    fn lacks_for_step(&self, step: &BriefStep) -> Option<String> {
        let key = step.operation.key();
        if !has(&self.operations, key) {
            return Some(format!("the step `{key}`"));
        }
        if step.timeout_ns.is_some() && !self.timeouts {
            return Some("time-outs of steps".to_owned());
        }
        match &step.operation {
            BriefOperation::Sleep { time } => self.lacks_time(time),
            BriefOperation::Http(call) => self.lacks_template(call),
            _ => None,
        }
    }

    fn lacks_time(&self, time: &BriefTime) -> Option<String> {
        let key = time.key();
        (!has(&self.distributions, key)).then(|| format!("times of the distribution `{key}`"))
    }

    fn lacks_template(&self, call: &HttpCall) -> Option<String> {
        let key = call.keys().find(|key| !has(&self.templates, key))?;
        Some(format!("`${{{key}}}` in what it sends"))
    }

    fn lacks_for_load(&self, load: &BriefLoad) -> Option<String> {
        let key = load.kind.key();
        if !has(&self.loads, key) {
            return Some(format!("the load `{key}`"));
        }
        match &load.kind {
            BriefLoadKind::Closed { think, .. } => self.lacks_time(think),
            _ => None,
        }
    }
}

fn has(list: &[String], key: &str) -> bool {
    list.iter().any(|known| known == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::BriefTask;

    fn hello() -> Hello {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let (operations, loads) = (words(&["sleep"]), words(&["batch"]));
        let (distributions, loads_at_once) = (constant(), 1);
        Hello {
            name: "r".into(),
            operations,
            loads,
            distributions,
            loads_at_once,
            ..Hello::default()
        }
    }

    fn brief(operation: BriefOperation, kind: BriefLoadKind) -> Brief {
        let step =
            BriefStep { number: 0, name: None, timeout_ns: None, on_timeout: None, operation };
        let load = BriefLoad { name: "l".into(), task: "t".into(), kind };
        let tasks = vec![BriefTask { name: "t".into(), steps: vec![step] }];
        Brief { tasks, loads: vec![load], ..Brief::default() }
    }

    #[test]
    fn what_it_cannot_do_is_named() {
        let batch = || BriefLoadKind::Batch { tasks: 1, repeat: None };
        let nap = || BriefOperation::Sleep { time: BriefTime::Const { ns: 1 } };
        let why = |operation, kind| hello().objection(&brief(operation, kind));
        assert_eq!(why(nap(), batch()), None);
        assert_eq!(
            why(BriefOperation::Noop {}, batch()),
            Some("the racer r cannot do the step `noop`".into())
        );
        let drawn = BriefOperation::Sleep { time: BriefTime::Exp { mean_ns: 1 } };
        assert!(why(drawn, batch()).is_some_and(|why| why.ends_with("distribution `exp`")));
        let closed = BriefLoadKind::Closed {
            concurrency: 1,
            think: BriefTime::Const { ns: 0 },
            tasks: None,
            drain_ns: 1,
        };
        assert!(why(nap(), closed).is_some_and(|why| why.ends_with("the load `closed`")));
        let mut two = brief(nap(), batch());
        two.loads.push(two.loads[0].clone());
        assert!(hello().objection(&two).is_some_and(|why| why.contains("2 loads at once")));
    }
}
