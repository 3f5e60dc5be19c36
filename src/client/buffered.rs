//! A stream that reads ahead: an answer that has come in one piece is one read of the system,
//! however small the pieces are in which a protocol's library asks for it.
//!
//! tokio-postgres reads into whatever is left of a buffer of 8 KiB, so that about one small answer
//! in a hundred would be cut in two, and cost a second read.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// Room for what is read ahead, in bytes. Who asks for so much at once is served by the stream
/// itself.
const ROOM: usize = 16 * 1024;

/// A stream with a buffer before its reading side.
#[derive(Debug)]
pub struct Buffered<S> {
    stream: S,
    /// Always initialised to its end; from `next` up to `end` are bytes that nobody has asked for
    /// yet.
    ahead: Box<[u8]>,
    next: usize,
    end: usize,
}

impl<S> Buffered<S> {
    /// A stream of which nothing was read ahead so far.
    pub fn new(stream: S) -> Self {
        Self { stream, ahead: vec![0; ROOM].into(), next: 0, end: 0 }
    }
}

impl<S: Read + Unpin> Read for Buffered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, ahead, next, end } = &mut *self;
        if next == end {
            if buffer.remaining() >= ahead.len() {
                return Pin::new(stream).poll_read(context, buffer);
            }
            let mut free = ReadBuf::new(ahead);
            ready!(Pin::new(stream).poll_read(context, free.unfilled()))?;
            (*next, *end) = (0, free.filled().len());
        }
        let count = buffer.remaining().min(*end - *next);
        buffer.put_slice(&ahead[*next..*next + count]);
        *next += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Buffered<S> {
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
        parts: &[IoSlice<'_>],
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
    use std::future::poll_fn;

    use futures_lite::future::block_on;

    use super::{super::testing::Scripted, *};

    /// Reads at most `room` bytes.
    async fn read(stream: &mut Buffered<Scripted>, room: usize) -> Vec<u8> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|context| Pin::new(&mut *stream).poll_read(context, buffer.unfilled()))
            .await
            .unwrap();
        buffer.filled().to_vec()
    }

    #[test]
    fn an_answer_is_read_once_in_whatever_pieces_it_is_asked_for() {
        block_on(async {
            let mut stream = Buffered::new(Scripted::new([b"answer".to_vec(), b"next".to_vec()]));
            assert_eq!(
                (read(&mut stream, 2).await, read(&mut stream, 100).await),
                (b"an".to_vec(), b"swer".to_vec())
            );
            assert_eq!(stream.stream.reads, 1);
            assert_eq!(read(&mut stream, 100).await, b"next");
            assert_eq!((read(&mut stream, 100).await, stream.stream.reads), (Vec::new(), 2));
        });
    }

    #[test]
    fn much_is_read_into_the_place_where_it_is_wanted() {
        block_on(async {
            let mut stream = Buffered::new(Scripted::new([vec![1; ROOM * 2]]));
            assert_eq!(read(&mut stream, ROOM * 2).await.len(), ROOM * 2);
            assert_eq!((stream.next, stream.end), (0, 0));
        });
    }
}
