//! Whether so many calls ended in errors that speed says little: a call that fails at once is a
//! fast one.

use super::cause::{Cause, percent};
use crate::{
    analysis::{Errors, Validity},
    measure::Measurements,
};

/// No more than this share of a trial's tasks may have ended in errors.
const MOST: f64 = 0.01;

/// More errors than a small share, where the scenario allows some. Without that a trial with an
/// error is a failed one.
pub(super) fn cause(measured: &Measurements) -> Option<Cause> {
    let share = Errors::of(&[measured]).share();
    (share > MOST).then(|| Cause {
        validity: Validity::Errors,
        evidence: format!("{} of the tasks ended in errors", percent(share)),
        severity: share,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Stream;

    fn said(errors: u64, timeouts: u64) -> Option<String> {
        let task = Stream { count: 1000, errors, timeouts, ..Stream::default() };
        cause(&Measurements { task, ..Measurements::default() }).map(|cause| cause.evidence)
    }

    #[test]
    fn one_in_a_hundred_may_fail_and_all_may_time_out() {
        assert_eq!(said(0, 0), None);
        assert_eq!(said(10, 0), None);
        assert_eq!(said(11, 0).as_deref(), Some("1.1 % of the tasks ended in errors"));
        assert_eq!(said(1000, 0).as_deref(), Some("100.0 % of the tasks ended in errors"));
        assert_eq!(said(0, 1000), None);
    }
}
