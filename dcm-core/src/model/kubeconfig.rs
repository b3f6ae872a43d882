//! Kubeconfigs: what may be uploaded, and what is handed out.

mod shape;

use std::{net::Ipv6Addr, num::NonZeroU16};

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::{fault::Faults, secret::Secret, sync::Endpoint};

/// What uploaded kubeconfigs may hold beyond the safe default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KubeconfigRules {
    /// `insecure-skip-tls-verify`.
    pub insecure_skip_tls_verify: bool,
    /// `proxy-url`.
    pub proxy_url: bool,
    /// Servers with `http://`.
    pub plain_http: bool,
}

/// A checked kubeconfig, cut down to its current context.
///
/// It runs no program and reads no file: `exec`, `auth-provider` and file paths are refused, in every
/// context, not only in the current one.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    /// The kubeconfig as JSON, its current context only.
    pub json: Secret,
    /// Where it leads to.
    pub server: String,
}

/// The PEM label of a certificate (RFC 7468).
const CERTIFICATE: &str = "CERTIFICATE";

/// Fields of a kubeconfig's user that hold a path of a file on the reader's machine, and what to use.
const USER_FILES: [(&str, &str); 3] =
    [("client-certificate", "client-certificate-data"), ("client-key", "client-key-data"), ("tokenFile", "token")];

impl Kubeconfig {
    /// Checks an uploaded kubeconfig. `pointer` is where it lies in the input.
    pub fn check(value: &Value, pointer: &str, rules: KubeconfigRules, faults: &mut Faults) -> Option<Self> {
        let before = faults.as_slice().len();
        let Some(config) = value.as_object() else {
            faults.add(pointer, "must be a kubeconfig: an object, or its YAML or JSON as text");
            return None;
        };
        for (kind, expected) in [("kind", "Config"), ("apiVersion", "v1")] {
            if config.get(kind).is_some_and(|v| v != expected) {
                faults.add(format!("{pointer}/{kind}"), format!("must be {expected:?}"));
            }
        }
        let clusters = entries(config.get("clusters"), &format!("{pointer}/clusters"), faults);
        let users = entries(config.get("users"), &format!("{pointer}/users"), faults);
        let contexts = entries(config.get("contexts"), &format!("{pointer}/contexts"), faults);
        for (at, _, entry) in &clusters {
            let at = format!("{at}/cluster");
            if shape::check(&at, &entry["cluster"], shape::CLUSTER, faults) {
                check_cluster(&at, &entry["cluster"], rules, faults);
            }
        }
        for (at, _, entry) in &users {
            let at = format!("{at}/user");
            if shape::check(&at, &entry["user"], shape::USER, faults) {
                check_user(&at, &entry["user"], faults);
            }
        }
        for (at, _, entry) in &contexts {
            shape::check(&format!("{at}/context"), &entry["context"], shape::CONTEXT, faults);
        }
        let current = config.get("current-context").and_then(Value::as_str).unwrap_or_default();
        let find = |list: &[(String, String, Value)], name: Option<&str>| {
            list.iter().find(|(_, n, _)| Some(n.as_str()) == name).map(|(_, _, entry)| entry.clone())
        };
        let Some(context) = find(&contexts, Some(current)) else {
            faults.add(format!("{pointer}/current-context"), "must name one of the contexts");
            return None;
        };
        let inner = &context["context"];
        let (cluster, user) = (find(&clusters, inner["cluster"].as_str()), find(&users, inner["user"].as_str()));
        if cluster.is_none() || user.is_none() {
            faults.add(
                format!("{pointer}/contexts"),
                format!("context {current:?} must name a cluster and a user of this kubeconfig"),
            );
        }
        if faults.as_slice().len() > before {
            return None;
        }
        let (mut cluster, mut user, mut context) = (cluster?, user?, context);
        // Clients that take the URL apart look for the scheme as it is written usually (RFC 3986, section 6.2.2.1).
        let (scheme, rest) = cluster["cluster"]["server"].as_str()?.split_once("://")?;
        let server = format!("{}://{rest}", scheme.to_ascii_lowercase());
        cluster["cluster"]["server"] = server.as_str().into();
        // Other programs' notes: of no use here, and of any shape.
        for inner in [&mut cluster["cluster"], &mut user["user"], &mut context["context"]] {
            inner.as_object_mut()?.remove("extensions");
        }
        let json = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [user],
            "contexts": [context],
            "current-context": current,
        });
        Some(Self { json: Secret::new(json.to_string()), server })
    }
}

