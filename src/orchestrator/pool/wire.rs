//! A kept socket under hyper.
//!
//! The law: no request goes into a connection that its upstream has closed. On the first read after
//! it was taken from the pool the kernel is asked whether the upstream has hung up: the runtime may
//! not have noticed yet, and hyper, which reads before it writes, would then send the request into
//! a closed connection. A read of nothing tells it in time.

use std::cell::Cell;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::Link;
use crate::orchestrator::berths::Permit;

/// A socket to an upstream, as hyper drives it.
pub(super) struct Wire {
    io: TokioIo<TcpStream>,
    /// Given back after the socket is closed: fields are dropped in this order.
    _permit: Permit,
    reused: Rc<Cell<bool>>,
}

impl Wire {
    /// `reused` says, until it is asked, that the socket was taken from the pool.
    pub(super) fn new(link: Link, reused: Rc<Cell<bool>>) -> Self {
        let Link { stream, permit } = link;
        Self { io: TokioIo::new(stream), _permit: permit, reused }
    }

    /// Whether the connection is closed, or carries bytes that nobody asked for.
    fn is_spent(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(self.io.inner()).peek(&mut byte) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reused.take() && self.is_spent() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
