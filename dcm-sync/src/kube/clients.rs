//! Clients, made of kubeconfigs and kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt as _},
    config::{AuthInfo, Cluster as ClusterEntry, Kubeconfig},
};
use data_encoding::BASE64;
use dcm_core::{
    secret::Secret,
    sync::{ClusterAccess, Endpoint, Failure, Reason},
};
use http::{HeaderValue, Uri, header::USER_AGENT};
use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tower::{BoxError, ServiceBuilder};

use super::{KubeOptions, api::Api, transport};

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(2);

/// What is kept of a kubeconfig.
#[derive(Clone)]
pub(super) struct Cluster {
    pub(super) api: Api,
    pub(super) endpoint: Arc<Endpoint>,
}

struct Entry {
    cluster: Cluster,
    used: u64,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<[u8; 32], Entry>,
    uses: u64,
}

/// Clients by a digest of their kubeconfig; the ones that were used longest ago make room.
pub(super) struct Clients {
    most: usize,
    kept: Mutex<Kept>,
}

impl Clients {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), kept: Mutex::default() }
    }

    pub(super) fn get(&self, access: &ClusterAccess, options: &KubeOptions) -> Result<Cluster, Failure> {
        let digest: [u8; 32] = Sha256::digest(access.kubeconfig.expose()).into();
        if let Some(cluster) = self.kept(&digest) {
            return Ok(cluster);
        }
        let cluster = connect(&access.kubeconfig, options)?;
        self.keep(digest, cluster.clone());
        Ok(cluster)
    }

    fn kept(&self, digest: &[u8; 32]) -> Option<Cluster> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let entry = kept.entries.get_mut(digest)?;
        entry.used = now;
        Some(entry.cluster.clone())
    }

    fn keep(&self, digest: [u8; 32], cluster: Cluster) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.entries.len() >= self.most {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(digest, _)| *digest);
            oldest.and_then(|oldest| kept.entries.remove(&oldest));
        }
        let used = kept.uses;
        kept.entries.insert(digest, Entry { cluster, used });
    }
}

fn unusable(what: &str) -> Failure {
    let detail = format!("the cluster's kubeconfig cannot be used: {what}; register the cluster with a valid one");
    Failure::new(Reason::Unauthorized, detail)
}

/// Makes a client. Nothing is sent yet.
///
/// The configuration is put together here and not by kube's loader, which reads files, runs programs and
/// asks the environment for proxies.
fn connect(kubeconfig: &Secret, options: &KubeOptions) -> Result<Cluster, Failure> {
    let parsed: Kubeconfig =
        serde_json::from_slice(kubeconfig.expose()).map_err(|_| unusable("it is not a kubeconfig in JSON"))?;
    let (cluster, user) = current(parsed)?;
    let server = cluster.server.as_deref().unwrap_or_default();
    let url: Uri = server
        .parse()
        .ok()
        .filter(|url: &Uri| matches!(url.scheme_str(), Some("https" | "http")))
        .ok_or_else(|| unusable("its server is not a URL"))?;
    let ca = ca(&cluster)?;
    let endpoint = Endpoint {
        server: server.to_owned(),
        ca_pem: ca.as_deref().map(in_pem),
        tls_server_name: cluster.tls_server_name.clone().filter(|n| !n.is_empty()),
    };
    let secrets = secrets(kubeconfig);

    let mut config = Config::new(url.clone());
    config.root_cert = ca;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name.clone_from(&endpoint.tls_server_name);
    config.proxy_url = match cluster.proxy_url.as_deref().filter(|url| !url.is_empty()) {
        Some(proxy) => Some(proxy.parse().map_err(|_| unusable("its proxy is not a URL"))?),
        None => None,
    };
    config.auth_info = user;
    config.connect_timeout = Some(options.connect_timeout);
    config.default_retry = false;
    let agent = concat!("dcm/", env!("CARGO_PKG_VERSION"));
    config.headers.push((USER_AGENT, HeaderValue::from_static(agent)));

    let client = if config.proxy_url.is_some() {
        ClientBuilder::try_from(config).map(ClientBuilder::build)
    } else {
        direct(&config, options)
    };
    let client = client.map_err(|error| unusable(&transport::unusable_because(&error)))?;
    Ok(Cluster { api: Api::new(client, &url, secrets, options.request_timeout), endpoint: Arc::new(endpoint) })
}

