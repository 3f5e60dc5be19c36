//! PostgreSQL's customary blocking client: the crate `postgres`. It is tokio-postgres on a runtime of its own in each
//! connection, which its caller's thread drives.

use std::{error::Error as _, io};

use postgres::{Client as Inner, Config, Error, NoTls, Statement, types::ToSql};

use super::{Client, Place};
use crate::{
    client::{
        CONNECT_LIMIT, Fault, FaultKind,
        postgres::{config, fault},
    },
    step::sql::{
        bound::Bound,
        effects::Answer,
        network::{Control, Protocol},
        placeholders::{Dialect, Pieces},
        postgres::{Sent, add, bytes_in},
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
        config.host(&address.host).port(address.port).connect_timeout(CONNECT_LIMIT);
        config.connect(NoTls).map(Self).map_err(|why| opening_fault(&why))
    }

    fn prepare(&mut self, query: &str, protocol: Protocol) -> Result<Sent, Fault> {
        let pieces = Pieces::of(query, Dialect::Postgres);
        match protocol {
            Protocol::Simple => Ok(Sent::Text(pieces)),
            Protocol::Prepared => self.0.prepare(&pieces.numbered()).map(Sent::Prepared).map_err(|why| fault(&why)),
        }
    }

    fn arguments(statement: &Sent) -> usize {
        statement.arguments()
    }

    fn run(&mut self, statement: &Sent, args: &[Bound]) -> Result<Answer, Fault> {
        let done = match statement {
            Sent::Prepared(statement) => prepared(&mut self.0, statement, args),
            Sent::Text(pieces) => simple(&mut self.0, &pieces.filled(args, false)),
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
        Some(cause) if why.to_string().starts_with("error connecting") => {
            let kind =
                if cause.kind() == io::ErrorKind::TimedOut { FaultKind::ConnectTimeout } else { FaultKind::Refused };
            Fault::new(kind, format!("nothing answers: {cause}; is the server running?"))
        }
        _ => fault(why),
    }
}
