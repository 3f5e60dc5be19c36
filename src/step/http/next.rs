//! Which page is next, as a page says it, and whether it may be asked for.

use hyper::Uri;
use serde_json::Value as Json;
use url::{Position, Url};

use super::{
    answer::{ListPage, MOST_PAGE},
    excerpt::excerpt,
    follow::{Follow, FollowBy},
    headers,
};

/// What a page says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageTurn {
    /// How many items it has, where they are counted.
    pub items: u64,
    /// The reference to the next page, as it is written; none: this is the last one.
    pub next: Option<String>,
}

/// Reads a page: as JSON only where that is asked for.
pub(super) fn turn(follow: &Follow, page: &ListPage) -> Result<PageTurn, String> {
    let json = match (follow.by, &follow.items) {
        (FollowBy::Link, None) => Json::Null,
        _ => json(page)?,
    };
    let items = follow.items.as_deref().map_or(Ok(0), |pointer| count(&json, pointer))?;
    let next = match follow.by {
        FollowBy::Link => page.links.iter().find_map(|header| {
            // A title beside it may have any bytes.
            linked(&String::from_utf8_lossy(header.as_bytes())).map(str::to_owned)
        }),
        FollowBy::Json => named(&json, follow.next.as_deref().unwrap_or_default())?,
    };
    Ok(PageTurn { items, next })
}

fn json(page: &ListPage) -> Result<Json, String> {
    if page.text.len() == MOST_PAGE {
        let mib = MOST_PAGE >> 20;
        return Err(format!("it has {mib} MiB or more; ask for smaller pages"));
    }
    serde_json::from_slice(&page.text)
        .map_err(|why| format!("it is no JSON: {why}; it begins with {}", excerpt(&page.text)))
}

fn count(json: &Json, pointer: &str) -> Result<u64, String> {
    let array = json.pointer(pointer).and_then(Json::as_array);
    array
        .map(|items| items.len() as u64)
        .ok_or_else(|| format!("it has no array at `{pointer}`; correct `items` of `follow`"))
}

fn named(json: &Json, pointer: &str) -> Result<Option<String>, String> {
    match json.pointer(pointer) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(next)) => Ok(Some(next.clone())),
        Some(other) => {
            let found = excerpt(other.to_string().as_bytes());
            Err(format!("it has no url at `{pointer}` but {found}; correct `next` of `follow`"))
        }
    }
}

/// The reference of the first link in a `Link` header whose relation is `next` (RFC 8288, section
/// 3). A link with an `anchor` is about something else than this page.
fn linked(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, link)) = rest.split_once('<') {
        let (reference, more) = link.split_once('>')?;
        let (mut parameters, other_links) = cut(more, b',');
        let (mut is_next, mut is_anchored) = (false, false);
        while !parameters.is_empty() {
            let (one, more) = cut(parameters, b';');
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            is_next |= name.trim().eq_ignore_ascii_case("rel") && has_next(value);
            is_anchored |= name.trim().eq_ignore_ascii_case("anchor");
            parameters = more;
        }
        if is_next && !is_anchored {
            return Some(reference.trim());
        }
        rest = other_links;
    }
    None
}

/// What stands before the first of these bytes outside of quotes, and what after it.
fn cut(text: &str, separator: u8) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    let found = text.bytes().position(|byte| {
        let is_text = escaped;
        escaped = quoted && !is_text && byte == b'\\';
        quoted ^= byte == b'"' && !is_text;
        byte == separator && !quoted
    });
    found.map_or((text, ""), |at| (&text[..at], &text[at + 1..]))
}