/// A client without a proxy. Unlike kube's own it sends small requests at once, gives connections back that
/// nobody uses, and does not log what is reported anyway.
fn direct(config: &Config, options: &KubeOptions) -> Result<Client, ::kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    let http = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(options.concurrency)
        .build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// The cluster and user of the current context, the user without anything that needs a file or a program.
fn current(config: Kubeconfig) -> Result<(ClusterEntry, AuthInfo), Failure> {
    let name = config.current_context.unwrap_or_default();
    let context = config
        .contexts
        .into_iter()
        .find(|context| context.name == name)
        .and_then(|context| context.context)
        .ok_or_else(|| unusable("its current context does not exist"))?;
    let cluster = config
        .clusters
        .into_iter()
        .find(|cluster| cluster.name == context.cluster)
        .and_then(|cluster| cluster.cluster)
        .ok_or_else(|| unusable("its current context names no cluster"))?;
    let user = config
        .auth_infos
        .into_iter()
        .find(|user| Some(&user.name) == context.user.as_ref())
        .and_then(|user| user.auth_info)
        .ok_or_else(|| unusable("its current context names no user"))?;
    let runs_or_reads = user.exec.is_some()
        || user.auth_provider.is_some()
        || user.token_file.is_some()
        || user.client_certificate.is_some()
        || user.client_key.is_some()
        || cluster.certificate_authority.is_some();
    if runs_or_reads {
        return Err(unusable("it names files or programs, which are not used on the server"));
    }
    Ok((cluster, user))
}

/// The certificates of the cluster's CA, in DER.
fn ca(cluster: &ClusterEntry) -> Result<Option<Vec<Vec<u8>>>, Failure> {
    let Some(data) = cluster.certificate_authority_data.as_deref().filter(|data| !data.is_empty()) else {
        return Ok(None);
    };
    let pem = BASE64.decode(data.as_bytes()).ok();
    let pem = pem.as_deref().and_then(|pem| str::from_utf8(pem).ok());
    let pem = pem.ok_or_else(|| unusable("its certificate-authority-data is not base64 of PEM"))?;
    certificates(pem).map(Some)
}

fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let mut blocks = pem.split("-----BEGIN ").skip(1);
    if !blocks.all(|block| block.starts_with("CERTIFICATE-----")) {
        return Err(unusable("its certificate-authority-data holds something else than certificates"));
    }
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).map(|der| der.map(|der| der.to_vec())).collect();
    all.ok()
        .filter(|all| !all.is_empty())
        .ok_or_else(|| unusable("its certificate-authority-data holds no certificate"))
}

