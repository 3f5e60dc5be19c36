//! What is claimed beside what was measured: a hollow diamond and a dot with its interval, on a
//! log2 axis.

use maud::Markup;

use super::{
    Caption,
    axis::ChartAxis,
    canvas::{Anchor, FONT, Ink, Pen, place},
    frame::Rows,
    marker,
    ratios::whisker,
    style::Ident,
};
use crate::report::width::{fit, pixels};

/// A claim for one executor.
#[derive(Debug, Clone)]
pub struct ClaimRow {
    /// The executor's colour and marker.
    pub ident: Ident,
    /// Executor and parameters.
    pub label: String,
    /// The claimed factor.
    pub claimed: f64,
    /// The measured factor and its interval.
    pub measured: Option<(f64, Option<(f64, f64)>)>,
    /// What follows, in words.
    pub words: String,
    /// Whether it is hatched, since the executor's cell is not ranked.
    pub hatched: bool,
}

/// The claims of a scenario, and what their factors are: `times as fast`.
pub fn claims(caption: &Caption, rows: &[ClaimRow], times: &str) -> Markup {
    let right = rows.iter().map(|r| pixels(&r.words, FONT)).fold(0.0, f64::max).min(190.0);
    let frame = Rows::new(rows.iter().map(|r| r.label.as_str()), 26.0, right + 20.0);
    let measured = rows.iter().filter_map(|r| r.measured);
    let ends = measured
        .flat_map(|(dot, interval)| [Some(dot), interval.map(|i| i.0), interval.map(|i| i.1)])
        .flatten();
    let axis = ChartAxis::ratio(ends.chain(rows.iter().map(|r| r.claimed)), 7);
    let mut canvas = frame.canvas();
    let x = |value: f64| place(&axis, value, frame.x);
    let words = format!("{times}: ◇ claimed, filled: measured with 95 % interval");
    frame.axis(&mut canvas, &axis, frame.x, &words);
    canvas.layer(Ink::Axis, |pen| pen.line(&[(x(1.0), frame.top), (x(1.0), frame.bottom())], 1.25));
    for (index, row) in rows.iter().enumerate() {
        let y = frame.y(index);
        if row.hatched {
            frame.hatch(&mut canvas, index);
        }
        frame.name(&mut canvas, index, row.ident, &row.label);
        canvas.name(frame.x.1 + 12.0, y, Anchor::Start, row.ident, &fit(&row.words, FONT, right));
        if let Some((dot, interval)) = row.measured.filter(|(dot, _)| axis.takes(*dot)) {
            canvas.marked(
                Ink::Executor(row.ident),
                &format!("{}: {}", row.label, row.words),
                |pen| {
                    if let Some((low, high)) = interval {
                        whisker(pen, (x(low), x(high)), y);
                    }
                    marker::draw(pen, row.ident, (x(dot), y), 4.5);
                },
            );
        }
        if axis.takes(row.claimed) {
            canvas.layer(Ink::Claim, |pen| diamond(pen, (x(row.claimed), y), 7.0));
        }
    }
    canvas.finish(caption)
}

fn diamond(pen: &Pen<'_, '_>, (x, y): (f64, f64), radius: f64) {
    pen.line(
        &[(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y), (x, y - radius)],
        1.75,
    );
}
