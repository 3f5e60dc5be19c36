//! Which colour and marker an executor has: decided once, by its name.

use std::fmt::Write as _;

/// Executors with their light and dark colours and their markers, then one for executors that this
/// version does not know. By name, since a report must not need the executors themselves. Okabe and
/// Ito's set, darkened or lightened until the contrast is at least 3:1 on either ground; families
/// (threads and pools, the two tokios) are near in hue and far in lightness.
const COLOURS: &[(&str, &str, &str, Marker)] = &[
    ("sequential", "#1a1a1a", "#f0f3f6", Marker::Square),
    ("threads", "#d55e00", "#f0803c", Marker::Up),
    ("thread-pool", "#b07800", "#e6b422", Marker::Down),
    ("rayon", "#8c2d04", "#ffb08a", Marker::Hourglass),
    ("tokio", "#0072b2", "#4aa3e8", Marker::Disc),
    ("tokio-current-thread", "#3d94c9", "#9bd3f5", Marker::Ring),
    ("async-std", "#b8619a", "#e79cc6", Marker::Cross),
    ("smol", "#009e73", "#2fbf94", Marker::Diamond),
    ("compio", "#5b3fa0", "#b39ddb", Marker::Star),
    ("", "#767676", "#9aa0a6", Marker::Bar),
];

/// Colours by place, for viewers that ignore style sheets.
pub const FALLBACKS: [&str; COLOURS.len()] = {
    let mut light = [""; COLOURS.len()];
    let mut index = 0;
    while index < COLOURS.len() {
        light[index] = COLOURS[index].1;
        index += 1;
    }
    light
};

/// The shape of an executor's marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A square.
    Square,
    /// A triangle on its side.
    Up,
    /// A triangle on its tip.
    Down,
    /// Two triangles, tip to tip.
    Hourglass,
    /// A disc.
    Disc,
    /// A ring.
    Ring,
    /// A diagonal cross.
    Cross,
    /// A square on its tip.
    Diamond,
    /// A star with four rays.
    Star,
    /// A lying bar.
    Bar,
}

/// Light and dark colours of a task's steps: one hue, so that they are not taken for executors.
pub const STEPS: [(&str, &str); 6] = [
    ("#3f5475", "#8fa6cb"),
    ("#b4c2d8", "#3f5475"),
    ("#5f7699", "#7690ba"),
    ("#d3dce8", "#2c3d58"),
    ("#8b9dba", "#56709b"),
    ("#e4eaf2", "#22304a"),
];

/// Light and dark colours of a map, from few to many: one hue, growing away from the ground.
pub const HEAT: [(&str, &str); 5] = [
    ("#d6e4f0", "#17293d"),
    ("#a6c5de", "#1f4468"),
    ("#6a9fc8", "#2f6b9f"),
    ("#2f74ab", "#5ba3dc"),
    ("#0b3f6e", "#c9e4fb"),
];

/// An executor's place, which is its colour and marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ident(pub usize);

impl Ident {
    /// The marker of this place.
    pub fn marker(self) -> Marker {
        COLOURS.get(self.0).map_or(Marker::Bar, |row| row.3)
    }
}

/// The place of an executor by name.
pub fn ident(executor: &str) -> Ident {
    Ident(COLOURS.iter().position(|(name, ..)| *name == executor).unwrap_or(COLOURS.len() - 1))
}

/// The style sheet's colour variables: (light, dark).
pub fn variables() -> (String, String) {
    let (mut light, mut dark) = (String::new(), String::new());
    let executors: Vec<_> =
        COLOURS.iter().map(|&(_, on_white, on_black, _)| (on_white, on_black)).collect();
    for (kind, colours) in
        [("e", executors.as_slice()), ("t", STEPS.as_slice()), ("h", HEAT.as_slice())]
    {
        for (index, (on_white, on_black)) in colours.iter().enumerate() {
            let _ = write!(light, "--{kind}{index}:{on_white};");
            let _ = write!(dark, "--{kind}{index}:{on_black};");
        }
    }
    (light, dark)
}

/// The style sheet's rules for each executor: its colour, and what is highlighted with its name.
pub fn rules() -> String {
    let mut rules = String::new();
    for index in 0..COLOURS.len() {
        let _ = writeln!(
            rules,
            ".e{index}{{color:var(--e{index})}}[data-hi=\"{index}\"] .chart .e{index}{{opacity:1}}\
             [data-hi=\"{index}\"] .r{index}{{background:var(--hi)}}"
        );
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::EXECUTORS;

    /// Relative luminance of WCAG 2.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let c = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits"))
                / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_executor_has_a_colour_and_a_marker() {
        for info in EXECUTORS {
            assert!(
                ident(info.name).0 < COLOURS.len() - 1,
                "{} needs a colour in this file",
                info.name
            );
        }
        assert_eq!(ident("unheard of").0, COLOURS.len() - 1);
    }

    #[test]
    fn no_two_executors_share_a_marker() {
        for (index, row) in COLOURS.iter().enumerate() {
            assert!(
                COLOURS[..index].iter().all(|other| other.3 != row.3),
                "{} needs a marker of its own",
                row.0
            );
        }
    }

    #[test]
    fn every_executor_stands_out_on_either_ground() {
        for (_, light, dark, _) in COLOURS {
            assert!(
                contrast(light, "#ffffff") >= 3.0,
                "{light} on white: {}",
                contrast(light, "#ffffff")
            );
            assert!(contrast(dark, "#0d1117") >= 3.0, "{dark} on black");
        }
    }
}
