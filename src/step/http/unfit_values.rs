//! What a scenario says of values that does not fit to the request.

use super::{expect::HttpExpect, follow::Follow, spec::Verb, take::HttpValues};
use crate::config::{Fields, NAME_HELP, is_name, quote};

/// Reports values that cannot be taken from what this request gets, and those that are needed before
/// they can have been taken.
pub(super) fn check(
    op: &mut Fields<'_>,
    step: &mut Fields<'_>,
    values: &HttpValues,
    follow: Option<&Follow>,
    (method, expect): (Verb, &HttpExpect),
) {
    let take = &values.take;
    if let Some((name, _)) = take.iter().find(|(name, _)| !is_name(&name.text)) {
        let message = format!("{} is no name of a value", quote(&name.text));
        op.reject("take", message, Some(NAME_HELP.to_owned()));
    }
    if follow.is_some() && !take.is_empty() {
        let help = "ask for one page without `follow` to take a value from it";
        op.reject("take", "a list that is followed has many answers", Some(help.into()));
    }
    if method == Verb::Head && take.iter().any(|(_, take)| take.from.is_in_body()) {
        let help = "take it from a `header`, or ask with GET";
        op.reject("take", "the answer to HEAD has no body", Some(help.into()));
    }
    if expect.has_sha256() && !values.uses.is_empty() {
        let message = "`sha256` is looked at before any value has been taken";
        let help =
            "remove it, or remove `${value:…}` from this step; `bytes` is looked at in each call";
        step.reject("expect", message, Some(help.into()));
    }
}

#[cfg(test)]
mod tests {
    use crate::step::{
        StepSpec,
        testing::{errors_of, read_step},
    };

    fn errors(more: &str) -> Vec<String> {
        errors_of(&format!("{{ http = {{ target = 'api', path = '/', {more} }}"))
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_a_remedy() {
        for (more, said, remedy) in [
            ("take = { a = { header = 'a b' } } }", "no name of a header", "letters"),
            ("take = { a = { json = 'a' } } }", "begins with `/`", "`/user/id`"),
            ("take = { a = { regex = '(' } } }", "unclosed group", "`regex`"),
            ("take = { a = {} } }", "in one place", "write one of"),
            ("take = { a = { json = '/a', header = 'a' } } }", "in one place", "write one of"),
            ("take = { 'a b' = { json = '/a' } } }", "no name of a value", "names"),
            (
                "follow = { by = 'link' }, take = { a = { json = '/a' } } }",
                "many answers",
                "without `follow`",
            ),
            ("method = 'HEAD', take = { a = { json = '/a' } } }", "no body", "a `header`"),
            (
                &format!(
                    "headers = {{ a = '${{value:b}}' }} }}, expect = {{ sha256 = '{}' }}",
                    "0".repeat(64)
                ),
                "before any value",
                "`bytes`",
            ),
            ("headers = { a = '${value:b c}' } }", "name of a value", "known are"),
        ] {
            let wrong = errors(more);
            assert!(
                wrong.len() == 1 && wrong[0].contains(said) && wrong[0].contains(remedy),
                "{more}: {wrong:?}"
            );
        }
        let fine = "method = 'HEAD', take = { a = { header = 'a' } } }";
        assert_eq!(errors(fine), [""; 0]);
    }

    #[test]
    fn what_is_taken_and_used_is_stored_and_told_to_the_checks() {
        let text = "{ http = { target = 'api', path = '${value:next}', body = 'x${value:a}', \
                    headers = { b = 'Bearer ${value:token}' }, take = { id = { json = '/id' }, all = { regex = 'x' } } } }";
        let spec = read_step(text).expect("reads");
        let texts = |names: Vec<&crate::config::Name>| -> Vec<String> {
            names.into_iter().map(|name| name.text.clone()).collect()
        };
        assert_eq!(texts(spec.takes()), ["id", "all"]);
        assert_eq!(texts(spec.uses()), ["next", "token", "a"]);
        let stored = serde_json::to_string(&spec).expect("is stored");
        let back: StepSpec = serde_json::from_str(&stored).expect("is read again");
        assert_eq!(texts(back.takes()), ["id", "all"]);
        assert!(stored.contains(r#"["id",{"json":"/id"}]"#), "{stored}");
        assert!(!spec.may_end_task());
    }

    #[test]
    fn a_racer_is_not_told_of_values() {
        for (more, said) in [
            ("take = { a = { json = '/a' } } }", "`take`"),
            ("headers = { a = '${value:b}' } }", "`${value:b}`"),
        ] {
            let spec = read_step(&format!("{{ http = {{ target = 'api', path = '/', {more} }}"));
            let why = spec.expect("reads").told().expect_err("has no words");
            assert!(why.contains(said), "{why}");
        }
    }
}
