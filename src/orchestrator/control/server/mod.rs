//! The control API over HTTP: who may ask (`access`), what comes in (`input`), one table of
//! routes ([`routes`]) and the document made from it ([`openapi`]), and the handlers, which are
//! one call each.

mod access;
mod file;
mod handlers;
mod input;
mod listen;
mod ofrep;
pub mod openapi;
mod problem;
mod prometheus;
#[cfg(test)]
mod reference;
pub mod routes;
pub mod subjects;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::access::{Access, Operator};
use super::core::Refusal;
use super::desk::Desk;
use crate::control::config::{Extension, Kind};
use crate::control::observe::{ExtensionState, ExtensionView, Health, Metrics, Status};
use crate::control::origin::Origin;
use crate::control::wire::ProblemCode;
use crate::orchestrator::guarding::Board;
use crate::orchestrator::health::{self, Vitals};
use crate::orchestrator::plane::Plane;
use crate::secret::{Rotating, Secret};

/// What the handlers work on.
#[derive(Debug)]
pub struct Shared {
    pub desk: Desk,
    pub plane: Arc<Plane>,
    pub vitals: Vitals,
    /// How the armed guards were last seen.
    pub guards: Board,
    /// Where events are received.
    pub data_addr: SocketAddr,
    /// The variables and flags that this process was started with.
    pub origins: Vec<Origin>,
}

/// What operators must present; it may be replaced while the API is served.
pub type Token = Arc<ArcSwap<Rotating>>;

impl Shared {
    /// What was measured since `from_ms`; without it, in the last 5 seconds.
    pub fn metrics(&self, from_ms: Option<u64>) -> Metrics {
        Metrics { host: self.vitals.host(), ..self.plane.observe(from_ms) }
    }

    /// The installed extensions: those that the orchestrator runs as they are doing, and those
    /// that an upstream answers for as its last check found it.
    pub fn extensions(&self) -> Vec<ExtensionView> {
        let plane = &self.plane;
        let active = plane.active();
        let (_, checks) = self.vitals.checks(&active.config, plane.tempo, plane.clock.boot());
        let running = plane.extensions.views();
        let view = |(id, extension): (String, &Extension)| match &extension.kind {
            Kind::Process(_) => running.iter().find(|view| view.id == id).cloned(),
            Kind::Http { upstream, .. } => {
                let name = format!("extension {id}");
                let check = checks.iter().find(|check| check.name == name);
                let sick = check.filter(|check| check.status == Status::Unhealthy);
                let (state, detail) = match sick {
                    Some(check) => (ExtensionState::Failed, check.detail.clone()),
                    None => {
                        (ExtensionState::Running, format!("upstream {upstream} answers for it"))
                    }
                };
                Some(ExtensionView {
                    id,
                    version: extension.version.clone(),
                    state,
                    detail,
                    replicas: 0,
                    wanted: 0,
                    busy: 0,
                    capacity: 0,
                    waiting: 0,
                    waited_ms: 0,
                    restarts: 0,
                })
            }
        };
        active.config.running().filter_map(view).collect()
    }

    /// Checks, incidents, self-healing and reliability.
    ///
    /// # Errors
    /// When the store fails.
    pub fn health(&self) -> Result<Health, Refusal> {
        let plane = &self.plane;
        let active = plane.active();
        let (status, checks) = self.vitals.checks(&active.config, plane.tempo, plane.clock.boot());
        let (incidents, healing, observed) = self.desk.health()?;
        let reliability = health::reliability(observed, plane.tempo);
        let (overrides, escalated) = (plane.overrides(), self.vitals.escalated());
        Ok(Health { status, checks, incidents, healing, overrides, escalated, reliability })
    }
}

/// Serves until `stop` says how long requests in flight may still take.
pub async fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    token: Token,
    flags: Option<Secret>,
    mut stop: watch::Receiver<Option<Duration>>,
) {
    let router = router(Access::new(shared, token, flags));
    let serve = listen::serve(listener, router, stop.clone());
    let overdue = async move {
        let drain = match stop.wait_for(Option::is_some).await {
            Ok(drain) => drain.unwrap_or_default(),
            Err(_) => Duration::ZERO,
        };
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        () = serve => {}
        () = overdue => {}
    }
}

fn router(access: Access) -> Router {
    let table = routes::ROUTES.iter();
    table
        .fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
        .merge(ofrep::router())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(access.clone(), access::gate))
        .with_state(access)
}

async fn unknown(_: Operator) -> Refusal {
    Refusal::new(ProblemCode::NotFound, "there is no such path; `/openapi.json` lists them")
}

async fn wrong_method(_: Operator) -> Refusal {
    Refusal::new(ProblemCode::MethodNotAllowed, "this path has other methods; see `allow`")
}
