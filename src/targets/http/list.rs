//! A list that the embedded server gives out page by page: JSON texts that are known beforehand.
//!
//! Each page names the next one twice, as APIs do: in a `Link` header and in its field `next`.

use std::{fmt::Write as _, num::NonZeroU64, ops::RangeInclusive};

use hyper::Uri;
use serde::{Deserialize, Serialize};

use crate::config::{Fields, Section};

/// Most items of a list: all pages are built before the server starts, at about 30 bytes an item.
const MOST_ITEMS: u64 = 1_000_000;
/// Most pages of a list.
const MOST_PAGES: u64 = 10_000;

/// A list, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpList {
    /// Its path; pages beside the first one have `?page=N` behind it.
    pub path: String,
    /// Items in all.
    pub items: u64,
    /// Items of each page but the last.
    pub page: NonZeroU64,
}

impl Section for HttpList {
    const DOC: &'static str =
        "A list that the embedded server gives out page by page, as JSON: `{ items, next }`.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let items = fields.required("items", "Items in all, at most a million.");
        let page = fields.required("page", "Items of each page but the last.");
        let path = fields.or("path", "/list".to_owned(), "Where it is.");
        let (items, page) = (items?, page?);
        let list = Self { path, items, page };
        list.check(fields);
        Some(list)
    }
}

impl HttpList {
    fn check(&self, fields: &mut Fields<'_>) {
        let is_path = self.path.starts_with('/') && !self.path.contains(['?', '#']);
        if !is_path || self.path.parse::<Uri>().is_err() {
            let help = "the number of a page comes behind it, as `?page=2`";
            fields.reject("path", "expected a path such as `/list`", Some(help.into()));
        }
        if self.items > MOST_ITEMS {
            fields.reject("items", format!("a list has at most {MOST_ITEMS} items"), None);
        }
        if self.pages() > MOST_PAGES {
            let message = format!("a list has at most {MOST_PAGES} pages");
            fields.reject("page", message, Some("put more items on a page".into()));
        }
    }

    /// How many pages it has; an empty list has one without items.
    pub fn pages(&self) -> u64 {
        self.items.div_ceil(self.page.get()).max(1)
    }

    /// How many items a page has; pages are counted from 1.
    pub fn items_of(&self, page: u64) -> u64 {
        let numbers = self.numbers(page);
        (numbers.end() + 1).saturating_sub(*numbers.start())
    }

    /// The numbers of a page's items, counted from 1.
    fn numbers(&self, page: u64) -> RangeInclusive<u64> {
        let before = (page - 1) * self.page.get();
        before + 1..=(before + self.page.get()).min(self.items)
    }

    /// Path and query of the page after this one.
    pub fn next(&self, page: u64) -> Option<String> {
        (page < self.pages()).then(|| format!("{}?page={}", self.path, page + 1))
    }

    /// The body of a page.
    pub fn text(&self, page: u64) -> String {
        let mut text = String::from("{\"items\":[");
        for number in self.numbers(page) {
            let comma = if text.ends_with('[') { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{{\"id\":{number},\"name\":\"item-{number}\"}}");
        }
        let next = self.next(page).map(|next| format!("\"{next}\""));
        let _ = write!(text, "],\"next\":{}}}", next.as_deref().unwrap_or("null"));
        text
    }

    /// Which page a request asks for: none, if it is about something else; of a page that there is
    /// not, its number is 0.
    pub(super) fn asked(&self, path: &[u8], query: &[u8]) -> Option<u64> {
        if path != self.path.as_bytes() {
            return None;
        }
        let mut pairs = query.split(|&byte| byte == b'&');
        let Some(digits) = pairs.find_map(|pair| pair.strip_prefix(b"page=")) else {
            return Some(1);
        };
        let number = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        Some(number.filter(|number| (1..=self.pages()).contains(number)).unwrap_or(0))
    }
}

#[cfg(test)]
pub(super) fn list(items: u64, page: u64) -> HttpList {
    HttpList { path: "/list".into(), items, page: NonZeroU64::new(page).unwrap() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_on_one_page_and_every_page_but_the_last_names_the_next() {
        for (items, page) in [(0, 3), (1, 3), (3, 3), (7, 3), (9, 3), (5, 1)] {
            let list = list(items, page);
            let (mut seen, mut next) = (Vec::new(), Some("/list".to_owned()));
            let mut pages = 0;
            while let Some(place) = next {
                let (path, query) = place.split_once('?').unwrap_or((&place, ""));
                let number = list.asked(path.as_bytes(), query.as_bytes()).unwrap();
                pages += 1;
                assert_eq!(number, pages, "{place}");
                let json: serde_json::Value = serde_json::from_str(&list.text(number)).unwrap();
                let ids: Vec<_> = json["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["id"].as_u64())
                    .collect();
                assert_eq!(ids.len() as u64, list.items_of(number), "{items} {page} {number}");
                seen.extend(ids.into_iter().flatten());
                next = json["next"].as_str().map(str::to_owned);
                assert_eq!(next, list.next(number));
            }
            assert_eq!(pages, list.pages());
            assert_eq!(seen, (1..=items).collect::<Vec<_>>(), "{items} {page}");
        }
    }

    #[test]
    fn a_page_that_there_is_not_has_the_number_0() {
        let list = list(7, 3);
        let asked = |path: &str, query: &str| list.asked(path.as_bytes(), query.as_bytes());
        assert_eq!((asked("/list", ""), asked("/list", "q=a")), (Some(1), Some(1)));
        assert_eq!((asked("/list", "q=a&page=3"), asked("/lists", "")), (Some(3), None));
        for wrong in ["page=0", "page=4", "page=", "page=-1", "page=x"] {
            assert_eq!(asked("/list", wrong), Some(0), "{wrong}");
        }
    }
}
