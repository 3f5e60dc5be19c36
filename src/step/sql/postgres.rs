//! PostgreSQL's side of a step: prepared statements on a connection of tokio-postgres.

use std::{pin::pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{
    SinkExt as _, TryStreamExt as _,
    future::{join_all, join3},
};
use tokio_postgres::{
    Client, Error, Row, SimpleQueryMessage, Statement,
    types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked},
};

use super::{
    arg::BoundValue,
    bound::Bindings,
    effects::StatementAnswer,
    placeholders::{Dialect, Pieces, Texts},
    session::{Control, OneGo, Protocol, Session},
    statement::single,
};
use crate::{
    client::{
        Fault,
        postgres::{Postgres, fault},
    },
    runtime::Native,
    targets::sql::{Road, Server, SessionId as Number},
};

impl<N: Native> Session<N> for Postgres<N> {
    type Statement = PostgresStatement;

    async fn open(server: &Arc<Server>) -> Result<Self, Fault> {
        let settings = [("search_path", server.schema.as_str())];
        let settings: &[_] = if server.road() == Road::Login { &settings } else { &[] };
        let mut session = Self::open(&server.address, &server.application, settings).await?;
        session.begin_texts_with(&server.preamble());
        let current = session.text(&current_schema(server)).await?;
        server.complaint(current.as_deref()).map_or(Ok(session), |why| Err(why.at(&server.address)))
    }

    async fn prepare(
        &mut self,
        query: &str,
        protocol: Protocol,
    ) -> Result<PostgresStatement, Fault> {
        let dialect = Dialect::Postgres { backslash: self.escapes_with_backslash() };
        single(query, dialect)?;
        if protocol == Protocol::Simple {
            return Ok(PostgresStatement::Text(Texts::of(
                &format!("{}{query}", self.preamble()),
                dialect,
            )));
        }
        let text = Pieces::of(query, dialect).numbered();
        self.with(|client| client.prepare(&text)).await.map(PostgresStatement::Prepared)
    }

    fn arguments(statement: &PostgresStatement) -> usize {
        statement.arguments()
    }

    async fn run(
        &mut self,
        statement: &PostgresStatement,
        args: &[BoundValue],
    ) -> Result<StatementAnswer, Fault> {
        let backslash = self.escapes_with_backslash();
        self.with(|client| sent(client, statement, args, backslash)).await
    }

    const IN_ONE_GO: OneGo = OneGo::Pipelined;

    /// All is sent before the first answer is waited for.
    async fn in_one_go(
        &mut self,
        statements: &[PostgresStatement],
        bound: &Bindings,
    ) -> Result<Vec<StatementAnswer>, (Fault, Option<usize>)> {
        let backslash = self.escapes_with_backslash();
        let all = self.with(|client| async move {
            let each = statements
                .iter()
                .enumerate()
                .map(|(at, statement)| sent(client, statement, bound.of(at), backslash));
            let begin = client.batch_execute(Control::Begin.text());
            let commit = client.batch_execute(Control::Commit.text());
            // Polled in this order, and nothing is written before all of them have been.
            Ok(join3(begin, join_all(each), commit).await)
        });
        let (begun, answers, committed) = all.await.map_err(|fault| (fault, None))?;
        begun.map_err(|why| (fault(&why), None))?;
        let each = answers
            .into_iter()
            .enumerate()
            .map(|(at, answer)| answer.map_err(|why| (fault(&why), Some(at))));
        let answers = each.collect::<Result<Vec<_>, _>>()?;
        committed.map_err(|why| (fault(&why), None))?;
        Ok(answers)
    }

    const COPIES: bool = true;

    async fn copy(&mut self, query: &str, body: Bytes) -> Result<StatementAnswer, Fault> {
        self.with(|client| async move {
            let mut sink = pin!(client.copy_in(query).await?);
            sink.send(body).await?;
            let changed = sink.finish().await?;
            Ok(StatementAnswer { changed, ..StatementAnswer::default() })
        })
        .await
    }

    async fn control(&mut self, control: Control) -> Result<(), Fault> {
        self.with(|client| client.batch_execute(control.text())).await
    }

    fn is_open(&self) -> bool {
        Postgres::is_open(self)
    }

    fn number(&self) -> Option<Number> {
        Some(Number::Key(self.key().clone()))
    }

    async fn close(self) {
        Postgres::close(self).await;
    }
}

/// Asks in which schema a session is that was just opened, after putting it there where the login
/// could not.
pub(super) fn current_schema(server: &Server) -> String {
    let set = match server.road() {
        Road::Login => String::new(),
        Road::Session => format!("SET search_path TO {}; ", server.quoted()),
        Road::Transaction => server.preamble(),
    };
    format!("{set}SELECT current_schema()")
}

/// A statement as a connection knows it.
pub(super) enum PostgresStatement {
    /// By the name that the server has given it.
    Prepared(Statement),
    /// Not at all: its text is sent in every call.
    Text(Texts),
}

impl PostgresStatement {
    /// How many arguments it takes.
    pub fn arguments(&self) -> usize {
        match self {
            Self::Prepared(statement) => statement.params().len(),
            Self::Text(texts) => texts.arguments(),
        }
    }
}

async fn sent(
    client: &Client,
    statement: &PostgresStatement,
    args: &[BoundValue],
    backslash: bool,
) -> Result<StatementAnswer, Error> {
    match statement {
        PostgresStatement::Prepared(statement) => prepared(client, statement, args).await,
        PostgresStatement::Text(texts) => simple(client, &texts.filled(args, backslash)).await,
    }
}

