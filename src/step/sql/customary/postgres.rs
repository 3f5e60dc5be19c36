//! PostgreSQL's customary blocking client: the crate `postgres`. It is tokio-postgres on a runtime of its own in each
//! connection, which its caller's thread drives.

use std::{error::Error as _, io, path::Path};

use postgres::{Client as Inner, Config, Error, NoTls, Statement, types::ToSql};

use super::{Client, Place};
use crate::{
    client::{
        Fault, cannot_open,
        postgres::{config, fault},
    },
    step::sql::{
        bound::Bound,
        effects::Answer,
        network::{Control, Protocol},
        placeholders::{Dialect, Pieces, Texts},
        postgres::{Sent, add, bytes_in},
        statement::single,
    },
};

/// A connection.
pub(in super::super) struct Postgres(Inner);

/// So many arguments are handed over without room of their own.
const USUAL_ARGS: usize = 8;

impl Client for Postgres {
    const NAME: &'static str = "the customary one, blocking: crate `postgres`";

    type Statement = Sent;

    fn open(place: &Place) -> Result<Self, Fault> {
        let Place { address, schema, application } = place;
        let mut config = Config::from(config(address, application, &[("search_path", schema)])?);
        // The limit is on the connection of TCP alone: this client has none on logging in.
        config.port(address.port).connect_timeout(address.connect_limit());
        match address.socket.as_deref().and_then(Path::parent) {
            Some(folder) => config.host_path(folder),
            None => config.host(&address.host),
        };
        config.connect(NoTls).map(Self).map_err(|why| opening_fault(&why))
    }

    fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<Sent, Fault> {
        let dialect = self.dialect(query).map_err(|why| fault(&why))?;
        single(query, dialect)?;
        match protocol {
            Protocol::Simple => Ok(Sent::Text(Texts::of(query, dialect))),
            Protocol::Prepared => {
                let text = Pieces::of(query, dialect).numbered();
                self.0.prepare(&text).map(Sent::Prepared).map_err(|why| fault(&why))
            }
        }
    }

    fn arguments(statement: &Sent) -> usize {
        statement.arguments()
    }

    fn run(&mut self, statement: &Sent, args: &[Bound]) -> Result<Answer, Fault> {
        let done = match statement {
            Sent::Prepared(statement) => prepared(&mut self.0, statement, args),
            Sent::Text(texts) => simple(&mut self.0, &texts.filled(args, texts.backslash())),
        };
        done.map_err(|why| fault(&why))
    }

    fn control(&mut self, control: Control) -> Result<(), Fault> {
        self.0.batch_execute(control.text()).map_err(|why| fault(&why))
    }

    fn is_open(&self) -> bool {
        !self.0.is_closed()
    }
}

impl Postgres {
    /// How the server reads a text. This client does not tell what the server says of itself, so it is asked where that
    /// matters.
    fn dialect(&mut self, query: &str) -> Result<Dialect, Error> {
        let standard = Dialect::Postgres { backslash: false };
        if !Texts::of(query, standard).depends() {
            return Ok(standard);
        }
        let setting = self.0.query_one("SHOW standard_conforming_strings", &[])?.try_get::<_, String>(0)?;
        Ok(Dialect::Postgres { backslash: setting == "off" })
    }
}

fn prepared(client: &mut Inner, statement: &Statement, args: &[Bound]) -> Result<Answer, Error> {
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
        return Ok(Answer { changed: client.execute(statement, args)?, ..Answer::default() });
    }
    let rows = client.query(statement, args)?;
    let received = rows.iter().try_fold(0, |sum, row| Ok(sum + bytes_in(row)?))?;
    let count = rows.len() as u64;
    Ok(Answer { returned: Some(count), changed: count, received })
}

fn simple(client: &mut Inner, text: &str) -> Result<Answer, Error> {
    let mut answer = Answer::default();
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
