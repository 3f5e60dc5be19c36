//! How wide text is: in terminal columns, and in pixels of a sans-serif font.

/// Columns that a text takes in a terminal: two for East Asian wide characters and emoji, none for combining marks.
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    match c as u32 {
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F => 2,
        0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1F64F | 0x1F900..=0x1F9FF | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Makes a name from a scenario safe for a terminal: control characters could move the cursor or change colours.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// Widths of the printable ASCII characters from space to tilde in thousandths of an em (Helvetica's metrics).
#[rustfmt::skip]
const HELVETICA: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611,
    278, 278, 278, 469, 556, 333,
    556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500,
    334, 260, 334, 584,
];

/// Fonts differ: the widest usual system font (DejaVu Sans, Verdana) is about this much wider than Helvetica.
const WIDEST: f64 = 1.15;

/// Width of a text in pixels at a font size, rounded up to the widest usual sans-serif font.
pub fn pixels(text: &str, size: f64) -> f64 {
    text.chars().map(|c| f64::from(em_thousandths(c))).sum::<f64>() / 1000.0 * size * WIDEST
}

fn em_thousandths(c: char) -> u16 {
    let index = (c as usize).wrapping_sub(' ' as usize);
    HELVETICA.get(index).copied().unwrap_or(if char_columns(c) == 2 { 1000 } else { 600 })
}

/// Shortens a text to a width in pixels; what is cut off is shown by an ellipsis.
pub fn fit(text: &str, size: f64, most: f64) -> String {
    if pixels(text, size) <= most {
        return text.into();
    }
    let mut left = most - pixels("…", size);
    let kept: String = text
        .chars()
        .take_while(|&c| {
            left -= f64::from(em_thousandths(c)) / 1000.0 * size * WIDEST;
            left >= 0.0
        })
        .collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_the_terminal() {
        assert_eq!(columns("µs –"), 4);
        assert_eq!(columns("並行"), 4);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(printable("\u{1b}[2Jx"), "\u{FFFD}[2Jx");
    }

    #[test]
    fn texts_are_fitted() {
        assert_eq!(HELVETICA[('~' as usize) - 32], 584);
        assert_eq!(HELVETICA[('m' as usize) - 32], 833);
        assert_eq!(fit("tokio", 12.0, 100.0), "tokio");
        let short = fit(&"x".repeat(100), 12.0, 60.0);
        assert!(short.ends_with('…') && pixels(&short, 12.0) <= 60.0, "{short}");
    }
}
