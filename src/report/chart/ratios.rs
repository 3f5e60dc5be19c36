//! Who wins, by how much: a dot and a 95 % interval per executor on a log2 axis centred on 1.

use maud::Markup;

use super::{
    Caption,
    axis::ChartAxis,
    canvas::{Anchor, FONT, Ink, place},
    frame::Rows,
    marker,
    style::Ident,
};
use crate::{
    analysis::BAND,
    report::width::{fit, pixels},
};

/// The longest words beside a row: every group leaves the same room, so that their axes are level.
const WIDEST_WORDS: &str = "0.0123× ~ no difference shown";

/// An executor's ratio.
#[derive(Debug, Clone)]
pub struct RatioRow {
    /// Its colour and marker.
    pub ident: Ident,
    /// Its name.
    pub label: String,
    /// Estimate, and interval where there is one; nothing where there are no figures.
    pub value: Option<(f64, Option<(f64, f64)>)>,
    /// What it says in words, such as `1.59× faster`.
    pub words: String,
    /// Whether it is hatched, since it is not ranked.
    pub hatched: bool,
}

/// The dots of one group, `times` as fast as something. The axis covers `reach` too, so that the
/// groups of a scenario share it.
pub fn ratios(caption: &Caption, rows: &[RatioRow], reach: &[f64], times: &str) -> Markup {
    let right = pixels(WIDEST_WORDS, FONT);
    let frame = Rows::new(rows.iter().map(|r| r.label.as_str()), 24.0, right + 14.0);
    // What is not ranked may be far off and decides nothing about the axis; it has no dot where it
    // is beyond its ends.
    let values = rows.iter().filter(|r| !r.hatched).filter_map(|r| r.value);
    let ends = values
        .flat_map(|(dot, interval)| [Some(dot), interval.map(|i| i.0), interval.map(|i| i.1)])
        .flatten();
    let axis = ChartAxis::ratio(ends.chain(reach.iter().copied()), 7);
    let mut canvas = frame.canvas();
    let x = |value: f64| place(&axis, value, frame.x);
    canvas.layer(Ink::Band, |pen| pen.rect((x(BAND.0), frame.top), (x(BAND.1), frame.bottom())));
    frame.axis(&mut canvas, &axis, frame.x, &format!("worse ←  {times}  → better"));
    canvas.layer(Ink::Axis, |pen| pen.line(&[(x(1.0), frame.top), (x(1.0), frame.bottom())], 1.25));
    for (index, row) in rows.iter().enumerate() {
        let y = frame.y(index);
        if row.hatched {
            frame.hatch(&mut canvas, index);
        }
        frame.name(&mut canvas, index, row.ident, &row.label);
        canvas.name(frame.x.1 + 12.0, y, Anchor::Start, row.ident, &fit(&row.words, FONT, right));
        let Some((dot, interval)) = row.value.filter(|(dot, _)| axis.covers(*dot)) else {
            continue;
        };
        canvas.marked(Ink::Executor(row.ident), &format!("{}: {}", row.label, row.words), |pen| {
            if let Some((low, high)) = interval {
                whisker(pen, (x(low), x(high)), y);
            }
            marker::draw(pen, row.ident, (x(dot), y), 5.0);
        });
    }
    canvas.finish(caption)
}

/// An interval with ends.
pub fn whisker(pen: &super::canvas::Pen<'_, '_>, (low, high): (f64, f64), y: f64) {
    pen.line(&[(low, y), (high, y)], 2.0);
    pen.line(&[(low, y - 4.0), (low, y + 4.0)], 1.5);
    pen.line(&[(high, y - 4.0), (high, y + 4.0)], 1.5);
}
