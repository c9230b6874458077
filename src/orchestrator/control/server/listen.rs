//! The connections of the control API.
//!
//! The law: an operator gets in. There are 64 places, and who comes when all are taken gets that of
//! whoever has rested longest; where everybody is busy there are 8 more, for one request each. A
//! head has 5 seconds, 64 lines and 32 KB, and a client that takes nothing of its answer 30
//! seconds; a body has limits of its own (`input`).

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::orchestrator::gateway::guests::Guests;
use crate::orchestrator::gateway::patience::{Patience, Wire};

/// Connections that are kept.
const PLACES: usize = 64;
/// Further ones, for one request each.
const SPARE: usize = 8;
/// The most of a head.
const MAX_HEADERS: usize = 64;
const MAX_HEAD: usize = 32 * 1024;
/// The pause after an error of accept, such as having no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop`; then connections that rest end, and the others after their answer. On a
/// `LocalSet`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let guests = Guests::default();
    let stopping = stop.clone();
    let accept = async {
        loop {
            guests.room(PLACES + SPARE).await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let crowded = guests.count() >= PLACES && !guests.dismiss_oldest();
                    let patience = Patience::new();
                    let place = guests.enter(&patience);
                    let (router, stop) = (router.clone(), stopping.clone());
                    tokio::task::spawn_local(async move {
                        let ended = connection(stream, router, patience, stop, !crowded).await;
                        if let Err(error) = ended {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a control connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        // A stop that is dropped is a stop.
        _ = stop.wait_for(Option::is_some) => {}
        () = accept => {}
    }
    drop(listener);
    while guests.count() > 0 {
        guests.ended().await;
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    patience: Patience,
    mut stop: watch::Receiver<Option<Duration>>,
    keep: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        patience.answering();
        let under_way = UnderWay(patience.clone());
        let answer = router.call(request);
        async move { answer.await.map(|answer| answer.map(|body| Answer { body, under_way })) }
    });
    let serving = http1::Builder::new()
        .keep_alive(keep)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(Wire::new(stream, bytes::Bytes::new(), patience.clone()), service);
    let mut serving = pin!(serving);
    let mut run_out = pin!(patience.run_out());
    tokio::select! {
        biased;
        ended = serving.as_mut() => return Ok(ended?),
        () = run_out.as_mut() => return Ok(()),
        _ = stop.wait_for(Option::is_some) => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        biased;
        ended = serving => Ok(ended?),
        () = run_out => Ok(()),
    }
}

/// A request that is being answered.
struct UnderWay(Patience);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// An answer that ends the request when its last byte was taken.
struct Answer {
    body: Body,
    #[expect(dead_code, reason = "its end is what counts")]
    under_way: UnderWay,
}

impl hyper::body::Body for Answer {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
