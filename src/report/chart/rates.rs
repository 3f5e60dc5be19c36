//! The rates that a search has tried, a row per executor on a log axis: from the highest that
//! passes to the least that fails there is a line, on which the true one lies.

use maud::Markup;

use super::{
    Caption,
    axis::ChartAxis,
    canvas::{Anchor, FONT, Ink, place},
    frame::Rows,
    marker,
    ratios::whisker,
    style::Ident,
};
use crate::report::{
    format::{digits, tick},
    width::{fit, pixels},
};

/// Most room for the words at the right.
const WORDS: f64 = 190.0;

/// What one executor's rates have come to.
#[derive(Debug, Clone)]
pub struct RateRow {
    /// Its colour and marker.
    pub ident: Ident,
    /// Its name.
    pub label: String,
    /// Rates that pass.
    pub passes: Vec<f64>,
    /// Rates that fail.
    pub fails: Vec<f64>,
    /// Rates that are not decided.
    pub open: Vec<f64>,
    /// The highest that passes and the least that fails, where both are known.
    pub between: Option<(f64, f64)>,
    /// The answer in words.
    pub words: String,
}

impl RateRow {
    fn all(&self) -> impl Iterator<Item = f64> {
        self.passes.iter().chain(&self.fails).chain(&self.open).copied()
    }
}

/// The rates of one group; nothing where none was tried.
pub fn rates(caption: &Caption, rows: &[RateRow]) -> Option<Markup> {
    let axis = ChartAxis::log(rows.iter().flat_map(RateRow::all), 7, |rate| {
        format!("{}/s", tick(&digits(rate)))
    })?;
    let right = rows.iter().map(|row| pixels(&row.words, FONT)).fold(0.0, f64::max).min(WORDS);
    let frame = Rows::new(rows.iter().map(|row| row.label.as_str()), 26.0, right + 20.0);
    let mut canvas = frame.canvas();
    let x = |value: f64| place(&axis, value, frame.x);
    frame.axis(
        &mut canvas,
        &axis,
        frame.x,
        "arrivals per second: filled passes, ring fails, dot undecided",
    );
    for (index, row) in rows.iter().enumerate() {
        let y = frame.y(index);
        frame.name(&mut canvas, index, row.ident, &row.label);
        canvas.name(frame.x.1 + 12.0, y, Anchor::Start, row.ident, &fit(&row.words, FONT, right));
        canvas.marked(Ink::Executor(row.ident), &format!("{}: {}", row.label, row.words), |pen| {
            if let Some((passes, fails)) = row.between {
                whisker(pen, (x(passes), x(fails)), y);
            }
            row.passes.iter().for_each(|rate| marker::draw(pen, row.ident, (x(*rate), y), 4.5));
            row.fails.iter().for_each(|rate| pen.ring((x(*rate), y), 4.5, 1.5));
            row.open.iter().for_each(|rate| pen.disc((x(*rate), y), 2.0));
        });
    }
    Some(canvas.finish(caption))
}
