//! HTTP for a cache: requests with headers, bodies in parts, and how their ends
//! are told apart.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;

use super::address::Address;
use super::credentials::Credentials;
use super::fault::Fault;
use super::grpc::deepest;
use super::moved::Moved;
use super::origin::{Origin, Part};
use super::tally::{Tally, add};
use crate::runner::units::show_duration;

/// How long it may take to reach a server.
const CONNECT: Duration = Duration::from_secs(10);

/// A client of one server.
#[derive(Clone, Debug)]
pub(super) struct Web {
    client: Client<HttpsConnector<HttpConnector>, Upload>,
    base: String,
    credentials: Arc<Credentials>,
    stall: Duration,
    pub(super) tally: Arc<Tally>,
}

impl Web {
    pub(super) fn new(
        address: &Address,
        credentials: Arc<Credentials>,
        stall: Duration,
        tally: Arc<Tally>,
    ) -> Result<Web, Fault> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.enforce_http(false);
        connector.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(&credentials)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let base = match address.instance.is_empty() {
            true => address.origin(),
            false => format!("{}/{}", address.origin(), address.instance),
        };
        Ok(Web {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base,
            credentials,
            stall,
            tally,
        })
    }

    /// Sends a request, with the contents of a blob where there are some; returns
    /// the answer, whatever it is.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(u64, &Origin)>,
    ) -> Result<Response<Incoming>, Fault> {
        let moved = Moved::new();
        let parts = body.map(|(_, origin)| origin.clone().parts(0, false));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base))
            .header("user-agent", concat!("mikado/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.credentials.headers {
            let value = http::HeaderValue::try_from(value.reveal());
            let mut value = value.map_err(|_| Fault::Settings("a header is none".into()))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let request = request.body(Upload {
            left: body.map_or(0, |(size, _)| size),
            parts,
            moved: Arc::clone(&moved),
        });
        let request = request.map_err(|error| Fault::Settings(error.to_string()))?;
        add(&self.tally.calls, 1);
        tokio::select! {
            answer = self.client.request(request) => {
                answer.map_err(|error| Fault::of_line(deepest(&error)))
            }
            () = moved.stops_for(self.stall) => Err(self.stalled()),
        }
    }

    /// The next part of an answer.
    pub(super) async fn part(&self, body: &mut Incoming) -> Result<Option<Bytes>, Fault> {
        loop {
            let frame = tokio::time::timeout(self.stall, body.frame()).await;
            match frame.map_err(|_| self.stalled())? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Fault::of_line(deepest(&error))),
                Some(Ok(frame)) => {
                    if let Ok(part) = frame.into_data() {
                        return Ok(Some(part));
                    }
                }
            }
        }
    }

    fn stalled(&self) -> Fault {
        Fault::Stalled(show_duration(self.stall))
    }

    /// What an answer means that is neither a success nor an absence.
    pub(super) fn fault(&self, status: StatusCode) -> Fault {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Fault::Refused(status.to_string()),
            _ => Fault::Answer(status.to_string()),
        }
    }
}

/// The body of a request.
pub(super) struct Upload {
    left: u64,
    parts: Option<mpsc::Receiver<Result<Part, Fault>>>,
    moved: Arc<Moved>,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        turn: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let Some(parts) = &mut self.parts else {
            return Poll::Ready(None);
        };
        let part = std::task::ready!(parts.poll_recv(turn));
        self.moved.now();
        Poll::Ready(part.map(|part| {
            let part = part?;
            self.left = self.left.saturating_sub(part.bytes.len() as u64);
            Ok(Frame::data(Bytes::from(part.bytes)))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn tls(credentials: &Credentials) -> Result<ClientConfig, Fault> {
    let settings = |what: &str, error: &dyn std::fmt::Display| {
        Fault::Settings(format!("{what} can't be used: {error}"))
    };
    let mut roots = RootCertStore::empty();
    match &credentials.authorities {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| settings("`cache.ca`", &e))?;
                let added = roots.add(certificate);
                added.map_err(|e| settings("`cache.ca`", &e))?;
            }
        }
        None => {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| settings("TLS", &e))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &credentials.identity else {
        return Ok(config.with_no_client_auth());
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|e| settings("`cache.certificate`", &e))?;
    // What is wrong with a key is not repeated.
    let key = PrivateKeyDer::from_pem_slice(key.reveal().as_bytes());
    let key = key.map_err(|_| settings("`cache.key`", &"it is no key in PEM"))?;
    let config = config.with_client_auth_cert(chain, key);
    config.map_err(|e| settings("`cache.certificate`", &e))
}
