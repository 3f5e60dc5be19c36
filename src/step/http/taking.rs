//! HttpTaking values from an answer, for later steps of the task.

use std::sync::Arc;

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use regex::bytes::{CaptureLocations, Regex};
use serde_json::Value as Json;

use super::{
    excerpt::excerpt,
    take::{HttpTake, TakeFrom},
};
use crate::{config::Name, step::value::TakenValue};

/// Most bytes of a body from which values are taken: it is held whole.
const MOST_BODY: usize = 1 << 20;

/// Numbers from here on are not exact as a float: a value would be another one than was sent.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// The values that a step takes, and room for what they are taken from.
#[derive(Debug)]
pub(super) struct HttpTaking {
    values: Vec<ValueTaking>,
    /// Where the step stands, for messages.
    place: String,
    takes_body: bool,
    /// The body, or the first [`MOST_BODY`] bytes of it.
    body: Vec<u8>,
    /// Length of the body, in bytes.
    length: usize,
}

#[derive(Debug)]
struct ValueTaking {
    name: String,
    from: Finder,
    value: Arc<TakenValue>,
    default: Option<String>,
}

/// Why a value could not be taken, in words.
#[derive(Debug)]
enum Untaken {
    /// The answer does not have it: where there is a default, the value is that.
    Lacking(String),
    /// What stands there is no value.
    Wrong(String),
}

/// Finds a value.
#[derive(Debug)]
enum Finder {
    Header(HeaderName, Option<HeaderValue>),
    Json(String),
    Regex(Regex, CaptureLocations),
}

impl Finder {
    fn new(from: &TakeFrom) -> Result<Self, String> {
        Ok(match from {
            TakeFrom::Header(name) => {
                Self::Header(name.parse().map_err(|_| format!("`{name}` is no header"))?, None)
            }
            TakeFrom::Json(pointer) => Self::Json(pointer.clone()),
            TakeFrom::Regex(text) => {
                let regex = Regex::new(text).map_err(|why| why.to_string())?;
                let room = regex.capture_locations();
                Self::Regex(regex, room)
            }
        })
    }
}

impl HttpTaking {
    /// For these values, each kept where `cell` says. None: nothing is taken.
    pub(super) fn new(
        take: &[(Name, HttpTake)],
        place: String,
        cell: impl Fn(&str) -> Arc<TakenValue>,
    ) -> Result<Option<Box<Self>>, String> {
        let value = |(name, HttpTake { from, default }): &(Name, HttpTake)| {
            let (name, value, default) = (name.text.clone(), cell(&name.text), default.clone());
            Ok(ValueTaking { name, from: Finder::new(from)?, value, default })
        };
        let values = take.iter().map(value).collect::<Result<Vec<_>, String>>()?;
        let takes_body = take.iter().any(|(_, take)| take.from.is_in_body());
        let taking = Self { values, place, takes_body, body: Vec::new(), length: 0 };
        Ok((!take.is_empty()).then(|| Box::new(taking)))
    }

    /// Where the step stands, for messages.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The call begins: what an earlier one took is gone.
    pub(super) fn clear(&self) {
        self.values.iter().for_each(|value| value.value.clear());
    }

    /// There is no answer: each value is its default; false where one has none.
    pub(super) fn use_defaults(&self) -> bool {
        for ValueTaking { value, default, .. } in &self.values {
            let Some(default) = default else { return false };
            value.set(default);
        }
        true
    }

    /// The head of an answer has come.
    pub(super) fn begin(&mut self, headers: &HeaderMap) {
        self.body.clear();
        self.length = 0;
        for value in &mut self.values {
            if let Finder::Header(name, found) = &mut value.from {
                *found = headers.get(&*name).cloned();
            }
        }
    }

    /// More of its body has come.
    pub(super) fn add(&mut self, data: &[u8]) {
        if self.takes_body {
            self.length += data.len();
            let room = MOST_BODY - self.body.len();
            self.body.extend_from_slice(&data[..data.len().min(room)]);
        }
    }

