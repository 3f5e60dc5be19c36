//! What speaks against a trial.

use crate::analysis::Validity;

/// Something that speaks against a trial's figures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    pub validity: Validity,
    /// With the figures.
    pub evidence: String,
    /// How bad it is, to compare it with others of its kind.
    pub severity: f64,
}

/// `12.3 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
