//! Text that is known before a run but for what the environment says.

use serde::{Deserialize, Serialize};

use super::{Lack, read, variable};

/// Text in which `${env:NAME}` stands for the value of a variable. It is stored, and printed, as it
/// is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvText(String);

/// A part of such a text.
enum Piece<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl EnvText {
    /// Reads such a text; the error says what is wrong with what stands in `${…}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = Self(text.to_owned());
        text.pieces().map(drop)?;
        Ok(text)
    }

    /// The text as it is written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The first variable that it names.
    pub fn variable(&self) -> Option<&str> {
        self.pieces()
            .ok()?
            .into_iter()
            .find_map(|piece| if let Piece::Variable(name) = piece { Some(name) } else { None })
    }

    /// The text with what the environment says.
    pub fn resolve(&self) -> Result<String, Lack> {
        let pieces = self.pieces().map_err(|reason| Lack { variable: None, reason })?;
        let values = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => Ok(text.to_owned()),
            Piece::Variable(name) => read(name).map(|secret| secret.reveal().to_owned()),
        });
        values.collect()
    }

    fn pieces(&self) -> Result<Vec<Piece<'_>>, String> {
        let (mut pieces, mut rest) = (Vec::new(), self.0.as_str());
        while let Some((before, after)) = rest.split_once("${") {
            let (key, after) = after.split_once('}').ok_or("a `${` lacks its `}`")?;
            let name = variable(key).ok_or(
                "only `${env:NAME}` can stand here, and a NAME is letters, digits and `_`",
            )?;
            pieces.extend([Piece::Text(before), Piece::Variable(name)]);
            rest = after;
        }
        pieces.push(Piece::Text(rest));
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_the_text_stays_as_it_is_written() {
        let path = std::env::var("PATH").unwrap();
        let text = EnvText::parse("http://h:1/${env:PATH}/x").unwrap();
        assert_eq!(text.resolve(), Ok(format!("http://h:1/{path}/x")));
        assert_eq!((text.text(), text.variable()), ("http://h:1/${env:PATH}/x", Some("PATH")));
        assert_eq!(serde_json::to_string(&text).unwrap(), "\"http://h:1/${env:PATH}/x\"");
        let plain = EnvText::parse("http://h").unwrap();
        assert_eq!((plain.resolve(), plain.variable()), (Ok("http://h".into()), None));
    }

    #[test]
    fn nothing_else_is_filled_in() {
        for wrong in ["${PATH}", "${env:}", "${env:A B}", "${i}", "${env:A"] {
            assert!(EnvText::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            EnvText::parse("${env:REGATTA_NO_SUCH}")
                .unwrap()
                .resolve()
                .unwrap_err()
                .variable
                .unwrap(),
            "REGATTA_NO_SUCH"
        );
    }
}
