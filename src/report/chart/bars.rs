//! Bars from 0: costs in panels side by side, and a task's steps stacked.

use maud::Markup;

use super::{
    Caption,
    axis::{Base, ChartAxis},
    canvas::{Anchor, FONT, Ink, place},
    frame::Rows,
    style::{Ident, STEPS},
};
use crate::report::width::pixels;

/// One metric of several executors.
pub struct Panel<'a> {
    /// What it shows, with the unit.
    pub title: &'a str,
    /// Which numbers are round on its axis.
    pub base: Base,
    /// A value per row.
    pub values: Vec<Option<f64>>,
    /// Writes a value.
    pub format: &'a dyn Fn(f64) -> String,
}

/// Room at the right of a panel for the longest value.
const VALUE_ROOM: f64 = 60.0;

/// A row's name.
#[derive(Debug, Clone)]
pub struct BarRow {
    /// Its colour.
    pub ident: Ident,
    /// Its name.
    pub label: String,
    /// Whether its bars are hatched, since it is not ranked.
    pub hatched: bool,
}

/// Bars of several metrics side by side, one row per executor, each axis linear from 0.
pub fn panels(caption: &Caption, rows: &[BarRow], panels: &[Panel<'_>]) -> Markup {
    let frame = Rows::new(rows.iter().map(|r| r.label.as_str()), 24.0, 0.0);
    let mut canvas = frame.canvas();
    for (index, row) in rows.iter().enumerate() {
        frame.name(&mut canvas, index, row.ident, &row.label);
    }
    let share = (frame.x.1 - frame.x.0) / panels.len().max(1) as f64;
    for (index, panel) in panels.iter().enumerate() {
        let left = frame.x.0 + share * index as f64;
        let x = (left, left + share - VALUE_ROOM);
        let axis = ChartAxis::from_zero(
            panel.values.iter().copied().flatten(),
            2,
            panel.base,
            panel.format,
        );
        canvas_panel(&mut canvas, &frame, rows, panel, &axis, x);
    }
    canvas.finish(caption)
}

fn canvas_panel(
    canvas: &mut super::canvas::Canvas,
    frame: &Rows,
    rows: &[BarRow],
    panel: &Panel<'_>,
    axis: &ChartAxis,
    x: (f64, f64),
) {
    frame.axis(canvas, axis, x, panel.title);
    for (index, (row, value)) in rows.iter().zip(&panel.values).enumerate() {
        let y = frame.y(index);
        let Some(value) = value.filter(|v| v.is_finite()) else {
            canvas.text(x.0 + 6.0, y, Anchor::Start, "tk", "–");
            continue;
        };
        let words = (panel.format)(value);
        let end = place(axis, value, x);
        let corners = ((x.0, y - 7.0), (end.max(x.0 + 1.0), y + 7.0));
        canvas.marked(Ink::Executor(row.ident), &format!("{}: {words}", row.label), |pen| {
            pen.rect(corners.0, corners.1);
        });
        if row.hatched {
            canvas.hatch_over(corners.0, corners.1);
        }
        canvas.name(end + 5.0, y, Anchor::Start, row.ident, &words);
    }
    canvas.layer(Ink::Axis, |pen| pen.line(&[(x.0, frame.top), (x.0, frame.bottom())], 1.0));
}

/// A part of a stacked bar.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Which step, for its colour.
    pub step: usize,
    /// Its name.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Its value in words.
    pub words: String,
}

/// One stacked bar per executor, linear from 0.
pub fn stacked(
    caption: &Caption,
    rows: &[(BarRow, Vec<Segment>)],
    title: &str,
    format: impl Fn(f64) -> String,
) -> Markup {
    let frame = Rows::new(rows.iter().map(|r| r.0.label.as_str()), 28.0, 24.0);
    let axis = ChartAxis::from_zero(
        rows.iter().map(|r| r.1.iter().map(|s| s.value).sum()),
        6,
        Base::Ten,
        format,
    );
    let mut canvas = frame.canvas();
    frame.axis(&mut canvas, &axis, frame.x, title);
    for (index, (row, segments)) in rows.iter().enumerate() {
        let (y, label) = (frame.y(index), &row.label);
        if row.hatched {
            frame.hatch(&mut canvas, index);
        }
        frame.name(&mut canvas, index, row.ident, label);
        let mut start = 0.0;
        for segment in segments {
            let (from, to) =
                (place(&axis, start, frame.x), place(&axis, start + segment.value, frame.x));
            let tip = format!("{label}, {}: {}", segment.name, segment.words);
            // The gap of a pixel tells neighbours apart where their tints do not.
            let right = (to - 1.0).max(from + 0.5);
            canvas.marked(Ink::Step(segment.step.min(STEPS.len() - 1)), &tip, |pen| {
                pen.rect((from, y - 9.0), (right, y + 9.0));
            });
            if pixels(&segment.words, FONT) + 8.0 < to - from {
                let class = format!("on{}", segment.step.min(STEPS.len() - 1));
                canvas.text(f64::midpoint(from, to), y, Anchor::Middle, &class, &segment.words);
            }
            start += segment.value;
        }
    }
    canvas.layer(Ink::Axis, |pen| {
        pen.line(&[(frame.x.0, frame.top), (frame.x.0, frame.bottom())], 1.0);
    });
    canvas.finish(caption)
}