/// Certificates in PEM: nothing else of what a kubeconfig holds may reach the users' kubeconfigs.
fn in_pem(certificates: &[Vec<u8>]) -> String {
    const LINE: usize = 48; // 64 characters of base64, as RFC 7468 has it.
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in certificate.chunks(LINE) {
            BASE64.encode_append(line, &mut text);
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// Of a kubeconfig, what is sent as it is: keys are not, and so aren't copied here.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    users: Vec<SentUser>,
}

#[derive(Deserialize)]
struct SentUser {
    user: Option<SentCredential>,
}

#[derive(Deserialize)]
struct SentCredential {
    token: Option<String>,
    password: Option<String>,
}

/// What a server must not make us write into a log or a status by sending it back.
fn secrets(kubeconfig: &Secret) -> Vec<Secret> {
    let sent = serde_json::from_slice::<Sent>(kubeconfig.expose());
    let users = sent.map(|sent| sent.users).unwrap_or_default();
    users
        .into_iter()
        .filter_map(|user| user.user)
        .flat_map(|user| [user.token, user.password])
        .flatten()
        .filter(|text| !text.is_empty())
        .map(Secret::new)
        .collect()
}

#[cfg(test)]
mod tests {
    use dcm_core::name::{ClusterName, ProviderName};
    use serde_json::json;

    use super::*;

    fn access(port: u16) -> ClusterAccess {
        let kubeconfig = json!({
            "current-context": "c",
            "clusters": [{ "name": "k", "cluster": { "server": format!("https://127.0.0.1:{port}") } }],
            "users": [{ "name": "u", "user": { "token": "t0ken" } }],
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        });
        ClusterAccess {
            provider: ProviderName::new("p").unwrap(),
            cluster: ClusterName::new("c").unwrap(),
            kubeconfig: Secret::new(kubeconfig.to_string()),
        }
    }

    #[tokio::test]
    async fn no_more_clients_are_kept_than_allowed_and_the_oldest_go() {
        let clients = Clients::new(2);
        let options = KubeOptions::default();
        let endpoint = |port| clients.get(&access(port), &options).unwrap().endpoint;
        let (first, second) = (endpoint(1), endpoint(2));
        assert!(Arc::ptr_eq(&first, &endpoint(1)));
        endpoint(3);
        assert_eq!(clients.kept.lock().unwrap().entries.len(), 2);
        assert!(Arc::ptr_eq(&first, &endpoint(1)));
        assert!(!Arc::ptr_eq(&second, &endpoint(2)));
    }

    /// What users would get as the cluster's CA.
    fn handed_out(ca: &str) -> Result<Option<String>, Failure> {
        let mut access = access(1);
        let mut kubeconfig: serde_json::Value = serde_json::from_slice(access.kubeconfig.expose()).unwrap();
        kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"] = BASE64.encode(ca.as_bytes()).into();
        access.kubeconfig = Secret::new(kubeconfig.to_string());
        let cluster = Clients::new(1).get(&access, &KubeOptions::default());
        cluster.map(|cluster| cluster.endpoint.ca_pem.clone())
    }

    #[tokio::test]
    async fn nothing_but_certificates_of_the_kubeconfigs_ca_is_handed_out() {
        let ca = dcm_sim::Cluster::start(dcm_sim::ClusterOptions::default()).await.unwrap().ca_pem().to_owned();
        assert_eq!(handed_out(&ca).unwrap().unwrap(), ca.replace('\r', ""));
        let chatty = format!("password: s3cret\n{ca}# s3cret\n{ca}s3cret");
        assert_eq!(handed_out(&chatty).unwrap().unwrap(), format!("{ca}{ca}").replace('\r', ""));
        let key = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n";
        for (odd, why) in [
            (format!("{ca}{key}"), "something else than certificates"),
            (format!("{key}{ca}"), "something else than certificates"),
            (format!("{ca}{}", key.replace("PRIVATE", "OPENSSH PRIVATE")), "something else than certificates"),
            (format!("{ca}  # {key}"), "something else than certificates"),
            (key.to_owned(), "something else than certificates"),
            (key.replace("PRIVATE KEY", "CERTIFICATE"), "cannot be read"),
            ("s3cret".to_owned(), "no certificate"),
        ] {
            let failure = handed_out(&odd).unwrap_err();
            assert_eq!(failure.reason, Reason::Unauthorized, "{failure}");
            assert!(failure.detail.contains(why), "{failure}");
            assert!(!failure.detail.contains("s3cret") && !failure.detail.contains("czNj"), "{failure}");
        }
    }

    #[test]
    fn what_is_sent_is_known_so_that_it_can_be_hidden() {
        let secrets = secrets(&access(1).kubeconfig);
        assert_eq!(secrets, [Secret::new("t0ken")]);
    }
}
