//! Steadiness in words: how a cell behaved over time.

use crate::analysis::Steadiness;

/// How a cell behaved over time.
pub fn steadiness_words(steadiness: Steadiness) -> &'static str {
    match steadiness {
        Steadiness::Flat => "flat: the same throughout",
        Steadiness::Warming => "warming: it became faster within the window, raise `warmup`",
        Steadiness::Drifting => "drifting: its speed changed all through the window",
        Steadiness::Unsteady => "unsteady: its speed jumped within the window",
    }
}

/// One word of it, for places with little room.
pub fn steadiness_word(steadiness: Steadiness) -> &'static str {
    steadiness_words(steadiness).split(':').next().unwrap_or_default()
}
