//! Many events at once, with the inbox on: none is lost, refused or handled twice.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ctx::control::config::{Config, InboxMode, Mode, UpstreamPool, flag};
use ctx::control::observe::PoolView;
use ctx::units::Percent;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::serve::{Serve, TOKEN};
use crate::support::{Test, until};

/// An app that answers nobody before it has had so many events.
struct Holding {
    addr: SocketAddr,
    /// The most events at once.
    most: Arc<AtomicUsize>,
    /// The delivery ids, as often as they came.
    deliveries: Arc<Mutex<Vec<String>>>,
}

impl Holding {
    async fn start(enough: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let deliveries = Arc::<Mutex<Vec<String>>>::default();
        let (seen, most) = (Arc::clone(&deliveries), Arc::<AtomicUsize>::default());
        let (busy, peak) = (Arc::<AtomicUsize>::default(), Arc::clone(&most));
        let (held, _) = watch::channel(0);
        let held = Arc::new(held);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, held) = (Arc::clone(&seen), Arc::clone(&held));
                let (busy, peak) = (Arc::clone(&busy), Arc::clone(&peak));
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    while let Some(delivery) = event(&mut stream).await {
                        seen.lock().unwrap().push(delivery);
                        peak.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        held.send_modify(|events| *events += 1);
                        let mut held = held.subscribe();
                        let held = held.wait_for(|events| *events >= enough).await.is_ok();
                        busy.fetch_sub(1, Ordering::SeqCst);
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                        if !held || stream.write_all(answer).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { addr, most, deliveries }
    }
}

/// Reads a request; its delivery id, or `None` when the peer hangs up.
async fn event(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut delivery, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "x-github-delivery" => value.clone_into(&mut delivery),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    stream.read_exact(&mut vec![0; length]).await.ok()?;
    Some(delivery)
}

/// Sends that many events at once, each over a connection of its own; their statuses.
async fn send(data: &str, events: usize) -> Vec<u16> {
    let body = "x".repeat(7000);
    let mut senders = tokio::task::JoinSet::new();
    for n in 0..events {
        let (addr, body) = (data.to_owned(), body.clone());
        senders.spawn(async move {
            let mut stream = TcpStream::connect(&*addr).await.unwrap();
            let request = format!(
                "POST /github/events HTTP/1.1\r\nHost: a\r\nX-GitHub-Delivery: d-{n}\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split(' ').nth(1).unwrap().parse().unwrap()
        });
    }
    senders.join_all().await
}

/// Sends events to a gateway whose inbox is in that mode, all at once, and waits until an app that
/// answers nobody before it has had `enough` has handled them.
fn handled(
    events: usize,
    enough: usize,
    mode: InboxMode,
    change: impl FnOnce(&mut Config),
) -> (Holding, Vec<PoolView>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let app = runtime.block_on(Holding::start(enough));
    let test = Test::new().env("CTX_TOKEN", TOKEN);
    // The kernel shares connections out unevenly: one gateway worker has all of the places.
    let serve = Serve::with(&test, &format!("http://{}", app.addr), &["--workers", "1"]);
    serve.set(|config| {
        config.mode = Mode::Enhanced;
        config.inbox.mode = mode;
        config.inbox.concurrency = 1000;
        // Longer than the slowest machine takes.
        config.upstreams.get_mut("legacy").unwrap().timeout = Duration::from_secs(60);
        let flag = config.flags.get_mut(flag::DURABLE_INBOX).unwrap();
        (flag.enabled, flag.percentage) = (true, Percent::ALL);
        change(config);
    });
    let statuses = runtime.block_on(send(&serve.data, events));
    assert_eq!(statuses.len(), events);
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    until("all are handled", || {
        let view = runtime.block_on(serve.client().inbox()).unwrap();
        let handled = app.deliveries.lock().unwrap().len() >= events;
        (handled && view.pending == 0 && view.dead == 0).then_some(())
    });
    let deliveries = app.deliveries.lock().unwrap().clone();
    let different: BTreeSet<&String> = deliveries.iter().collect();
    assert_eq!((deliveries.len(), different.len()), (events, events), "each of them once");
    let pools = runtime.block_on(serve.client().metrics(None)).unwrap().pools;
    (app, pools)
}

#[test]
fn a_thousand_stored_events_are_with_their_handler_at_the_same_time() {
    let (app, _) = handled(1000, 1000, InboxMode::Store, |_| {});
    assert_eq!(app.most.load(Ordering::SeqCst), 1000);
}

#[test]
fn a_thousand_events_wait_for_their_handlers_answer_at_the_same_time() {
    let (app, _) = handled(1000, 1000, InboxMode::Rescue, |_| {});
    assert_eq!(app.most.load(Ordering::SeqCst), 1000);
}

#[test]
fn an_app_that_takes_two_connections_gets_all_stored_events_over_two() {
    let (app, pools) = handled(200, 1, InboxMode::Store, |config| {
        let max = Some(2);
        let pool =
            UpstreamPool { max, wait: Some(Duration::from_millis(20)), ..Default::default() };
        config.upstreams.get_mut("legacy").unwrap().pool = Some(pool);
        config.inbox.first_retry = Duration::from_millis(20);
        config.inbox.max_retry = Duration::from_millis(100);
    });
    assert!(app.most.load(Ordering::SeqCst) <= 2);
    assert!(pools.iter().any(|pool| pool.upstream == "legacy" && pool.waits > 0), "{pools:?}");
}
