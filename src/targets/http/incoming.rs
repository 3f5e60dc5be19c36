//! The body of a request while it comes in: counted and thrown away.

use httparse::Status;

use super::request::{Framing, MOST_BODY, MOST_HEAD, Rejection};

/// Longest line that announces a chunk, in bytes.
const MOST_CHUNK_LINE: usize = 4096;

/// How far a body has come.
#[derive(Debug)]
pub struct Incoming {
    received: u64,
    trailer: usize,
    part: BodyPart,
}

/// The part of a body that comes next.
#[derive(Debug, Clone, Copy)]
enum BodyPart {
    /// Bytes of a body that ends with them.
    Whole(u64),
    /// The line that announces a chunk.
    ChunkLine,
    /// Bytes of a chunk.
    Chunk(u64),
    /// The line end after a chunk's bytes.
    ChunkEnd,
    /// Header lines after the last chunk, up to an empty one.
    Trailer,
}

/// What was made of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct TakenBody {
    /// How many were used; the rest must be offered again, with more.
    pub used: usize,
    /// Whether the body is complete.
    pub complete: bool,
}

impl Incoming {
    /// A body of which nothing has come.
    pub fn new(framing: Framing) -> Self {
        let part = match framing {
            Framing::Length(length) => BodyPart::Whole(length),
            Framing::Chunked => BodyPart::ChunkLine,
        };
        Self { received: 0, trailer: 0, part }
    }

    /// Bytes of content so far, without framing.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Takes as many of the bytes as belong to the body.
    pub fn take(&mut self, input: &[u8]) -> Result<TakenBody, Rejection> {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let (step, next) = match self.part {
                BodyPart::Whole(left) => self.content(left, rest, BodyPart::Whole),
                BodyPart::Chunk(left) => self.content(left, rest, BodyPart::Chunk),
                BodyPart::ChunkLine => self.chunk_line(rest)?,
                BodyPart::ChunkEnd => chunk_end(rest)?,
                BodyPart::Trailer => self.trailer(rest)?,
            };
            used += step;
            match next {
                BodyAhead::Part(part) => self.part = part,
                BodyAhead::More => return Ok(TakenBody { used, complete: false }),
                BodyAhead::Complete => return Ok(TakenBody { used, complete: true }),
            }
        }
    }

    fn content(
        &mut self,
        left: u64,
        input: &[u8],
        part: fn(u64) -> BodyPart,
    ) -> (usize, BodyAhead) {
        let used = left.min(input.len() as u64);
        self.received += used;
        let next = match (part(left - used), left == used) {
            (BodyPart::Whole(_), true) => BodyAhead::Complete,
            (_, true) => BodyAhead::Part(BodyPart::ChunkEnd),
            (part, false) => {
                self.part = part;
                BodyAhead::More
            }
        };
        (used as usize, next)
    }

    fn chunk_line(&self, input: &[u8]) -> Result<(usize, BodyAhead), Rejection> {
        match httparse::parse_chunk_size(input) {
            Ok(Status::Complete((used, 0))) => Ok((used, BodyAhead::Part(BodyPart::Trailer))),
            Ok(Status::Complete((_, size))) if size > MOST_BODY - self.received => {
                Err(Rejection::BodyTooLong)
            }
            Ok(Status::Complete((used, size))) => {
                Ok((used, BodyAhead::Part(BodyPart::Chunk(size))))
            }
            Ok(Status::Partial) if input.len() <= MOST_CHUNK_LINE => Ok((0, BodyAhead::More)),
            Ok(Status::Partial) | Err(_) => Err(Rejection::Malformed),
        }
    }

    fn trailer(&mut self, input: &[u8]) -> Result<(usize, BodyAhead), Rejection> {
        let line = input.iter().position(|byte| *byte == b'\n').map(|end| &input[..=end]);
        if self.trailer + line.unwrap_or(input).len() > MOST_HEAD {
            return Err(Rejection::HeadTooLong);
        }
        Ok(match line {
            None => (0, BodyAhead::More),
            Some(b"\r\n" | b"\n") => (line.unwrap_or_default().len(), BodyAhead::Complete),
            Some(line) => {
                self.trailer += line.len();
                (line.len(), BodyAhead::Part(BodyPart::Trailer))
            }
        })
    }
}

/// Where reading goes on.
enum BodyAhead {
    Part(BodyPart),
    More,
    Complete,
}

fn chunk_end(input: &[u8]) -> Result<(usize, BodyAhead), Rejection> {
    match input {
        [] | [b'\r'] => Ok((0, BodyAhead::More)),
        [b'\r', b'\n', ..] => Ok((2, BodyAhead::Part(BodyPart::ChunkLine))),
        _ => Err(Rejection::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a body in pieces of `size` bytes, offering again what was not used.
    fn feed(framing: Framing, text: &[u8], size: usize) -> Result<(usize, u64, bool), Rejection> {
        let mut incoming = Incoming::new(framing);
        let (mut used, mut end, mut complete) = (0, 0, false);
        while !complete && end < text.len() {
            end = (end + size).min(text.len());
            let taken = incoming.take(&text[used..end])?;
            used += taken.used;
            complete = taken.complete;
        }
        Ok((used, incoming.received(), complete))
    }

    #[test]
    fn a_length_ends_a_body() {
        for size in 1..9 {
            assert_eq!(feed(Framing::Length(5), b"helloGET", size), Ok((5, 5, true)));
        }
        assert_eq!(feed(Framing::Length(9), b"hello", 2), Ok((5, 5, false)));
    }

    #[test]
    fn chunks_are_read_however_they_are_cut() {
        let text = b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\ntrailer: x\r\n\r\nGET /";
        for size in 1..text.len() {
            assert_eq!(feed(Framing::Chunked, text, size), Ok((text.len() - 5, 6, true)), "{size}");
        }
    }

    #[test]
    fn broken_chunks_are_refused() {
        assert_eq!(feed(Framing::Chunked, b"x\r\n", 9), Err(Rejection::Malformed));
        assert_eq!(feed(Framing::Chunked, b"1\r\nab\r\n", 9), Err(Rejection::Malformed));
        assert_eq!(feed(Framing::Chunked, b"4000001\r\n", 9), Err(Rejection::BodyTooLong));
        assert_eq!(
            feed(Framing::Chunked, b"ffffffffffffffff\r\n", 99),
            Err(Rejection::BodyTooLong)
        );
        let trailer = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(3000)].concat();
        assert_eq!(feed(Framing::Chunked, &trailer, 100), Err(Rejection::HeadTooLong));
    }
}
