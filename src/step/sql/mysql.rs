//! MySQL's and MariaDB's side of a step: prepared statements on a connection of our own client.

use super::{
    bound::Bound,
    effects::Answer,
    network::{Control, Session},
};
use crate::{
    client::{
        Fault,
        mysql::{self, Mysql, Param, Statement},
    },
    runtime::Native,
    target::sql::Server,
};

impl<N: Native> Session<N> for Mysql<N> {
    type Statement = Statement;

    async fn open(server: &Server) -> Result<Self, Fault> {
        mysql::open::<N>(&server.address, Some(&server.schema)).await
    }

    async fn prepare(&mut self, query: &str) -> Result<Statement, Fault> {
        Ok(Mysql::<N>::prepare(self, query).await?)
    }

    fn arguments(statement: &Statement) -> usize {
        statement.params()
    }

    async fn run(&mut self, statement: &Statement, args: &[Bound]) -> Result<Answer, Fault> {
        let done = self.execute(*statement, args.iter().map(param), |_, _| {}).await?;
        let returned = (statement.columns() > 0).then_some(done.rows);
        Ok(Answer { returned, changed: done.affected, received: done.received })
    }

    async fn control(&mut self, control: Control) -> Result<(), Fault> {
        Ok(Mysql::<N>::run(self, control.text()).await.map(drop)?)
    }

    fn is_open(&self) -> bool {
        Mysql::<N>::is_open(self)
    }

    async fn close(self) {
        // Whether or not the server heard it, the connection is gone.
        let _ = self.quit().await;
    }
}

fn param(bound: &Bound) -> Param<'_> {
    match bound {
        Bound::Integer(value) => Param::Integer(*value),
        Bound::Real(value) => Param::Real(*value),
        Bound::Text(text) => Param::Text(text),
    }
}
