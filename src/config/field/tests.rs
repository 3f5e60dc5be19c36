//! Tests of values of every type.

use super::*;

/// Reads `text` as the value of a key.
fn read<T: Field>(text: &str) -> Result<T, String> {
    let mut diagnostics = Diagnostics::default();
    let node = super::super::parse(&format!("k = {text}"), &mut diagnostics);
    let value = node.get("k").and_then(|node| T::read(node, &mut diagnostics));
    let errors: Vec<_> = diagnostics.into_sorted().into_iter().map(|d| d.message).collect();
    value.filter(|_| errors.is_empty()).ok_or_else(|| errors.join("; "))
}

#[test]
fn numbers_have_ranges() {
    assert_eq!(read::<u32>("7"), Ok(7));
    assert_eq!(read::<u64>("0"), Ok(0));
    assert_eq!(read::<NonZeroU64>("1"), Ok(NonZeroU64::MIN));
    assert_eq!(
        read::<NonZeroU32>("0"),
        Err("expected a whole number of at least 1, found 0".into())
    );
    assert_eq!(read::<usize>("-1"), Err("expected a whole number of at least 0, found -1".into()));
    assert_eq!(read::<u16>("65536"), Err("65536 is too large here".into()));
    assert_eq!(
        read::<u32>("1.5"),
        Err("expected a whole number of at least 0, found a float".into())
    );
    assert_eq!(read::<f64>("2"), Ok(2.0));
    assert_eq!(read::<f64>("nan"), Err("expected a finite number".into()));
    assert!(read::<u64>("99999999999999999999").unwrap_err().contains("64 bits"));
}

#[test]
fn units_are_strings_and_zero_may_be_bare() {
    assert_eq!(read::<Duration>("'20ms'"), Ok(Duration::from_millis(20)));
    assert_eq!(read::<Duration>("0"), Ok(Duration::ZERO));
    assert_eq!(
        read::<Duration>("5"),
        Err("expected a duration such as `20ms`, found an integer".into())
    );
    assert!(read::<Duration>("'-5ms'").unwrap_err().contains("negative"));
    assert_eq!(read::<Size>("'16KiB'"), Ok(Size(16_384)));
    assert_eq!(read::<Size>("512"), Ok(Size(512)));
    assert_eq!(read::<Size>("-1"), Err("expected a size such as `16KiB`, found an integer".into()));
    assert!(read::<Distribution>("'gauss(1ms)'").unwrap_err().contains("`exp(1ms)`"));
    assert!(read::<Duration>(&format!("'{}'", "9".repeat(100_000))).unwrap_err().len() < 200);
}

#[test]
fn every_item_of_an_array_is_checked() {
    assert_eq!(read::<Vec<u32>>("[1, 2]"), Ok(vec![1, 2]));
    assert_eq!(
        read::<Vec<bool>>("[1, 2]").unwrap_err().matches("expected `true` or `false`").count(),
        2
    );
    assert_eq!(read::<Vec<u32>>("1"), Err("expected an array, found an integer".into()));
}

#[test]
fn tables_of_names_keep_their_order() {
    let named = read::<Named<u32>>("{ z = 1, a = 2 }").unwrap();
    assert_eq!(
        named.0.iter().map(|(name, value)| (name.text.as_str(), *value)).collect::<Vec<_>>(),
        [("z", 1), ("a", 2)]
    );
    assert_eq!(
        read::<BTreeMap<String, bool>>("{ z = true }"),
        Ok(BTreeMap::from([("z".into(), true)]))
    );
}

#[test]
fn choices_name_the_nearest() {
    let choices = [("fail", 1), ("skip", 2)];
    let mut diagnostics = Diagnostics::default();
    let node = |text: &str| Node { span: 0..0, value: Value::Text(text.into()) };
    assert_eq!(read_choice(&node("skip"), &choices, &mut diagnostics), Some(2));
    assert_eq!(read_choice(&node("fial"), &choices, &mut diagnostics), None);
    let found = diagnostics.into_sorted();
    assert_eq!(found[0].help.as_deref(), Some("did you mean `fail`? choices: fail, skip"));
}

#[test]
fn names_fit_into_cells() {
    assert!(is_name("http-fanout") && is_name("4k") && is_name("fan_out"));
    assert!(!is_name("") && !is_name("-a") && !is_name("a::b") && !is_name("Ä") && !is_name("a b"));
}
