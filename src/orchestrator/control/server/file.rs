//! A file as a reply, read as fast as the receiver takes it.

use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes read at a time.
const CHUNK: usize = 64 << 10;
/// Chunks read ahead of the receiver: enough to overlap disk and network, and no more memory.
const AHEAD: usize = 4;

/// Replies with the whole file.
pub(super) fn stream(file: File, content_type: &'static str) -> io::Result<Response> {
    let length = file.metadata()?.len().to_string();
    let (sender, receiver) = channel(AHEAD);
    tokio::task::spawn_blocking(move || pump(file, &sender));
    let headers = [(CONTENT_TYPE, content_type.to_owned()), (CONTENT_LENGTH, length)];
    Ok((headers, Body::new(Chunks(receiver))).into_response())
}

fn pump(mut file: File, sender: &Sender<io::Result<Bytes>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = file.read(&mut chunk).map(|length| {
            chunk.truncate(length);
            Bytes::from(chunk)
        });
        if matches!(&read, Ok(bytes) if bytes.is_empty()) {
            return;
        }
        let failed = read.is_err();
        // A receiver that went away ends it too.
        if sender.blocking_send(read).is_err() || failed {
            return;
        }
    }
}

struct Chunks(Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|read| read.map(Frame::data)))
    }
}
