//! Numbers for people.

/// Prints a number that is not negative with three significant digits and k, M or G: `0.0123`,
/// `4.10`, `12.3k`.
pub fn significant(value: f64) -> String {
    const STEPS: [(f64, &str); 4] = [(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G")];
    // 999.6 is printed as 1.00k, so a step is resumed from half a digit below it.
    let (scale, suffix) =
        STEPS.into_iter().rev().find(|(scale, _)| value >= 0.9995 * scale).unwrap_or(STEPS[0]);
    let scaled = value / scale;
    let digits = match scaled {
        0.0 => 0,
        small if small < 0.001 => 6,
        small if small < 0.01 => 5,
        small if small < 0.0999_5 => 4,
        small if small < 0.999_5 => 3,
        ones if ones < 9.995 => 2,
        tens if tens < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.digits$}{suffix}")
}

/// Prints the bound of a ratio's interval as [`significant`] does, but with as many digits as show
/// on which side of 1 it is: 1.003 is not printed as 1.00, which would belie "faster".
pub fn bound(value: f64) -> String {
    let text = significant(value);
    // The two printings are compared; the numbers differ by less than they show.
    if text != significant(1.0) {
        return text;
    }
    let longer = (3..7).map(|digits| format!("{value:.digits$}"));
    longer.into_iter().find(|text| text.trim_end_matches('0') != "1.").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_beside_one_show_their_side() {
        let cases = [
            (1.0, "1.00"),
            (1.003, "1.003"),
            (0.9996, "0.9996"),
            (1.000_2, "1.0002"),
            (1.02, "1.02"),
            (0.9, "0.900"),
        ];
        for (value, expected) in cases {
            assert_eq!(bound(value), expected);
        }
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let cases = [
            (0.0, "0"),
            (0.01234, "0.0123"),
            (0.25, "0.250"),
            (4.1, "4.10"),
            (9.996, "10.0"),
            (50.0, "50.0"),
            (999.4, "999"),
            (999.6, "1.00k"),
            (12_345.0, "12.3k"),
            (3.2e6, "3.20M"),
            (7e9, "7.00G"),
        ];
        for (value, text) in cases {
            assert_eq!(significant(value), text);
        }
    }
}
