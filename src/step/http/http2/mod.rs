//! Requests over HTTP/2: each on a stream of a connection that is the slot's own ([`own`]) or is
//! shared by many ([`shared`]).
//!
//! [`open`] is how a connection begins, [`exchange`] a request and its answer, and
//! [`fault`] where there was no answer.

mod exchange;
mod fault;
mod open;
mod own;
mod shared;

pub(super) use self::{
    own::{Home, OwnLink},
    shared::{SharedLink, SharedLinks},
};

#[cfg(test)]
mod tests;
