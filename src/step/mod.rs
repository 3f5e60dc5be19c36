//! Steps: what tasks are made of. One file per operation or combinator, plus its two lines here.
//!
//! A step's file holds its TOML parameters, its validation, its code and its proof. To add one: write the file
//! after the pattern of `noop.rs`, declare it with `mod`, and name it in the table below.

mod noop;
mod repeat;
mod sleep;
mod spec;

pub use spec::{Child, Cost, StepKind, TargetUse, Times};

spec::steps! {
    Sleep => sleep::Sleep,
    Noop => noop::Noop,
    Repeat => repeat::Repeat,
}
