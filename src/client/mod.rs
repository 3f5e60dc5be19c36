//! Clients of database servers over the executor's own streams, so that no hidden runtime helps anybody.

pub mod mysql;
#[cfg(test)]
mod testing;
pub mod wire;
