//! Logging in: SCRAM-SHA-256, as the exchange of MongoDB's `saslStart` and `saslContinue`.

use std::sync::OnceLock;

use bson::{Binary, RawDocument, RawDocumentBuf, raw::RawBsonRef, rawdoc, spec::BinarySubtype};
use hyper::rt::{Read, Write};

use super::{
    connection::MongoConnection,
    error::MongoError,
    reply,
    scram::{self, Challenge, Salted},
};
use crate::secret::Secret;

/// Bytes of randomness in a nonce, as in MongoDB's own drivers.
const NONCE: usize = 24;

/// As whom to log in. Shared by all connections of a target, so that the password is salted once,
/// as drivers do.
#[derive(Debug)]
pub struct Login {
    user: String,
    password: Secret,
    /// The database that knows the user.
    source: String,
    salted: OnceLock<Salted>,
}

/// Greets the server at the other end of a stream, and logs in if asked to.
pub async fn open<S: Read + Write + Unpin>(
    stream: S,
    login: Option<&Login>,
) -> Result<MongoConnection<S>, MongoError> {
    let mut connection = MongoConnection::open(stream).await?;
    if let Some(login) = login {
        login.authenticate(&mut connection).await?;
    }
    Ok(connection)
}

impl Login {
    /// A user that the database `source` knows.
    pub fn new(user: impl Into<String>, password: Secret, source: impl Into<String>) -> Self {
        Self { user: user.into(), password, source: source.into(), salted: OnceLock::new() }
    }

    /// Proves to the server that the password is known, and has the server prove the same.
    async fn authenticate<S: Read + Write + Unpin>(
        &self,
        connection: &mut MongoConnection<S>,
    ) -> Result<(), MongoError> {
        let mut random = [0; NONCE];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(
            |why| MongoError::Login(format!("the system gives no random numbers: {why}")),
        )?;
        let first = scram::first(&self.user, &random);
        let start = rawdoc! {
            "saslStart": 1,
            "mechanism": "SCRAM-SHA-256",
            "payload": binary(&first.message()),
            "options": { "skipEmptyExchange": true },
            "$db": self.source.as_str(),
        };
        let step = SaslStep::read(connection.exchange("saslStart", &start, None).await?)?;
        let challenge = Challenge::read(&step.payload, &first)?;
        let (proof, expected) = challenge.answer(&first, &self.salt(&challenge)?);
        let going_on = self.going_on(&step, &proof);
        let step = SaslStep::read(connection.exchange("saslContinue", &going_on, None).await?)?;
        scram::verify(&step.payload, &expected)?;
        if step.done {
            return Ok(());
        }
        // A server that does not know `skipEmptyExchange` wants one more, in which nothing is said.
        let going_on = self.going_on(&step, "");
        let step = SaslStep::read(connection.exchange("saslContinue", &going_on, None).await?)?;
        if step.done {
            Ok(())
        } else {
            Err(MongoError::Login("the server does not come to an end".into()))
        }
    }

    /// The salted password: kept, as long as the server's salt stays the same.
    fn salt(&self, challenge: &Challenge) -> Result<Salted, MongoError> {
        if let Some(salted) = self.salted.get().filter(|salted| salted.is_for(challenge)) {
            return Ok(salted.clone());
        }
        let salted = Salted::new(self.password.reveal(), challenge)?;
        // Another connection may have been faster. A server that changes its salt has it computed
        // for each connection.
        let _ = self.salted.set(salted.clone());
        Ok(salted)
    }

    fn going_on(&self, step: &SaslStep, payload: &str) -> RawDocumentBuf {
        rawdoc! {
            "saslContinue": 1,
            "conversationId": step.conversation,
            "payload": binary(payload),
            "$db": self.source.as_str(),
        }
    }
}

fn binary(text: &str) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: text.as_bytes().to_vec() }
}

/// An answer of the server.
struct SaslStep {
    conversation: i64,
    done: bool,
    payload: String,
}

impl SaslStep {
    fn read(answer: &RawDocument) -> Result<Self, MongoError> {
        let payload = match answer.get("payload")? {
            Some(RawBsonRef::Binary(payload)) => std::str::from_utf8(payload.bytes).ok(),
            Some(RawBsonRef::String(text)) => Some(text),
            _ => None,
        };
        let payload =
            payload.ok_or_else(|| MongoError::protocol("a login without a payload"))?.to_owned();
        let conversation = reply::whole(answer, "conversationId")?.unwrap_or(0);
        Ok(Self { conversation, done: reply::whole(answer, "done")?.unwrap_or(0) == 1, payload })
    }
}
