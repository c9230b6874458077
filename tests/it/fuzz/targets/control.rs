//! A request to the control API, over a real socket to the real server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ctx::clock::{ManualClock, Tempo};
use ctx::control::wire::{AuditRow, Problem, State};
use ctx::orchestrator::control::audit;
use ctx::orchestrator::{Initial, Options, Orchestrator};
use ctx::secret::Secret;
use serde_json::Value;
use tempfile::TempDir;

const TOKEN: &str = "the-operator-of-the-fuzzer";
/// No answer takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// An orchestrator on a clock that stands still, and what it said last.
struct World {
    orchestrator: Orchestrator,
    _folder: TempDir,
    /// The newest fence and the newest revision, for requests that ask for them.
    known: Mutex<(String, u64)>,
}

/// A reply: its status, and its body where that is JSON.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub json: Option<Value>,
    text: String,
}

/// The bytes are `METHOD PATH WHO`, header lines, an empty line and the body. `$FENCE` and `$REV`
/// in the head stand for those that are in force, and a WHO of `stranger` goes without the token.
///
/// Laws: every request has an answer, and none is the server's own fault; a problem is told as
/// one; who has no token learns nothing.
pub fn check(bytes: &[u8]) {
    if let Some((reply, stranger)) = ask(bytes) {
        assert!(reply.status < 500, "{reply:?}");
        if stranger && !matches!(reply.json, None | Some(Value::Null)) {
            assert!(matches!(reply.status, 400..=499), "{reply:?}");
        }
        if reply.status >= 400 && reply.json.is_some() {
            let problem: Problem = serde_json::from_value(reply.json.clone().unwrap_or_default())
                .unwrap_or_else(|error| panic!("{error} in {reply:?}"));
            assert_eq!(problem.code.status(), reply.status);
        }
        let secret = world().known().0.clone();
        let half = secret.split_once('.').map_or("no lease", |(_, half)| half);
        assert!(!(stranger && reply.text.contains(half)), "{reply:?}");
        assert!(!reply.text.contains(TOKEN), "{reply:?}");
    }
}

/// Sends a request; `None` where it is not one that may be sent.
pub fn ask(bytes: &[u8]) -> Option<(Reply, bool)> {
    let world = world();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 2..).unwrap_or_default());
    if !stays_here(body) {
        return None;
    }
    let (fence, rev) = world.known().clone();
    let head = String::from_utf8_lossy(head).replace("$FENCE", &fence);
    let head = head.replace("$REV", &rev.to_string());
    let mut lines = head.split('\n');
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
    let (method, path) = (words.next()?, words.next()?);
    let stranger = words.next() == Some("stranger");
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let mut own = String::new();
    for line in lines.take(40) {
        own.extend([line, "\r\n"]);
    }
    let says = |name: &str| own.to_ascii_lowercase().contains(&format!("{name}:"));
    if !says("host") {
        request += "host: 127.0.0.1\r\n";
    }
    if !stranger && !says("authorization") {
        request.extend(["authorization: Bearer ", TOKEN, "\r\n"]);
    }
    if !says("content-type") {
        request += "content-type: application/json\r\n";
    }
    if !says("content-length") && !says("transfer-encoding") {
        request.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    request = request + &own + "\r\n";
    // A request that says where it ends is answered while the connection stands. To one that may
    // wait for more, or keep the connection, the end is shown; the server may then go silently.
    let framing = ["content-length", "transfer-encoding", "connection", "expect", "upgrade"];
    let whole = !framing.into_iter().any(says) && method.bytes().all(|b| b.is_ascii_uppercase());
    let reply = world.send(&[request.as_bytes(), body].concat(), whole);
    Some((reply?, stranger || says("authorization")))
}

/// What holds after any number of requests: the orchestrator stands, and its audit chain holds.
pub fn settle() {
    let (state, _) = ask(b"GET /v1/state operator\n\n").expect("it is a request");
    assert_eq!(state.status, 200, "{state:?}");
    let state: State = serde_json::from_value(state.json.unwrap_or_default()).expect("a state");
    let mut anchor = audit::genesis();
    while anchor.seq < state.anchor.seq {
        let request = format!("GET /v1/audit?after={} operator\n\n", anchor.seq);
        let (rows, _) = ask(request.as_bytes()).expect("it is a request");
        let rows: Vec<AuditRow> =
            serde_json::from_value(rows.json.unwrap_or_default()).expect("rows");
        anchor = audit::verify(anchor, rows).expect("the chain holds");
    }
    assert_eq!(anchor, state.anchor);
}

/// Whether no upstream that the body names is on another machine: nothing here may send there.
fn stays_here(body: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return true };
    let Some(upstreams) = value.pointer("/config/upstreams").and_then(Value::as_object) else {
        return true;
    };
    let urls = upstreams.values().filter_map(|upstream| upstream.get("url")?.as_str());
    urls.into_iter().all(|url| {
        let host = url.strip_prefix("http://").unwrap_or_default();
        host.parse::<SocketAddr>().is_ok_and(|addr| addr.ip().is_loopback())
    })
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let options = Options {
            legacy: "http://127.0.0.1:9".to_owned(),
            listen: local,
            control: local,
            inherited: None,
            state_dir: folder.path().to_path_buf(),
            token: Secret::new(TOKEN),
            tempo: Tempo::default(),
            clock: Arc::new(ManualClock::default()),
            workers: 1,
            judge_cpu: false,
            programs: None,
            flags_token: None,
            initial: Initial::default(),
        };
        let orchestrator = Orchestrator::start(options).expect("nothing is in the way");
        World { orchestrator, _folder: folder, known: Mutex::new((String::new(), 1)) }
    })
}

impl World {
    fn known(&self) -> std::sync::MutexGuard<'_, (String, u64)> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the bytes of a request and reads the reply; `None` when the bytes were no HTTP.
    fn send(&self, request: &[u8], whole: bool) -> Option<Reply> {
        let addr = self.orchestrator.control_addr();
        let mut stream = TcpStream::connect(addr).expect("the control API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out can be set");
        // A server that refuses by the head may close before it has read the body.
        let _ = stream.write_all(request);
        if !whole {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            let shown = String::from_utf8_lossy(request);
            assert!(!whole, "{read:?}, and no answer to {shown}");
            return None;
        };
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("`{head}` is no answer"));
        let json: Option<Value> = serde_json::from_str(body).ok();
        if let Some(json) = &json {
            let mut known = self.known();
            let fence = json.get("fence").filter(|_| status == 200);
            if let Some((counter, id)) =
                fence.and_then(|f| f["counter"].as_u64().zip(f["id"].as_str()))
            {
                known.0 = format!("{counter}.{id}");
            }
            if let Some(rev) = json["rev"].as_u64().or(json["head"].as_u64()) {
                known.1 = rev;
            }
        }
        Some(Reply { status, json, text })
    }
}
