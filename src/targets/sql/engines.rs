//! The engines of SQL servers, each with the way to administer it: one line per engine.

use std::sync::Arc;

#[cfg(test)]
use super::SqlTarget;
use super::{Engine, Server, admin::Admin, mysql, postgres};
#[cfg(test)]
use crate::client::Address;
use crate::client::{Fault, FaultKind, Scheme};

/// The engine behind an address, and the way to administer it.
pub(super) fn engine(server: &Arc<Server>) -> Result<(Engine, Box<dyn Admin>), Fault> {
    match server.address.scheme {
        Scheme::Mysql => {
            Ok((Engine::Mysql(server.clone()), Box::new(mysql::MysqlKeeper::open(server)?)))
        }
        Scheme::Postgres => Ok((
            Engine::Postgres(server.clone()),
            Box::new(postgres::PostgresKeeper::open(server)?),
        )),
        Scheme::Mongo => Err(Fault::new(FaultKind::Refused, "MongoDB is no SQL database")),
    }
}

/// The way to administer a server that was given up.
pub(super) fn admin(server: &Arc<Server>) -> Result<Box<dyn Admin>, Fault> {
    engine(server).map(|(_, admin)| admin)
}

#[cfg(test)]
impl Server {
    /// One of a test of steps.
    pub(crate) fn of_test(address: Address) -> Self {
        Self::new(address, &SqlTarget::default(), 1, &[], admin)
    }
}
