//! Words that several findings use.

use crate::{
    analysis::{Ratio, bound},
    scenario::Param,
};

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [single] => single.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Where it is, by the swept parameters of some groups: ` at concurrency=1, 8 and 64`; nothing
/// without a sweep.
pub(super) fn places(groups: &[&[Param]]) -> String {
    let place =
        |params: &&[Param]| params.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let places: Vec<String> = groups.iter().map(place).filter(|place| !place.is_empty()).collect();
    match groups {
        _ if places.is_empty() => String::new(),
        [[single], ..] if groups.iter().all(|params| params.len() == 1) => {
            let values: Vec<String> =
                groups.iter().map(|params| params[0].shown().into_owned()).collect();
            format!(" at {}={}", single.name, list(&values))
        }
        _ => format!(" at {}", list(&places)),
    }
}

/// `1 trial`, `3 trials`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// ` (95 % interval 3.90 to 4.30)`, or that there is none.
pub(super) fn interval(ratio: &Ratio) -> String {
    match ratio.interval {
        Some((low, high)) => format!(" (95 % interval {} to {})", bound(low), bound(high)),
        None => " (no interval)".into(),
    }
}

/// Adds an item to the entry with this key, keeping the order in which keys came.
pub(super) fn collect<K: PartialEq, V>(entries: &mut Vec<(K, Vec<V>)>, key: K, item: V) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some((_, items)) => items.push(item),
        None => entries.push((key, vec![item])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_by_their_swept_parameters() {
        let param = |name: &str, value: &str| Param { name: name.into(), value: value.into() };
        let single = [[param("n", "1")], [param("n", "8")], [param("n", "64")]];
        let pairs = [[param("n", "1"), param("k", "2")], [param("n", "8"), param("k", "2")]];
        assert_eq!(places(&[&[]]), "");
        assert_eq!(places(&single.each_ref().map(|params| &params[..])), " at n=1, 8 and 64");
        assert_eq!(places(&pairs.each_ref().map(|params| &params[..])), " at n=1,k=2 and n=8,k=2");
    }
}
