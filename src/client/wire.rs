//! Bytes to and from a server: one write for a request, and one read for an answer that comes in
//! one piece.
//!
//! Where packets begin and end is the protocol's business: it appends requests to
//! [`Wire::request`], and looks at what has come in [`Wire::received`]. Both buffers are reused for
//! as long as the connection lives.
//!
//! A call of [`Wire::send`] or [`Wire::fill`] that is dropped before it has ended leaves the
//! connection in the middle of a packet: close it.

use std::{future::poll_fn, io, ops::Range, pin::Pin};

use hyper::rt::{Read, ReadBuf, Write};

/// Room for what comes in, in bytes: most answers fit. It grows for a packet that does not, and
/// only as its bytes arrive: a length that a server merely claims costs nothing.
const ROOM: usize = 16 * 1024;

/// Most memory that an empty buffer keeps, in bytes: one large answer must not stay with its
/// connection for ever.
const KEPT: usize = 1024 * 1024;

/// A stream with a buffer for each direction.
#[derive(Debug)]
pub struct Wire<S> {
    stream: S,
    request: Vec<u8>,
    /// Always initialised to its end; `held` is the part that was received and not yet consumed.
    input: Vec<u8>,
    held: Range<usize>,
}

impl<S> Wire<S> {
    /// A stream on which nothing was sent or read so far.
    pub fn new(stream: S) -> Self {
        Self { stream, request: Vec::new(), input: vec![0; ROOM], held: 0..0 }
    }

    /// The request that is being written: what is appended here goes out with the next
    /// [`Wire::send`].
    pub fn request(&mut self) -> &mut Vec<u8> {
        &mut self.request
    }

    /// What was received and not yet consumed.
    pub fn received(&self) -> &[u8] {
        &self.input[self.held.clone()]
    }

    /// Gives up the first `count` bytes of what was received.
    ///
    /// # Panics
    /// If there are fewer: a protocol must have looked at what it consumes.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.held.len(), "{count} bytes consumed of {}", self.held.len());
        self.held.start += count;
        if self.held.is_empty() {
            self.held = 0..0;
            if self.input.len() > KEPT {
                self.input = vec![0; ROOM];
            }
        }
    }

    /// The stream, for example to go on with TLS. None if something is buffered: bytes that came
    /// before encryption was agreed upon must not be taken for encrypted ones.
    pub fn into_stream(self) -> Option<S> {
        (self.held.is_empty() && self.request.is_empty()).then_some(self.stream)
    }

    /// Makes room behind what is held, so that in the end `wanted` bytes can be held.
    fn make_room(&mut self, wanted: usize) {
        if self.held.start + wanted > self.input.len() && self.held.start > 0 {
            self.input.copy_within(self.held.clone(), 0);
            self.held = 0..self.held.len();
        }
        if self.held.end == self.input.len() {
            // Doubled, and never beyond what is wanted: what has arrived pays for what may come.
            let grown = wanted.min(self.input.len() * 2).max(self.input.len() + 1);
            self.input.resize(grown, 0);
        }
    }
}

impl<S: Read + Write + Unpin> Wire<S> {
    /// Sends the request: one write, unless the stream takes only a part.
    pub async fn send(&mut self) -> io::Result<()> {
        let Self { stream, request, .. } = self;
        let mut sent = 0;
        while sent < request.len() {
            match poll_fn(|context| Pin::new(&mut *stream).poll_write(context, &request[sent..]))
                .await?
            {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                some => sent += some,
            }
        }
        request.clear();
        request.shrink_to(KEPT);
        poll_fn(|context| Pin::new(&mut *stream).poll_flush(context)).await
    }

