//! Stands before the API server, and answers in its place when it is told to.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, Response, Uri, header::RETRY_AFTER};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    bed::{Admin, Bed},
    certificates::{self, Pair, Validity},
};

pub(crate) const HOST: &str = "127.0.0.1";
/// What DCM shows to the proxy, which gives it back in whatever it answers.
pub(crate) const TOKEN: &str = "t0ken-that-no-status-may-show";

type Answered = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// What the proxy answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// What the API server does.
    Real,
    /// A refusal, to some requests.
    Refusal { code: u16, to: fn(&Method, &Uri) -> bool },
    /// "Too many requests", to all of them.
    ComeBackIn { seconds: u64 },
    /// Nothing: the connection ends.
    Nothing,
    /// The beginning of an answer.
    Half,
    /// A page for people.
    Page,
    /// An answer without end, as fast as can be.
    Endless,
    /// An answer that comes byte by byte.
    Drops,
    /// Something else than HTTP.
    NotHttp,
    /// Something else than TLS.
    NotTls,
}

struct Shared {
    api_server: Admin,
    tls: Mutex<Arc<ServerConfig>>,
    answer: Mutex<Answer>,
    asked: Mutex<Vec<Instant>>,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// A proxy that shows a good certificate, and what the API server answers.
    pub(crate) async fn start(bed: &Bed) -> Self {
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            api_server: bed.admin().await,
            tls: Mutex::new(tls(&certificates::server(bed, HOST, Validity::Now))),
            answer: Mutex::new(Answer::Real),
            asked: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// What DCM registers: the proxy, by the cluster's CA.
    pub(crate) fn kubeconfig(&self, bed: &Bed) -> Value {
        certificates::kubeconfig(bed, &format!("https://{}", self.address), &json!({ "token": TOKEN }))
    }

    /// Shows another certificate from now on.
    pub(crate) fn shows(&self, pair: &Pair) {
        *self.shared.tls.lock().unwrap() = tls(pair);
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.shared.asked.lock().unwrap().clear();
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// When it was asked since its answer was set.
    pub(crate) fn asked(&self) -> Vec<Instant> {
        self.shared.asked.lock().unwrap().clone()
    }
}

/// What a server with this certificate needs to know.
pub(crate) fn tls(pair: &Pair) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    Arc::new(config.unwrap())
}

/// Serves one connection, one request: the next one finds whatever is set then.
pub(crate) async fn serve<F>(stream: TcpStream, tls: Arc<ServerConfig>, answer: impl Fn(Request<Incoming>) -> F)
where
    F: Future<Output = Answered>,
{
    let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await else { return };
    let service = service_fn(|request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // The client goes away, or its answer was to be broken off.
    let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        let (tls, answer) = (shared.tls.lock().unwrap().clone(), *shared.answer.lock().unwrap());
        tokio::spawn(async move {
            match answer {
                Answer::NotTls => {
                    let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
                }
                Answer::NotHttp => {
                    if let Ok(mut stream) = TlsAcceptor::from(tls).accept(stream).await {
                        let _ = stream.read(&mut [0; 4096]).await;
                        let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
                        let _ = stream.shutdown().await;
                    }
                }
                _ => serve(stream, tls, |request| shared.answer(request)).await,
            }
        });
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answered {
        self.asked.lock().unwrap().push(Instant::now());
        let answer = *self.answer.lock().unwrap();
        let shown = format!("{:?}", request.headers().get("authorization"));
        let bytes = Bytes::from(format!("{{\"metadata\": \"{TOKEN}"));
        match answer {
            Answer::Refusal { code, to } if to(request.method(), request.uri()) => refusal(code, &shown),
            Answer::ComeBackIn { seconds } => {
                let mut answer = refusal(429, &shown);
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
                answer
            }
            Answer::Nothing => streamed(stream::iter([Err(io::Error::other("broken off"))])),
            Answer::Half => {
                // What was begun leaves this machine before the end comes.
                let end = stream::once(tokio::time::sleep(Duration::from_millis(100)));
                let end = end.map(|()| Err(io::Error::other("broken off")));
                streamed(stream::iter([Ok(Frame::data(bytes))]).chain(end))
            }
            Answer::Page => json_or_not(200, format!("<html><title>Welcome, {shown}!</title></html>")),
            Answer::Endless => streamed(stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 65536]))))),
            Answer::Drops => {
                let drops = stream::repeat(()).then(|()| tokio::time::sleep(Duration::from_millis(100)));
                streamed(drops.map(|()| Ok(Frame::data(Bytes::from_static(b" ")))))
            }
            _ => self.forward(request).await,
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Answered {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let mut forwarded = Request::builder().method(parts.method).uri(parts.uri);
        for name in ["accept", "content-type"] {
            if let Some(value) = parts.headers.get(name) {
                forwarded = forwarded.header(name, value);
            }
        }
        match self.api_server.0.send(forwarded.body(body.into()).unwrap()).await {
            Ok(answer) => answer.map(|body| body.map_err(io::Error::other).boxed_unsync()),
            Err(error) => json_or_not(502, error.to_string()),
        }
    }
}

pub(crate) fn json_or_not(code: u16, text: String) -> Answered {
    let body = Full::from(text).map_err(|never| match never {}).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

fn refusal(code: u16, shown: &str) -> Answered {
    let message = format!("the cluster is out of order for {shown}");
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code });
    json_or_not(code, status.to_string())
}

fn streamed(frames: impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static) -> Answered {
    let body = StreamBody::new(frames);
    assert!(!body.is_end_stream());
    Response::new(body.boxed_unsync())
}