/// Whether `next` is among the relations, of which there may be several.
fn has_next(value: &str) -> bool {
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

/// The place of the page that `here` calls `next`: on the same server, or it is not followed.
pub(super) fn resolve(here: &Url, next: &str) -> Result<Url, String> {
    let shown = excerpt(next.as_bytes());
    let there = here
        .join(next)
        .map_err(|why| format!("the next page is at {shown}, which is no url: {why}"))?;
    if there.origin() != here.origin() {
        return Err(format!(
            "the next page is at {shown}, and only pages of {} are followed; let the server name its pages as it is \
             named in the target's `url`",
            here.origin().ascii_serialization()
        ));
    }
    Ok(there)
}

/// What is sent of a place: its path and its query.
pub(super) fn path_of(place: &Url) -> Result<Uri, String> {
    let path = &place[Position::BeforePath..Position::AfterQuery];
    path.parse().map_err(|_| {
        headers::too_long(path.len()).unwrap_or_else(|| format!("`{path}` is no path"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Option<String> {
        linked(text).map(str::to_owned)
    }

    #[test]
    fn the_next_link_is_found_however_it_is_written() {
        for text in [
            "</b>; rel=\"next\"",
            "</b>;rel=next",
            "</b>; REL=\"Next\"",
            "</b> ; title=\"a, b; c\" ; rel=\"prefetch next\"",
            "</a>; rel=\"prev\", </b>; rel=\"next\", </c>; rel=\"next\"",
            "</a?x=1,2>; rel=\"first\"; title=\"<\\\",\", </b>; rel=next",
            "</a>; rel=next; anchor=\"#x\", </b>; rel=next",
            "</a>; title=\"; rel=next\", </b>; rel=next",
        ] {
            assert_eq!(link(text), Some("/b".to_owned()), "{text}");
        }
        for text in
            ["", "</a>", "</a>; rel=\"nextly\"", "/a; rel=next", "</a; rel=next", "</a>; x=next"]
        {
            assert_eq!(link(text), None, "{text}");
        }
    }

    #[test]
    fn only_pages_of_the_same_server_are_followed() {
        let here: Url = "http://h:81/a/list?page=1".parse().unwrap();
        for (next, path) in [
            ("?page=2", "/a/list?page=2"),
            ("list?page=2", "/a/list?page=2"),
            ("/b", "/b"),
            ("../c d?e=\u{e9}#f", "/c%20d?e=%C3%A9"),
            ("http://H:81/x", "/x"),
            ("//h:81/x", "/x"),
        ] {
            let there = resolve(&here, next).and_then(|there| path_of(&there));
            assert_eq!(there.as_ref().map(ToString::to_string).as_deref(), Ok(path), "{next}");
        }
        for next in
            ["http://h/x", "https://h:81/x", "//other:81/x", "file:///x", "http://h:81@evil/x"]
        {
            let why = resolve(&here, next).unwrap_err();
            assert!(why.contains("only pages of http://h:81 are followed; let"), "{next}: {why}");
        }
        assert!(resolve(&here, "http://h:x/").unwrap_err().contains("is no url"));
    }

    #[test]
    fn a_page_that_is_not_as_expected_is_told() {
        let follow = |by, items: Option<&str>| Follow {
            by,
            next: Some("/next".into()),
            items: items.map(str::to_owned),
            max_pages: std::num::NonZeroU64::MIN,
        };
        let read = |follow: &Follow, text: &str| {
            turn(follow, &ListPage { text: text.into(), links: Vec::new() })
        };
        let json = follow(FollowBy::Json, Some("/data/items"));
        let page = r#"{"data":{"items":[1,2,3]},"next":"/b"}"#;
        assert_eq!(read(&json, page), Ok(PageTurn { items: 3, next: Some("/b".into()) }));
        for last in [r#"{"data":{"items":[]},"next":null}"#, r#"{"data":{"items":[]}}"#] {
            assert_eq!(read(&json, last), Ok(PageTurn { items: 0, next: None }));
        }
        for (text, said) in [
            ("<html>", "is no JSON: expected value at line 1 column 1; it begins with `<html>`"),
            (r#"{"data":{"items":3}}"#, "no array at `/data/items`; correct `items`"),
            (r#"{"data":{"items":[]},"next":2}"#, "no url at `/next` but `2`; correct `next`"),
        ] {
            let why = read(&json, text).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
        // Nothing of the text matters.
        assert_eq!(read(&follow(FollowBy::Link, None), "<"), Ok(PageTurn { items: 0, next: None }));
    }
}
