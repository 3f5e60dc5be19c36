//! What `check` says of a request's path and headers: what can be sent, and what is Regatta's to
//! say.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use hyper::{Uri, header::HeaderName};

use crate::{
    config::{Fields, quote},
    step::{Template, template::EnvTemplate},
    targets::http as target,
};

/// Longest path with its query that hyper sends, in bytes.
pub(super) const LONGEST_PATH: usize = u16::MAX as usize - 1;

/// Headers that say where a request ends, or what becomes of its connection: RFC 9110, sections 7.6
/// and 10.1.1, RFC 9112, section 6, and what was customary before. In lower case.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reports a path that does not begin with a slash or has what no path can have, and headers that
/// are none.
pub(super) fn check(
    op: &mut Fields<'_>,
    path: Option<&Template>,
    headers: &BTreeMap<String, EnvTemplate>,
) {
    if let Some(path) = path {
        check_path(op, path);
    }
    let mut seen = HashMap::new();
    for (name, value) in headers {
        // Names have no case: RFC 9110, section 5.1.
        let lower = name.to_ascii_lowercase();
        if let Some((message, help)) = flaw(name, &lower) {
            op.reject("headers", message, help);
        } else if let Some(before) = seen.insert(lower, name) {
            let message = format!(
                "`{before}` and `{name}` are the same header: names of headers have no case"
            );
            op.reject("headers", message, Some("keep one of the two".into()));
        }
        // A tab is the only control character that a value can have.
        if let Some(wrong) =
            value.0.text().chars().find(|&found| found != '\t' && !(' '..='~').contains(&found))
        {
            let message =
                format!("the value of `{name}` has {}, which a header cannot have", shown(wrong));
            op.reject(
                "headers",
                message,
                Some("a value has printable ASCII characters only".into()),
            );
        }
    }
}

/// What is wrong with a header's name, and what helps.
fn flaw(name: &str, lower: &str) -> Option<(String, Option<String>)> {
    if name.is_empty() {
        return Some((
            "a header has an empty name".into(),
            Some("write its name, or remove it".into()),
        ));
    }
    if name.parse::<HeaderName>().is_err() {
        let help = "a name has letters, digits and `-`, without spaces and `:`";
        return Some((format!("{} is no name of a header", quote(name)), Some(help.into())));
    }
    if lower == target::ID_HEADER {
        return Some((format!("`{name}` is set by Regatta"), Some("remove it".into())));
    }
    let help = match lower {
        "content-length" | "transfer-encoding" | "trailer" => {
            "remove it: `body` and `body_size` say how much is sent"
        }
        "connection" | "keep-alive" | "proxy-connection" => {
            "remove it: `connection` says how long a connection lives"
        }
        _ => "remove it: a request is sent as a whole, and its answer is read as that",
    };
    let message = || {
        format!("`{name}` is set by Regatta: it says how a request is sent, not what it asks for")
    };
    FRAMING.contains(&lower).then(|| (message(), Some(help.into())))
}

/// Looks at the text of a path; what templates put into it are numbers, which can stand anywhere.
fn check_path(op: &mut Fields<'_>, path: &Template) {
    // The environment may say how it begins, or a value; that is looked at when it is read.
    let begins = |what: &str| path.text().starts_with(what);
    if !begins("/") && !begins("${env:") && !begins("${value:") {
        op.reject("path", "a path begins with `/`", Some("the host is the target's".into()));
        return;
    }
    let sample = path.sample();
    if let Some(message) = too_long(sample.len()) {
        op.reject("path", message, Some("send what is long as the `body`".into()));
        return;
    }
    match stray(&sample) {
        Some('#') => {
            let help = "remove it with what follows; a `#` of the path itself is written as `%23`";
            op.reject("path", "what follows a `#` is never sent", Some(help.into()));
        }
        Some(character) => {
            let name = shown(character);
            let help = format!("write {name} as `{}`", escaped(character));
            op.reject("path", format!("a path cannot have {name}"), Some(help));
        }
        None => {}
    }
}

/// Why a path of this many bytes cannot be sent.
pub(super) fn too_long(bytes: usize) -> Option<String> {
    let message = || {
        format!(
            "the path has {bytes} bytes, and at most {LONGEST_PATH} can be sent, with the query and the url's"
        )
    };
    (bytes > LONGEST_PATH).then(message)
}

/// A character's name in a message.
fn shown(character: char) -> String {
    if character == ' ' { "a space".to_owned() } else { quote(&character.to_string()) }
}

/// The first character that cannot stand in a path, or after its `?` not in a query: what hyper
/// makes of it decides.
pub(super) fn stray(path: &str) -> Option<char> {
    let mut before = "/";
    path.chars().find(|&character| {
        if character == '?' {
            before = "/?";
        }
        character == '#' || format!("{before}{character}").parse::<Uri>().is_err()
    })
}

