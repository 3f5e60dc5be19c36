//! MySQL's and MariaDB's side of a step: prepared statements and texts on a connection of our own client.

use std::sync::Arc;

use super::{
    bound::Bound,
    effects::Answer,
    network::{Control, Protocol, Session},
    placeholders::{Dialect, Texts},
    statement::single,
};
use crate::{
    client::{
        Fault,
        mysql::{self, Cell, Mysql, Param, Statement, Summary},
    },
    runtime::Native,
    target::sql::{Server, Session as Number},
};

impl<N: Native> Session<N> for Mysql<N> {
    type Statement = Sent;

    async fn open(server: &Arc<Server>) -> Result<Self, Fault> {
        let mut session = mysql::open::<N>(&server.address, Some(&server.schema)).await?;
        server.note_session(session.connection_id().into());
        let mut current = None;
        session.query("SELECT DATABASE()", |_, cell| current = text(cell)).await?;
        server.complaint(current.as_deref()).map_or(Ok(session), |why| Err(why.at(&server.address)))
    }

    async fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<Sent, Fault> {
        let dialect = Dialect::Mysql { backslash: self.escapes_with_backslash() };
        single(query, dialect)?;
        match protocol {
            Protocol::Prepared => Ok(Sent::Prepared(Mysql::<N>::prepare(self, query).await?)),
            Protocol::Simple => Ok(Sent::Text(Texts::of(query, dialect))),
        }
    }

    fn arguments(statement: &Sent) -> usize {
        match statement {
            Sent::Prepared(statement) => statement.params(),
            Sent::Text(texts) => texts.arguments(),
        }
    }

    async fn run(&mut self, statement: &Sent, args: &[Bound]) -> Result<Answer, Fault> {
        let done = match statement {
            Sent::Prepared(statement) => self.execute(*statement, args.iter().map(param), |_, _| {}).await?,
            Sent::Text(texts) => {
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
pub(super) enum Sent {
    /// By the number that the server has given it.
    Prepared(Statement),
    /// Not at all: its text is sent in every call.
    Text(Texts),
}

fn text(cell: Cell<'_>) -> Option<String> {
    if let Cell::Bytes(bytes) = cell { Some(String::from_utf8_lossy(bytes).into_owned()) } else { None }
}

fn answer(done: &Summary) -> Answer {
    let returned = (done.result_sets > 0).then_some(done.rows);
    Answer { returned, changed: done.affected, received: done.received }
}

fn param(bound: &Bound) -> Param<'_> {
    match bound {
        Bound::Integer(value) => Param::Integer(*value),
        Bound::Real(value) => Param::Real(*value),
        Bound::Text(text) => Param::Text(text),
    }
}
