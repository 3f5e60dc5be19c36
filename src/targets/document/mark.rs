//! The document that marks a collection as Regatta's, and says which trial has it.

use bson::{RawDocument, RawDocumentBuf, raw::RawBsonRef, rawdoc};

/// Its identifier: there cannot be two.
const ID: &str = "made by Regatta, dropped after each trial";

/// The mark of this trial.
pub(super) fn document() -> RawDocumentBuf {
    rawdoc! { "_id": ID, "host": host(), "process": i64::from(std::process::id()) }
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Which trial has a collection with this mark, in words; none if it has ended. Whether one of
/// another host has, cannot be seen from here.
pub(super) fn holder(mark: &RawDocument) -> Option<String> {
    let text = mark.get("host").ok().flatten().and_then(RawBsonRef::as_str)?;
    let process = mark.get("process").ok().flatten().and_then(RawBsonRef::as_i64)?;
    if text != host() {
        return Some(format!(
            "process {process} of the host {text}, if it still runs, which is not seen from here"
        ));
    }
    runs(process).then(|| format!("process {process} of this host"))
}

/// Whether it is a living process of this program: numbers are given out again.
fn runs(process: i64) -> bool {
    let name = |of: &str| std::fs::read(format!("/proc/{of}/comm")).ok();
    let found = name(&process.to_string());
    found.is_some() && found == name("self")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_held_as_long_as_its_process_lives() {
        let held = |host: &str, process: i64| {
            holder(&rawdoc! { "_id": ID, "host": host, "process": process })
        };
        let here = host();
        assert_eq!(
            holder(&document()),
            Some(format!("process {} of this host", std::process::id()))
        );
        // The first process is another program, and there are no negative ones.
        assert_eq!([held(&here, 1), held(&here, -1)], [None, None]);
        assert!(
            held("elsewhere.invalid", 1)
                .unwrap()
                .contains("process 1 of the host elsewhere.invalid")
        );
        assert_eq!(holder(&rawdoc! { "_id": ID }), None);
    }
}