/// A character's bytes, each as `%` and two digits (RFC 3986, section 2.1).
fn escaped(character: char) -> String {
    character.to_string().bytes().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::testing::errors_of;

    fn errors(rest: &str) -> Vec<String> {
        errors_of(&format!("{{ http = {{ target = \"api\", {rest} }} }}"))
    }

    #[test]
    fn what_is_no_path_is_found_by_its_first_character() {
        for fine in
            ["/", "/a%20b?q=a+b&c[]=1|2", "/~a.b-c_d/(x);v=1,2:@!$'*", "/a?b?c={d}", "/a\u{fc}"]
        {
            assert_eq!(stray(fine), None, "{fine}");
            assert!(fine.parse::<Uri>().is_ok(), "{fine}");
        }
        for (wrong, first) in
            [("/a b", ' '), ("/<b>", '<'), ("/x#frag", '#'), ("/x?q=a b", ' '), ("/a\tb", '\t')]
        {
            assert_eq!(stray(wrong), Some(first), "{wrong}");
        }
        assert_eq!(
            (escaped(' '), escaped('<'), escaped('\u{e9}')),
            ("%20".into(), "%3C".into(), "%C3%A9".into())
        );
    }

    #[test]
    fn a_path_is_as_long_as_hyper_sends_it() {
        let longest = format!("/{}", "a".repeat(LONGEST_PATH - 1));
        assert!(longest.parse::<Uri>().is_ok() && format!("{longest}a").parse::<Uri>().is_err());
        assert_eq!(errors(&format!("path = \"{longest}\"")), [""; 0]);
        let wrong = errors(&format!("path = \"{longest}?\""));
        assert!(
            wrong.len() == 1 && wrong[0].contains("65535 bytes, and at most 65534"),
            "{wrong:?}"
        );
        // A template adds at least a digit.
        assert_eq!(errors(&format!("path = \"{longest}${{i}}\"")).len(), 1);
        for (path, said) in [
            ("", "begins with `/`"),
            ("http://h/", "the host is the target's"),
            ("?a", "begins with"),
        ] {
            let wrong = errors(&format!("path = \"{path}\""));
            assert!(wrong.len() == 1 && wrong[0].contains(said), "{path}: {wrong:?}");
        }
    }

    #[test]
    fn framing_is_regatta_s_in_whatever_case_it_is_written() {
        let mixed = |name: &str| -> String {
            let up = |(at, letter): (usize, char)| {
                if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter }
            };
            name.chars().enumerate().map(up).collect()
        };
        for name in FRAMING.into_iter().chain([target::ID_HEADER]) {
            for written in [name.to_owned(), name.to_ascii_uppercase(), mixed(name)] {
                let wrong =
                    errors(&format!("path = \"/\", headers = {{ \"{written}\" = \"10\" }}"));
                assert_eq!(wrong.len(), 1, "{written}: {wrong:?}");
                assert!(wrong[0].contains(&format!("`{written}` is set by Regatta")), "{wrong:?}");
                assert!(wrong[0].contains("; remove it"), "{wrong:?}");
            }
        }
        let fine = [
            "Host",
            "HOST",
            "User-Agent",
            "Authorization2",
            "Accept",
            "Cookie2",
            "X-Regatta",
            "Range",
            "Date",
        ];
        for name in fine {
            let wrong = errors(&format!("path = \"/\", headers = {{ \"{name}\" = \"${{i}}\" }}"));
            assert_eq!(wrong, [""; 0], "{name}");
        }
    }

    #[test]
    fn names_and_values_that_no_header_can_have_are_refused() {
        for (headers, said) in [
            ("\"\" = \"a\"", "empty name"),
            ("\"a b\" = \"c\"", "`a b` is no name of a header"),
            ("\"a:\" = \"c\"", "no name of a header"),
            ("\"caf\u{e9}\" = \"c\"", "no name of a header"),
            ("Accept = \"a\", accept = \"b\"", "are the same header"),
            ("host = \"a\", HOST = \"b\"", "are the same header"),
            ("a = \"b\\r\\nc: d\"", "which a header cannot have"),
            ("a = \"b\\u0000\"", "which a header cannot have"),
            ("a = \"b\\u007f\"", "which a header cannot have"),
            ("a = \"caf\u{e9}\"", "printable ASCII"),
        ] {
            let wrong = errors(&format!("path = \"/\", headers = {{ {headers} }}"));
            assert!(wrong.len() == 1 && wrong[0].contains(said), "{headers}: {wrong:?}");
        }
        assert_eq!(errors("path = \"/\", headers = { a = \"b\\tc\", d = \"\" }"), [""; 0]);
    }
}
