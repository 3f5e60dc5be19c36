//! The one integration binary: what several parts of Regatta do together.

mod broken;
mod schema;
