//! The requests of a run before they are sent.
//!
//! Each is built here, whether [`Client`] sends it or somebody only wants to see it first, so that
//! what a dry run shows is what a run sends.

use reqwest::{Method, RequestBuilder, header};
use serde::Serialize;
use serde_json::Value;

use super::armed::ArmRequest;
use super::client::{Client, Write};
use super::wire::{FENCE, Fence, IDEMPOTENCY_KEY, LeaseRequest, RevisionRequest};

/// A request as it would be sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Draft {
    pub method: String,
    pub path: String,
    /// In words where a value is a secret, or only known once the run has begun.
    pub headers: Vec<(String, String)>,
    /// `null` where there is none.
    pub body: Value,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub enum Outgoing<'a> {
    Acquire(&'a LeaseRequest),
    State(&'a Fence),
    Arm(&'a Fence, &'a ArmRequest),
    Apply { write: Write<'a>, if_match: u64, request: &'a RevisionRequest },
    Confirm { write: Write<'a>, rev: u64 },
    Disarm { fence: &'a Fence, taken_back: bool },
    Release(&'a Fence),
}

impl Client {
    /// The request as it would be sent; nothing is.
    ///
    /// # Panics
    /// When the address of the orchestrator is none; settings and plans are checked for that.
    pub fn draft(&self, outgoing: Outgoing<'_>) -> Draft {
        let call = match outgoing {
            Outgoing::Acquire(request) => self.acquiring(request),
            Outgoing::State(fence) => self.looking(fence),
            Outgoing::Arm(fence, request) => self.arming(fence, request),
            Outgoing::Apply { write, if_match, request } => self.applying(write, if_match, request),
            Outgoing::Confirm { write, rev } => self.confirming(write, rev),
            Outgoing::Disarm { fence, taken_back } => self.disarming(fence, taken_back),
            Outgoing::Release(fence) => self.releasing(fence),
        };
        let request = call.build().expect("an address that was checked makes a request");
        let url = request.url();
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let shown = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
            let value = match name.as_str() {
                "authorization" => "Bearer (the token)".to_owned(),
                name if name.eq_ignore_ascii_case(FENCE) => "(granted with the lease)".to_owned(),
                name if name.eq_ignore_ascii_case(IDEMPOTENCY_KEY) => {
                    "(derived from run, step and part)".to_owned()
                }
                _ => String::from_utf8_lossy(value.as_bytes()).into_owned(),
            };
            (name.to_string(), value)
        };
        let body = request.body().and_then(|body| body.as_bytes());
        Draft {
            method: request.method().to_string(),
            path: format!("{}{query}", url.path()),
            headers: request.headers().iter().map(shown).collect(),
            body: body.map_or(Value::Null, |body| serde_json::from_slice(body).unwrap_or_default()),
        }
    }

    pub(super) fn acquiring(&self, request: &LeaseRequest) -> RequestBuilder {
        self.request(Method::PUT, "/v1/lease").json(request)
    }

    pub(super) fn releasing(&self, fence: &Fence) -> RequestBuilder {
        self.request(Method::DELETE, "/v1/lease").header(FENCE, fence.to_string())
    }

    pub(super) fn looking(&self, fence: &Fence) -> RequestBuilder {
        self.request(Method::GET, "/v1/state").header(FENCE, fence.to_string())
    }

    pub(super) fn arming(&self, fence: &Fence, request: &ArmRequest) -> RequestBuilder {
        self.request(Method::PUT, "/v1/guards").header(FENCE, fence.to_string()).json(request)
    }

    pub(super) fn disarming(&self, fence: &Fence, taken_back: bool) -> RequestBuilder {
        let path = if taken_back { "/v1/guards?taken_back=true" } else { "/v1/guards" };
        self.request(Method::DELETE, path).header(FENCE, fence.to_string())
    }

    pub(super) fn applying(
        &self,
        write: Write<'_>,
        if_match: u64,
        request: &RevisionRequest,
    ) -> RequestBuilder {
        let call = self.write(Method::POST, "/v1/revisions", write);
        call.header(header::IF_MATCH, format!("\"{if_match}\"")).json(request)
    }

    pub(super) fn confirming(&self, write: Write<'_>, rev: u64) -> RequestBuilder {
        self.write(Method::POST, &format!("/v1/revisions/{rev}/confirm"), write)
    }
}
