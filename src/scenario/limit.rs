//! A limit from the command line: an assertion as in `[[slo]]`, held against a scenario that was
//! read already.

use super::{Scenario, Slo, slo};
use crate::config::{quote, suggest};

/// Reads a limit such as `request.latency.p99 < 25ms` of a scenario's task or named steps; an error
/// says the remedy.
pub fn limit(text: &str, scenario: &Scenario) -> Result<Slo, String> {
    let words = |(message, help): slo::Problem| {
        help.map_or_else(|| message.clone(), |help| format!("{message}; {help}"))
    };
    let parsed = slo::parse(text)
        .map_err(|problem| format!("the limit {}: {}", quote(text), words(problem)))?;
    let subjects = subjects(scenario);
    if !subjects.contains(&parsed.subject) {
        let help = suggest(parsed.subject, "measured tasks and steps", subjects);
        return Err(format!(
            "no measured task or named step is called {}: {help}",
            quote(parsed.subject)
        ));
    }
    Ok(Slo {
        assert: text.to_owned(),
        subject: parsed.subject.to_owned(),
        metric: parsed.metric,
        comparison: parsed.comparison,
        limit: parsed.limit,
        only: Vec::new(),
        line: 0,
    })
}

/// What has a histogram: the task of each load, and every named step.
fn subjects(scenario: &Scenario) -> Vec<&str> {
    let Some(variant) = scenario.variants.first() else { return Vec::new() };
    let steps =
        variant.tasks.iter().flat_map(|task| &task.steps).filter_map(|step| step.name.as_deref());
    let loads = variant.loads.iter();
    let names = loads.clone().map(|load| load.name.as_str()).filter(|_| variant.loads.len() > 1);
    loads.map(|load| load.task.text.as_str()).chain(names).chain(steps).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::{Overrides, SloMetric, from_text};

    #[test]
    fn a_limit_is_about_a_task_or_a_named_step() {
        let text = "schema = 1\nname = 'x'\n[tasks.request]\nsteps = [{ sleep = { time = '1ms' }, name = 'nap' }]\n\
                    [load.l]\ntask = 'request'\nopen = { rate = '1/s' }\n";
        let scenario = from_text(Path::new("x.toml"), text, &Overrides::default()).unwrap();
        let read = |text| limit(text, &scenario);
        assert_eq!(read("request.latency.p99 < 25ms").map(|slo| slo.limit), Ok(25e6));
        assert_eq!(read("nap.error_rate <= 1%").map(|slo| slo.metric), Ok(SloMetric::ErrorRate));
        assert!(read("reqest.latency.p99 < 25ms").unwrap_err().contains("`request`"));
        assert!(read("request.latency.p99 < 25").unwrap_err().contains("`20ms`"));
        assert!(read("request.speed < 25").unwrap_err().contains("latency.p50 (any quantile)"));
    }
}