/// The named entries of a list: where each lies, its name, itself.
fn entries(list: Option<&Value>, at: &str, faults: &mut Faults) -> Vec<(String, String, Value)> {
    let Some(list) = list.and_then(Value::as_array).filter(|list| !list.is_empty()) else {
        faults.add(at, "is required: an array with at least one entry");
        return Vec::new();
    };
    let mut named = Vec::new();
    for (i, entry) in list.iter().enumerate() {
        let at = format!("{at}/{i}");
        match entry.get("name").and_then(Value::as_str) {
            Some(name) => named.push((at, name.to_owned(), entry.clone())),
            None => faults.add(format!("{at}/name"), "is required"),
        }
    }
    named
}

fn check_cluster(at: &str, cluster: &Value, rules: KubeconfigRules, faults: &mut Faults) {
    let has = |field: &str| cluster.get(field).is_some_and(|v| !v.is_null());
    match cluster.get("server").and_then(Value::as_str).filter(|server| !server.is_empty()) {
        Some(server) => {
            if let Some(fault) = server_fault(server, rules) {
                faults.add(format!("{at}/server"), fault);
            }
        }
        None => faults.add(format!("{at}/server"), "is required: the URL of the API server, https://host:port"),
    }
    if has("certificate-authority") {
        faults.add(
            format!("{at}/certificate-authority"),
            "is the path of a file, which is not read on the server; use certificate-authority-data",
        );
    }
    check_pem(
        &format!("{at}/certificate-authority-data"),
        cluster.get("certificate-authority-data"),
        CERTIFICATE,
        faults,
    );
    if cluster.get("insecure-skip-tls-verify") == Some(&Value::Bool(true)) && !rules.insecure_skip_tls_verify {
        faults.add(
            format!("{at}/insecure-skip-tls-verify"),
            "would let anybody pass for the API server; give certificate-authority-data instead",
        );
    }
    if has("proxy-url") && !rules.proxy_url {
        faults.add(format!("{at}/proxy-url"), "is not allowed here; ask the operator to allow it");
    }
}

/// What is wrong with an API server's URL. It is shown in answers, so it must hold no credential.
fn server_fault(server: &str, rules: KubeconfigRules) -> Option<&'static str> {
    let (scheme, rest) = server.split_once("://").unwrap_or(("", server));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_authority(authority) || !path.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\%@".contains(&b)) {
        return Some("must be the URL of the API server, https://host:port, without user, query or fragment");
    }
    match scheme.to_ascii_lowercase().as_str() {
        "https" => None,
        "http" if rules.plain_http => None,
        "http" => Some("http:// would show DCM's credential to the network; use https://"),
        _ => Some("must be the URL of the API server, beginning with https://"),
    }
}

/// A DNS name or an address, and perhaps a port (RFC 3986, section 3.2).
fn is_authority(text: &str) -> bool {
    let (is_good, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address.parse::<Ipv6Addr>().is_ok(), None),
        Some((address, rest)) => (address.parse::<Ipv6Addr>().is_ok() && rest.starts_with(':'), rest.get(1..)),
        None => text.split_once(':').map_or((is_host(text), None), |(host, port)| (is_host(host), Some(port))),
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<NonZeroU16>().is_ok();
    is_good && port.is_none_or(is_port)
}

