//! What a call says and hears, whichever form it has.

use std::task::{Context, Poll};

use super::{
    connection::WebSocketConnection, echo::EchoTalk, lost::TalkTrouble, member::MemberTalk,
};
use crate::runtime::Native;

/// A call's exchange.
pub(super) enum Talk {
    /// Messages that come back.
    Echo(EchoTalk),
    /// Messages that go to all members of a room.
    Member(MemberTalk),
}

impl Talk {
    /// A call begins, or begins again.
    pub fn begin(&mut self, key: u64) {
        match self {
            Self::Echo(echo) => echo.begin(key),
            Self::Member(member) => member.begin(),
        }
    }

    /// Goes on to the end of the call.
    pub fn poll<N: Native>(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut WebSocketConnection<N>,
    ) -> Poll<Result<(), TalkTrouble>> {
        match self {
            Self::Echo(echo) => echo.poll(context, connection),
            Self::Member(member) => member.poll(context, connection),
        }
    }

    /// Whether the server has answered anything.
    pub fn was_answered(&self) -> bool {
        match self {
            Self::Echo(echo) => echo.came > 0,
            Self::Member(member) => member.is_seated(),
        }
    }

    /// Messages that were sent, or may have been.
    pub fn sent(&self) -> u64 {
        match self {
            Self::Echo(echo) => echo.sent,
            Self::Member(member) => member.published(),
        }
    }
}
