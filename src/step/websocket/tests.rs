//! Odd servers.