fn is_host(host: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

fn check_user(at: &str, user: &Value, faults: &mut Faults) {
    let has = |field: &str| user.get(field).is_some_and(|v| !v.is_null());
    for program in ["exec", "auth-provider"] {
        if has(program) {
            faults.add(
                format!("{at}/{program}"),
                "would run a program on the server, which is not done; use a client certificate or a token",
            );
        }
    }
    for (file, instead) in USER_FILES.iter().chain(&[("token-file", "token")]) {
        if has(file) {
            faults.add(
                format!("{at}/{file}"),
                format!("is the path of a file, which is not read on the server; use {instead}"),
            );
        }
    }
    check_pem(&format!("{at}/client-certificate-data"), user.get("client-certificate-data"), CERTIFICATE, faults);
    check_pem(&format!("{at}/client-key-data"), user.get("client-key-data"), "PRIVATE KEY", faults);
    if has("client-certificate-data") != has("client-key-data") {
        faults.add(at, "client-certificate-data and client-key-data go together");
    }
}

/// Base64 of PEM text, as kubeconfigs embed it, with blocks of one kind only: a certificate is shown where a
/// key must not be. The detail never quotes the value.
fn check_pem(at: &str, value: Option<&Value>, kind: &str, faults: &mut Faults) {
    let Some(value) = value.filter(|v| !v.is_null()) else {
        return;
    };
    let decoded = value.as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).map(zeroize::Zeroizing::new);
    let labels = |text: &str| -> Vec<bool> {
        let begins = text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN "));
        begins.map(|label| label.trim_end_matches('-').ends_with(kind)).collect()
    };
    let labels = text.as_deref().map(|text| labels(text)).unwrap_or_default();
    if labels.is_empty() || labels.contains(&false) {
        faults.add(at, format!("must be base64 of PEM with {kind} blocks and no others"));
    }
}

/// One cluster's part of a kubeconfig that is handed out.
#[derive(Clone, Debug)]
pub struct Access<'a> {
    /// The name of cluster, user and context entries; unique in one file.
    pub name: &'a str,
    /// The user's name, part of the user and context entries' names.
    pub user: &'a str,
    /// Where the API server is.
    pub endpoint: &'a Endpoint,
    /// The namespace of the context.
    pub namespace: &'a str,
    /// What the user shows.
    pub proof: AccessProof<'a>,
}

/// What a user shows to a cluster.
#[derive(Clone, Copy, Debug)]
pub enum AccessProof<'a> {
    /// A client certificate.
    Certificate {
        /// The certificate, PEM.
        certificate_pem: &'a str,
        /// The private key, PEM.
        key_pem: &'a Secret,
    },
    /// A bearer token.
    Token(&'a Secret),
}

impl AccessProof<'_> {
    /// The fields of a kubeconfig's user.
    fn fields(&self) -> Value {
        match self {
            Self::Certificate { certificate_pem, key_pem } => json!({
                "client-certificate-data": BASE64.encode(certificate_pem.as_bytes()),
                "client-key-data": BASE64.encode(key_pem.expose()),
            }),
            // A token is ASCII (RFC 6750, section 2.1).
            Self::Token(token) => json!({ "token": token.expose_str().unwrap_or_default() }),
        }
    }
}

/// Renders a kubeconfig with a context per cluster; the first is the current one.
#[must_use]
pub fn render(accesses: &[Access<'_>]) -> Value {
    let mut clusters = Vec::new();
    let mut users = Vec::new();
    let mut contexts = Vec::new();
    for access in accesses {
        let user = format!("{}@{}", access.user, access.name);
        let mut cluster = json!({ "server": access.endpoint.server });
        if let Some(ca) = &access.endpoint.ca_pem {
            cluster["certificate-authority-data"] = BASE64.encode(ca.as_bytes()).into();
        }
        if let Some(name) = &access.endpoint.tls_server_name {
            cluster["tls-server-name"] = name.as_str().into();
        }
        clusters.push(json!({ "name": access.name, "cluster": cluster }));
        contexts.push(json!({
            "name": user,
            "context": { "cluster": access.name, "user": user, "namespace": access.namespace },
        }));
        users.push(json!({ "name": user, "user": access.proof.fields() }));
    }
    let current = contexts.first().map_or(Value::Null, |context| context["name"].clone());
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": clusters,
        "users": users,
        "contexts": contexts,
        "current-context": current,
    })
}

