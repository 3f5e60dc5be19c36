//! Lines over a scale: latency by percentile, and a metric over a swept parameter.

use maud::Markup;

use super::{
    Caption,
    axis::ChartAxis,
    canvas::{Anchor, Canvas, Ink, Pen},
    frame::Plane,
    marker,
    style::Ident,
};
use crate::report::format::ns;

/// One executor's line.
#[derive(Debug, Clone)]
pub struct Curve {
    /// Its colour and marker.
    pub ident: Ident,
    /// Its name, at the end of the line.
    pub label: String,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// A point of a line.
#[derive(Debug, Clone)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// How much; what is not a positive number breaks the line.
    pub y: f64,
    /// The 95 % interval, where there is one.
    pub interval: Option<(f64, f64)>,
    /// What a tooltip says; empty: no marker here.
    pub tip: String,
}

/// What is drawn beside the lines of a scaling chart.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    /// Fitted laws.
    pub laws: Vec<LawLine>,
    /// Crossings.
    pub crossings: Vec<CrossingMark>,
    /// Places of points that are hatched, since they are not ranked.
    pub hatched: Vec<(f64, f64)>,
}

/// A law over the measured range.
#[derive(Debug, Clone)]
pub struct LawLine {
    /// The executor's colour.
    pub ident: Ident,
    /// What a tooltip says.
    pub tip: String,
    /// The line.
    pub points: Vec<(f64, f64)>,
}

/// Where two lines cross.
#[derive(Debug, Clone)]
pub struct CrossingMark {
    /// The place.
    pub at: (f64, f64),
    /// Its interval across, where there is one.
    pub interval: Option<(f64, f64)>,
    /// What a tooltip says.
    pub tip: String,
}

/// Latency over nines: each line ends where too few samples are left. `limits` are SLOs: text and
/// value in ns; the lines of executors that are not ranked are broken. Nothing where there is no
/// sample.
pub fn nines(
    caption: &Caption,
    curves: &[Curve],
    limits: &[(String, f64)],
    unranked: impl Fn(&Curve) -> bool,
) -> Option<Markup> {
    let points = || curves.iter().flat_map(|c| &c.points);
    let up = ChartAxis::log(points().map(|p| p.y).chain(limits.iter().map(|l| l.1)), 8, ns)?;
    let deepest = points().map(|p| -(1.0 - p.x).log10()).fold(1.0, f64::max);
    let plane = Plane::new(ChartAxis::nines(deepest), up, curves.iter().map(|c| c.label.as_str()));
    let mut canvas = plane.canvas("percentile of tasks", "latency");
    for (text, value) in limits {
        limit(&mut canvas, &plane, text, *value);
    }
    lines(&mut canvas, &plane, curves, unranked);
    Some(canvas.finish(caption))
}

/// A metric over a swept parameter, both axes logarithmic. Nothing where there is no positive
/// value.
pub fn scaling(
    caption: &Caption,
    curves: &[Curve],
    overlay: &Overlay,
    (across, up): (&str, &str),
    (format_across, format_up): (impl Fn(f64) -> String, impl Fn(f64) -> String),
) -> Option<Markup> {
    let points = || curves.iter().flat_map(|c| &c.points);
    let ends = points()
        .flat_map(|p| [Some(p.y), p.interval.map(|i| i.0), p.interval.map(|i| i.1)])
        .flatten();
    let plane = Plane::new(
        ChartAxis::log(points().map(|p| p.x), 8, format_across)?,
        ChartAxis::log(ends, 8, format_up)?,
        curves.iter().map(|c| c.label.as_str()),
    );
    let mut canvas = plane.canvas(across, up);
    for &place in &overlay.hatched {
        plane.hatch(&mut canvas, place);
    }
    laws(&mut canvas, &plane, &overlay.laws);
    lines(&mut canvas, &plane, curves, |_| false);
    for mark in &overlay.crossings {
        crossing(&mut canvas, &plane, mark);
    }
    Some(canvas.finish(caption))
}

/// Thin broken lines, and what they are.
fn laws(canvas: &mut Canvas, plane: &Plane, laws: &[LawLine]) {
    for LawLine { ident, tip, points } in laws {
        let points: Vec<(f64, f64)> = points.iter().filter_map(|&point| plane.at(point)).collect();
        canvas.dashed_marked(Ink::Executor(*ident), tip, |pen| pen.line(&points, 1.0));
    }
    if !laws.is_empty() {
        let text = "- - Universal Scalability Law, fitted";
        canvas.text(plane.x.0 + 6.0, plane.y.1 + 9.0, Anchor::Start, "tk", text);
    }
}

/// A cross with its interval as a bar.
fn crossing(canvas: &mut Canvas, plane: &Plane, mark: &CrossingMark) {
    let Some((x, y)) = plane.at(mark.at) else { return };
    canvas.marked(Ink::Claim, &mark.tip, |pen| {
        pen.line(&[(x, y - 7.0), (x, y + 7.0)], 1.5);
        let ends = mark
            .interval
            .and_then(|(low, high)| plane.at((low, mark.at.1)).zip(plane.at((high, mark.at.1))));
        if let Some((low, high)) = ends {
            pen.line(&[low, high], 1.0);
            for (end, _) in [low, high] {
                pen.line(&[(end, y - 3.0), (end, y + 3.0)], 1.0);
            }
        }
    });
}

