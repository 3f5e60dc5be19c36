//! How answers are understood: whether a command was done, how many writes were, and what a batch
//! of a cursor holds.

use bson::{
    RawDocument,
    raw::{RawArray, RawBsonRef},
};

use super::error::MongoError;

/// A whole number, whatever type of number the server chose; none if there is none under that key.
pub(super) fn whole(answer: &RawDocument, key: &str) -> Result<Option<i64>, MongoError> {
    Ok(answer.get(key)?.and_then(|value| match value {
        RawBsonRef::Int32(number) => Some(i64::from(number)),
        RawBsonRef::Int64(number) => Some(number),
        // Nothing that is counted here comes near 2⁵³.
        RawBsonRef::Double(number) => Some(number as i64),
        RawBsonRef::Boolean(is) => Some(i64::from(is)),
        _ => None,
    }))
}

/// A number that must be there.
fn needed(answer: &RawDocument, key: &str) -> Result<i64, MongoError> {
    whole(answer, key)?
        .ok_or_else(|| MongoError::Protocol(format!("an answer without the number `{key}`")))
}

/// The server's number and words for an error.
fn told(error: &RawDocument) -> Result<(i32, String), MongoError> {
    let code = whole(error, "code")?.and_then(|code| i32::try_from(code).ok()).unwrap_or(0);
    let words = error.get("errmsg")?.and_then(RawBsonRef::as_str).unwrap_or("it does not say why");
    Ok((code, words.to_owned()))
}

/// Fails if the command was not done: `ok` is not 1.
pub(super) fn check(command: &'static str, answer: &RawDocument) -> Result<(), MongoError> {
    if needed(answer, "ok")? == 1 {
        return Ok(());
    }
    let (code, message) = told(answer)?;
    Err(MongoError::Command { command, code, message })
}

/// How many writes were done: `n` and, of updates, `nModified`. An error if there are fewer than
/// `of` because of errors, or if the server could not make them as safe as it should.
pub(super) fn writes(
    command: &'static str,
    answer: &RawDocument,
    of: u64,
) -> Result<(u64, u64), MongoError> {
    let done = needed(answer, "n")?.max(0).cast_unsigned();
    let modified = whole(answer, "nModified")?.unwrap_or(0).max(0).cast_unsigned();
    let first = match answer.get("writeErrors")?.and_then(RawBsonRef::as_array) {
        Some(errors) => errors.get(0)?.and_then(RawBsonRef::as_document),
        None => None,
    };
    let error = match first {
        Some(error) => Some(error),
        None => answer.get("writeConcernError")?.and_then(RawBsonRef::as_document),
    };
    match error.map(told).transpose()? {
        Some((code, message)) => Err(MongoError::Writes { command, code, message, done, of }),
        None => Ok((done, modified)),
    }
}

/// What a cursor gave: its id, 0 once it has ended, and documents.
pub(super) fn batch<'a>(
    answer: &'a RawDocument,
    key: &str,
) -> Result<(i64, &'a RawArray), MongoError> {
    let missing = || MongoError::Protocol(format!("an answer without `cursor.{key}`"));
    let cursor = answer.get("cursor")?.and_then(RawBsonRef::as_document).ok_or_else(missing)?;
    let documents = cursor.get(key)?.and_then(RawBsonRef::as_array).ok_or_else(missing)?;
    Ok((needed(cursor, "id")?, documents))
}

#[cfg(test)]
mod tests {
    use bson::{rawbson, rawdoc};

    use super::*;

    #[test]
    fn ok_is_any_kind_of_one() {
        for ok in [rawbson!(1), rawbson!(1_i64), rawbson!(1.0), rawbson!(true)] {
            check("ping", &rawdoc! { "ok": ok }).unwrap();
        }
        for answer in
            [rawdoc! { "ok": 0.0, "errmsg": "no such thing", "code": 59 }, rawdoc! { "ok": false }]
        {
            assert!(matches!(
                check("ping", &answer),
                Err(MongoError::Command { command: "ping", .. })
            ));
        }
        assert!(matches!(check("ping", &rawdoc! {}), Err(MongoError::Protocol(_))));
        let words = check("find", &rawdoc! { "ok": 0, "errmsg": "no such thing", "code": 59 })
            .unwrap_err()
            .to_string();
        assert_eq!(words, "the server refused `find`: no such thing (code 59)");
    }

    #[test]
    fn writes_that_failed_are_told_with_those_that_did_not() {
        assert_eq!(writes("update", &rawdoc! { "n": 3, "nModified": 2 }, 3).unwrap(), (3, 2));
        let failed = rawdoc! { "n": 1, "writeErrors": [{ "index": 1, "code": 11000, "errmsg": "duplicate" }] };
        let words = writes("insert", &failed, 3).unwrap_err().to_string();
        assert_eq!(words, "the server did 1 of 3 writes of `insert`: duplicate (code 11000)");
        let unsafe_ =
            rawdoc! { "n": 3, "writeConcernError": { "code": 64, "errmsg": "timed out" } };
        assert!(matches!(
            writes("insert", &unsafe_, 3),
            Err(MongoError::Writes { code: 64, done: 3, .. })
        ));
        assert!(
            writes("insert", &rawdoc! {}, 3)
                .unwrap_err()
                .to_string()
                .contains("without the number `n`")
        );
    }

    #[test]
    fn a_cursor_must_be_whole() {
        let answer = rawdoc! { "cursor": { "id": 5_i64, "firstBatch": [{}, {}] } };
        let (id, documents) = batch(&answer, "firstBatch").unwrap();
        assert_eq!((id, documents.into_iter().count()), (5, 2));
        assert!(batch(&answer, "nextBatch").unwrap_err().to_string().contains("cursor.nextBatch"));
        assert!(batch(&rawdoc! { "cursor": { "firstBatch": [] } }, "firstBatch").is_err());
    }
}