    /// Reads until at least `wanted` bytes are held: none if they are already, and mostly one.
    ///
    /// # Errors
    /// `UnexpectedEof` if the peer has closed the connection; what the stream reports.
    pub async fn fill(&mut self, wanted: usize) -> io::Result<()> {
        while self.held.len() < wanted {
            self.make_room(wanted);
            let Self { stream, input, held, .. } = self;
            let mut free = ReadBuf::new(&mut input[held.end..]);
            poll_fn(|context| Pin::new(&mut *stream).poll_read(context, free.unfilled())).await?;
            match free.filled().len() {
                0 => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the server closed the connection",
                    ));
                }
                read => held.end += read,
            }
        }
        Ok(())
    }

    /// Says to the peer that nothing more will come.
    pub async fn shut_down(&mut self) -> io::Result<()> {
        let stream = &mut self.stream;
        poll_fn(|context| Pin::new(&mut *stream).poll_shutdown(context)).await
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;
    use proptest::prelude::*;

    use super::{super::testing::Scripted, *};

    #[test]
    fn a_request_is_one_write_and_its_answer_one_read() {
        block_on(async {
            let mut wire = Wire::new(Scripted::new([b"answer".to_vec(), b"more".to_vec()]));
            wire.request().extend(b"he");
            wire.request().extend(b"ad");
            wire.send().await.unwrap();
            wire.fill(4).await.unwrap();
            assert_eq!(wire.received(), b"answer");
            wire.fill(6).await.unwrap();
            assert_eq!(
                (wire.stream.reads, wire.stream.writes.as_slice()),
                (1, &[b"head".to_vec()][..])
            );
            wire.consume(2);
            assert_eq!(wire.received(), b"swer");
            wire.fill(8).await.unwrap();
            assert_eq!(wire.received(), b"swermore");
            wire.send().await.unwrap();
            assert_eq!((wire.stream.reads, wire.stream.writes.len()), (2, 1));
        });
    }

    #[test]
    fn a_stream_that_takes_a_part_gets_the_rest() {
        block_on(async {
            let mut wire = Wire::new(Scripted { takes: 3, ..Scripted::new([]) });
            wire.request().extend(b"abcdefgh");
            wire.send().await.unwrap();
            assert_eq!(wire.stream.writes, [&b"abc"[..], b"def", b"gh"]);
            wire.stream.takes = 0;
            wire.request().extend(b"i");
            assert_eq!(wire.send().await.unwrap_err().kind(), io::ErrorKind::WriteZero);
        });
    }

    #[test]
    fn the_end_of_the_stream_is_an_error_with_what_came_kept() {
        block_on(async {
            let mut wire = Wire::new(Scripted::new([b"abc".to_vec()]));
            assert_eq!(wire.fill(4).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!(wire.received(), b"abc");
        });
    }

    #[test]
    fn a_claimed_length_costs_no_more_than_what_arrives() {
        block_on(async {
            let mut wire = Wire::new(Scripted::new(vec![vec![7; 1000]; 40]));
            assert!(wire.fill(usize::MAX / 4).await.is_err());
            assert_eq!(wire.received().len(), 40_000);
            assert!(wire.input.len() <= 80_000, "{}", wire.input.len());
        });
    }

    #[test]
    fn the_buffer_shrinks_after_a_large_answer_and_stays_after_a_small_one() {
        block_on(async {
            let mut wire = Wire::new(Scripted::new(vec![vec![7; KEPT]; 3]));
            wire.fill(KEPT * 3).await.unwrap();
            wire.consume(KEPT * 3);
            assert_eq!((wire.input.len(), wire.received().len()), (ROOM, 0));
            assert!(wire.into_stream().is_some());
        });
    }

    #[test]
    fn a_stream_is_given_back_only_with_empty_buffers() {
        block_on(async {
            let mut wire = Wire::new(Scripted::new([b"ab".to_vec()]));
            wire.fill(1).await.unwrap();
            wire.consume(1);
            assert!(wire.into_stream().is_none());
        });
    }

    proptest! {
        /// However the bytes are cut on their way, and however they are asked for, they are the
        /// same.
        #[test]
        fn bytes_come_in_order(
            cuts in prop::collection::vec(1_usize..40_000, 1..8),
            wants in prop::collection::vec(1_usize..40_000, 1..8),
        ) {
            let total: usize = cuts.iter().sum();
            let sent: Vec<u8> = (0..total).map(|at| (at % 251) as u8).collect();
            let mut rest = sent.as_slice();
            let chunks: Vec<Vec<u8>> = cuts.iter().map(|&cut| rest.split_off(..cut).unwrap().to_vec()).collect();
            block_on(async {
                let mut wire = Wire::new(Scripted::new(chunks));
                let mut got: Vec<u8> = Vec::new();
                for want in wants {
                    let want = want.min(total - got.len());
                    wire.fill(want).await.unwrap();
                    got.extend(&wire.received()[..want]);
                    wire.consume(want);
                }
                assert_eq!(got, sent[..got.len()]);
            });
        }
    }
}