    /// All of it has come, and it is right: keeps the values; false where one of them is its
    /// default.
    pub(super) fn end(&mut self) -> Result<bool, String> {
        let Self { values, body, length, .. } = self;
        if *length > MOST_BODY {
            let mib = MOST_BODY >> 20;
            return Err(format!(
                "the body has {length} bytes, and values are taken from bodies of at most {mib} MiB; ask for a smaller \
                 one, or take them from a `header`"
            ));
        }
        let (mut json, mut all) = (None, true);
        for ValueTaking { name, from, value, default } in values {
            let found = match from {
                Finder::Header(header, found) => of_header(header, found.as_ref(), value),
                Finder::Json(pointer) => of_json(&mut json, body, pointer, value),
                Finder::Regex(regex, room) => of_regex(regex, room, body, value),
            };
            match (found, default) {
                (Ok(()), _) => {}
                (Err(Untaken::Lacking(_)), Some(default)) => {
                    value.set(default);
                    all = false;
                }
                (Err(Untaken::Lacking(why) | Untaken::Wrong(why)), _) => {
                    return Err(format!("`{name}` cannot be taken: {why}"));
                }
            }
        }
        Ok(all)
    }
}

fn of_header(
    name: &HeaderName,
    found: Option<&HeaderValue>,
    value: &TakenValue,
) -> Result<(), Untaken> {
    let found = found.ok_or_else(|| {
        Untaken::Lacking(format!("the answer has no header `{name}`; correct `header` of `take`"))
    })?;
    value.set(text(found.as_bytes()).map_err(Untaken::Wrong)?);
    Ok(())
}

fn of_json(
    read: &mut Option<Json>,
    body: &[u8],
    pointer: &str,
    value: &TakenValue,
) -> Result<(), Untaken> {
    if read.is_none() {
        let wrong = |why| Untaken::Wrong(format!("the body is no JSON: {why}"));
        *read = Some(serde_json::from_slice(body).map_err(wrong)?);
    }
    let found = read.as_ref().and_then(|json| json.pointer(pointer));
    match found {
        Some(Json::String(found)) => value.set(found),
        Some(Json::Bool(found)) => value.set(if *found { "true" } else { "false" }),
        Some(Json::Number(found))
            if found.is_f64() && found.as_f64().is_none_or(|found| found.abs() >= INEXACT) =>
        {
            return Err(Untaken::Wrong(format!(
                "the number at `{pointer}` is too large to be read to its last digit; take it by `regex`"
            )));
        }
        Some(Json::Number(found)) => value.set(&found.to_string()),
        Some(other) => {
            let shown = excerpt(other.to_string().as_bytes());
            let why = format!(
                "the body has no text and no number at `{pointer}` but {shown}; correct `json` of `take`"
            );
            // `null` is how JSON says that there is none.
            return Err(if other.is_null() { Untaken::Lacking(why) } else { Untaken::Wrong(why) });
        }
        None => {
            let why = format!("the body has nothing at `{pointer}`; correct `json` of `take`");
            return Err(Untaken::Lacking(why));
        }
    }
    Ok(())
}

fn of_regex(
    regex: &Regex,
    room: &mut CaptureLocations,
    body: &[u8],
    value: &TakenValue,
) -> Result<(), Untaken> {
    let matched = regex.captures_read(room, body).is_some();
    let group = usize::from(room.len() > 1);
    let (from, to) = room.get(group).filter(|_| matched).ok_or_else(|| {
        let what = if matched { "the first group of" } else { "the body does not match" };
        let end = if matched { " matches nothing" } else { "" };
        Untaken::Lacking(format!("{what} `{regex}`{end}; correct `regex` of `take`"))
    })?;
    value.set(text(&body[from..to]).map_err(Untaken::Wrong)?);
    Ok(())
}

/// Text is what templates are made of.
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("{} is no text in UTF-8", excerpt(bytes)))
}

#[cfg(test)]
mod tests;
