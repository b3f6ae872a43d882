//! Finds out why no server could be used: from what the driver saw, and by asking the hosts once more.

use std::{
    collections::HashMap,
    fmt::Display,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mongodb::{
    ServerType,
    bson::{Document, doc},
    error::{Error as MongoError, ErrorKind},
    event::{EventHandler, sdam::SdamEvent},
    options::{ClientOptions, ServerAddress, Tls},
};
use rustls::{CertificateError, ClientConnection, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::MongoProblem;

/// How long a host may take to answer while it is found out what is wrong.
const PATIENCE: Duration = Duration::from_millis(700);

/// How many hosts are asked.
const ASKED: usize = 3;

/// The first byte of a message of a TLS handshake, and of an alert.
const TLS: [u8; 2] = [22, 21];

/// What the driver saw of one server.
#[derive(Clone, Debug, Default)]
struct Seen {
    failure: Option<MongoError>,
    kind: ServerType,
    replica_set: Option<String>,
}

/// What the driver saw of its servers.
#[derive(Clone, Debug, Default)]
pub(super) struct Watcher(Arc<Mutex<HashMap<ServerAddress, Seen>>>);

impl Watcher {
    /// Has the driver tell of its servers.
    pub(super) fn watch(&self, options: &mut ClientOptions) {
        let seen = self.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event| seen.note(event)));
    }

    fn note(&self, event: SdamEvent) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            SdamEvent::ServerHeartbeatFailed(event) => {
                servers.entry(event.server_address).or_default().failure = Some(event.failure);
            }
            // What is removed for being of the wrong kind is seen here only.
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                let replica_set = event.reply.get_str("setName").ok().map(ToOwned::to_owned);
                let seen = Seen { failure: None, kind: kind(&event.reply), replica_set };
                servers.insert(event.server_address, seen);
            }
            _ => {}
        }
    }

    fn seen(&self) -> Vec<(ServerAddress, Seen)> {
        let servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = servers.iter().map(|(address, seen)| (address.clone(), seen.clone())).collect();
        // The same fault has the same text each time. A host that says something says more than one that does not.
        all.sort_by_key(|(address, seen)| (seen.kind == ServerType::Unknown, address.to_string()));
        all
    }
}

/// The part that a server plays, from its answer to `hello`.
fn kind(hello: &Document) -> ServerType {
    let says = |name: &str| hello.get_bool(name).unwrap_or(false);
    let routes = hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
    match hello.contains_key("setName") {
        _ if says("isreplicaset") => ServerType::RsGhost,
        true if says("isWritablePrimary") || says("ismaster") => ServerType::RsPrimary,
        true if says("hidden") => ServerType::RsOther,
        true if says("secondary") => ServerType::RsSecondary,
        true if says("arbiterOnly") => ServerType::RsArbiter,
        true => ServerType::RsOther,
        false if routes => ServerType::Mongos,
        false => ServerType::Standalone,
    }
}

/// What is wrong, where the driver found no server to use.
pub(super) async fn no_server(watcher: &Watcher, options: &ClientOptions, error: &MongoError) -> MongoProblem {
    let hosts = super::connect::hosts(options);
    let text = error.kind.to_string();
    if text.contains("wire version") {
        return MongoProblem::Version { host: hosts, reason: short(&text) };
    }
    let seen = watcher.seen();
    for (address, seen) in &seen {
        if let Some(problem) = of_kind(&address.to_string(), seen, options) {
            return problem;
        }
    }
    let mut last = None;
    let unseen = options.hosts.iter().filter(|host| !seen.iter().any(|(address, _)| address == *host));
    let unseen: Vec<_> = unseen.map(|host| (host.clone(), Seen::default())).collect();
    for (address, seen) in seen.iter().chain(&unseen).take(ASKED) {
        let problem = of_host(address, seen.failure.as_ref(), matches!(options.tls, Some(Tls::Enabled(_)))).await;
        let telling = !matches!(problem, MongoProblem::Refused { .. } | MongoProblem::NoSuchHost { .. });
        if telling {
            return problem;
        }
        last = Some(problem);
    }
    last.unwrap_or(MongoProblem::Silent { host: hosts })
}

/// What the part that a server plays says.
fn of_kind(host: &str, seen: &Seen, options: &ClientOptions) -> Option<MongoProblem> {
    let host = host.to_owned();
    if let (Some(wanted), Some(found)) = (&options.repl_set_name, &seen.replica_set)
        && wanted != found
    {
        return Some(MongoProblem::OtherReplicaSet { host, found: found.clone(), wanted: wanted.clone() });
    }
    match (seen.kind, &options.repl_set_name) {
        (ServerType::RsGhost, _) => Some(MongoProblem::NotReady { host }),
        (ServerType::RsSecondary | ServerType::RsArbiter | ServerType::RsOther, _) => {
            Some(MongoProblem::NoPrimary { host })
        }
        (ServerType::Standalone | ServerType::Mongos, Some(wanted)) => {
            Some(MongoProblem::NoReplicaSet { host, wanted: wanted.clone() })
        }
        _ => None,
    }
}