async fn prepared(
    client: &Client,
    statement: &Statement,
    args: &[BoundValue],
) -> Result<StatementAnswer, Error> {
    let mut rows = pin!(client.query_raw(statement, args).await?);
    let (mut count, mut received) = (0, 0);
    while let Some(row) = rows.try_next().await? {
        count += 1;
        received += bytes_in(&row)?;
    }
    // What the server says of a SHOW, an EXPLAIN or a CALL has no number: the rows that came are
    // counted.
    let returned = (!statement.columns().is_empty()).then_some(count);
    Ok(StatementAnswer { returned, changed: rows.rows_affected().unwrap_or(0), received })
}

async fn simple(client: &Client, text: &str) -> Result<StatementAnswer, Error> {
    let mut messages = pin!(client.simple_query_raw(text).await?);
    let mut answer = StatementAnswer::default();
    while let Some(message) = messages.try_next().await? {
        add(&message, &mut answer);
    }
    Ok(answer)
}

/// Adds a part of the answer to a statement that was sent as text.
pub(super) fn add(message: &SimpleQueryMessage, answer: &mut StatementAnswer) {
    match message {
        SimpleQueryMessage::RowDescription(_) => answer.returned = Some(0),
        SimpleQueryMessage::Row(row) => {
            answer.returned = Some(answer.returned.unwrap_or(0) + 1);
            answer.received +=
                (0..row.len()).map(|at| row.get(at).map_or(0, str::len) as u64).sum::<u64>();
        }
        SimpleQueryMessage::CommandComplete(rows) => answer.changed = *rows,
        _ => {}
    }
}

/// Bytes of all values of a row, every one of which is looked at.
pub(super) fn bytes_in(row: &Row) -> Result<u64, Error> {
    (0..row.len())
        .try_fold(0, |sum, column| Ok(sum + row.try_get::<_, Raw<'_>>(column)?.0.len() as u64))
}

/// A value of any type, as it came; NULL has no bytes.
struct Raw<'a>(&'a [u8]);

type PostgresTrouble = Box<dyn std::error::Error + Sync + Send>;

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, PostgresTrouble> {
        Ok(Self(raw))
    }

    fn from_sql_null(_: &Type) -> Result<Self, PostgresTrouble> {
        Ok(Self(&[]))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Types that are sent in binary; all others are sent as text, which the server reads as it reads a
/// literal.
fn is_binary(kind: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8].contains(kind)
}

impl ToSql for BoundValue {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, PostgresTrouble> {
        match (self, kind) {
            (Self::Integer(value), &Type::INT2) => i16::try_from(*value)?.to_sql(kind, out),
            (Self::Integer(value), &Type::INT4) => i32::try_from(*value)?.to_sql(kind, out),
            (Self::Integer(value), &Type::INT8) => value.to_sql(kind, out),
            (Self::Integer(value), &Type::FLOAT4) => (*value as f32).to_sql(kind, out),
            (Self::Integer(value), &Type::FLOAT8) => (*value as f64).to_sql(kind, out),
            (Self::Real(value), &Type::FLOAT4) => (*value as f32).to_sql(kind, out),
            (Self::Real(value), &Type::FLOAT8) => value.to_sql(kind, out),
            (Self::Text(text), kind) if !is_binary(kind) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            (value, kind) if !is_binary(kind) => {
                let text = if let Self::Integer(value) = value {
                    value.to_string()
                } else {
                    value.real_text()
                };
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            (value, kind) => {
                Err(format!("the server wants a value of type {kind} for {value:?}").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, kind: &Type) -> Format {
        if is_binary(kind) { Format::Binary } else { Format::Text }
    }

    to_sql_checked!();
}

impl BoundValue {
    fn real_text(&self) -> String {
        if let Self::Real(value) = self { value.to_string() } else { String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether in binary, and the bytes.
    fn sent(value: &BoundValue, kind: &Type) -> Option<(bool, Vec<u8>)> {
        let mut out = BytesMut::new();
        let format = value.encode_format(kind);
        value.to_sql(kind, &mut out).ok().map(|_| (matches!(format, Format::Binary), out.to_vec()))
    }

    #[test]
    fn values_are_sent_as_the_server_wants_them() {
        let binary = |bytes: &[u8]| Some((true, bytes.to_vec()));
        let text = |text: &str| Some((false, text.as_bytes().to_vec()));
        let seven = BoundValue::Integer(7);
        assert_eq!(sent(&seven, &Type::INT8), binary(&[0, 0, 0, 0, 0, 0, 0, 7]));
        assert_eq!(sent(&seven, &Type::INT4), binary(&[0, 0, 0, 7]));
        assert_eq!(sent(&seven, &Type::INT2), binary(&[0, 7]));
        assert_eq!(sent(&seven, &Type::FLOAT8), binary(&7_f64.to_be_bytes()));
        assert_eq!(
            (sent(&seven, &Type::NUMERIC), sent(&seven, &Type::TEXT)),
            (text("7"), text("7"))
        );
        assert_eq!(sent(&BoundValue::Real(0.5), &Type::FLOAT4), binary(&0.5_f32.to_be_bytes()));
        assert_eq!(sent(&BoundValue::Real(0.5), &Type::NUMERIC), text("0.5"));
        assert_eq!(sent(&BoundValue::Text("2026-01-01".into()), &Type::DATE), text("2026-01-01"));
        // What does not fit is an error, not another number.
        assert_eq!(
            (
                sent(&BoundValue::Integer(40_000), &Type::INT2),
                sent(&BoundValue::Text("x".into()), &Type::INT8)
            ),
            (None, None)
        );
    }
}
