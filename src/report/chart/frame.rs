//! What surrounds the data: a plotting area with grid, ticks and labels, for rows by name and for
//! curves.

use super::{
    axis::ChartAxis,
    canvas::{Anchor, Canvas, FONT, Ink, place},
    label::spread,
    marker,
    style::Ident,
};
use crate::report::width::{fit, pixels};

/// Width of every chart: two stand side by side on a wide page, and one stays readable on a narrow
/// one.
pub const WIDTH: f64 = 560.0;
/// The widest that a label beside a chart may be.
const WIDEST_LABEL: f64 = 170.0;

/// Rows with names at the left and one axis below.
pub struct Rows {
    /// Left and right end of the plotting area.
    pub x: (f64, f64),
    /// Top of the first row.
    pub top: f64,
    /// Height of a row.
    pub height: f64,
    /// How many rows.
    pub count: usize,
}

impl Rows {
    /// Leaves room for the names and, at the right, for `right` pixels of text.
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a str>, height: f64, right: f64) -> Self {
        let labels: Vec<&str> = labels.into_iter().collect();
        let left =
            labels.iter().map(|label| pixels(label, FONT)).fold(0.0, f64::max).min(WIDEST_LABEL);
        Self { x: (left + 14.0, WIDTH - right), top: 8.0, height, count: labels.len() }
    }

    /// Height of the drawing.
    pub fn canvas(&self) -> Canvas {
        Canvas::new(WIDTH, self.bottom() + 40.0)
    }

    /// Bottom of the last row.
    pub fn bottom(&self) -> f64 {
        self.top + self.height * self.count as f64
    }

    /// Middle of a row.
    pub fn y(&self, row: usize) -> f64 {
        self.top + self.height * (row as f64 + 0.5)
    }

    /// Hatches a row: it is not ranked.
    pub fn hatch(&self, canvas: &mut Canvas, row: usize) {
        let y = self.y(row);
        let half = self.height / 2.0 - 1.0;
        canvas.hatch((self.x.0, y - half), (self.x.1, y + half));
    }

    /// Writes a row's name.
    pub fn name(&self, canvas: &mut Canvas, row: usize, ident: Ident, label: &str) {
        let label = fit(label, FONT, WIDEST_LABEL);
        canvas.name(self.x.0 - 10.0, self.y(row), Anchor::End, ident, &label);
    }

    /// Draws the grid of a part of the plotting area, with its ticks and its title below.
    pub fn axis(&self, canvas: &mut Canvas, axis: &ChartAxis, x: (f64, f64), title: &str) {
        let (top, bottom) = (self.top, self.bottom());
        canvas.layer(Ink::Grid, |pen| {
            for (value, _) in &axis.ticks {
                let at = place(axis, *value, x);
                pen.line(&[(at, top), (at, bottom)], 1.0);
            }
        });
        for (value, text) in &axis.ticks {
            canvas.text(place(axis, *value, x), bottom + 12.0, Anchor::Middle, "tk", text);
        }
        // A title wider than its part is centred on it as far as the drawing's edges allow.
        let half = pixels(title, FONT) / 2.0;
        let middle = f64::midpoint(x.0, x.1).min(WIDTH - half).max(half);
        canvas.text(middle, bottom + 29.0, Anchor::Middle, "tt", &fit(title, FONT, WIDTH));
    }
}

/// A plotting area with two axes and room for names at the ends of lines.
pub struct Plane {
    /// Left and right end.
    pub x: (f64, f64),
    /// Bottom and top: values grow upwards.
    pub y: (f64, f64),
    /// The axis below.
    pub across: ChartAxis,
    /// The axis at the left.
    pub up: ChartAxis,
}

impl Plane {
    /// Leaves room for the names at the right and for the ticks at the left.
    pub fn new<'a>(
        across: ChartAxis,
        up: ChartAxis,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let right =
            names.into_iter().map(|n| pixels(n, FONT)).fold(0.0, f64::max).min(WIDEST_LABEL);
        let left = up.ticks.iter().map(|t| pixels(&t.1, FONT)).fold(0.0, f64::max);
        Self { x: (left + 10.0, WIDTH - right - 36.0), y: (286.0, 26.0), across, up }
    }

    /// The drawing with grid, ticks and titles.
    pub fn canvas(&self, across: &str, up: &str) -> Canvas {
        let mut canvas = Canvas::new(WIDTH, self.y.0 + 42.0);
        canvas.layer(Ink::Grid, |pen| {
            for (value, _) in &self.across.ticks {
                let x = place(&self.across, *value, self.x);
                pen.line(&[(x, self.y.0), (x, self.y.1)], 1.0);
            }
            for (value, _) in &self.up.ticks {
                let y = place(&self.up, *value, self.y);
                pen.line(&[(self.x.0, y), (self.x.1, y)], 1.0);
            }
        });
        for (value, text) in &self.across.ticks {
            canvas.text(
                place(&self.across, *value, self.x),
                self.y.0 + 13.0,
                Anchor::Middle,
                "tk",
                text,
            );
        }
        for (value, text) in &self.up.ticks {
            canvas.text(self.x.0 - 6.0, place(&self.up, *value, self.y), Anchor::End, "tk", text);
        }
        canvas.text(
            f64::midpoint(self.x.0, self.x.1),
            self.y.0 + 31.0,
            Anchor::Middle,
            "tt",
            across,
        );
        canvas.text(0.0, 8.0, Anchor::Start, "tt", up);
        canvas
    }

    /// Where a point lies; nothing for a value that the axes cannot show.
    pub fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        (self.across.takes(x) && self.up.takes(y))
            .then(|| (place(&self.across, x, self.x), place(&self.up, y, self.y)))
    }

    /// Hatches the ground of a point: it is not ranked.
    pub fn hatch(&self, canvas: &mut Canvas, place: (f64, f64)) {
        if let Some((x, y)) = self.at(place) {
            canvas.hatch((x - 9.0, y - 9.0), (x + 9.0, y + 9.0));
        }
    }

    /// Writes names at the right, level with the ends of their lines as far as they do not collide.
    pub fn ends(&self, canvas: &mut Canvas, ends: &[(Ident, &str, (f64, f64))]) {
        let wanted: Vec<f64> = ends.iter().map(|end| end.2.1).collect();
        let places = spread(&wanted, FONT * 1.2, self.y.1, self.y.0);
        let x = self.x.1 + 18.0;
        for ((ident, label, end), y) in ends.iter().zip(places) {
            // A leader joins a line that ends early or whose name had to move.
            canvas.layer(Ink::Grid, |pen| pen.line(&[(end.0 + 6.0, end.1), (x - 2.0, y)], 1.0));
            canvas.layer(Ink::Executor(*ident), |pen| marker::draw(pen, *ident, (x + 5.0, y), 4.0));
            canvas.name(x + 13.0, y, Anchor::Start, *ident, &fit(label, FONT, WIDEST_LABEL));
        }
    }
}
