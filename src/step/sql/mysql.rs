//! MySQL's and MariaDB's side of a step: prepared statements and texts on a connection of our own
//! client.

use std::sync::Arc;

use super::{
    arg::BoundValue,
    effects::StatementAnswer,
    placeholders::{Dialect, Texts},
    session::{Control, Protocol, Session},
    statement::single,
};
use crate::{
    client::{
        Fault,
        mysql::{self, ColumnValue, Mysql, MysqlParam, PreparedStatement, Summary},
    },
    runtime::Native,
    targets::sql::{Server, SessionId as Number},
};

impl<N: Native> Session<N> for Mysql<N> {
    type Statement = MysqlStatement;

    async fn open(server: &Arc<Server>) -> Result<Self, Fault> {
        let mut session = mysql::open::<N>(&server.address, Some(&server.schema)).await?;
        server.note_session(session.connection_id().into());
        let mut current = None;
        session.query("SELECT DATABASE()", |_, cell| current = text(cell)).await?;
        server.complaint(current.as_deref()).map_or(Ok(session), |why| Err(why.at(&server.address)))
    }

    async fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<MysqlStatement, Fault> {
        let dialect = Dialect::Mysql { backslash: self.escapes_with_backslash() };
        single(query, dialect)?;
        match protocol {
            Protocol::Prepared => {
                Ok(MysqlStatement::Prepared(Mysql::<N>::prepare(self, query).await?))
            }
            Protocol::Simple => Ok(MysqlStatement::Text(Texts::of(query, dialect))),
        }
    }

    fn arguments(statement: &MysqlStatement) -> usize {
        match statement {
            MysqlStatement::Prepared(statement) => statement.params(),
            MysqlStatement::Text(texts) => texts.arguments(),
        }
    }

    async fn run(
        &mut self,
        statement: &MysqlStatement,
        args: &[BoundValue],
    ) -> Result<StatementAnswer, Fault> {
        let done = match statement {
            MysqlStatement::Prepared(statement) => {
                self.execute(*statement, args.iter().map(param), |_, _| {}).await?
            }
            MysqlStatement::Text(texts) => {
                let text = texts.filled(args, self.escapes_with_backslash());
                Mysql::<N>::run(self, &text).await?
            }
        };
        Ok(answer(&done))
    }

    async fn control(&mut self, control: Control) -> Result<(), Fault> {
        Ok(Mysql::<N>::run(self, control.text()).await.map(drop)?)
    }

    fn is_open(&self) -> bool {
        Mysql::<N>::is_open(self)
    }

    fn number(&self) -> Option<Number> {
        Some(Number::Number(self.connection_id().into()))
    }

    async fn close(self) {
        // Whether or not the server heard it, the connection is gone.
        let _ = self.quit().await;
    }
}

/// A statement as a connection knows it.
pub(super) enum MysqlStatement {
    /// By the number that the server has given it.
    Prepared(PreparedStatement),
    /// Not at all: its text is sent in every call.
    Text(Texts),
}

fn text(cell: ColumnValue<'_>) -> Option<String> {
    if let ColumnValue::Bytes(bytes) = cell {
        Some(String::from_utf8_lossy(bytes).into_owned())
    } else {
        None
    }
}

fn answer(done: &Summary) -> StatementAnswer {
    let returned = (done.result_sets > 0).then_some(done.rows);
    StatementAnswer { returned, changed: done.affected, received: done.received }
}

fn param(bound: &BoundValue) -> MysqlParam<'_> {
    match bound {
        BoundValue::Integer(value) => MysqlParam::Integer(*value),
        BoundValue::Real(value) => MysqlParam::Real(*value),
        BoundValue::Text(text) => MysqlParam::Text(text),
    }
}
