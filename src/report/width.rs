//! How wide text is: in terminal columns, and in pixels of a sans-serif font.

/// Columns that a text takes in a terminal: two for East Asian wide characters and emoji, none for
/// combining marks.
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    match c as u32 {
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1F64F
        | 0x1F900..=0x1F9FF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Makes a name from a scenario safe for a terminal: control characters could move the cursor or
/// change colours.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// Widths of the printable ASCII characters from space to tilde in thousandths of an em: those of
/// DejaVu Sans, the widest of the usual system fonts, so that a text fits in any of them.
#[rustfmt::skip]
const WIDTHS: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
    636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
    1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
    500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];

/// Width of a text in pixels at a font size.
pub fn pixels(text: &str, size: f64) -> f64 {
    text.chars().map(|c| f64::from(em_thousandths(c))).sum::<f64>() / 1000.0 * size
}

fn em_thousandths(c: char) -> u16 {
    let index = (c as usize).wrapping_sub(' ' as usize);
    WIDTHS.get(index).copied().unwrap_or(if char_columns(c) == 2 { 1000 } else { 900 })
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
            left -= f64::from(em_thousandths(c)) / 1000.0 * size;
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
        assert_eq!(WIDTHS[('~' as usize) - 32], 838);
        assert_eq!(WIDTHS[('m' as usize) - 32], 974);
        assert_eq!(fit("tokio", 12.0, 100.0), "tokio");
        let short = fit(&"x".repeat(100), 12.0, 60.0);
        assert!(short.ends_with('…') && pixels(&short, 12.0) <= 60.0, "{short}");
    }
}
