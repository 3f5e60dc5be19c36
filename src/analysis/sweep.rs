//! Sweeps over a quantity: the groups that differ in nothing else, in the number's order.

use super::{CellGroup, MetricId, ScenarioResult, Sweep, Unit, crossover, law, line::SweepLine};
use crate::scenario::Param;

/// What every sweep of a scenario shows: one for each parameter that is a positive quantity in all
/// groups (a number, a duration, a size or a rate) and differs between all of a line, and for each
/// combination of the other parameters.
pub(crate) fn sweeps(groups: &[CellGroup], primary: MetricId) -> Vec<Sweep> {
    let result = |line: &SweepLine<'_>| Sweep {
        param: line.param.to_owned(),
        at: line.at.clone(),
        unit: line.unit,
        values: line.groups.iter().map(|(value, _)| *value).collect(),
        pairs: crossover::pairs(line, primary),
        laws: law::laws(line, primary),
    };
    lines(groups).iter().map(result).collect()
}

fn lines(groups: &[CellGroup]) -> Vec<SweepLine<'_>> {
    let params = groups.first().map(|group| group.params.as_slice()).unwrap_or_default();
    let quantities =
        params.iter().filter_map(|param| Some((param.name.as_str(), unit(groups, &param.name)?)));
    // The same quantity twice, in other words, is no sweep over it.
    let ascends = |line: &SweepLine<'_>| line.groups.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let all = quantities.flat_map(|(param, unit)| along(groups, param, unit));
    all.filter(|line| line.groups.len() > 1 && ascends(line)).collect()
}

/// What a parameter counts, if it is a positive quantity in every group.
fn unit(groups: &[CellGroup], param: &str) -> Option<Unit> {
    let values: Option<Vec<&str>> = groups.iter().map(|group| text(group, param)).collect();
    Unit::of(values?.into_iter())
}

fn text<'a>(group: &'a CellGroup, param: &str) -> Option<&'a str> {
    group.params.iter().find(|other| other.name == param).map(|param| param.value.as_str())
}

/// A line for each combination of the other parameters, in planned order.
fn along<'a>(groups: &'a [CellGroup], param: &'a str, unit: Unit) -> Vec<SweepLine<'a>> {
    let mut lines: Vec<SweepLine<'_>> = Vec::new();
    for group in groups {
        let Some(value) = text(group, param).and_then(|text| unit.value(text)) else { continue };
        let at: Vec<Param> =
            group.params.iter().filter(|other| other.name != param).cloned().collect();
        match lines.iter_mut().find(|line| line.at == at) {
            Some(line) => line.groups.push((value, group)),
            None => lines.push(SweepLine { param, unit, at, groups: vec![(value, group)] }),
        }
    }
    for line in &mut lines {
        line.groups.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    lines
}

impl ScenarioResult {
    /// The sweep over a parameter at given values of the others.
    pub fn sweep(&self, param: &str, at: &[Param]) -> Option<&Sweep> {
        self.sweeps.iter().find(|sweep| sweep.param == param && sweep.at == at)
    }
}

#[cfg(test)]
mod tests {
    use crate::{analysis::analyse, store::fixture::Fixture};

    /// Every sweep of cells with these parameters: its parameter, the others, its values.
    fn sweeps(params: &[&[(&str, &str)]]) -> Vec<String> {
        let fixture = params
            .iter()
            .fold(Fixture::closed("threads", 1), |f, params| f.cell("threads", params, &[9.0]));
        let analysis = analyse(&fixture.build());
        let words = |sweep: &super::Sweep| {
            let at: Vec<String> = sweep.at.iter().map(|param| format!(" {param}")).collect();
            format!("{} {:?}{}", sweep.param, sweep.values, at.concat())
        };
        analysis.scenarios[0].sweeps.iter().map(words).collect()
    }

    #[test]
    fn each_number_is_swept_at_each_combination_of_the_others() {
        assert_eq!(sweeps(&[&[("n", "64")], &[("n", "1")], &[("n", "8")]]), ["n [1.0, 8.0, 64.0]"]);
        let two = sweeps(&[
            &[("n", "1"), ("kernel", "json")],
            &[("n", "8"), ("kernel", "json")],
            &[("n", "1"), ("kernel", "sha256")],
            &[("n", "8"), ("kernel", "sha256")],
        ]);
        assert_eq!(two, ["n [1.0, 8.0] kernel=json", "n [1.0, 8.0] kernel=sha256"]);
        let both = sweeps(&[
            &[("n", "1"), ("k", "2")],
            &[("n", "8"), ("k", "2")],
            &[("n", "1"), ("k", "3")],
            &[("n", "8"), ("k", "3")],
        ]);
        assert_eq!(
            both,
            ["n [1.0, 8.0] k=2", "n [1.0, 8.0] k=3", "k [2.0, 3.0] n=1", "k [2.0, 3.0] n=8"]
        );
    }

    #[test]
    fn quantities_are_swept_in_their_unit() {
        assert_eq!(
            sweeps(&[&[("wait", "1s")], &[("wait", "50ms")]]),
            ["wait [50000000.0, 1000000000.0]"]
        );
        assert_eq!(sweeps(&[&[("body", "4KiB")], &[("body", "1024")]]), ["body [1024.0, 4096.0]"]);
        assert_eq!(sweeps(&[&[("rate", "4k/s")], &[("rate", "250/s")]]), ["rate [250.0, 4000.0]"]);
        assert!(
            sweeps(&[&[("wait", "1ms")], &[("wait", "1000us")], &[("wait", "1100us")]]).is_empty()
        );
    }

    #[test]
    fn what_is_not_a_positive_number_is_not_a_sweep() {
        assert!(sweeps(&[&[("kernel", "json")], &[("kernel", "sha256")]]).is_empty());
        assert!(sweeps(&[&[("n", "0")], &[("n", "1")]]).is_empty());
        assert!(sweeps(&[&[("n", "4")]]).is_empty());
        assert!(sweeps(&[&[]]).is_empty());
    }
}
