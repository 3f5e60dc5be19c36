//! Latency over time: a strip per executor, darker where more of a slice's tasks are. One path per
//! shade, since an element per tile would be many times as large.

use maud::Markup;

use super::{
    Caption,
    axis::ChartAxis,
    canvas::{Anchor, Canvas, Corners, FONT, Ink, place},
    frame::Rows,
    style::{HEAT, Ident},
};
use crate::report::{
    format::ns,
    width::{fit, pixels},
};

/// The least share of a slice's tasks for each shade.
pub const SHARES: [f64; HEAT.len()] = [0.0, 0.02, 0.1, 0.25, 0.5];
/// Height of a strip.
const STRIP: f64 = 66.0;

/// One executor's strip.
#[derive(Debug, Clone)]
pub struct HeatRow {
    /// Its colour.
    pub ident: Ident,
    /// Its name.
    pub label: String,
    /// How it behaved, in a word or two below the name; empty: nothing known.
    pub words: String,
    /// Whether it is hatched, since it is not ranked.
    pub hatched: bool,
    /// Its tiles.
    pub tiles: Vec<Tile>,
}

/// The tasks of one slice with latencies of one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tile {
    /// From and to, in seconds after the start of the window.
    pub time: (f64, f64),
    /// Lower and upper end of the latencies, in ns.
    pub latency: (f64, f64),
    /// Share of the slice's tasks.
    pub share: f64,
}

/// The strips of one group, on the same two axes. Nothing where there is no tile.
pub fn heat(caption: &Caption, rows: &[HeatRow]) -> Option<Markup> {
    let tiles = || rows.iter().flat_map(|row| &row.tiles);
    let up = ChartAxis::log(tiles().flat_map(|t| [t.latency.0, t.latency.1]), 4, ns)?;
    let across = ChartAxis::seconds(tiles().flat_map(|t| [t.time.0, t.time.1]), 8);
    let words = rows.iter().flat_map(|row| [row.label.as_str(), row.words.as_str()]);
    let mut frame = Rows::new(words, STRIP, 12.0);
    let ticks = up.ticks.iter().map(|t| pixels(&t.1, FONT)).fold(0.0, f64::max);
    let names = frame.x.0 - 10.0;
    (frame.x.0, frame.count, frame.top) = (frame.x.0 + ticks + 8.0, rows.len(), 20.0);
    let mut canvas = frame.canvas();
    warm_up(&mut canvas, &frame, &across);
    frame.axis(&mut canvas, &across, frame.x, "seconds after the start of the window");
    for (index, row) in rows.iter().enumerate() {
        strip(&mut canvas, &frame, index, row, (&across, &up), names);
    }
    for (level, tiles) in shaded(rows, &frame, &across, &up).iter().enumerate() {
        canvas.tiles(Ink::Heat(level), tiles);
    }
    for (index, _) in rows.iter().enumerate().filter(|(_, row)| row.hatched) {
        frame.hatch(&mut canvas, index);
    }
    Some(canvas.finish(caption))
}

/// Marks what comes before the window, where there is something.
fn warm_up(canvas: &mut Canvas, frame: &Rows, across: &ChartAxis) {
    let start = place(across, 0.0, frame.x);
    if start - frame.x.0 < 1.0 {
        return;
    }
    canvas.layer(Ink::Band, |pen| pen.rect((frame.x.0, frame.top), (start, frame.bottom())));
    canvas.dashed(Ink::Axis, |pen| {
        pen.line(&[(start, frame.top - 14.0), (start, frame.bottom())], 1.5);
    });
    canvas.text(start - 6.0, 8.0, Anchor::End, "tt", "warm-up");
    canvas.text(start + 6.0, 8.0, Anchor::Start, "tt", "measured");
}

/// Ticks, name and words of a strip.
fn strip(
    canvas: &mut Canvas,
    frame: &Rows,
    index: usize,
    row: &HeatRow,
    (_, up): (&ChartAxis, &ChartAxis),
    names: f64,
) {
    let (bottom, top) = inner(frame, index);
    let middle = frame.y(index);
    canvas.name(names, middle - 8.0, Anchor::End, row.ident, &fit(&row.label, FONT, names));
    canvas.text(names, middle + 8.0, Anchor::End, "tk", &fit(&row.words, FONT, names));
    for (value, text) in &up.ticks {
        canvas.text(frame.x.0 - 5.0, place(up, *value, (bottom, top)), Anchor::End, "tk", text);
    }
    canvas.layer(Ink::Grid, |pen| {
        for (value, _) in &up.ticks {
            let y = place(up, *value, (bottom, top));
            pen.line(&[(frame.x.0, y), (frame.x.1, y)], 0.75);
        }
    });
}

