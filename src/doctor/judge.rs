//! A judgement: how fit, what was found, and the remedy.

use super::Host;
use crate::store::Fitness;

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// How fit.
    pub fitness: Fitness,
    /// What was found.
    pub value: String,
    /// What can be done about it; empty where nothing need be.
    pub remedy: String,
}

impl Judged {
    /// As it should be.
    pub(super) fn fine(value: impl Into<String>) -> Self {
        Self { fitness: Fitness::Fine, value: value.into(), remedy: String::new() }
    }

    /// Noisier or less comparable for it.
    pub(super) fn warn(value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { fitness: Fitness::Warn, value: value.into(), remedy: remedy.into() }
    }

    /// Misleading or impossible.
    pub(super) fn refuse(value: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { fitness: Fitness::Refuse, value: value.into(), remedy: remedy.into() }
    }

    /// It cannot be seen from here.
    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self { fitness: Fitness::Unknown, value: why.into(), remedy: String::new() }
    }
}

/// Judges the text of the only file under a pattern; one that is not there makes it unknown.
pub(super) fn of_file(host: &Host, pattern: &str, judge: impl FnOnce(&str) -> Judged) -> Judged {
    host.now
        .one(pattern)
        .map_or_else(|| Judged::unknown(format!("{pattern} cannot be read")), judge)
}

#[cfg(test)]
pub(super) mod testing {
    //! Hosts with recorded texts.

    use super::super::{Host, host::Files};

    /// Files by pattern; a text for each file that matches.
    pub fn files(texts: &[(&str, &[&str])]) -> Files {
        let mut files = Files::default();
        for (pattern, texts) in texts {
            let named =
                texts.iter().enumerate().map(|(at, text)| (format!("/{at}"), (*text).to_owned()));
            files.0.insert((*pattern).to_owned(), named.collect());
        }
        files
    }

    /// A host with two CPUs and these files.
    pub fn host(texts: &[(&str, &[&str])]) -> Host {
        Host { now: files(texts), cpus: vec![0, 1], ..Host::default() }
    }
}
