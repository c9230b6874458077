//! A double of the query API, for what a real Prometheus does not answer on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ctx::clock::{SystemClock, epoch_seconds};
use ctx::error::Code;

use crate::resume::{HEALTH, Scene};
use crate::support::until;

/// A server that answers every query the same, and knows every metric.
struct Double {
    port: u16,
    answer: Arc<Mutex<(u16, String)>>,
    /// The `Authorization` headers it was sent.
    tokens: Arc<Mutex<Vec<String>>>,
}

impl Double {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new((200, value("0"))));
        let tokens = Arc::<Mutex<Vec<String>>>::default();
        let (given, seen) = (Arc::clone(&answer), Arc::clone(&tokens));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (status, body) = given.lock().unwrap().clone();
                let _ = serve(stream, status, &body, &seen);
            }
        });
        Self { port, answer, tokens }
    }

    fn answers(&self, status: u16, body: String) {
        *self.answer.lock().unwrap() = (status, body);
    }
}

fn serve(
    stream: TcpStream,
    status: u16,
    body: &str,
    tokens: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (String::new(), 0);
    reader.read_line(&mut request)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => tokens.lock().unwrap().push(value.to_owned()),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let known = r#"{"status":"success","data":["known"]}"#.to_owned();
    let (status, body) =
        if request.contains("/label/") { (200, &known) } else { (status, &body.to_owned()) };
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// One number, as of now.
fn value(number: &str) -> String {
    at(epoch_seconds(&SystemClock), number)
}

fn at(time: f64, number: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{time},"{number}"]}}]}}}}"#
    )
}

fn guard(double: &Double) -> String {
    format!(
        "[metrics.double]\nurl = \"http://127.0.0.1:{}\"\ntoken = \"env:METRICS_TOKEN\"\n\
         [guards.odd]\nquery = \"sum(known)\"\nmax = 1\nevery = \"200ms\"\nfor = 2\n\
         patience = \"600ms\"\n",
        double.port
    )
}

#[test]
fn what_is_no_number_of_now_is_inconclusive_until_patience_has_passed() {
    let (scene, double) = (Scene::new(&[]), Double::start());
    scene.plan(&[&guard(&double), HEALTH]);
    let once = || {
        let token = [("METRICS_TOKEN", "sesame-of-the-metrics".to_owned())];
        scene.test.run_with(&["monitor", "--once", "--no-rollback", "--quiet"], &token)
    };
    once().exits(Code::Done);
    assert_eq!(*double.tokens.lock().unwrap().first().unwrap(), "Bearer sesame-of-the-metrics");
    double.answers(200, value("2"));
    once().exits(Code::Failed).warns(&["guard", "`odd`"]);
    // What is odd later on, while the preflight saw nothing wrong with it.
    for (status, body, why) in [
        (200, value("NaN"), "NaN is no number"),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#.to_owned(),
            "no data",
        ),
    ] {
        double.answers(status, body);
        let said = once().exits(Code::Failed);
        assert!(!said.stderr.contains("BREACHED: 2"), "{why}: {}", said.stderr);
    }
    // What would be no better later on is refused at once.
    for (status, body, why) in [
        (200, at(1000.0, "0"), "stale: the sample is"),
        (
            503,
            r#"{"status":"error","errorType":"unavailable","error":"busy"}"#.to_owned(),
            "cannot tell (unavailable): busy",
        ),
        (502, "bad gateway".to_owned(), "answered 502"),
        (401, "who?".to_owned(), "refuses the token (401)"),
    ] {
        double.answers(status, body);
        once().exits(Code::Refused).warns(&[why]);
    }
}

#[test]
fn a_server_that_goes_away_in_mid_phase_is_given_its_patience_and_no_more() {
    let (scene, double) = (Scene::new(&[]), Double::start());
    let guard = guard(&double).replace("\ntoken = \"env:METRICS_TOKEN\"", "");
    scene.plan(&[&guard, &HEALTH.replace("300ms", "1h")]);
    let before = scene.config();
    let run = scene.begin("1");
    let client = scene.serve.client();
    until("the guard holds", || {
        let view = crate::support::block_on(client.guards()).ok()?;
        view.looks.iter().any(|look| look.guard.as_str() == "odd" && look.held).then_some(())
    });
    double.answers(503, "nothing".to_owned());
    run.ends().exits(Code::RolledBack).warns(&["answered 503", "inconclusive for 600ms"]);
    assert_eq!(scene.config(), before);
    scene.ends();
}
