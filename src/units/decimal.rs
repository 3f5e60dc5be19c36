//! Decimal numbers with a unit, read and printed exactly: no float ever stands between text and
//! value.

/// Why a number with a unit could not be read; each type of value words it with its own example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalProblem {
    /// Not a number followed by one of the units.
    Shape,
    /// A minus sign.
    Negative,
    /// A fraction of the smallest unit.
    TooFine,
    /// More than 64 bits of the smallest unit.
    TooLarge,
}

/// Reads a decimal number followed by one of `units` (name, how many of the smallest unit) into
/// smallest units.
pub(super) fn parse(text: &str, units: &[(&str, u64)]) -> Result<u64, DecimalProblem> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(DecimalProblem::Negative);
    }
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = units.iter().find(|(name, _)| *name == unit).ok_or(DecimalProblem::Shape)?.1;
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let malformed = whole.is_empty()
        || fraction.is_some_and(|digits| digits.is_empty() || digits.contains('.'));
    if malformed {
        return Err(DecimalProblem::Shape);
    }
    scaled(whole, fraction.unwrap_or_default().trim_end_matches('0'), scale)
}

/// `whole.fraction` times `scale`, if that is a whole number of 64 bits.
fn scaled(whole: &str, fraction: &str, scale: u64) -> Result<u64, DecimalProblem> {
    let whole: u64 = whole.parse().map_err(|_| DecimalProblem::TooLarge)?;
    // The largest scale has 14 digits, so a longer fraction cannot come out whole.
    let places = u32::try_from(fraction.len())
        .ok()
        .filter(|places| *places <= 15)
        .ok_or(DecimalProblem::TooFine)?;
    let divisor = 10_u128.pow(places);
    let parts = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().map_err(|_| DecimalProblem::TooFine)?
    };
    let product = (u128::from(whole) * divisor + parts) * u128::from(scale);
    if product % divisor != 0 {
        return Err(DecimalProblem::TooFine);
    }
    u64::try_from(product / divisor).map_err(|_| DecimalProblem::TooLarge)
}

/// `value / scale` as a decimal that ends, if it does within 15 places.
pub(super) fn exact(value: u128, scale: u64) -> Option<String> {
    let scale = u128::from(scale);
    let (whole, mut rest) = (value / scale, value % scale);
    let mut digits = String::new();
    while rest != 0 {
        if digits.len() == 15 {
            return None;
        }
        rest *= 10;
        digits.push(char::from(b'0' + u8::try_from(rest / scale).unwrap_or(9)));
        rest %= scale;
    }
    Some(if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") })
}

/// A number of at least 1 with three significant digits: `1.23`, `12.3`, `123`, `1234`.
pub(super) fn three_digits(value: f64) -> String {
    let places = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.places$}")
}
