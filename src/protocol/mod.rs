//! What a referee and a racer say to each other: one JSON object per line, in both directions.
//! PROTOCOL.md says what each of them means; [`SCHEMA`] is its JSON Schema.
//!
//! The types are written by hand and know nothing of what plans and measurements look like inside:
//! those change with this program, and racers that others have written do not.

mod account;
mod brief;
mod hello;
mod program;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use account::{
    ArrivedAccount, ChildrenAccount, LeftAccount, LoadAccount, RacerAccount, StepAccount,
    StepTimes, TargetAccount, TimesAccount,
};
pub use brief::{
    Brief, BriefArrival, BriefLoad, BriefLoadKind, BriefOnTimeout, BriefOperation, BriefOverflow,
    BriefServer, BriefStep, BriefTarget, BriefTargetKind, BriefTask, BriefTime, EmbeddedServer,
    HttpCall, HttpMethod, Weighted,
};
pub use hello::Hello;
pub use program::Program;

/// The version of the protocol that this program speaks.
pub const VERSION: u32 = 1;

/// The JSON Schema of all messages.
pub const SCHEMA: &str = include_str!("schema.json");

/// What a racer says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RacerSaid {
    /// Who it is and what it can do: its first line.
    Hello(Hello),
    /// It has built what the brief asks for, and waits for `go`.
    Ready(Bare),
    /// Its window opens.
    Opens(Bare),
    /// Its window has closed.
    Closes(Bare),
    /// What it did: its last line.
    Account(Box<RacerAccount>),
    /// It could not do it: its last line.
    Failed(RacerFailed),
}

/// What a referee says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefereeSaid {
    /// What is to be done.
    Brief(Box<Brief>),
    /// The loads may begin.
    Go(Bare),
    /// The counters at an edge of the window have been read.
    Read(Bare),
}

/// A message that says all by its name. What else stands in it is ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bare {}

/// Why a racer could not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RacerFailed {
    /// Whose fault it is.
    #[serde(default)]
    pub kind: RacerFault,
    /// In words, with a remedy where there is one.
    pub reason: String,
}

/// Whose fault it is that a racer failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RacerFault {
    /// An answer was not what the brief says.
    WrongResult,
    /// A target did not answer, or was not there.
    Target,
    /// The system refused something, or the racer cannot do what the brief says.
    #[default]
    Refused,
}

impl RacerSaid {
    /// The name of the message.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Ready(_) => "ready",
            Self::Opens(_) => "opens",
            Self::Closes(_) => "closes",
            Self::Account(_) => "account",
            Self::Failed(_) => "failed",
        }
    }
}

/// A message as a line, without its end.
pub fn line(message: &impl Serialize) -> String {
    // Maps have texts as keys, and no number is infinite: nothing in a message can fail.
    serde_json::to_string(message).unwrap_or_default()
}

/// A line as a message; an error says what is wrong with it, and shows how it begins.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    const SHOWN: usize = 120;
    serde_json::from_str(text).map_err(|why| {
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if text.chars().count() > SHOWN { "…" } else { "" };
        format!("no message of version {VERSION} of the protocol: {why}, in `{shown}{more}`")
    })
}

/// Why nobody can speak with who says this version; none where it is ours.
pub fn other_version(who: &str, version: u32) -> Option<String> {
    (version != VERSION).then(|| {
        format!(
            "{who} speaks version {version} of the protocol, and this program version {VERSION}; use a racer and a Regatta \
             of the same version (PROTOCOL.md)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_in_a_message_is_ignored() {
        let said: RacerSaid = parse("{\"ready\":{\"mood\":\"good\"}}").expect("reads");
        assert_eq!(said, RacerSaid::Ready(Bare {}));
        let text = "{\"failed\":{\"reason\":\"no room\",\"since\":3}}";
        let failed = RacerFailed { kind: RacerFault::Refused, reason: "no room".into() };
        assert_eq!(parse::<RacerSaid>(text), Ok(RacerSaid::Failed(failed)));
        assert_eq!(line(&RefereeSaid::Go(Bare {})), "{\"go\":{}}");
    }

    #[test]
    fn what_is_no_message_is_shown() {
        let why = parse::<RacerSaid>("Traceback (most recent call last):").expect_err("is none");
        assert!(why.contains("`Traceback (most"), "{why}");
        assert!(parse::<RacerSaid>("{\"sings\":{}}").expect_err("is none").contains("sings"));
    }

    #[test]
    fn another_version_is_refused_with_the_remedy() {
        assert_eq!(other_version("the racer", VERSION), None);
        let why = other_version("the racer", 7).expect("is another");
        assert!(why.contains("version 7") && why.contains("of the same version"), "{why}");
    }
}
