//! Which colour and marker an executor has: decided once, by its place in the table of executors.

use std::fmt::Write as _;

use crate::runtime::EXECUTORS;

/// Light and dark colours by executor, then one for executors that this version does not know.
/// Okabe and Ito's set, darkened or lightened until the contrast is at least 3:1 on either ground; families
/// (threads and pool, the two tokios) are near in hue and far in lightness.
const COLOURS: [(&str, &str); 8] = [
    ("#1a1a1a", "#f0f3f6"),
    ("#d55e00", "#f0803c"),
    ("#b07800", "#e6b422"),
    ("#0072b2", "#4aa3e8"),
    ("#3d94c9", "#9bd3f5"),
    ("#b8619a", "#e79cc6"),
    ("#009e73", "#2fbf94"),
    ("#767676", "#9aa0a6"),
];

/// Colours by place, for viewers that ignore style sheets.
pub const FALLBACKS: [&str; 8] = {
    let mut light = [""; 8];
    let mut index = 0;
    while index < 8 {
        light[index] = COLOURS[index].0;
        index += 1;
    }
    light
};

/// Light and dark colours of a task's steps: one hue, so that they are not taken for executors.
pub const STEPS: [(&str, &str); 6] = [
    ("#3f5475", "#8fa6cb"),
    ("#b4c2d8", "#3f5475"),
    ("#5f7699", "#7690ba"),
    ("#d3dce8", "#2c3d58"),
    ("#8b9dba", "#56709b"),
    ("#e4eaf2", "#22304a"),
];

/// An executor's place, which is its colour and marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ident(pub usize);

/// The place of an executor by name.
pub fn ident(executor: &str) -> Ident {
    Ident(EXECUTORS.iter().position(|info| info.name == executor).unwrap_or(COLOURS.len() - 1).min(COLOURS.len() - 1))
}

/// The style sheet's colour variables: (light, dark).
pub fn variables() -> (String, String) {
    let (mut light, mut dark) = (String::new(), String::new());
    for (kind, colours) in [("e", COLOURS.as_slice()), ("t", STEPS.as_slice())] {
        for (index, (on_white, on_black)) in colours.iter().enumerate() {
            let _ = write!(light, "--{kind}{index}:{on_white};");
            let _ = write!(dark, "--{kind}{index}:{on_black};");
        }
    }
    (light, dark)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let c = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits")) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_executor_stands_out_on_either_ground() {
        assert!(EXECUTORS.len() < COLOURS.len(), "a new executor needs a colour and a marker");
        for (light, dark) in COLOURS {
            assert!(contrast(light, "#ffffff") >= 3.0, "{light} on white: {}", contrast(light, "#ffffff"));
            assert!(contrast(dark, "#0d1117") >= 3.0, "{dark} on black");
        }
    }
}
