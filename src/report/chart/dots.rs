//! A dot per round: how far each is from its cell's median. Within a row, earlier rounds are
//! higher, so that a drift leans to one side.

use maud::Markup;

use super::{
    Caption,
    axis::ChartAxis,
    canvas::{Ink, place},
    frame::Rows,
    style::Ident,
};
use crate::report::format::{digits, tick};

/// One executor's rounds.
#[derive(Debug, Clone)]
pub struct RoundRow {
    /// Its colour.
    pub ident: Ident,
    /// Its name.
    pub label: String,
    /// Round, and its distance from the median in percent.
    pub rounds: Vec<(u32, f64)>,
    /// Whether it is hatched, since it is not ranked.
    pub hatched: bool,
}

/// The dots of one group.
pub fn rounds(caption: &Caption, rows: &[RoundRow], what: &str) -> Markup {
    let frame = Rows::new(rows.iter().map(|r| r.label.as_str()), 30.0, 24.0);
    let axis =
        ChartAxis::around_zero(rows.iter().flat_map(|r| r.rounds.iter().map(|d| d.1)), signed);
    let mut canvas = frame.canvas();
    frame.axis(
        &mut canvas,
        &axis,
        frame.x,
        &format!("{what}: distance of a round from the cell's median"),
    );
    canvas.layer(Ink::Grid, |pen| {
        for row in 1..rows.len() {
            let y = frame.top + frame.height * row as f64;
            pen.line(&[(frame.x.0, y), (frame.x.1, y)], 0.75);
        }
    });
    let x = |value: f64| place(&axis, value, frame.x);
    canvas.layer(Ink::Axis, |pen| pen.line(&[(x(0.0), frame.top), (x(0.0), frame.bottom())], 1.25));
    for (index, row) in rows.iter().enumerate() {
        if row.hatched {
            frame.hatch(&mut canvas, index);
        }
        frame.name(&mut canvas, index, row.ident, &row.label);
        let dots: Vec<_> = row.rounds.iter().filter(|dot| axis.takes(dot.1)).collect();
        let step = 20.0 / (dots.len().max(2) - 1) as f64;
        for (order, (round, percent)) in dots.iter().enumerate() {
            let y = frame.y(index) - 10.0 + step * order as f64;
            let tip = format!("{}, round {round}: {}", row.label, signed(*percent));
            canvas.marked(Ink::Executor(row.ident), &tip, |pen| pen.disc((x(*percent), y), 2.75));
        }
    }
    canvas.finish(caption)
}

/// `+2.5 %`, `0 %`, `−1 %`.
fn signed(percent: f64) -> String {
    let sign = match percent {
        p if p > 0.0 => "+",
        p if p < 0.0 => "−",
        _ => "",
    };
    format!("{sign}{} %", tick(&digits(percent.abs())))
}