/// What is wrong with one host.
async fn of_host(address: &ServerAddress, failure: Option<&MongoError>, tls: bool) -> MongoProblem {
    let host = address.to_string();
    let ServerAddress::Tcp { host: name, port } = address else {
        return MongoProblem::Silent { host };
    };
    let place = (name.as_str(), port.unwrap_or(27017));
    let found = timeout(PATIENCE, lookup_host(place)).await;
    if !found.is_ok_and(|found| found.is_ok_and(|mut found| found.next().is_some())) {
        return MongoProblem::NoSuchHost { host: name.clone() };
    }
    let stream = match timeout(PATIENCE, TcpStream::connect(place)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return MongoProblem::Refused { host },
        Ok(Err(error)) => return MongoProblem::NoConnection { host, reason: error.to_string() },
        Err(_) => return MongoProblem::NoConnection { host, reason: "no answer in time".to_owned() },
    };
    if let Some(problem) = failure.and_then(|failure| of_tls(&host, failure)) {
        return problem;
    }
    match (speaks_tls(stream, name).await, tls) {
        (Some(true), false) => MongoProblem::WantsTls { host },
        (Some(true), true) => match failure {
            Some(failure) => MongoProblem::TlsRefused { host, reason: short(&failure.kind) },
            None => MongoProblem::Silent { host },
        },
        (Some(false), true) => MongoProblem::NoTls { host },
        (None, true) if speaks_mongodb(place).await => MongoProblem::NoTls { host },
        (Some(false), false) if failure.is_some() => MongoProblem::NotMongoDb { host },
        _ => MongoProblem::Silent { host },
    }
}

/// What a failed TLS handshake says of the certificates.
fn of_tls(host: &str, failure: &MongoError) -> Option<MongoProblem> {
    let ErrorKind::Io(error) = &*failure.kind else { return None };
    let host = host.to_owned();
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(MongoProblem::UnknownCa { host }),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some(MongoProblem::WrongName { host }),
        rustls::Error::InvalidCertificate(error) => {
            Some(MongoProblem::BadCertificate { host, reason: error.to_string() })
        }
        rustls::Error::AlertReceived(alert) => Some(MongoProblem::TlsRefused { host, reason: format!("{alert:?}") }),
        _ => None,
    }
}

/// Whether a host answers the beginning of a TLS handshake with TLS, or `None` where it answers nothing.
async fn speaks_tls(mut stream: TcpStream, name: &str) -> Option<bool> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let mut handshake = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).ok()?).ok()?;
    let mut hello = Vec::new();
    handshake.write_tls(&mut hello).ok()?;
    let ask = async {
        stream.write_all(&hello).await?;
        stream.read_u8().await
    };
    match timeout(PATIENCE, ask).await {
        Ok(Ok(first)) => Some(TLS.contains(&first)),
        Ok(Err(_)) => Some(false),
        Err(_) => None,
    }
}

/// Whether a host answers a request in MongoDB's protocol and without TLS.
async fn speaks_mongodb(place: (&str, u16)) -> bool {
    /// The operation that all requests and answers are, and how long the header of one is.
    const MESSAGE: i32 = 2013;
    const HEADER: usize = 16;
    let Ok(hello) = (doc! { "hello": 1, "$db": "admin" }).to_vec() else { return false };
    // No flags, and one section, which is a document.
    let body: Vec<u8> = [0; 5].into_iter().chain(hello).collect();
    let length = i32::try_from(HEADER + body.len()).unwrap_or_default();
    let header = [length, 1, 0, MESSAGE].map(i32::to_le_bytes).concat();
    let ask = async {
        let mut stream = TcpStream::connect(place).await?;
        stream.write_all(&[header, body].concat()).await?;
        let mut answer = [0; HEADER];
        stream.read_exact(&mut answer).await?;
        io::Result::Ok(answer.ends_with(&MESSAGE.to_le_bytes()))
    };
    timeout(PATIENCE, ask).await.is_ok_and(|spoke| spoke.unwrap_or(false))
}

/// What the driver says, in one line and not at length.
pub(super) fn short(error: &impl Display) -> String {
    let text = error.to_string().replace(['\n', '\r'], " ");
    text.chars().take(300).collect()
}
