//! What errors of the client of PostgreSQL mean.

use tokio_postgres::{Error, error::SqlState};

use crate::client::{Fault, FaultKind, causes};

/// The kind and the words of an error.
pub fn fault(why: &Error) -> Fault {
    let Some(database) = why.as_db_error() else { return local_fault(why) };
    let code = database.code();
    let mut message = database.message().to_owned();
    for more in [database.detail(), database.hint()].into_iter().flatten() {
        message.push_str("; ");
        message.push_str(more);
    }
    Fault::of_server(kind(code), format_args!("{message} (SQLSTATE {})", code.code()))
}

/// An error that the server has not sent: the connection's, or one that the client has found by
/// itself. The client tells them apart by nothing but their words; what it calls neither a mistake
/// nor a wrong answer is a lost connection.
fn local_fault(why: &Error) -> Fault {
    let words = causes(why);
    let begins = |known: &[&str]| known.iter().any(|known| words.starts_with(known));
    if begins(&[
        "error serializing",
        "error deserializing",
        "invalid column",
        "query returned",
        "expected",
    ]) {
        Fault::new(FaultKind::Statement, words)
    } else if begins(&["invalid configuration", "authentication error"]) {
        Fault::new(FaultKind::Login, words)
    } else if begins(&["error parsing response", "error encoding message", "unexpected message"]) {
        Fault::new(FaultKind::Protocol, words)
    } else {
        Fault::new(FaultKind::Lost, format!("the connection was lost: {words}"))
    }
}

fn kind(code: &SqlState) -> FaultKind {
    match code {
        code if *code == SqlState::TOO_MANY_CONNECTIONS => FaultKind::TooManyConnections,
        code if *code == SqlState::INVALID_CATALOG_NAME => FaultKind::Database,
        code if *code == SqlState::T_R_DEADLOCK_DETECTED => FaultKind::Deadlock,
        code if *code == SqlState::T_R_SERIALIZATION_FAILURE => FaultKind::Serialization,
        code if *code == SqlState::QUERY_CANCELED => FaultKind::Timeout,
        code if *code == SqlState::LOCK_NOT_AVAILABLE => FaultKind::LockTimeout,
        // Whether a commit was done is not known after these.
        code if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => FaultKind::Lost,
        code if *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => FaultKind::Lost,
        code => match &code.code()[..2] {
            "28" => FaultKind::Login,
            "08" | "57" => FaultKind::Lost,
            "23" => FaultKind::Constraint,
            "53" => FaultKind::Resources,
            _ => FaultKind::Statement,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_their_kinds() {
        for (code, expected) in [
            ("53300", FaultKind::TooManyConnections),
            ("53100", FaultKind::Resources),
            ("53200", FaultKind::Resources),
            ("3D000", FaultKind::Database),
            ("28P01", FaultKind::Login),
            ("28000", FaultKind::Login),
            ("40P01", FaultKind::Deadlock),
            ("40001", FaultKind::Serialization),
            ("57014", FaultKind::Timeout),
            ("57P01", FaultKind::Lost),
            ("08006", FaultKind::Lost),
            ("23505", FaultKind::Constraint),
            ("55P03", FaultKind::LockTimeout),
            ("25P03", FaultKind::Lost),
            ("40003", FaultKind::Lost),
            ("42601", FaultKind::Statement),
        ] {
            assert_eq!(kind(&SqlState::from_code(code)), expected, "{code}");
        }
    }
}
