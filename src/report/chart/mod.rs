//! Charts as inline SVG. plotters does the geometry (scales, shapes); axes, labels, colours and
//! accessibility are ours, and plotters is named nowhere outside this module, so that it can be
//! replaced.

mod axis;
mod bars;
mod canvas;
mod claims;
mod curves;
mod distribution;
mod dots;
mod frame;
mod heat;
mod label;
mod load;
mod marker;
mod rates;
mod ratios;
mod style;

pub use self::{
    axis::Base,
    bars::{BarRow, Panel, Segment, panels, stacked},
    claims::{ClaimRow, claims},
    curves::{CrossingMark, Curve, LawLine, Overlay, Point, nines, scaling},
    distribution::{Steps, shares},
    dots::{RoundRow, rounds},
    heat::{HeatRow, SHARES as HEAT_SHARES, Tile, heat},
    load::{LoadPoint, load},
    marker::{hatched_icon, icon, symbols},
    rates::{RateRow, rates},
    ratios::{RatioRow, ratios},
    style::{HEAT, Ident, STEPS, ident, rules, variables},
};

/// What a chart says without being seen: its title, and its finding as a sentence.
#[derive(Debug, Clone)]
pub struct Caption {
    /// Unique in the page; prefixes the ids of title and description.
    pub id: String,
    /// What it shows, by itself.
    pub title: String,
    /// What it shows, inside its section.
    pub head: String,
    /// What it finds.
    pub finding: String,
}
