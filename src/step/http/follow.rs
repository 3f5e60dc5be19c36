//! `follow`: how the pages of a list are followed, as a scenario says it.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::config::{Diagnostics, Field, Fields, Node, Section, choice_schema, read_choice};

/// How the pages of a list are followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Follow {
    pub(super) by: FollowBy,
    /// JSON pointer (RFC 6901) to the url of the next page.
    pub(super) next: Option<String>,
    /// JSON pointer to the array whose elements are counted; none: they are not.
    pub(super) items: Option<String>,
    pub(super) max_pages: NonZeroU64,
}

/// Where a page says which one is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FollowBy {
    /// In its `Link` header, as `rel="next"`.
    Link,
    /// In its JSON.
    Json,
}

const WAYS: &[(&str, FollowBy)] = &[("link", FollowBy::Link), ("json", FollowBy::Json)];

/// Most pages of a call, where the scenario does not say: a server that never ends is found out.
const USUAL_MOST: NonZeroU64 = NonZeroU64::new(1000).unwrap();

impl Field for FollowBy {
    fn schema() -> serde_json::Value {
        choice_schema(WAYS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, WAYS, diagnostics)
    }
}

impl Section for Follow {
    const DOC: &'static str = "How the pages of a list are followed, one after another.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let by = fields.required(
            "by",
            "Where a page names the next one: `link`, in its Link header (RFC 8288); `json`, in its text.",
        );
        let next: Option<String> = fields.optional(
            "next",
            "With `json`: JSON pointer to the next page's url; null or absent on the last page.",
        );
        let items: Option<String> = fields.optional(
            "items",
            "JSON pointer to the array whose elements are counted; empty text: the whole page is one.",
        );
        let max_pages = fields.or("max_pages", USUAL_MOST, "More pages than these fail the trial.");
        check_next(fields, by, next.as_deref());
        for (key, pointer) in [("next", &next), ("items", &items)] {
            if pointer.as_ref().is_some_and(|text| !text.is_empty() && !text.starts_with('/')) {
                let help = "write `/` before each name, as in `/data/items`";
                fields.reject(key, "a JSON pointer begins with `/`", Some(help.into()));
            }
        }
        Some(Self { by: by?, next, items, max_pages })
    }
}

fn check_next(fields: &mut Fields<'_>, by: Option<FollowBy>, next: Option<&str>) {
    match (by, next) {
        (Some(FollowBy::Json), None | Some("")) => {
            let help = "write where, such as next = \"/next\"";
            fields.reject("next", "a page says in its JSON which one is next", Some(help.into()));
        }
        (Some(FollowBy::Link), Some(_)) => {
            let help = "remove `next`, or write by = \"json\"";
            fields.reject(
                "next",
                "`next` is about JSON, and `link` follows a header",
                Some(help.into()),
            );
        }
        _ => {}
    }
}