/// Bottom and top of a strip, with room between it and its neighbours.
fn inner(frame: &Rows, index: usize) -> (f64, f64) {
    (frame.y(index) + STRIP / 2.0 - 7.0, frame.y(index) - STRIP / 2.0 + 7.0)
}

/// The tiles of all strips by shade, as corners. Neighbours touch, so that no gap is taken for a
/// value.
fn shaded(
    rows: &[HeatRow],
    frame: &Rows,
    across: &ChartAxis,
    up: &ChartAxis,
) -> [Vec<Corners>; HEAT.len()] {
    let mut shades: [Vec<Corners>; HEAT.len()] = Default::default();
    for (index, row) in rows.iter().enumerate() {
        let ends = inner(frame, index);
        for (level, tile) in joined(&row.tiles) {
            let left = (place(across, tile.time.0, frame.x), place(up, tile.latency.1, ends));
            let right = (place(across, tile.time.1, frame.x), place(up, tile.latency.0, ends));
            shades[level].push((left, right));
        }
    }
    shades
}

/// Tiles with their shades; neighbours in time with the same shade become one.
fn joined(tiles: &[Tile]) -> Vec<(usize, Tile)> {
    let mut ordered = tiles.to_vec();
    ordered.sort_by(|a, b| a.latency.1.total_cmp(&b.latency.1).then(a.time.0.total_cmp(&b.time.0)));
    let mut joined: Vec<(usize, Tile)> = Vec::new();
    for tile in ordered {
        let level = SHARES.iter().rposition(|least| tile.share >= *least).unwrap_or(0);
        let touches =
            |last: &Tile| last.latency == tile.latency && (last.time.1 - tile.time.0).abs() < 1e-9;
        match joined.last_mut() {
            Some((same, last)) if *same == level && touches(last) => last.time.1 = tile.time.1,
            _ => joined.push((level, tile)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chart::ident;

    fn draw(tiles: Vec<Tile>) -> Option<String> {
        let caption =
            Caption { id: "c".into(), title: "t".into(), head: "h".into(), finding: "f".into() };
        let row = HeatRow {
            ident: ident("tokio"),
            label: "tokio".into(),
            words: "flat".into(),
            hatched: false,
            tiles,
        };
        heat(&caption, &[row]).map(Markup::into_string)
    }

    #[test]
    fn neighbours_of_one_shade_are_joined() {
        let tile = |start: f64, latency, share| Tile { time: (start, start + 1.0), latency, share };
        let (low, high) = ((1e6, 2e6), (2e6, 4e6));
        let tiles = [
            tile(0.0, low, 0.6),
            tile(1.0, low, 0.7),
            tile(2.0, low, 0.1),
            tile(4.0, low, 0.1),
            tile(2.0, high, 0.1),
        ];
        let found: Vec<_> =
            joined(&tiles).into_iter().map(|(level, t)| (level, t.time, t.latency)).collect();
        let expected = [
            (4, (0.0, 2.0), low),
            (2, (2.0, 3.0), low),
            (2, (4.0, 5.0), low),
            (2, (2.0, 3.0), high),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn there_is_one_path_per_shade() {
        let tile =
            |start: f64, share| Tile { time: (start, start + 1.0), latency: (1e6, 2e6), share };
        let svg = draw(vec![tile(-1.0, 0.6), tile(0.0, 0.6), tile(1.0, 0.7), tile(2.0, 0.01)])
            .expect("drawn");
        assert_eq!(svg.matches("<path").count(), 2);
        assert!(svg.contains("class=\"h4\"") && svg.contains("class=\"h0\""));
        assert!(svg.contains("warm-up"));
        assert!(!draw(vec![tile(0.0, 1.0)]).expect("drawn").contains("warm-up"), "there was none");
        assert!(draw(vec![]).is_none());
    }
}
