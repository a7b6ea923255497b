//! Passing descriptors over a Unix socket (`SCM_RIGHTS`, unix(7)).
//!
//! A descriptor travels with the first bytes of a message; the rest of a long
//! message follows as plain bytes.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sends the beginning of `bytes`, and `fd` with it; the number of bytes that were taken.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("BUG: no room for one descriptor"));
    }
    Ok(sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        no_signal(),
    )?)
}

/// Receives some bytes, 0 at the end of the stream, and the descriptor that came with them.
pub(super) fn receive(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(
            &socket,
            &mut [IoSliceMut::new(bytes)],
            &mut control,
            close_on_exec(),
        ) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?,
        }
    };
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    if fd.is_none() && received.flags.contains(ReturnFlags::CTRUNC) {
        // The descriptor was sent, and this process has no number left for it.
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    #[cfg(not(target_os = "linux"))]
    if let Some(fd) = &fd {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((received.bytes, fd))
}

#[cfg(target_os = "linux")]
fn no_signal() -> SendFlags {
    SendFlags::NOSIGNAL
}

// The Rust runtime passes over SIGPIPE, and so do the keeper and the reapers.
#[cfg(not(target_os = "linux"))]
fn no_signal() -> SendFlags {
    SendFlags::empty()
}

#[cfg(target_os = "linux")]
fn close_on_exec() -> RecvFlags {
    RecvFlags::CMSG_CLOEXEC
}

#[cfg(not(target_os = "linux"))]
fn close_on_exec() -> RecvFlags {
    RecvFlags::empty()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_descriptor_arrives_with_the_first_bytes_and_is_closed_on_exec() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut read, write) = io::pipe().unwrap();
        assert_eq!(send(&left, b"abcdef", write.as_fd()).unwrap(), 6);
        drop(write);
        let mut bytes = [0; 4];
        let (count, fd) = receive(&right, &mut bytes).unwrap();
        assert_eq!((count, &bytes), (4, b"abcd"));
        let fd = fd.unwrap();
        assert!(
            rustix::io::fcntl_getfd(&fd)
                .unwrap()
                .contains(rustix::io::FdFlags::CLOEXEC)
        );
        std::fs::File::from(fd).write_all(b"through").unwrap();
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn the_end_of_the_stream_is_no_bytes() {
        let (left, right) = UnixStream::pair().unwrap();
        drop(left);
        let (count, fd) = receive(&right, &mut [0; 4]).unwrap();
        assert_eq!((count, fd.is_none()), (0, true));
    }
}
