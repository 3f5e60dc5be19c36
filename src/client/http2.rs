//! What came on a connection of HTTP/2 and the library does not tell: the server's SETTINGS, its
//! GOAWAY, and how it begins where it is another protocol.
//!
//! The stream is looked at while it is read: nine bytes of each frame, and the content of the few
//! that matter.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The head of a frame: length, kind, flags and stream (RFC 9113, section 4.1).
const HEAD: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// A setting's number and value, and the number of the one that limits streams (section 6.5).
const SETTING: usize = 6;
const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
/// Most content of a frame that is looked at, in bytes.
const MOST_KEPT: usize = 512;
/// Most bytes of another protocol that are kept for a message.
const MOST_STRANGE: usize = 256;

/// What a server has said of a connection.
#[derive(Debug, Default)]
pub struct SeenFrames {
    /// No SETTINGS so far: 0. Else one more than the limit of streams, which is most of u32 where
    /// there is none.
    settings: AtomicU64,
    is_going: AtomicBool,
    has_ended: AtomicBool,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    goodbye: Option<Goodbye>,
    strange: Vec<u8>,
}

/// A GOAWAY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goodbye {
    /// Why.
    pub reason: h2::Reason,
    /// What the server says beside that.
    pub words: Bytes,
}

impl SeenFrames {
    /// Whether the server's SETTINGS have come: the connection is open.
    pub fn is_open(&self) -> bool {
        self.settings.load(Acquire) > 0
    }

    /// How many streams may be open at once; none: as many as one likes.
    pub fn streams_allowed(&self) -> Option<u32> {
        let said = u32::try_from(self.settings.load(Acquire).checked_sub(1)?).ok()?;
        Some(said).filter(|&said| said < u32::MAX)
    }

    /// Whether the server takes no more requests on it.
    pub fn is_going(&self) -> bool {
        self.is_going.load(Acquire)
    }

    /// Whether the server has closed its side.
    pub fn has_ended(&self) -> bool {
        self.has_ended.load(Acquire)
    }

    /// The last GOAWAY, if there was one.
    pub fn goodbye(&self) -> Option<Goodbye> {
        self.rest().goodbye.clone()
    }

    /// The first bytes that came, if they are not HTTP/2.
    pub fn strange(&self) -> Vec<u8> {
        self.rest().strange.clone()
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        // Nothing that can panic runs under this lock, and it is taken for what comes once.
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, kind: u8, content: &[u8]) {
        match (kind, content) {
            (SETTINGS, settings) => {
                let said = settings.chunks_exact(SETTING).filter_map(limit).next_back();
                self.settings.store(u64::from(said.unwrap_or(u32::MAX)) + 1, Release);
            }
            (GOAWAY, [_, _, _, _, a, b, c, d, words @ ..]) => {
                let reason = u32::from_be_bytes([*a, *b, *c, *d]).into();
                let words = Bytes::copy_from_slice(words);
                self.rest().goodbye = Some(Goodbye { reason, words });
                self.is_going.store(true, Release);
            }
            _ => {}
        }
    }
}

/// The limit of streams, if this setting is that.
fn limit(setting: &[u8]) -> Option<u32> {
    let (number, value) = setting.split_at(2);
    let value = value.try_into().ok().map(u32::from_be_bytes);
    value.filter(|_| number == MAX_CONCURRENT_STREAMS)
}

/// Where one is among the frames that come.
#[derive(Debug, Default)]
struct Frames {
    head: [u8; HEAD],
    /// How much of the head has come.
    has: usize,
    /// How much of the content has not.
    left: usize,
    content: Vec<u8>,
    /// How many there were.
    ended: u64,
    is_strange: bool,
}

impl Frames {
    /// Looks at bytes that follow those before.
    fn look(&mut self, mut bytes: &[u8], seen: &SeenFrames) {
        while !bytes.is_empty() {
            if self.is_strange {
                let mut rest = seen.rest();
                let room = MOST_STRANGE.saturating_sub(rest.strange.len()).min(bytes.len());
                rest.strange.extend_from_slice(&bytes[..room]);
                return;
            }
            bytes = if self.has < HEAD { self.take_head(bytes, seen) } else { self.take(bytes) };
            if self.has == HEAD && self.left == 0 && !self.is_strange {
                self.end(seen);
            }
        }
    }

