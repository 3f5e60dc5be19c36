//! Document targets: a collection in a server that speaks MongoDB's protocol, with known contents.
//!
//! The collection is made for a trial and dropped afterwards. It begins with documents
//! `{ _id, category, name, price }`, whose ids count from 1.

use super::{Start, Started, TargetError, TargetKind};
use crate::{config::Fields, secret::Lack};

mod account;
mod contents;
mod keeper;
mod mark;
mod parameters;

pub use account::WriteAccount;
pub use keeper::Store;
pub use parameters::DocumentTarget;

pub use super::connections::Opened;

/// Every trial fills its collection anew.
const MOST_DOCUMENTS: u64 = 10_000_000;
/// Longest name of a collection: with its database it must stay below MongoDB's 120 bytes of former
/// versions.
const MOST_NAME: usize = 48;

impl TargetKind for DocumentTarget {
    const KEY: &'static str = "document";
    const DOC: &'static str = "A collection in your own server of MongoDB's protocol, made for the trial and dropped afterwards.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.required(
            "url",
            "Your server: `${env:MONGODB_URL}` takes its url, `mongodb://USER:PASSWORD@HOST/DATABASE`, from the environment.",
        );
        let documents = fields.or(
            "documents",
            1_000,
            "Documents `{ _id, category, name, price }` that it begins with, ids from 1.",
        );
        let usual = "regatta_bench".to_owned();
        let collection = fields.or(
            "collection",
            usual,
            "The collection that is made in the url's database (`test`, if it names none).",
        );
        if documents > MOST_DOCUMENTS {
            let message = format!(
                "expected at most {MOST_DOCUMENTS} documents: every trial fills them in anew"
            );
            fields.reject("documents", message, None);
        }
        if !is_name(&collection) {
            let help = format!(
                "lower-case letters, digits and `_`, at most {MOST_NAME}, such as `regatta_bench`"
            );
            fields.reject("collection", "this is no name of a collection", Some(help));
        }
        let document = Self { url: url?, documents, collection };
        if let Some(why) = document.url.is_literal().then(|| document.unready()).flatten() {
            fields.reject("url", why.reason, None);
        }
        Some(document)
    }

    fn has_process(&self) -> bool {
        false
    }

    fn unready(&self) -> Option<Lack> {
        let variable = self.url.variable().map(str::to_owned);
        self.site().err().map(|reason| Lack { variable, reason })
    }

    fn address(&self) -> Option<String> {
        self.site().ok().map(|site| site.address.words())
    }

    fn version(&self) -> Option<String> {
        keeper::version(&self.site().ok()?)
    }

    fn start(&self, start: &Start<'_>) -> Result<Box<dyn Started>, TargetError> {
        Ok(Box::new(keeper::start(self, start)?))
    }
}

fn is_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= MOST_NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use crate::step::testing::read_target;

    #[test]
    fn it_needs_a_url_without_a_password_and_has_bounds() {
        for fine in [
            "url = '${env:MONGODB_URL}'",
            "url = 'mongodb://h/db', documents = 0, collection = 'a_1'",
        ] {
            let spec = read_target(&format!("{{ document = {{ {fine} }} }}")).unwrap();
            assert!(!spec.has_process());
        }
        for (wrong, said) in [
            ("", "url"),
            ("url = 'mongodb://me:pw@h/db'", "every run file"),
            ("url = 'mongodb://me@h/db'", "no password"),
            ("url = 'postgres://h/db'", "begins with `mongodb://`"),
            ("url = 'mongodb://h/db?replicaSet=a'", "unknown option `replicaSet`"),
            ("url = 'mongodb:///db'", "no host"),
            ("url = '${env:X}', documents = 10000001", "at most 10000000 documents"),
            ("url = '${env:X}', collection = 'a.b'", "no name of a collection"),
            ("url = '${env:X}', collection = 'system$'", "no name of a collection"),
        ] {
            let found = read_target(&format!("{{ document = {{ {wrong} }} }}")).unwrap_err();
            assert!(found.iter().any(|message| message.contains(said)), "{wrong}: {found:?}");
        }
    }
}
