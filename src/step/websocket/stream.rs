//! A stream of the executor as the library of frames wants it: one that answers at once, and says
//! `WouldBlock` where a task has to wait. The task is woken as by any other stream.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{self, ReadBuf};

/// A stream for the length of one poll.
pub(super) struct Polled<'a, 'w, S> {
    /// The stream.
    pub stream: &'a mut S,
    /// The task that polls it.
    pub context: &'a mut Context<'w>,
}

/// What is not ready is told as the library wants it.
fn now<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: rt::Read + Unpin> Read for Polled<'_, '_, S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut room = ReadBuf::new(room);
        now(Pin::new(&mut *self.stream).poll_read(self.context, room.unfilled()))?;
        Ok(room.filled().len())
    }
}

impl<S: rt::Write + Unpin> Write for Polled<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(Pin::new(&mut *self.stream).poll_write(self.context, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        now(Pin::new(&mut *self.stream).poll_flush(self.context))
    }
}
