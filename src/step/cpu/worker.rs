//! What a worker process does, and what it and a step say to each other: two numbers each way.
//!
//! A step asks for a kernel, by its place among all, and its iterations. The answer is the result,
//! and how many pieces of work this worker has done so far: its own account, which the proof
//! compares. Both ends are the same program on the same host.

use std::io::{self, ErrorKind, Read, Write};

use super::kernel;

/// The length of a message, in bytes.
pub const FRAME: usize = 16;

/// A message.
pub fn frame([first, second]: [u64; 2]) -> [u8; FRAME] {
    let mut bytes = [0; FRAME];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes());
    bytes
}

/// What a message says.
pub fn numbers(frame: [u8; FRAME]) -> [u64; 2] {
    let whole = u128::from_le_bytes(frame);
    [whole as u64, (whole >> 64) as u64]
}

/// Does what is asked for, piece by piece, until nobody is at the other end any more.
///
/// # Errors
/// What the line reports, and a kernel that does not exist.
pub fn serve_commissions(mut line: impl Read + Write) -> io::Result<()> {
    // All are made here, and not by the first piece of work that needs them.
    let mut kernels = kernel::all();
    let (mut asked, mut done) = ([0; FRAME], 0_u64);
    while is_there(line.read_exact(&mut asked))? {
        let [place, iterations] = numbers(asked);
        let known = usize::try_from(place).ok().and_then(|place| kernels.get_mut(place));
        let kernel = known.ok_or_else(|| io::Error::other(format!("no kernel {place}")))?;
        // For the reasons that inline work has.
        let result = std::hint::black_box(kernel.run(std::hint::black_box(iterations)));
        done += 1;
        if !is_there(line.write_all(&frame([result, done])))? {
            break;
        }
    }
    Ok(())
}

/// Whether somebody was at the other end.
fn is_there(moved: io::Result<()>) -> io::Result<bool> {
    match moved {
        Ok(()) => Ok(true),
        Err(why) => match why.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                Ok(false)
            }
            _ => Err(why),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_message_says_what_was_put_in() {
        for said in [[0, 0], [1, 2], [u64::MAX, 7], [7, u64::MAX]] {
            assert_eq!(numbers(frame(said)), said);
        }
    }

    #[test]
    fn work_is_counted_and_ends_with_the_line() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let worker = std::thread::spawn(move || serve_commissions(theirs));
        let mut answer = [0; FRAME];
        for count in 1..=3 {
            ours.write_all(&frame([0, 3])).unwrap();
            ours.read_exact(&mut answer).unwrap();
            // By hand, as the kernel's own test has it.
            assert_eq!(numbers(answer), [42, count]);
        }
        drop(ours);
        assert!(worker.join().unwrap().is_ok());
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(&frame([99, 3])).unwrap();
        assert!(serve_commissions(theirs).unwrap_err().to_string().contains("no kernel 99"));
    }
}
