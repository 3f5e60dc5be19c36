//! One statement: its text, its arguments, and what its text says about its effect.

use serde::{Deserialize, Serialize};

use super::{
    arg::Arg,
    comments,
    placeholders::{Dialect, has_second, is_several},
};
use crate::{
    client::{Fault, FaultKind},
    config::{Fields, Section},
};

/// A statement and its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Statement {
    /// The text, with `?` for each argument.
    pub query: String,
    /// The arguments in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
}

/// What a statement does to the number of rows in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: it reads.
    Read,
    /// Adds as many as it changes.
    Insert,
    /// Nothing: it changes rows in place.
    Update,
    /// Takes away as many as it changes.
    Delete,
    /// Its text does not say.
    Unknown,
}

impl Effect {
    /// Whether the data stays as it is.
    pub fn is_read(self) -> bool {
        self == Self::Read
    }
}

/// Words that begin or end a transaction.
const TRANSACTION_WORDS: &[&str] =
    &["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"];

/// Words of functions that give something else in every call: random numbers and the time.
const VOLATILE_WORDS: &[&str] = &["RANDOM", "RANDOMBLOB", "RAND", "NOW", "CURRENT"];

impl Statement {
    /// Read off the text: the verb it begins with, and words that make an insert replace rows
    /// instead. In doubt it is unknown, and then the proof over the whole database is not made; a
    /// comment in the middle is such a doubt.
    pub fn effect(&self) -> Effect {
        let text = comments::skipped(&self.query).to_ascii_uppercase();
        let has = |word: &str| words(&text).any(|found| found == word);
        match words(&text).next() {
            Some("SELECT" | "VALUES") => Effect::Read,
            Some("WITH")
                if !["INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"].into_iter().any(has) =>
            {
                Effect::Read
            }
            Some("COPY") if has("STDIN") => Effect::Insert,
            Some("INSERT") if !has("REPLACE") && !has("UPDATE") => Effect::Insert,
            Some("UPDATE") if !has("REPLACE") => Effect::Update,
            Some("DELETE") => Effect::Delete,
            _ => Effect::Unknown,
        }
    }

    /// Whether it reads the same in every call, as long as nothing is written.
    pub fn is_constant(&self) -> bool {
        let text = comments::skipped(&self.query).to_ascii_uppercase();
        let varies = words(&text).any(|word| VOLATILE_WORDS.contains(&word));
        self.effect().is_read() && !varies && self.args.iter().all(Arg::is_constant)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

/// What is wrong with several statements in one text: some servers run all and count the last,
/// others add them up.
const SEVERAL: &str =
    "there are several statements in one text, which servers count in different ways";
/// What to do about it.
const ONE_EACH: &str = "write a step for each, or transaction = [{ query = \"…\" }, …]";

/// Refuses a text of several statements, as a server that reads it so would run it.
pub(super) fn single(query: &str, dialect: Dialect) -> Result<(), Fault> {
    if has_second(query, dialect) {
        return Err(Fault::new(FaultKind::Statement, format!("{SEVERAL}; {ONE_EACH}")));
    }
    Ok(())
}

/// Reports a text that cannot be a statement of a step.
pub(super) fn check(query: &str, key: &'static str, fields: &mut Fields<'_>) -> Option<()> {
    let upper = comments::skipped(query).to_ascii_uppercase();
    if is_several(query) {
        fields.reject(key, SEVERAL, Some(ONE_EACH.to_owned()));
        return None;
    }
    match words(&upper).next() {
        None => {
            let help = "for example: SELECT name FROM items WHERE id = ?".to_owned();
            fields.reject(key, "this is no statement", Some(help));
        }
        Some(word) if TRANSACTION_WORDS.contains(&word) => {
            let help =
                "write transaction = [{ query = \"…\" }, …]: it is begun and committed for you"
                    .to_owned();
            fields.reject(key, format!("`{word}` cannot be a step by itself"), Some(help));
        }
        Some(_) => return Some(()),
    }
    None
}

impl Section for Statement {
    const DOC: &'static str = "A statement of a transaction.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let query: Option<String> =
            fields.required("query", "The statement, with `?` for each argument.");
        let args = fields.optional("args", "The values of the `?`, in order.");
        let query = query?;
        check(&query, "query", fields)?;
        Some(Self { query, args: args.unwrap_or_default() })
    }
}
