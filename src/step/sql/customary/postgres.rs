//! PostgreSQL's customary blocking client: the crate `postgres`. It is tokio-postgres on a runtime
//! of its own in each connection, which its caller's thread drives.

use std::{error::Error as _, io, path::Path};

use postgres::{
    Client as Inner, Config, Error, NoTls, SimpleQueryMessage, Statement, types::ToSql,
};

use super::CustomaryClient;
use crate::{
    client::{
        Fault, cannot_open,
        postgres::{config, fault},
    },
    step::sql::{
        arg::BoundValue,
        effects::StatementAnswer,
        placeholders::{Dialect, Pieces, Texts},
        postgres::{PostgresStatement as Sent, add, bytes_in, current_schema},
        session::{Control, Protocol},
        statement::single,
    },
    targets::sql::{Road, Server},
};

/// A connection.
pub(in super::super) struct CustomaryPostgres {
    client: Inner,
    /// What stands before each text.
    preamble: String,
}

/// So many arguments are handed over without room of their own.
const USUAL_ARGS: usize = 8;

impl CustomaryClient for CustomaryPostgres {
    const NAME: &'static str = "the customary one, blocking: crate `postgres`";

    type Statement = Sent;

    fn open(server: &Server) -> Result<Self, Fault> {
        let Server { address, application, .. } = server;
        let settings = [("search_path", server.schema.as_str())];
        let settings: &[_] = if server.road() == Road::Login { &settings } else { &[] };
        let mut config = Config::from(config(address, application, settings)?);
        // The limit is on the connection of TCP alone: this client has none on logging in.
        config.port(address.port).connect_timeout(address.connect_limit());
        match address.socket.as_deref().and_then(Path::parent) {
            Some(folder) => config.host_path(folder),
            None => config.host(&address.host),
        };
        let mut client = config.connect(NoTls).map_err(|why| opening_fault(&why))?;
        let seen = client.simple_query(&current_schema(server)).map_err(|why| fault(&why))?;
        let complaint = server.complaint(first_text(&seen));
        complaint.map_or(Ok(Self { client, preamble: server.preamble() }), Err)
    }

    fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<Sent, Fault> {
        let dialect = self.dialect(query).map_err(|why| fault(&why))?;
        single(query, dialect)?;
        match protocol {
            Protocol::Simple => {
                Ok(Sent::Text(Texts::of(&format!("{}{query}", self.preamble), dialect)))
            }
            Protocol::Prepared => {
                let text = Pieces::of(query, dialect).numbered();
                self.client.prepare(&text).map(Sent::Prepared).map_err(|why| fault(&why))
            }
        }
    }

    fn arguments(statement: &Sent) -> usize {
        statement.arguments()
    }

    fn run(&mut self, statement: &Sent, args: &[BoundValue]) -> Result<StatementAnswer, Fault> {
        let done = match statement {
            Sent::Prepared(statement) => prepared(&mut self.client, statement, args),
            Sent::Text(texts) => simple(&mut self.client, &texts.filled(args, texts.backslash())),
        };
        done.map_err(|why| fault(&why))
    }

    fn control(&mut self, control: Control) -> Result<(), Fault> {
        self.client.batch_execute(control.text()).map_err(|why| fault(&why))
    }

    fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

impl CustomaryPostgres {
    /// How the server reads a text. This client does not tell what the server says of itself, so it
    /// is asked where that matters.
    fn dialect(&mut self, query: &str) -> Result<Dialect, Error> {
        let standard = Dialect::Postgres { backslash: false };
        if !Texts::of(query, standard).depends() {
            return Ok(standard);
        }
        let setting = self.client.simple_query("SHOW standard_conforming_strings")?;
        Ok(Dialect::Postgres { backslash: first_text(&setting) == Some("off") })
    }
}

/// The first column of the first row.
fn first_text(messages: &[SimpleQueryMessage]) -> Option<&str> {
    messages.iter().find_map(|message| {
        if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None }
    })
}

fn prepared(
    client: &mut Inner,
    statement: &Statement,
    args: &[BoundValue],
) -> Result<StatementAnswer, Error> {
    let mut few: [&(dyn ToSql + Sync); USUAL_ARGS] = [&0_i64; USUAL_ARGS];
    let many: Vec<&(dyn ToSql + Sync)>;
    let args: &[_] = if let Some(room) = few.get_mut(..args.len()) {
        room.iter_mut().zip(args).for_each(|(room, arg)| *room = arg);
        room
    } else {
        many = args.iter().map(|arg| arg as &(dyn ToSql + Sync)).collect();
        &many
    };
    if statement.columns().is_empty() {
        return Ok(StatementAnswer {
            changed: client.execute(statement, args)?,
            ..StatementAnswer::default()
        });
    }
    let rows = client.query(statement, args)?;
    let received = rows.iter().try_fold(0, |sum, row| Ok(sum + bytes_in(row)?))?;
    let count = rows.len() as u64;
    Ok(StatementAnswer { returned: Some(count), changed: count, received })
}

fn simple(client: &mut Inner, text: &str) -> Result<StatementAnswer, Error> {
    let mut answer = StatementAnswer::default();
    client.simple_query(text)?.iter().for_each(|message| add(message, &mut answer));
    Ok(answer)
}

/// An error of a connection that is being opened.
fn opening_fault(why: &Error) -> Fault {
    let cause = why.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    match cause {
        // Other errors of the stream are of a connection that was there.
        Some(cause) if why.to_string().starts_with("error connecting") => cannot_open(cause, cause),
        _ => fault(why),
    }
}
