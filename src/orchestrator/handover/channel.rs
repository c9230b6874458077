//! Bytes and sockets over a Unix socket (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};
use rustix::process::{PidfdFlags, pidfd_open};

/// The most sockets of one message: what Linux allows.
pub(super) const MOST: usize = 253;

/// Sends `bytes` with `sockets` attached. Returns how many bytes were taken; the sockets go with the
/// first of them.
pub(super) fn send(
    stream: impl AsFd,
    bytes: &[u8],
    sockets: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if sockets.len() > MOST {
        let why = format!("{} sockets are more than {MOST}", sockets.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() {
        let pushed = control.push(SendAncillaryMessage::ScmRights(sockets));
        assert!(pushed, "there is space for as many as may be");
    }
    let sent = sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(sent)
}

/// Receives what there is, and the sockets that came with it. No bytes are the end.
pub(super) fn receive(
    stream: impl AsFd,
    bytes: &mut [u8],
    sockets: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(bytes)];
    let got = recvmsg(stream, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    Ok(got.bytes)
}

/// A handle on the process at the other end, to wait for its end; `None` where it has ended already,
/// or the system has no such handles.
pub(super) fn process(stream: impl AsFd) -> Option<OwnedFd> {
    let pid = sockopt::socket_peercred(stream).ok()?.pid;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Waits until a process has ended, and with it all that it had open.
pub(super) fn ended(process: &OwnedFd, patience: Duration) {
    let patience = Timespec::try_from(patience).ok();
    // Who waits in vain finds out by what is still taken.
    let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], patience.as_ref());
}

/// Whether the process at the other end runs as the same user.
pub(super) fn is_ours(stream: impl AsFd) -> io::Result<bool> {
    Ok(sockopt::socket_peercred(stream)?.uid == rustix::process::geteuid())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_listener_goes_over_and_still_listens() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        assert!(is_ours(&ours).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(send(&ours, b"hello", &[listener.as_fd()]).unwrap(), 5);
        drop((listener, ours));
        // Whoever connects while nobody has the listener waits in the backlog.
        let mut client = TcpStream::connect(addr).unwrap();
        client.write_all(b"x").unwrap();
        let (mut bytes, mut sockets) = ([0; 64], Vec::new());
        assert_eq!(receive(&theirs, &mut bytes, &mut sockets).unwrap(), 5);
        let listener = TcpListener::from(sockets.pop().unwrap());
        let (mut served, _) = listener.accept().unwrap();
        let mut byte = [0];
        served.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        assert_eq!(receive(&theirs, &mut bytes, &mut sockets).unwrap(), 0, "that was the end");
    }
}
