//! Packets: a length of three bytes, a number in the sequence, and the payload; long payloads go in
//! several.

use std::ops::Range;

use hyper::rt::{Read, Write};

use super::error::MysqlError;
use crate::client::wire::Wire;

/// Length and number of a packet, in bytes.
const HEADER: usize = 4;
/// The longest payload that one packet can have. A payload of so many bytes or more is continued in
/// the next packet.
const LONGEST: usize = 0xff_ffff;
/// The longest payload that is taken in, in bytes; also the server's upper limit for
/// `max_allowed_packet`.
pub(super) const MOST_PAYLOAD: usize = 1 << 30;
/// First byte of a packet that reports an error.
const ERR: u8 = 0xff;

/// Packets over a stream. A request and its answer share one sequence of numbers.
#[derive(Debug)]
pub(super) struct Packets<S> {
    wire: Wire<S>,
    /// The number of the next packet, in either direction.
    sequence: u8,
    /// Where the current packet lies in the buffer.
    current: Range<usize>,
    /// The current packet, if it came in several.
    joined: Option<Vec<u8>>,
}

impl<S> Packets<S> {
    pub fn new(stream: S) -> Self {
        Self { wire: Wire::new(stream), sequence: 0, current: 0..0, joined: None }
    }

    /// Begins a new request: numbers start again, and what is left of the answer before is given
    /// up.
    pub fn begin(&mut self) {
        self.sequence = 0;
        self.release();
    }

    /// Appends a packet, whose payload `write` appends, to what is sent next.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let request = self.wire.request();
        let start = request.len();
        request.extend([0; HEADER]);
        write(request);
        let length = request.len() - start - HEADER;
        if length < LONGEST {
            request[start..start + HEADER].copy_from_slice(&header(length, self.sequence));
            self.sequence = self.sequence.wrapping_add(1);
        } else {
            self.split(start);
        }
    }

    /// Cuts a payload that is too long for one packet. The last packet is shorter than the longest,
    /// if need be empty.
    fn split(&mut self, start: usize) {
        let request = self.wire.request();
        let payload = request.split_off(start + HEADER);
        request.truncate(start);
        let whole = payload.len().is_multiple_of(LONGEST).then_some(&[][..]);
        for part in payload.chunks(LONGEST).chain(whole) {
            request.extend(header(part.len(), self.sequence));
            request.extend(part);
            self.sequence = self.sequence.wrapping_add(1);
        }
    }

    /// The payload of the packet that was read last.
    pub fn payload(&self) -> &[u8] {
        match &self.joined {
            Some(joined) => joined,
            None => &self.wire.received()[self.current.clone()],
        }
    }

    /// Gives up the packet that was read last.
    fn release(&mut self) {
        self.wire.consume(self.current.end);
        self.current = 0..0;
        self.joined = None;
    }

    /// The stream, if nothing is buffered.
    pub fn into_stream(mut self) -> Option<S> {
        self.release();
        self.wire.into_stream()
    }

    /// The same sequence on another stream: TLS begins in the middle of it.
    pub fn on<T>(stream: T, sequence: u8) -> Packets<T> {
        Packets { sequence, ..Packets::new(stream) }
    }

    /// The number of the next packet.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    fn header(&self) -> (usize, u8) {
        let received = self.wire.received();
        (
            usize::from(received[0])
                | usize::from(received[1]) << 8
                | usize::from(received[2]) << 16,
            received[3],
        )
    }
}

fn header(length: usize, sequence: u8) -> [u8; HEADER] {
    [length as u8, (length >> 8) as u8, (length >> 16) as u8, sequence]
}

impl<S: Read + Write + Unpin> Packets<S> {
    /// Sends what was appended.
    pub async fn send(&mut self) -> Result<(), MysqlError> {
        Ok(self.wire.send().await?)
    }

    /// Reads the next packet; [`Packets::payload`] has it then.
    pub async fn read(&mut self) -> Result<(), MysqlError> {
        self.release();
        let length = self.read_part().await?;
        if length == LONGEST {
            self.join().await?;
        }
        if self.payload().is_empty() {
            return Err(MysqlError::protocol("an empty packet"));
        }
        Ok(())
    }

