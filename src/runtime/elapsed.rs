//! What is left of a future that a time-out has ended.

/// A time-out ended a future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;
