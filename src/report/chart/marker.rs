//! Markers: a shape per executor, so that no two are told apart by colour alone.

use maud::{Markup, html};

use super::{
    canvas::{Canvas, Ink, Pen},
    style::{FALLBACKS, Ident, Marker},
};

/// Draws an executor's marker.
pub fn draw(pen: &Pen<'_, '_>, ident: Ident, (x, y): (f64, f64), radius: f64) {
    let at = |corners: &[(f64, f64)]| -> Vec<(f64, f64)> {
        corners.iter().map(|(dx, dy)| (x + dx * radius, y + dy * radius)).collect()
    };
    match ident.marker() {
        Marker::Square => {
            pen.area(&at(&[(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)]));
        }
        Marker::Up => pen.area(&at(&[(0.0, -1.1), (1.05, 0.8), (-1.05, 0.8)])),
        Marker::Down => pen.area(&at(&[(0.0, 1.1), (1.05, -0.8), (-1.05, -0.8)])),
        Marker::Hourglass => {
            pen.area(&at(&[(-0.95, -1.0), (0.95, -1.0), (-0.95, 1.0), (0.95, 1.0)]));
        }
        Marker::Disc => pen.disc((x, y), radius),
        Marker::Ring => pen.ring((x, y), radius * 0.85, radius * 0.4),
        Marker::Cross => pen.area(&at(&CROSS)),
        Marker::Diamond => pen.area(&at(&[(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)])),
        Marker::Star => pen.area(&at(&STAR)),
        Marker::Bar => pen.area(&at(&[(-1.0, -0.4), (1.0, -0.4), (1.0, 0.4), (-1.0, 0.4)])),
    }
}

/// A diagonal cross.
const CROSS: [(f64, f64); 12] = [
    (0.0, -0.4),
    (0.6, -1.0),
    (1.0, -0.6),
    (0.4, 0.0),
    (1.0, 0.6),
    (0.6, 1.0),
    (0.0, 0.4),
    (-0.6, 1.0),
    (-1.0, 0.6),
    (-0.4, 0.0),
    (-1.0, -0.6),
    (-0.6, -1.0),
];

/// A star with four rays.
const STAR: [(f64, f64); 8] = [
    (0.0, -1.25),
    (0.35, -0.35),
    (1.25, 0.0),
    (0.35, 0.35),
    (0.0, 1.25),
    (-0.35, 0.35),
    (-1.25, 0.0),
    (-0.35, -0.35),
];

/// All markers as symbols, once in a page, for [`icon`].
pub fn symbols() -> Markup {
    html! {
        svg.defs aria-hidden="true" width="0" height="0" {
            @for index in 0..FALLBACKS.len() {
                (symbol(Ident(index)))
            }
            (pattern("hatch", "ha"))
            (pattern("hatch-over", "ho"))
        }
    }
}

/// Slanting lines, for what is not ranked.
fn pattern(id: &str, class: &str) -> Markup {
    html! {
        pattern id=(id) width="24" height="24" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
            path class=(class) d="M0 0V24" stroke="currentColor" stroke-width="8" {}
        }
    }
}

fn symbol(ident: Ident) -> Markup {
    let mut canvas = Canvas::new(14.0, 14.0);
    canvas.layer(Ink::Executor(ident), |pen| draw(pen, ident, (7.0, 7.0), 4.6));
    canvas.symbol(&format!("m{}", ident.0))
}

/// A hatched square by itself, for legends.
pub fn hatched_icon() -> Markup {
    html! {
        svg.ic aria-hidden="true" viewBox="0 0 56 56" width="14" height="14" {
            rect width="56" height="56" fill="url(#hatch)" {}
        }
    }
}

/// A marker by itself, for legends and tables; the name stands beside it.
pub fn icon(ident: Ident) -> Markup {
    html! { svg.ic aria-hidden="true" width="14" height="14" { use href=(format!("#m{}", ident.0)) {} } }
}
