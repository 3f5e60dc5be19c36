//! Whether this host lets us have io_uring: containers and hardened kernels deny it.

use std::io;

use ::compio::driver::{DriverType, ProactorBuilder, op::OpCodeFlag};

/// Why there is no ring here, in words; none: there is one. compio would do an operation that the
/// kernel does not know on a thread, which would be another executor.
pub(super) fn unavailable() -> Option<String> {
    let needed = OpCodeFlag::Recv
        | OpCodeFlag::Send
        | OpCodeFlag::Connect
        | OpCodeFlag::AsyncCancel
        | OpCodeFlag::PollAdd;
    let ring = ProactorBuilder::new().detect_opcode_support(needed).build();
    judge(ring.map(|ring| ring.driver_type()))
}

/// What helps.
const REMEDY: &str = "allow it (kernel.io_uring_disabled, the seccomp profile of the container, its limits on memory and files), or leave compio out";

/// The same of what was answered.
fn judge(ring: io::Result<DriverType>) -> Option<String> {
    match ring {
        Ok(driver) if driver.is_iouring() => None,
        Ok(driver) => Some(format!("compio would use its driver {driver:?} instead of io_uring")),
        Err(why) => {
            let name = match why.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::PERM) => "EPERM: ",
                Some(rustix::io::Errno::NOSYS) => "ENOSYS: ",
                Some(rustix::io::Errno::NOMEM) => "ENOMEM: ",
                Some(rustix::io::Errno::ACCESS) => "EACCES: ",
                Some(rustix::io::Errno::MFILE) => "EMFILE: ",
                _ => "",
            };
            Some(format!("io_uring is unavailable here: {name}{why}; {REMEDY}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_denies_io_uring_is_named() {
        let said = |errno: rustix::io::Errno| judge(Err(errno.into())).unwrap();
        assert_eq!(
            said(rustix::io::Errno::PERM),
            format!(
                "io_uring is unavailable here: EPERM: Operation not permitted (os error 1); {REMEDY}"
            )
        );
        assert!(said(rustix::io::Errno::NOSYS).contains(": ENOSYS: Function not implemented"));
        let no_op = io::Error::new(io::ErrorKind::Unsupported, "no such operation");
        assert!(judge(Err(no_op)).unwrap().contains("unavailable here: no such operation; allow"));
        // Whatever else it would use is not what the name says.
        assert!(judge(Ok(DriverType::Poll)).unwrap().contains("instead of io_uring"));
        assert_eq!(judge(Ok(DriverType::IoUring)), None);
    }
}