/// A horizontal line with its text above its left end.
pub fn limit(canvas: &mut Canvas, plane: &Plane, text: &str, value: f64) {
    let Some((_, y)) = plane.at((0.0, value)) else { return };
    canvas.dashed(Ink::Limit, |pen| pen.line(&[(plane.x.0, y), (plane.x.1, y)], 1.5));
    canvas.text(plane.x.0 + 6.0, y - 9.0, Anchor::Start, "lm", text);
}

fn lines(canvas: &mut Canvas, plane: &Plane, curves: &[Curve], broken: impl Fn(&Curve) -> bool) {
    for curve in curves {
        let draw = |pen: &Pen<'_, '_>| {
            for piece in pieces(plane, curve.points.iter().map(|p| (p.x, p.y))) {
                pen.line(&piece, 2.0);
            }
        };
        if broken(curve) {
            canvas.dashed(Ink::Executor(curve.ident), draw);
        } else {
            canvas.layer(Ink::Executor(curve.ident), draw);
        }
        for point in curve.points.iter().filter(|p| !p.tip.is_empty()) {
            let Some(at) = plane.at((point.x, point.y)) else { continue };
            canvas.marked(Ink::Executor(curve.ident), &point.tip, |pen| {
                if let Some((low, high)) = point
                    .interval
                    .and_then(|(l, h)| plane.at((point.x, l)).zip(plane.at((point.x, h))))
                {
                    pen.line(&[low, high], 1.25);
                }
                marker::draw(pen, curve.ident, at, 4.0);
            });
        }
    }
    let ends: Vec<_> = curves
        .iter()
        .filter_map(|curve| {
            let end = curve.points.iter().rev().find_map(|p| plane.at((p.x, p.y)))?;
            Some((curve.ident, curve.label.as_str(), end))
        })
        .collect();
    plane.ends(canvas, &ends);
}

/// The parts of a line between values that cannot be shown.
pub fn pieces(plane: &Plane, points: impl Iterator<Item = (f64, f64)>) -> Vec<Vec<(f64, f64)>> {
    let places: Vec<Option<(f64, f64)>> = points.map(|point| plane.at(point)).collect();
    places
        .split(Option::is_none)
        .map(|piece| piece.iter().copied().flatten().collect::<Vec<_>>())
        .filter(|piece| piece.len() > 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::ident;
    use crate::report::format::digits;

    fn curve(values: &[f64]) -> Curve {
        let point = |(i, &y): (usize, &f64)| Point {
            x: (i + 1) as f64,
            y,
            interval: None,
            tip: format!("{y}"),
        };
        Curve {
            ident: ident("tokio"),
            label: "tokio".into(),
            points: values.iter().enumerate().map(point).collect(),
        }
    }

    fn draw(values: &[f64]) -> Option<String> {
        let caption = Caption {
            id: "c".into(),
            title: "a title".into(),
            head: "a title".into(),
            finding: "a finding".into(),
        };
        scaling(&caption, &[curve(values)], &Overlay::default(), ("x", "y"), (digits, digits))
            .map(maud::PreEscaped::into_string)
    }

    #[test]
    fn a_value_that_cannot_be_shown_breaks_the_line() {
        let whole = draw(&[2.0, 4.0, 8.0, 5.0, 3.0]).expect("drawn");
        let broken = draw(&[2.0, 4.0, 0.0, 5.0, f64::NAN]).expect("drawn");
        let lines = |svg: &str| svg.matches("stroke-width=\"8\"").count();
        assert_eq!(
            (lines(&whole), lines(&broken)),
            (1, 1),
            "a single point after the gap has no line"
        );
        assert_eq!(broken.matches("data-tip").count(), 3);
        assert!(draw(&[0.0, f64::NAN]).is_none());
    }

    #[test]
    fn laws_and_crossings_are_drawn_beside_the_lines() {
        let caption = Caption {
            id: "c".into(),
            title: "a title".into(),
            head: "a title".into(),
            finding: "a finding".into(),
        };
        let mark =
            CrossingMark { at: (2.0, 4.0), interval: Some((1.5, 2.5)), tip: "they cross".into() };
        let points = vec![(1.0, 2.0), (2.0, 3.5), (3.0, 5.0)];
        let law = LawLine { ident: ident("tokio"), tip: "a law".into(), points };
        let overlay = Overlay { laws: vec![law], crossings: vec![mark], hatched: vec![(2.0, 4.0)] };
        let curves = [curve(&[2.0, 4.0, 8.0])];
        let svg = scaling(&caption, &curves, &overlay, ("x", "y"), (digits, digits))
            .expect("drawn")
            .into_string();
        for part in [
            "data-tip=\"they cross\"",
            "data-tip=\"a law\"",
            "Universal Scalability Law",
            "stroke-dasharray",
        ] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!draw(&[2.0, 4.0, 8.0]).expect("drawn").contains("Universal Scalability Law"));
    }

    #[test]
    fn svg_says_what_it_shows_and_scales() {
        let svg = draw(&[150e3, 900e3]).expect("drawn");
        assert!(svg.contains("role=\"img\"") && svg.contains("<title id=\"c-t\">a title</title>"));
        assert!(svg.contains("<desc id=\"c-d\">a finding</desc>"));
        let root = &svg[..svg.find('>').expect("a tag")];
        assert!(!root.contains("width=") && root.contains("viewBox="), "{root}");
        for tick in ["100k", "200k", "500k", "1M"] {
            assert!(svg.contains(&format!(">{tick}</text>")), "{tick}");
        }
    }
}