/// Puts several kubeconfigs of [`render`] into one; the first one's context is the current one.
#[must_use]
pub fn merge(configs: &[Value]) -> Value {
    let all =
        |list: &str| -> Vec<Value> { configs.iter().filter_map(|c| c[list].as_array()).flatten().cloned().collect() };
    let current = configs.first().map_or(Value::Null, |config| config["current-context"].clone());
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": all("clusters"),
        "users": all("users"),
        "contexts": all("contexts"),
        "current-context": current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        let pem = |label: &str| BASE64.encode(format!("-----BEGIN {label}-----\n-----END {label}-----\n").as_bytes());
        let (certificate, key) = (pem("CERTIFICATE"), pem("EC PRIVATE KEY"));
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "k", "cluster": { "server": "https://127.0.0.1:6443", "certificate-authority-data": certificate } }],
            "users": [{ "name": "u", "user": { "client-certificate-data": certificate, "client-key-data": key } }],
            "contexts": [{ "name": "c", "context": { "cluster": "k", "user": "u" } }],
        })
    }

    fn check(value: &Value, rules: KubeconfigRules) -> Result<Kubeconfig, Vec<String>> {
        let mut faults = Faults::new();
        let config = Kubeconfig::check(value, "/spec/kubeconfig", rules, &mut faults);
        config.ok_or_else(|| faults.as_slice().iter().map(|f| f.pointer.replace("/spec/kubeconfig", "")).collect())
    }

    #[test]
    fn keeps_the_current_context_only() {
        let mut config = good();
        config["users"].as_array_mut().unwrap().push(json!({ "name": "other", "user": { "token": "t0ken" } }));
        let checked = check(&config, KubeconfigRules::default()).unwrap();
        assert_eq!(checked.server, "https://127.0.0.1:6443");
        assert!(!checked.json.expose_str().unwrap().contains("t0ken"));
    }

    #[test]
    fn a_scheme_is_kept_in_lower_case() {
        let mut config = good();
        config["clusters"][0]["cluster"]["server"] = json!("HttPS://a.example.com:6443/Path");
        let checked = check(&config, KubeconfigRules::default()).unwrap();
        assert_eq!(checked.server, "https://a.example.com:6443/Path");
        let kept: Value = serde_json::from_str(checked.json.expose_str().unwrap()).unwrap();
        assert_eq!(kept["clusters"][0]["cluster"]["server"], checked.server);
    }

    #[test]
    fn a_server_is_an_address_that_can_be_asked() {
        let is_taken = |server: &str| {
            let mut config = good();
            config["clusters"][0]["cluster"]["server"] = json!(server);
            check(&config, KubeconfigRules::default()).is_ok()
        };
        for good in
            ["https://a", "HTTPS://a.example.com.:6443", "https://[::1]:6443", "https://10.0.0.1/k8s/clusters/c-1"]
        {
            assert!(is_taken(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "https://",
            "https://[::1",
            "https://[::g]",
            "https://[::1]x",
            "https://x:0",
            "https://x:99999",
            "https://x:+1",
            "https://:6443",
            "https://é.com",
            "https://x%zz",
            "https://a..b",
            "https://u:p@x",
            "https://x/?a",
            "http://x",
            "ftp://x",
        ] {
            assert!(!is_taken(bad), "{bad}");
        }
    }

    #[test]
    fn runs_no_program_and_reads_no_file() {
        let mut config = good();
        config["users"][0]["user"] = json!({
            "exec": { "command": "sh" }, "auth-provider": { "name": "gcp" }, "tokenFile": "/etc/shadow",
            "client-certificate": "/a", "client-key": "/b",
        });
        config["clusters"][0]["cluster"]["certificate-authority"] = json!("/etc/ssl/ca");
        let user = "/users/0/user";
        assert_eq!(
            check(&config, KubeconfigRules::default()).unwrap_err(),
            [
                "/clusters/0/cluster/certificate-authority",
                &format!("{user}/exec"),
                &format!("{user}/auth-provider"),
                &format!("{user}/client-certificate"),
                &format!("{user}/client-key"),
                &format!("{user}/tokenFile"),
            ]
        );
    }

    #[test]
    fn what_weakens_tls_is_the_operators_to_allow() {
        let mut config = good();
        let cluster = &mut config["clusters"][0]["cluster"];
        cluster["insecure-skip-tls-verify"] = json!(true);
        cluster["proxy-url"] = json!("http://proxy");
        cluster["server"] = json!("http://127.0.0.1:8080");
        let refused = check(&config, KubeconfigRules::default()).unwrap_err();
        assert_eq!(refused.len(), 3, "{refused:?}");
        let open = KubeconfigRules { insecure_skip_tls_verify: true, proxy_url: true, plain_http: true };
        assert!(check(&config, open).is_ok());
    }

    #[test]
    fn what_a_client_could_not_read_is_refused() {
        for (list, inner) in [("clusters", "cluster"), ("users", "user"), ("contexts", "context")] {
            for odd in [json!("token: t"), json!([]), Value::Null] {
                let mut config = good();
                config[list][0][inner] = odd;
                let refused = check(&config, KubeconfigRules::default()).unwrap_err();
                assert_eq!(refused.first(), Some(&format!("/{list}/0/{inner}")), "{refused:?}");
            }
        }
        let mut config = good();
        config["users"][0]["user"] = json!({ "token": 12345, "extensions": 1 });
        assert_eq!(check(&config, KubeconfigRules::default()).unwrap_err(), ["/users/0/user/token"]);
        config["users"][0]["user"]["token"] = json!("12345");
        assert!(!check(&config, KubeconfigRules::default()).unwrap().json.expose_str().unwrap().contains("extensions"));
    }

    #[test]
    fn a_key_among_certificates_is_refused() {
        let mut config = good();
        let key = config["users"][0]["user"]["client-key-data"].clone();
        config["clusters"][0]["cluster"]["certificate-authority-data"] = key;
        let refused = check(&config, KubeconfigRules::default()).unwrap_err();
        assert_eq!(refused, ["/clusters/0/cluster/certificate-authority-data"]);
    }

    #[test]
    fn a_context_must_name_what_is_there() {
        let mut config = good();
        config["current-context"] = json!("nowhere");
        assert_eq!(check(&config, KubeconfigRules::default()).unwrap_err(), ["/current-context"]);
        let mut config = good();
        config["contexts"][0]["context"]["user"] = json!("nobody");
        assert_eq!(check(&config, KubeconfigRules::default()).unwrap_err(), ["/contexts"]);
        assert_eq!(check(&json!("text"), KubeconfigRules::default()).unwrap_err(), [""]);
    }

    #[test]
    fn entries_of_one_file_agree_with_each_other() {
        let endpoint =
            Endpoint { server: "https://h:1".to_owned(), ca_pem: Some("ca".to_owned()), tls_server_name: None };
        let key = Secret::new("key");
        let access = |name| Access {
            name,
            user: "user-1",
            endpoint: &endpoint,
            namespace: "ns-1",
            proof: AccessProof::Certificate { certificate_pem: "cert", key_pem: &key },
        };
        let merged = merge(&[render(&[access("c1")]), render(&[access("c2")])]);
        assert_eq!(merged["current-context"], "user-1@c1");
        for i in 0..2 {
            let context = &merged["contexts"][i]["context"];
            assert_eq!(context["cluster"], merged["clusters"][i]["name"]);
            assert_eq!(context["user"], merged["users"][i]["name"]);
            assert_eq!(context["namespace"], "ns-1");
        }
    }
}