    /// Reads one packet, which may be a part of a longer payload, and returns its length.
    async fn read_part(&mut self) -> Result<usize, MysqlError> {
        self.wire.fill(HEADER).await?;
        let (length, number) = self.header();
        self.wire.fill(HEADER + length).await?;
        self.current = HEADER..HEADER + length;
        // A server that ends a connection by itself says why with a number of its own.
        let is_error = self.wire.received().get(HEADER) == Some(&ERR);
        if number != self.sequence && !(length > 0 && is_error) {
            return Err(MysqlError::protocol(format!(
                "packet {number} came where packet {} was due",
                self.sequence
            )));
        }
        self.sequence = number.wrapping_add(1);
        Ok(length)
    }

    /// Reads the rest of a payload that has come in several packets.
    async fn join(&mut self) -> Result<(), MysqlError> {
        let mut joined = self.payload().to_vec();
        loop {
            self.release();
            let length = self.read_part().await?;
            if joined.len() + length > MOST_PAYLOAD {
                return Err(MysqlError::protocol("a packet of more than 1 GiB"));
            }
            joined.extend(self.payload());
            if length < LONGEST {
                self.joined = Some(joined);
                return Ok(());
            }
        }
    }

    /// Says to the server that nothing more will come.
    pub async fn shut_down(&mut self) -> Result<(), MysqlError> {
        Ok(self.wire.shut_down().await?)
    }
}

#[cfg(test)]
mod tests {
    use futures_lite::future::block_on;

    use super::*;
    use crate::client::{FaultKind, testing::Scripted};

    fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
        [&header(payload.len(), number)[..], payload].concat()
    }

    fn read(says: &[Vec<u8>]) -> Result<Vec<u8>, MysqlError> {
        let mut packets = Packets::new(Scripted::new(says.to_vec()));
        block_on(packets.read()).map(|()| packets.payload().to_vec())
    }

    #[test]
    fn requests_are_numbered_and_framed() {
        let mut packets = Packets::new(Scripted::new([]));
        packets.append(|request| request.extend(b"ab"));
        packets.append(|request| request.extend(b"c"));
        block_on(packets.send()).unwrap();
        packets.begin();
        packets.append(|_| {});
        block_on(packets.send()).unwrap();
        assert_eq!(
            packets.wire.into_stream().unwrap().writes,
            [&b"\x02\0\0\0ab\x01\0\0\x01c"[..], b"\0\0\0\0"]
        );
    }

    #[test]
    fn a_long_payload_is_cut_and_joined_again() {
        for length in [LONGEST - 1, LONGEST, LONGEST + 5, 2 * LONGEST] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 253) as u8 + 1).collect();
            let mut packets = Packets::new(Scripted::new([]));
            packets.append(|request| request.extend(&payload));
            block_on(packets.send()).unwrap();
            assert_eq!(usize::from(packets.sequence), length / LONGEST + 1);
            let sent = packets.wire.into_stream().unwrap().writes.concat();
            assert_eq!(sent.len(), length + HEADER * (length / LONGEST + 1));
            assert!(read(&[sent]).unwrap() == payload, "{length}");
        }
    }

    #[test]
    fn several_packets_in_one_piece_are_one_read() {
        let mut packets =
            Packets::new(Scripted::new([[packet(0, b"a"), packet(1, b"bc")].concat()]));
        block_on(packets.read()).unwrap();
        assert_eq!(packets.payload(), b"a");
        block_on(packets.read()).unwrap();
        assert_eq!(packets.payload(), b"bc");
        assert_eq!(packets.into_stream().unwrap().reads, 1);
    }

    #[test]
    fn numbers_out_of_order_are_refused_but_not_for_errors() {
        let found = read(&[packet(3, b"a")]).unwrap_err().to_string();
        assert_eq!(found, "the server broke the protocol: packet 3 came where packet 0 was due");
        assert_eq!(read(&[packet(3, b"\xff\x01")]).unwrap(), b"\xff\x01");
        assert_eq!(read(&[packet(0, b"")]).unwrap_err().kind(), FaultKind::Protocol);
        assert_eq!(read(&[vec![5, 0, 0, 0, 1]]).unwrap_err().kind(), FaultKind::Lost);
    }
}
