//! Errors in scenario files: collected, sorted by place, printed the way rustc prints its own.

use std::path::Path;

use super::Span;

/// One thing wrong with a file, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Byte range in the file's text.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// The remedy, such as "did you mean `cpu`?".
    pub help: Option<String>,
}

/// Collects the errors of one file, dropping exact repeats.
#[derive(Debug, Default)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds an error.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let diagnostic = Diagnostic { span, message: message.into(), help };
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The errors in file order.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.span.start, d.span.end));
        self.found
    }
}

/// The name in `valid` that `wrong` was most likely meant to be, if any is near enough.
pub fn nearest<'a>(_wrong: &str, _valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    todo!("config helper")
}

impl Diagnostic {
    /// One-based line and column (in characters) of the error's start.
    pub fn position(&self, _text: &str) -> (usize, usize) {
        todo!("config helper")
    }
}

/// Prints at most 20 errors with source line and caret, and how many more there are.
pub fn render(_path: &Path, _text: &str, _diagnostics: &[Diagnostic], _color: bool) -> String {
    todo!("config helper")
}
