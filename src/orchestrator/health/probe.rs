//! One round of checks: the store, the machine, each upstream, each extension's upstream.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{CONNECTION, HOST, USER_AGENT};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::LIMIT;
use crate::control::config::{Config, Kind, Upstream};
use crate::control::host::is_off_limits;
use crate::control::observe::{Check, ExtensionState, ExtensionView, Host, Status};
use crate::units::duration;

/// The checks of the machine. They say that the service is strained, not that it is down.
pub(super) const CPU: &str = "cpu";
pub(super) const MEMORY: &str = "memory";

/// What a check found: a reading, or what is wrong.
type Finding = Result<String, String>;

/// Checks everything; upstreams all at the same time, each once.
pub(super) async fn round(
    config: &Config,
    host: Host,
    store: Result<(), String>,
    running: &[ExtensionView],
    at: &str,
) -> Vec<Check> {
    let check = |name: String, status, detail| Check { name, status, detail, at: at.to_owned() };
    let found = |name: String, finding: &Finding| match finding {
        Ok(detail) => check(name, Status::Healthy, detail.clone()),
        Err(detail) => check(name, Status::Unhealthy, detail.clone()),
    };
    let used = |name: &str, used: Option<f64>| match used {
        None => check(name.to_owned(), Status::Unknown, "no reading yet".to_owned()),
        Some(used) => found(name.to_owned(), &below_limit(used)),
    };
    let upstreams = upstreams(config).await;
    let mut checks = vec![
        found("store".to_owned(), &store.map(|()| "answers".to_owned())),
        used(CPU, host.cpu),
        used(MEMORY, host.memory),
    ];
    checks.extend(upstreams.iter().map(|(name, f)| found(format!("upstream {name}"), f)));
    checks.extend(config.running().map(|(id, extension)| {
        let name = format!("extension {id}");
        let Kind::Http { upstream, .. } = &extension.kind else {
            let (status, detail) = program(running.iter().find(|view| view.id == id));
            return check(name, status, detail);
        };
        let missing = Err("no such upstream".to_owned());
        found(name, upstreams.get(upstream).unwrap_or(&missing))
    }));
    checks
}

/// How an extension is that the orchestrator runs. One that is being started is not known to be
/// well yet.
fn program(view: Option<&ExtensionView>) -> (Status, String) {
    let Some(view) = view else {
        return (Status::Unhealthy, "it is not run".to_owned());
    };
    let status = match view.state {
        ExtensionState::Running => Status::Healthy,
        ExtensionState::Starting => Status::Unknown,
        ExtensionState::Waiting | ExtensionState::Failed => Status::Unhealthy,
    };
    let detail = if view.detail.is_empty() {
        format!("version {}, {} of {} replicas", view.version, view.replicas, view.wanted)
    } else {
        view.detail.clone()
    };
    (status, detail)
}

fn below_limit(used: f64) -> Finding {
    let text = format!("{:.0}% of {:.0}%", used * 100.0, LIMIT * 100.0);
    if used < LIMIT { Ok(text) } else { Err(text) }
}

async fn upstreams(config: &Config) -> BTreeMap<String, Finding> {
    let mut probes = JoinSet::new();
    for (name, upstream) in config.upstreams.clone() {
        probes.spawn(async move { (name, probe(&upstream).await) });
    }
    probes.join_all().await.into_iter().collect()
}

/// Connects, asks for `/`, and takes any answer below 500 for a sign of health: whether the path
/// exists is not the question.
async fn probe(upstream: &Upstream) -> Finding {
    let Upstream { url, connect_timeout, timeout: limit, .. } = upstream;
    let authority = url.strip_prefix("http://").unwrap_or(url);
    let address =
        if authority.contains(':') { authority.to_owned() } else { format!("{authority}:80") };
    let late = |what: &str, limit| format!("{what} within {}", duration::format(limit));
    let stream = timeout(*connect_timeout, TcpStream::connect(address))
        .await
        .map_err(|_| late("no connection", *connect_timeout))?
        .map_err(|error| format!("no connection: {error}"))?;
    if stream.peer_addr().is_ok_and(|peer| is_off_limits(peer.ip())) {
        return Err("its name leads to an address that is off limits".to_owned());
    }
    let status = timeout(*limit, ask(stream, authority))
        .await
        .map_err(|_| late("no answer", *limit))?
        .map_err(|error| format!("no answer: {error}"))?;
    if status < 500 { Ok(format!("status {status}")) } else { Err(format!("status {status}")) }
}

async fn ask(stream: TcpStream, authority: &str) -> hyper::Result<u16> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/")
        .header(HOST, authority)
        .header(USER_AGENT, concat!("ctx-health/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Body::empty())
        .expect("a checked upstream is a valid host");
    let answer =
        async { sender.send_request(request).await.map(|answer| answer.status().as_u16()) };
    tokio::pin!(answer);
    // The connection is driven here and dropped with the answer's head: the body is of no use.
    tokio::select! {
        status = &mut answer => status,
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// An upstream that answers every connection with `reply`, or never when it is empty.
    async fn upstream(reply: &'static str) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if !reply.is_empty() {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(reply.as_bytes()).await;
                }
                open.push(stream);
            }
        });
        let limit = Duration::from_millis(300);
        Upstream { connect_timeout: limit, timeout: limit, ..Upstream::at(&url) }
    }

    #[tokio::test]
    async fn any_answer_below_500_is_a_sign_of_health() {
        let ok = upstream("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(probe(&ok).await, Ok("status 404".to_owned()));
        let sick = upstream("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(probe(&sick).await, Err("status 503".to_owned()));
        let mute = upstream("").await;
        assert_eq!(probe(&mute).await, Err("no answer within 300ms".to_owned()));
        let odd = upstream("SSH-2.0\r\n").await;
        assert!(probe(&odd).await.is_err());
    }

    #[tokio::test]
    async fn a_round_names_what_it_checked() {
        let up = upstream("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let mut config = Config::legacy(&up.url);
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let gone = Upstream { url: format!("http://{closed}"), ..up };
        config.upstreams.insert("gone".to_owned(), gone);
        let host = Host { cpu: Some(0.951), memory: None };
        let checks = round(&config, host, Ok(()), &[], "now").await;
        let said: Vec<_> = checks.iter().map(|c| (c.name.as_str(), c.status)).collect();
        assert_eq!(
            said,
            [
                ("store", Status::Healthy),
                ("cpu", Status::Unhealthy),
                ("memory", Status::Unknown),
                ("upstream gone", Status::Unhealthy),
                ("upstream legacy", Status::Healthy),
            ]
        );
        assert_eq!(checks[1].detail, "95% of 95%");
    }
}
