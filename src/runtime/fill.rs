//! Reading into hyper's buffers: the one place in the executors that needs `unsafe`.
#![allow(unsafe_code)]

use hyper::rt::ReadBufCursor;

/// Lets `read` fill the cursor's free part and advances the cursor by what was read.
///
/// hyper offers no safe way to say how much of an initialised buffer was filled (`put_slice`
/// copies).
pub(super) fn fill<E>(
    mut cursor: ReadBufCursor<'_>,
    read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
) -> Result<(), E> {
    let free = cursor.initialize_unfilled();
    let room = free.len();
    let filled = read(free)?;
    assert!(filled <= room, "a stream claims to have read {filled} bytes into {room}");
    // SAFETY: `initialize_unfilled` has initialised all `room` bytes behind the cursor, and `filled
    // <= room`.
    unsafe { cursor.advance(filled) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, mem::MaybeUninit};

    use hyper::rt::ReadBuf;

    use super::*;

    /// Run under valgrind by CI: every byte that counts as filled must have been written.
    #[test]
    fn fills_in_steps_and_keeps_what_was_there() {
        let mut raw = [MaybeUninit::<u8>::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut raw);
        for part in [&b"abc"[..], b"", b"defgh"] {
            let wrote: Result<(), Infallible> = fill(buffer.unfilled(), |free| {
                free[..part.len()].copy_from_slice(part);
                Ok(part.len())
            });
            wrote.expect("infallible");
        }
        assert_eq!(buffer.filled(), b"abcdefgh");
    }

    #[test]
    #[should_panic(expected = "claims to have read 9 bytes into 8")]
    fn refuses_impossible_counts() {
        let mut raw = [MaybeUninit::<u8>::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut raw);
        let _: Result<(), Infallible> = fill(buffer.unfilled(), |_| Ok(9));
    }
}
