//! `take`: which values of an answer later steps of the task use, as a scenario says it.

use hyper::header::HeaderName;
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use crate::config::{Fields, Name, Section, quote};

/// The values that a request takes, and those that it is made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpValues {
    /// Those that are taken from its answer, and where each stands.
    #[serde(default)]
    pub(super) take: Vec<(Name, HttpTake)>,
    /// Those that it uses, for checks of the file: a plan has them in its templates.
    #[serde(skip)]
    pub(super) uses: Vec<Name>,
    /// The columns of rows that it uses, for the same.
    #[serde(skip)]
    pub(super) rows: Vec<Name>,
}

impl HttpValues {
    /// Whether each value that is taken has a default, so that it is always there.
    pub(super) fn all_have_defaults(&self) -> bool {
        self.take.iter().all(|(_, take)| take.default.is_some())
    }
}

/// A value that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpTake {
    /// Where it stands in an answer.
    #[serde(flatten)]
    pub(super) from: TakeFrom,
    /// What it is where it does not stand there, or where there is no answer; none: the trial
    /// fails, or the rest of the task is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) default: Option<String>,
}

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

impl Section for HttpTake {
    const DOC: &'static str =
        "Where a value stands in an answer, and what it is where it does not.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let from = TakeFrom::read(fields);
        let doc = "What the value is where the answer has none, and after a time-out or an error that the step lets pass.";
        let default = fields.optional("default", doc);
        Some(Self { from: from?, default })
    }
}

impl TakeFrom {
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