    fn take_head<'a>(&mut self, bytes: &'a [u8], seen: &SeenFrames) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(HEAD - self.has));
        self.head[self.has..self.has + taken.len()].copy_from_slice(taken);
        self.has += taken.len();
        if self.has < HEAD {
            return rest;
        }
        let [a, b, c, kind, _, stream @ ..] = self.head;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        if self.ended == 0 && (kind != SETTINGS || stream != [0; 4]) {
            self.is_strange = true;
            seen.rest().strange = self.head.to_vec();
        }
        rest
    }

    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(self.left));
        self.left -= taken.len();
        if matches!(self.head[3], SETTINGS | GOAWAY) {
            let room = MOST_KEPT.saturating_sub(self.content.len()).min(taken.len());
            self.content.extend_from_slice(&taken[..room]);
        }
        rest
    }

    fn end(&mut self, seen: &SeenFrames) {
        let is_answer = self.head[3] == SETTINGS && self.head[4] & 1 == 1;
        if !is_answer {
            seen.note(self.head[3], &self.content);
        }
        self.content.clear();
        self.has = 0;
        self.ended += 1;
    }
}

/// A stream that is looked at.
pub struct SeenStream<S> {
    stream: S,
    frames: Frames,
    seen: Arc<SeenFrames>,
}

impl<S> SeenStream<S> {
    /// A stream on which nothing has come.
    pub fn new(stream: S, seen: Arc<SeenFrames>) -> Self {
        Self { stream, frames: Frames::default(), seen }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SeenStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = room.filled().len();
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_read(context, room);
        let came = &room.filled()[before..];
        this.frames.look(came, &this.seen);
        if came.is_empty() && matches!(polled, Poll::Ready(Ok(()))) {
            this.seen.has_ended.store(true, Release);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SeenStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 0], content].concat()
    }

    proptest! {
        /// However the bytes are cut on their way, the same is seen of them.
        #[test]
        fn settings_and_goaway_are_seen(cuts in prop::collection::vec(1_usize..20, 1..40), limit in 1_u32..9999, long in 0_usize..3000) {
            let settings = [&[0, 4, 0, 0, 1, 0, 0, 3][..], &limit.to_be_bytes()].concat();
            let goaway = [&[0, 0, 0, 5, 0, 0, 0, 11][..], b"calm"].concat();
            let all = [
                frame(SETTINGS, 0, &settings), frame(0, 0, &vec![7; long]), frame(SETTINGS, 1, &[]), frame(GOAWAY, 0, &goaway),
            ].concat();
            let (seen, mut frames, mut rest) = (SeenFrames::default(), Frames::default(), all.as_slice());
            for cut in cuts.into_iter().cycle() {
                prop_assert_eq!(seen.is_going(), rest.is_empty());
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                frames.look(now, &seen);
                rest = later;
            }
            prop_assert!(seen.is_open() && seen.strange().is_empty());
            prop_assert_eq!(seen.streams_allowed(), Some(limit));
            let calm = Goodbye { reason: h2::Reason::ENHANCE_YOUR_CALM, words: "calm".into() };
            prop_assert_eq!(seen.goodbye(), Some(calm));
        }
    }

    #[test]
    fn another_protocol_is_kept_for_the_message() {
        let (seen, mut frames) = (SeenFrames::default(), Frames::default());
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        answer.chunks(4).for_each(|bytes| frames.look(bytes, &seen));
        assert_eq!((seen.is_open(), seen.strange()), (false, answer.to_vec()));
    }

    #[test]
    fn settings_without_a_limit_allow_as_many_as_one_likes() {
        let (seen, mut frames) = (SeenFrames::default(), Frames::default());
        frames.look(&frame(SETTINGS, 0, &[]), &seen);
        assert_eq!((seen.is_open(), seen.streams_allowed()), (true, None));
    }
}
