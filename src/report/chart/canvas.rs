//! A drawing: layers of shapes that plotters writes, texts that we place, one SVG at the end.
//!
//! plotters rounds to whole pixels, so shapes are drawn four times as large and scaled down. A
//! layer has one colour: it is drawn in black, which then becomes `currentColor` of a group that
//! carries the class, the fallback colour and the text of a tooltip.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, Render, html};
use plotters::{coord::Shift, prelude::*};

use super::{
    Caption,
    style::{FALLBACKS, HEAT, Ident, STEPS},
};

/// How much larger shapes are drawn than shown.
const FINE: f64 = 4.0;
/// Size of all text, in pixels of the drawing.
pub const FONT: f64 = 12.0;

/// What a layer is drawn in.
#[derive(Debug, Clone, Copy)]
pub enum Ink {
    /// An executor's colour.
    Executor(Ident),
    /// A step's colour.
    Step(usize),
    /// Axes and reference lines.
    Axis,
    /// Grid lines.
    Grid,
    /// Areas of no consequence.
    Band,
    /// Limits.
    Limit,
    /// What is claimed.
    Claim,
    /// How many, from few to many.
    Heat(usize),
    /// The page's ground.
    Ground,
}

impl Ink {
    fn class(self) -> String {
        match self {
            Self::Executor(Ident(index)) => format!("e e{index}"),
            Self::Step(index) => format!("t{index}"),
            Self::Axis => "ax".into(),
            Self::Grid => "gr".into(),
            Self::Band => "bd".into(),
            Self::Limit => "li".into(),
            Self::Claim => "cl".into(),
            Self::Heat(level) => format!("h{level}"),
            Self::Ground => "gd".into(),
        }
    }

    fn fallback(self) -> &'static str {
        match self {
            Self::Executor(Ident(index)) => FALLBACKS[index],
            Self::Step(index) => STEPS[index].0,
            Self::Axis | Self::Claim => "#57606a",
            Self::Grid => "#d8dee4",
            Self::Band => "#e9edf1",
            Self::Limit => "#a40e26",
            Self::Heat(level) => HEAT[level].0,
            Self::Ground => "#ffffff",
        }
    }
}

/// Where a text is fixed.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// Its left end.
    Start,
    /// Its middle.
    Middle,
    /// Its right end.
    End,
}

/// Opposite corners of a rectangle.
pub type Corners = ((f64, f64), (f64, f64));

/// A drawing under construction, in pixels.
pub struct Canvas {
    width: f64,
    height: f64,
    shapes: String,
    texts: String,
}

impl Canvas {
    /// An empty drawing.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, shapes: String::new(), texts: String::new() }
    }

    /// Adds shapes of one colour.
    pub fn layer(&mut self, ink: Ink, draw: impl FnOnce(&Pen<'_, '_>)) {
        self.layer_with(ink, "", "", draw);
    }

    /// Adds shapes of one colour with a tooltip.
    pub fn marked(&mut self, ink: Ink, tip: &str, draw: impl FnOnce(&Pen<'_, '_>)) {
        self.layer_with(ink, "", tip, draw);
    }

    /// Adds shapes with broken lines.
    pub fn dashed(&mut self, ink: Ink, draw: impl FnOnce(&Pen<'_, '_>)) {
        self.layer_with(ink, "20 14", "", draw);
    }

    /// Adds shapes with broken lines and a tooltip.
    pub fn dashed_marked(&mut self, ink: Ink, tip: &str, draw: impl FnOnce(&Pen<'_, '_>)) {
        self.layer_with(ink, "12 8", tip, draw);
    }

    fn layer_with(&mut self, ink: Ink, dashes: &str, tip: &str, draw: impl FnOnce(&Pen<'_, '_>)) {
        let shapes = drawn(self.width, self.height, draw);
        if shapes.is_empty() {
            return;
        }
        let (class, colour) = (ink.class(), ink.fallback());
        let dashes = (!dashes.is_empty()).then_some(dashes);
        let tip = (!tip.is_empty()).then_some(tip);
        let (line, shapes) = hoisted(shapes);
        let group = html! { g class=(class) color=(colour) stroke-dasharray=[dashes] stroke-width=[line] data-tip=[tip] { (PreEscaped(shapes)) } };
        self.shapes.push_str(&group.into_string());
    }

    /// Hatches a rectangle between two corners: what is in it is not ranked.
    pub fn hatch(&mut self, corner: (f64, f64), opposite: (f64, f64)) {
        self.hatched("hatch", corner, opposite);
    }

    /// Hatches a rectangle that is filled already, in the colour of the ground.
    pub fn hatch_over(&mut self, corner: (f64, f64), opposite: (f64, f64)) {
        self.hatched("hatch-over", corner, opposite);
    }

    fn hatched(&mut self, pattern: &str, corner: (f64, f64), opposite: (f64, f64)) {
        let ends = fine(&[corner, opposite]);
        let (width, height) = (ends[1].0 - ends[0].0, ends[1].1 - ends[0].1);
        let fill = format!("url(#{pattern})");
        let rect =
            html! { rect x=(ends[0].0) y=(ends[0].1) width=(width) height=(height) fill=(fill) {} };
        self.shapes.push_str(&rect.into_string());
    }

    /// Adds rectangles of one colour, given by opposite corners, as a single path: a map has too
    /// many of them for an element each.
    pub fn tiles(&mut self, ink: Ink, tiles: &[Corners]) {
        if tiles.is_empty() {
            return;
        }
        let mut path = String::new();
        for (corner, opposite) in tiles {
            let ends = fine(&[*corner, *opposite]);
            let (width, height) = (ends[1].0 - ends[0].0, ends[1].1 - ends[0].1);
            let _ = write!(path, "M{} {}h{width}v{height}h{}z", ends[0].0, ends[0].1, -width);
        }
        html! { path class=(ink.class()) color=(ink.fallback()) fill="currentColor" d=(path) {} }
            .render_to(&mut self.shapes);
    }

    /// Adds a text whose middle is at `y`; `class` may be empty.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => None,
            Anchor::Middle => Some("middle"),
            Anchor::End => Some("end"),
        };
        let class = (!class.is_empty()).then_some(class);
        // A third of the font's size below the middle is the baseline.
        let (x, y) = (format!("{x:.1}"), format!("{:.1}", y + FONT / 3.0));
        html! { text x=(x) y=(y) class=[class] text-anchor=[anchor] { (text) } }
            .render_to(&mut self.texts);
    }

    /// Adds an executor's name, which is highlighted with its shapes.
    pub fn name(&mut self, x: f64, y: f64, anchor: Anchor, ident: Ident, text: &str) {
        self.text(x, y, anchor, &format!("e e{}", ident.0), text);
    }

    /// The shapes as a symbol that `<use>` refers to.
    pub fn symbol(self, id: &str) -> Markup {
        let view = format!("0 0 {} {}", self.width * FINE, self.height * FINE);
        html! { symbol id=(id) viewBox=(view) fill="currentColor" { (PreEscaped(self.shapes)) } }
    }

    /// The drawing as an inline SVG that says what it shows.
    pub fn finish(self, caption: &Caption) -> Markup {
        let mut view = String::new();
        let _ = write!(view, "0 0 {} {}", self.width, self.height);
        let scale = format!("scale({})", 1.0 / FINE);
        let (title, desc) = (format!("{}-t", caption.id), format!("{}-d", caption.id));
        html! {
            svg viewBox=(view) role="img" aria-labelledby=(format!("{title} {desc}")) font-size=(FONT) font-family="system-ui, sans-serif" fill="currentColor" {
                title id=(title) { (caption.title) }
                desc id=(desc) { (caption.finding) }
                g transform=(scale) { (PreEscaped(self.shapes)) }
                (PreEscaped(self.texts))
            }
        }
    }
}

