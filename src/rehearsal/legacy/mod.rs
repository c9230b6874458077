//! The small app that stands for the service as it was: a webhook receiver, in the process.
//!
//! It runs on its own thread and a port of its own, answers as `surface` says, records the
//! delivery id of every event it handled, and misbehaves on demand as [`Faults`] says.

mod faults;
mod handled;
mod surface;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub use faults::Faults;
pub use handled::Handled;

/// GitHub's own limit for a webhook, the largest of the three platforms.
const MAX_BODY: usize = 25 * 1024 * 1024;

/// A running legacy app. It stops when dropped.
#[derive(Debug)]
pub struct Legacy {
    address: SocketAddr,
    app: App,
    faults: watch::Sender<Faults>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// What every request needs.
#[derive(Clone, Debug)]
struct App {
    handled: Arc<Handled>,
    faults: watch::Receiver<Faults>,
}

impl Legacy {
    /// Starts an app on a free port of the loopback interface.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub fn start() -> io::Result<Self> {
        Self::with(Arc::default())
    }

    /// Starts a second app that shares the record of handled events: for a canary or an
    /// extension, whose events are not lost only because the first app did not see them.
    ///
    /// # Errors
    /// When there is no port or no thread to be had.
    pub fn start_beside(&self) -> io::Result<Self> {
        Self::with(Arc::clone(&self.app.handled))
    }

    fn with(handled: Arc<Handled>) -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let (faults, seen) = watch::channel(Faults::default());
        let app = App { handled, faults: seen };
        let serving = serve(listener, address, app.clone(), stopped);
        let thread = Builder::new().name("legacy-app".to_owned()).spawn(move || {
            // Connections still open end with the runtime.
            if let Err(error) = runtime.block_on(serving) {
                tracing::error!(%error, "the legacy app cannot listen any more");
            }
        })?;
        Ok(Self { address, app, faults, stop, thread: Some(thread) })
    }

    /// Where it listens, as `http://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The record of events it handled.
    pub fn handled(&self) -> &Arc<Handled> {
        &self.app.handled
    }

    /// Misbehaves like this from now on; `Faults::default()` ends it.
    pub fn inject(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// Stops it; open connections are closed.
    pub fn stop(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // Its panic was printed by its own thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        self.shut();
    }
}

async fn serve(
    listener: StdListener,
    address: SocketAddr,
    mut app: App,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut listener = Some(TcpListener::from_std(listener)?);
    loop {
        let refuse = app.faults.borrow_and_update().refuse;
        if refuse {
            // Only without a listener does the system refuse connections.
            listener = None;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            changed = app.faults.changed() => if changed.is_err() { return Ok(()) },
            again = bind_again(address), if listener.is_none() && !refuse => listener = Some(again),
            stream = accept(listener.as_ref()) => {
                tokio::spawn(converse(stream, app.clone()));
            }
        }
    }
}

/// Takes back the port that was given up; somebody else may hold it for a moment.
async fn bind_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => tracing::debug!(%error, "the legacy app waits for its port"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The next connection; never, without a listener.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // A connection that died in the queue, or no file descriptors for now.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Serves one connection until it ends, or connections are refused.
async fn converse(stream: TcpStream, app: App) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut faults = app.faults.clone();
    let service = service_fn(move |request| respond(request, app.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // The client went away, or sent what is not HTTP: its own business.
        _ = connection => {}
        _ = faults.wait_for(|faults| faults.refuse) => {}
    }
}

async fn respond(
    request: Request<Incoming>,
    app: App,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(response(surface::Answer::detail(413, "Content Too Large"))),
    };
    let faults = *app.faults.borrow();
    if !faults.latency.is_zero() {
        let mut others = app.faults.clone();
        // An app that hung and is well again answers what has waited.
        tokio::select! {
            () = tokio::time::sleep(faults.latency) => {}
            _ = others.wait_for(|now| now.latency < faults.latency) => {}
        }
    }
    if app.handled.count_request(faults.errors) {
        return Ok(response(surface::Answer::detail(500, "injected fault")));
    }
    let answer = surface::answer(&head.method, head.uri.path(), &head.headers, &body);
    if let Some(delivery) = &answer.handled {
        app.handled.record(delivery);
    }
    Ok(response(answer))
}

fn response(answer: surface::Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body.into()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("the surface answers with valid statuses");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    response
}
