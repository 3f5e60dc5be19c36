//! Which share of tasks took how long at most: the empirical distribution function.

use maud::Markup;

use super::{
    Caption,
    axis::{Base, ChartAxis},
    canvas::Ink,
    curves::pieces,
    frame::Plane,
    style::Ident,
};
use crate::report::format::ns;

/// One executor's distribution.
#[derive(Debug, Clone)]
pub struct Steps {
    /// Its colour and marker.
    pub ident: Ident,
    /// Its name.
    pub label: String,
    /// Whether its line is broken, since it is not ranked.
    pub hatched: bool,
    /// Values in ns with the share of tasks at or below each, ascending.
    pub points: Vec<(f64, f64)>,
}

/// The distributions of one group over a logarithmic axis. Nothing where no value is positive.
pub fn shares(caption: &Caption, rows: &[Steps], what: &str) -> Option<Markup> {
    let across = ChartAxis::log(rows.iter().flat_map(|r| r.points.iter().map(|p| p.0)), 8, ns)?;
    let up = ChartAxis::from_zero([1.0], 6, Base::Ten, |share| format!("{:.0} %", share * 100.0));
    let plane = Plane::new(across, up, rows.iter().map(|r| r.label.as_str()));
    let mut canvas = plane.canvas(what, "share of tasks at or below");
    for row in rows {
        let lines = pieces(&plane, stairs(&row.points).into_iter());
        let draw =
            |pen: &super::canvas::Pen<'_, '_>| lines.iter().for_each(|piece| pen.line(piece, 1.75));
        if row.hatched {
            canvas.dashed(Ink::Executor(row.ident), draw);
        } else {
            canvas.layer(Ink::Executor(row.ident), draw);
        }
    }
    let ends: Vec<_> = rows
        .iter()
        // All lines end at the top; where along it says nothing, so that no leader is drawn to it.
        .filter_map(|row| {
            Some((
                row.ident,
                row.label.as_str(),
                (plane.x.1 + 8.0, plane.at(*row.points.last()?)?.1),
            ))
        })
        .collect();
    plane.ends(&mut canvas, &ends);
    Some(canvas.finish(caption))
}

/// A share holds until the next value: a line across, then up.
fn stairs(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let first = points.first().map(|p| (p.0, 0.0));
    let rest = points.windows(2).flat_map(|pair| [pair[0], (pair[1].0, pair[0].1)]);
    first.into_iter().chain(rest).chain(points.last().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_holds_until_the_next_value() {
        assert_eq!(
            stairs(&[(1.0, 0.5), (4.0, 1.0)]),
            [(1.0, 0.0), (1.0, 0.5), (4.0, 0.5), (4.0, 1.0)]
        );
        assert_eq!(stairs(&[(2.0, 1.0)]), [(2.0, 0.0), (2.0, 1.0)]);
        assert!(stairs(&[]).is_empty());
    }
}