/// Draws with plotters and keeps the shapes.
fn drawn(width: f64, height: f64, draw: impl FnOnce(&Pen<'_, '_>)) -> String {
    let mut svg = String::new();
    {
        let size = ((width * FINE) as u32, (height * FINE) as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&Pen { area: &area });
        // A string takes everything, so that presenting cannot fail.
        let _ = area.present();
    }
    let start = svg.find(">\n").map_or(0, |at| at + 2);
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    slimmed(&svg[start..end])
}

/// Takes out what says nothing (colours are the group's), which is half of the bytes.
fn slimmed(shapes: &str) -> String {
    shapes
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"", "")
        .replace(" fill=\"#000000\"", "")
        .replace("\"#000000\"", "\"currentColor\"")
        .replace(" \"/>\n", "\"/>")
        .replace("/>\n", "/>")
}

/// Where a layer is nothing but lines of one width, the width moves to the group, and what all
/// share to the page.
fn hoisted(shapes: String) -> (Option<String>, String) {
    let start = "<polyline fill=\"none\" stroke=\"currentColor\" stroke-width=\"";
    let width =
        shapes.strip_prefix(start).and_then(|rest| rest.split('"').next()).map(String::from);
    let Some(width) = width else { return (None, shapes) };
    let whole = format!("{start}{width}\"");
    if shapes.matches(&whole).count() != shapes.matches('<').count() {
        return (None, shapes);
    }
    let slim = shapes.replace(&whole, "<polyline fill=\"none\" stroke=\"currentColor\"");
    (Some(width), slim)
}

/// Draws shapes of one layer, in pixels.
pub struct Pen<'a, 'svg> {
    area: &'a DrawingArea<SVGBackend<'svg>, Shift>,
}

impl Pen<'_, '_> {
    /// A line through points.
    pub fn line(&self, points: &[(f64, f64)], width: f64) {
        let path = PathElement::new(fine(points), BLACK.stroke_width((width * FINE) as u32));
        // A string takes everything, so that drawing cannot fail; the same holds below.
        let _ = self.area.draw(&path);
    }

    /// A filled shape.
    pub fn area(&self, corners: &[(f64, f64)]) {
        let _ = self.area.draw(&Polygon::new(fine(corners), BLACK.filled()));
    }

    /// A filled rectangle between two corners.
    pub fn rect(&self, corner: (f64, f64), opposite: (f64, f64)) {
        let corners = fine(&[corner, opposite]);
        let _ = self.area.draw(&Rectangle::new([corners[0], corners[1]], BLACK.filled()));
    }

    /// A filled disc.
    pub fn disc(&self, centre: (f64, f64), radius: f64) {
        let _ = self.area.draw(&Circle::new(fine(&[centre])[0], radius * FINE, BLACK.filled()));
    }

    /// A ring.
    pub fn ring(&self, centre: (f64, f64), radius: f64, width: f64) {
        let style = BLACK.stroke_width((width * FINE) as u32);
        let _ = self.area.draw(&Circle::new(fine(&[centre])[0], radius * FINE, style));
    }
}

fn fine(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    points.iter().map(|(x, y)| ((x * FINE).round() as i32, (y * FINE).round() as i32)).collect()
}

/// The way back from plotters' whole numbers: a pixel range four times as large for an axis to map
/// into.
pub fn place(axis: &super::axis::ChartAxis, value: f64, range: (f64, f64)) -> f64 {
    use plotters::coord::ranged1d::Ranged as _;
    f64::from(axis.map(&value, ((range.0 * FINE) as i32, (range.1 * FINE) as i32))) / FINE
}
