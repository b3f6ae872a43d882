//! Kubeconfigs that are uploaded to register clusters.

use dcm_core::store::Body;
use http::{Method, StatusCode};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use super::world::{self, World, json_of};

const CLUSTERS: &str = "/v2/cluster-providers/default/clusters";

/// A text as a kubeconfig in YAML or JSON.
///
/// What is accepted runs no program, reads no file, goes through no proxy and over TLS only, and trusts nobody blindly: as
/// JSON, and as the client of the clusters reads it. It is shown to nobody.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let body = json!({ "metadata": { "name": "fuzzed" }, "spec": { "kubeconfig": text } });
    world::with(|world| one(world, &body));
}

fn one(world: &mut World, body: &Value) {
    let answer = world.call(Method::POST, CLUSTERS, body.to_string().into_bytes());
    if answer.status() == StatusCode::BAD_REQUEST {
        let problem = json_of(&answer);
        for error in problem["errors"].as_array().into_iter().flatten() {
            let pointer = error["pointer"].as_str().unwrap_or_default();
            assert!(pointer.starts_with("/spec/kubeconfig"), "{error}");
        }
        return;
    }
    assert_eq!(answer.status(), StatusCode::CREATED, "{}", String::from_utf8_lossy(answer.body()));
    let kept = kept(world);
    check(&kept);
    // Clusters are few here, and so are the texts that are both credential and something to be shown.
    let shown = String::from_utf8_lossy(answer.body()).into_owned();
    for secret in ["token", "password", "client-key-data"] {
        let secret = kept["users"][0]["user"][secret].as_str().unwrap_or_default();
        let is_shown = shown.contains(secret) && !shown.replace(secret, "").is_empty();
        let is_address =
            kept["clusters"][0]["cluster"]["server"].as_str().is_some_and(|server| server.contains(secret));
        assert!(secret.len() < 16 || !is_shown || is_address, "a credential is shown");
    }
    let gone = world.call(Method::DELETE, &format!("{CLUSTERS}/fuzzed"), Vec::new());
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
}

/// The kubeconfig as it is stored, unsealed: the seal of the fakes turns every byte over.
fn kept(world: &World) -> Value {
    let stored = world.all();
    let is_it = |(key, body): &&(dcm_core::store::Key, Body)| {
        key.last() == "fuzzed" && key.as_str().starts_with("cluster/") && !body.as_bytes().is_empty()
    };
    let (_, body) = stored.iter().find(is_it).expect("a registered cluster is stored");
    let document: Value = serde_json::from_slice(body.as_bytes()).unwrap();
    let sealed = document["document"]["kubeconfig"]["ciphertext"].as_str().expect("its kubeconfig is sealed");
    let bytes = data_encoding::BASE64.decode(sealed.as_bytes()).unwrap();
    let opened: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    serde_json::from_slice(&opened).unwrap()
}

fn check(kept: &Value) {
    let none = |of: &Value, fields: &[&str]| {
        for field in fields {
            assert!(of.get(*field).is_none_or(Value::is_null), "a kubeconfig with {field} is accepted");
        }
    };
    for list in ["clusters", "users", "contexts"] {
        assert_eq!(kept[list].as_array().map(Vec::len), Some(1), "only the current context is kept");
    }
    let (cluster, user) = (&kept["clusters"][0]["cluster"], &kept["users"][0]["user"]);
    none(user, &["exec", "auth-provider", "client-certificate", "client-key", "tokenFile", "token-file"]);
    none(cluster, &["certificate-authority", "proxy-url"]);
    assert_ne!(cluster["insecure-skip-tls-verify"], true);
    assert!(cluster["server"].as_str().is_some_and(|server| server.starts_with("https://")), "plain HTTP");
    let read: Kubeconfig = match serde_json::from_value(kept.clone()) {
        Ok(read) => read,
        Err(error) => panic!("the client cannot read what is accepted: {error}"),
    };
    for user in read.auth_infos.iter().filter_map(|named| named.auth_info.as_ref()) {
        assert!(user.exec.is_none() && user.auth_provider.is_none(), "a program is run");
        assert!(user.token_file.is_none() && user.client_certificate.is_none() && user.client_key.is_none(), "a file");
    }
    for cluster in read.clusters.iter().filter_map(|named| named.cluster.as_ref()) {
        assert!(cluster.certificate_authority.is_none() && cluster.proxy_url.is_none(), "a file or a proxy");
        assert_ne!(cluster.insecure_skip_tls_verify, Some(true));
    }
}
