//! A peer for tests: it says what it was told to say, in pieces, and writes down what it hears.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};

/// A stream with a script.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    /// What it says: each piece is one read, as far as there is room for it.
    pub says: VecDeque<Vec<u8>>,
    /// The most that it takes in one write.
    pub takes: usize,
    /// What it was told, a piece for each write.
    pub writes: Vec<Vec<u8>>,
    /// How often it was read from, not counting polls that gave nothing.
    pub reads: usize,
    /// Whether the last poll gave nothing: every second one does.
    pub waited: bool,
}

impl Scripted {
    /// A peer that says these pieces and then closes the connection.
    pub fn new(says: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { says: says.into_iter().collect(), takes: usize::MAX, ..Self::default() }
    }

    /// Every second poll comes too early.
    fn is_early(&mut self, context: &Context<'_>) -> bool {
        self.waited = !self.waited;
        if self.waited {
            context.waker().wake_by_ref();
        }
        self.waited
    }
}

impl Read for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_early(context) {
            return Poll::Pending;
        }
        let Some(mut piece) = self.says.pop_front() else { return Poll::Ready(Ok(())) };
        let fits = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..fits]);
        self.reads += 1;
        if fits < piece.len() {
            self.says.push_front(piece.split_off(fits));
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Scripted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_early(context) {
            return Poll::Pending;
        }
        let taken = bytes.len().min(self.takes);
        self.writes.push(bytes[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
