//! `take`: which values of an answer later steps of the task use, as a scenario says it.

use hyper::header::HeaderName;
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::{expect::HttpExpect, follow::Follow, spec::Verb};
use crate::config::{Fields, NAME_HELP, Name, Section, is_name, quote};

/// Where a value stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakeFrom {
    /// In the first header of this name.
    Header(String),
    /// At this JSON pointer (RFC 6901).
    Json(String),
    /// Where this expression matches first: its first group, or all of the match.
    Regex(String),
}

impl TakeFrom {
    /// Whether the body is needed for it.
    pub(super) fn is_in_body(&self) -> bool {
        !matches!(self, Self::Header(_))
    }
}

impl Section for TakeFrom {
    const DOC: &'static str = "Where a value stands in an answer: one of the three.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let header: Option<String> = fields.optional("header", "The name of a header.");
        let json: Option<String> = fields.optional(
            "json",
            "JSON pointer (RFC 6901) to a text, a number, true or false in the body.",
        );
        let regex: Option<String> = fields.optional(
            "regex",
            "An expression that the body matches: the value is its first group, or all of the match.",
        );
        fields.either(&[&["header"], &["json"], &["regex"]]);
        if let Some(flaw) = header.as_deref().and_then(header_flaw) {
            fields.reject("header", flaw, Some("a name has letters, digits and `-`".into()));
        }
        if json.as_ref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            let help = "write `/` before each name, as in `/user/id`";
            fields.reject("json", "a JSON pointer begins with `/`", Some(help.into()));
        }
        if let Some(flaw) = regex.as_deref().and_then(regex_flaw) {
            let help = "expressions are those of the Rust crate `regex`; write it in '…' to keep each `\\`";
            fields.reject("regex", flaw, Some(help.into()));
        }
        let all = [header.map(Self::Header), json.map(Self::Json), regex.map(Self::Regex)];
        let keys = ["header", "json", "regex"].map(|key| fields.has(key));
        if keys.iter().filter(|has| **has).count() != 1 && !fields.is_describing() {
            let help =
                "write one of header = \"x-token\", json = \"/token\" and regex = 'id=(\\d+)'";
            let key = if keys[2] { "regex" } else { "json" };
            fields.reject(key, "a value stands in one place", Some(help.into()));
            return None;
        }
        all.into_iter().flatten().next()
    }
}

fn header_flaw(name: &str) -> Option<String> {
    name.parse::<HeaderName>().err().map(|_| format!("{} is no name of a header", quote(name)))
}

fn regex_flaw(text: &str) -> Option<String> {
    let why = Regex::new(text).err()?.to_string();
    // The message has several lines, of which the last one says it.
    let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
    Some(format!("{} is no regular expression: {why}", quote(text)))
}

/// Reports values that cannot be taken from what this request gets.
pub(super) fn check(
    op: &mut Fields<'_>,
    take: &[(Name, TakeFrom)],
    follow: Option<&Follow>,
    method: Verb,
) {
    if let Some((name, _)) = take.iter().find(|(name, _)| !is_name(&name.text)) {
        let message = format!("{} is no name of a value", quote(&name.text));
        op.reject("take", message, Some(NAME_HELP.to_owned()));
    }
    if follow.is_some() && !take.is_empty() {
        let help = "ask for one page without `follow` to take a value from it";
        op.reject("take", "a list that is followed has many answers", Some(help.into()));
    }
    if method == Verb::Head && take.iter().any(|(_, from)| from.is_in_body()) {
        let help = "take it from a `header`, or ask with GET";
        op.reject("take", "the answer to HEAD has no body", Some(help.into()));
    }
}

/// Reports what is looked at in preparation, when nothing has been taken yet.
pub(super) fn check_use(step: &mut Fields<'_>, expect: &HttpExpect, uses: &[Name]) {
    if expect.has_sha256() && !uses.is_empty() {
        let message = "`sha256` is looked at before any value has been taken";
        let help =
            "remove it, or remove `${value:…}` from this step; `bytes` is looked at in each call";
        step.reject("expect", message, Some(help.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::StepKind as _;
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
        let StepSpec::Http(http) = spec else { panic!() };
        assert!(!http.may_end_task());
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
