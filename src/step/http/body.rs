//! Bodies that stand in files of their own: read when the scenario is, so that every trial sends the
//! same.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::{
    config::{Diagnostics, Field, FileFlaw, Node, quote},
    step::template::{EnvTemplate, Template},
};

/// Largest body from a file, in bytes: every trial is given all of it. A longer one that may hold
/// anything is `body_size`.
const MOST_BYTES: u64 = 1 << 20;

/// `body_file`: the text of a file, with keys that are filled in for every call.
pub(super) struct FileText(pub(super) EnvTemplate);

/// `body_raw`: the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct FileBytes(pub(super) Bytes);

impl Field for FileText {
    fn schema() -> Json {
        String::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = <String as Field>::read(node, diagnostics)?;
        let content = content(&path, diagnostics);
        let read = content.and_then(|content| template(&path, &content));
        let told = |(message, help)| diagnostics.error(node.span.clone(), message, Some(help));
        read.map_err(told).ok().map(|template| Self(EnvTemplate(template)))
    }
}

impl Field for FileBytes {
    fn schema() -> Json {
        String::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = <String as Field>::read(node, diagnostics)?;
        let read = content(&path, diagnostics);
        let told = |(message, help)| diagnostics.error(node.span.clone(), message, Some(help));
        read.map_err(told).ok().map(|bytes| Self(bytes.into()))
    }
}

fn content(path: &str, diagnostics: &Diagnostics) -> Result<Vec<u8>, FileFlaw> {
    diagnostics.files().file(path, MOST_BYTES).map(|file| file.content.to_vec())
}

/// The text of a file, with its keys.
fn template(path: &str, content: &[u8]) -> Result<Template, FileFlaw> {
    let text = std::str::from_utf8(content).map_err(|why| {
        let line = content[..why.valid_up_to()].split(|byte| *byte == b'\n').count();
        let help = "save the file as UTF-8, or send it byte for byte: `body_raw`".to_owned();
        (format!("{}, line {line}: the file is not UTF-8", quote(path)), help)
    })?;
    Template::parse(text).map_err(|why| {
        // A key stands in one line, so that the first line that cannot be read by itself has it.
        let flawed = text.lines().position(|line| Template::parse(line).is_err());
        let (what, known) = why.split_once("; ").unwrap_or((&why, ""));
        let message = format!("{}, line {}: {what}", quote(path), flawed.unwrap_or(0) + 1);
        (message, format!("{known}; where `${{` is to stay as it is, send the file by `body_raw`"))
    })
}

impl TryFrom<String> for FileBytes {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        BASE64_STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(|why| why.to_string())
    }
}

impl From<FileBytes> for String {
    fn from(bytes: FileBytes) -> Self {
        BASE64_STANDARD.encode(bytes.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_cannot_be_is_told_with_its_line() {
        let wrong = |content: &[u8]| template("order.json", content).unwrap_err();
        let (message, help) = wrong(b"{\n \"id\": ${i},\n \"x\": \"${k}\"\n}");
        assert_eq!(message, "`order.json`, line 3: unknown name in `${k}`");
        assert!(
            help.contains("`${i}` (the task's index)") && help.contains("`body_raw`"),
            "{help}"
        );
        let (message, help) = wrong(b"a\nb\xff");
        assert_eq!(message, "`order.json`, line 2: the file is not UTF-8");
        assert!(help.contains("`body_raw`"), "{help}");
        assert_eq!(template("order.json", b"{\n ${i} }").unwrap().text(), "{\n ${i} }");
    }

    #[test]
    fn bytes_are_stored_as_text_and_come_back() {
        let bytes = FileBytes(vec![0, 255, b'a', 10].into());
        let stored = serde_json::to_string(&bytes).unwrap();
        assert_eq!(stored, "\"AP9hCg==\"");
        assert_eq!(serde_json::from_str::<FileBytes>(&stored).unwrap(), bytes);
        assert!(serde_json::from_str::<FileBytes>("\"?\"").is_err());
    }
}
