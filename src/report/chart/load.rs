//! Latency over the offered rate: the hockey stick.

use maud::Markup;

use super::{
    Caption,
    axis::{Base, ChartAxis},
    canvas::{Canvas, Ink},
    curves::{limit, pieces},
    frame::Plane,
    marker,
    style::{Ident, Marker},
};
use crate::report::format::{digits, ns};

/// Rates further apart than this factor get a logarithmic axis.
const WIDE: f64 = 20.0;

/// An executor at one offered rate.
#[derive(Debug, Clone)]
pub struct LoadPoint {
    /// Offered, per second.
    pub offered: f64,
    /// A quantile in ns; what is not a positive number breaks the line.
    pub latency: f64,
    /// Whether less than 99 % of it was achieved: the marker is hollow.
    pub short: bool,
    /// Whether it is hatched, since it is not ranked.
    pub hatched: bool,
    /// What a tooltip says.
    pub tip: String,
}

/// A quantile of latency over the offered rate, a line per executor. The axis of latencies covers
/// `reach` too, so that the panels beside each other share it. `limits` are SLOs: text and value in
/// ns. Nothing where no latency is known.
pub fn load(
    caption: &Caption,
    lines: &[(Ident, String, Vec<LoadPoint>)],
    reach: &[f64],
    limits: &[(String, f64)],
    quantile: &str,
) -> Option<Markup> {
    let points = || lines.iter().flat_map(|line| &line.2);
    let known =
        points().map(|p| p.latency).chain(reach.iter().copied()).chain(limits.iter().map(|l| l.1));
    let up = ChartAxis::log(known, 8, ns)?;
    let plane = Plane::new(
        across(points().map(|p| p.offered))?,
        up,
        lines.iter().map(|line| line.1.as_str()),
    );
    let mut canvas = plane.canvas("offered, tasks per second", &format!("{quantile} of latency"));
    for (text, value) in limits {
        limit(&mut canvas, &plane, text, *value);
    }
    for (ident, _, points) in lines {
        line(&mut canvas, &plane, *ident, points);
    }
    let ends: Vec<_> = lines
        .iter()
        .filter_map(|(ident, label, points)| {
            let end = points.iter().rev().find_map(|p| plane.at((p.offered, p.latency)))?;
            Some((*ident, label.as_str(), end))
        })
        .collect();
    plane.ends(&mut canvas, &ends);
    Some(canvas.finish(caption))
}

/// Linear from 0, unless the rates are far apart.
fn across(rates: impl Iterator<Item = f64>) -> Option<ChartAxis> {
    let rates: Vec<f64> = rates.filter(|rate| *rate > 0.0 && rate.is_finite()).collect();
    let (low, high) =
        (rates.iter().copied().reduce(f64::min)?, rates.iter().copied().reduce(f64::max)?);
    if high / low > WIDE {
        ChartAxis::log(rates, 8, digits)
    } else {
        Some(ChartAxis::from_zero(rates, 6, Base::Ten, digits))
    }
}

fn line(canvas: &mut Canvas, plane: &Plane, ident: Ident, points: &[LoadPoint]) {
    for point in points.iter().filter(|p| p.hatched) {
        plane.hatch(canvas, (point.offered, point.latency));
    }
    canvas.layer(Ink::Executor(ident), |pen| {
        for piece in pieces(plane, points.iter().map(|p| (p.offered, p.latency))) {
            pen.line(&piece, 2.0);
        }
    });
    for point in points {
        let Some(at) = plane.at((point.offered, point.latency)) else { continue };
        canvas.marked(Ink::Executor(ident), &point.tip, |pen| {
            marker::draw(pen, ident, at, 4.5);
            if ident.marker() == Marker::Ring && !point.short {
                // A ring is hollow by itself; here that has a meaning.
                pen.disc(at, 1.9);
            }
        });
        if point.short {
            // A hole in the marker; the page's ground shows through it in light and in dark.
            canvas.layer(Ink::Ground, |pen| marker::draw(pen, ident, at, 2.4));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::ident;

    fn draw(points: &[(f64, f64, bool)]) -> Option<String> {
        let caption =
            Caption { id: "c".into(), title: "t".into(), head: "h".into(), finding: "f".into() };
        let points = points.iter().map(|&(offered, latency, short)| LoadPoint {
            offered,
            latency,
            short,
            hatched: short,
            tip: format!("{offered}"),
        });
        let line = (ident("tokio"), "tokio".to_owned(), points.collect::<Vec<_>>());
        load(&caption, &[line], &[], &[("p99 < 25ms".into(), 25e6)], "p99").map(Markup::into_string)
    }

    #[test]
    fn what_was_not_achieved_is_hollow_and_hatched() {
        let svg = draw(&[(1e3, 1e6, false), (2e3, 2e6, false), (4e3, 9e8, true)]).expect("drawn");
        assert_eq!(svg.matches("data-tip=").count(), 3);
        assert_eq!(
            (svg.matches("class=\"gd\"").count(), svg.matches("url(#hatch)").count()),
            (1, 1)
        );
        assert!(
            svg.contains("p99 &lt; 25ms") && svg.contains("class=\"li\""),
            "the limit is drawn"
        );
    }

    #[test]
    fn rates_that_are_far_apart_have_a_logarithmic_axis() {
        let near = draw(&[(1e3, 1e6, false), (4e3, 1e6, false)]).expect("drawn");
        let far = draw(&[(10.0, 1e6, false), (4e3, 1e6, false)]).expect("drawn");
        assert!(near.contains(">0</text>") && !far.contains(">0</text>"));
        assert!(draw(&[(1e3, f64::NAN, false)]).is_some(), "the limit alone is a latency");
    }
}
