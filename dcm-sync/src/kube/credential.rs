//! Has a cluster sign a user's certificate.

use data_encoding::BASE64;
use dcm_core::sync::{CertificateRequest, Failure, Object, ObjectId, Owner, Part, Reason};
use http::Method;
use serde_json::{Value, json};

use super::{
    KubeOptions,
    api::Api,
    failure::{CallError, nonsense, shown},
    object,
    session::Patience,
};

const API_VERSION: &str = "certificates.k8s.io/v1";
const KIND: &str = "CertificateSigningRequest";
/// So many are swept at once.
const MOST_LEFT: usize = 100;
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const USAGES: [&str; 2] = ["client auth", "digital signature"];
/// Kubernetes takes no less.
const SHORTEST: u64 = 600;
const JSON: &str = "application/json";

pub(super) async fn sign(api: &Api, options: &KubeOptions, request: &CertificateRequest) -> Result<String, Failure> {
    sweep(api, &request.owner).await?;
    let manifest = manifest(request);
    let collection = object::collection_of(API_VERSION, KIND, None);
    let made = api.call(Method::POST, &collection, JSON, Some(&manifest)).await?;
    let (Some(name), uid) = (made["metadata"]["name"].as_str(), object::uid(&made)) else {
        return Err(nonsense("a certificate signing request has no name"));
    };
    let id = id(name);
    let result = approve_and_wait(api, options, &id, &made, &manifest).await;
    // Whatever came of it: it is of no more use. The next one, or the removal, sweeps what is left over.
    if let Err(error) = api.delete(&id, uid).await {
        tracing::debug!(request = %id.name, error = %Failure::from(error), "a certificate signing request was left behind");
    }
    result
}

/// Deletes the requests that were left behind when this process, or another one, ended in the middle of its work.
/// No other work for the logical cloud is under way on the cluster.
pub(super) async fn sweep(api: &Api, owner: &Owner) -> Result<(), CallError> {
    let collection = object::collection_of(API_VERSION, KIND, None);
    let page = format!("{collection}?labelSelector={}&limit={MOST_LEFT}", object::selector(owner));
    let mut list = api.call(Method::GET, &page, JSON, None).await?;
    let Value::Array(left) = list["items"].take() else {
        return Err(CallError::Failed(nonsense("it is not a list")));
    };
    for request in left.iter().filter(|request| object::is_marked(request, owner)) {
        let name = request["metadata"]["name"].as_str().unwrap_or_default();
        match api.delete(&id(name), object::uid(request)).await {
            // One that is to stay keeps no new one back.
            Err(CallError::Refused(refusal)) => {
                let why = Failure::from(&*refusal);
                tracing::debug!(request = name, %why, "an old certificate signing request stays");
            }
            result => _ = result?,
        }
    }
    Ok(())
}

fn id(name: &str) -> ObjectId {
    ObjectId { api_version: API_VERSION.to_owned(), kind: KIND.to_owned(), namespace: None, name: name.to_owned() }
}

fn manifest(request: &CertificateRequest) -> Value {
    let seed = Object { part: Part::Credential, id: id(""), manifest: Value::Null };
    let mut manifest = object::seed(&seed, &request.owner);
    manifest["metadata"] = json!({ "generateName": "dcm-", "labels": manifest["metadata"]["labels"] });
    let seconds = request.lifetime.as_secs().max(SHORTEST);
    manifest["spec"] = json!({
        "request": BASE64.encode(request.csr_pem.as_bytes()),
        "signerName": SIGNER,
        "usages": USAGES,
        "expirationSeconds": i32::try_from(seconds).unwrap_or(i32::MAX),
    });
    manifest
}

/// Nobody may have slipped us another request than the one we made.
fn check(live: &Value, made: &Value, manifest: &Value) -> Result<(), Failure> {
    let same = ["request", "signerName", "usages"].iter().all(|field| live["spec"][field] == manifest["spec"][field]);
    if same && object::uid(live) == object::uid(made) {
        return Ok(());
    }
    Err(Failure::new(
        Reason::CertificateRefused,
        "the certificate signing request on the cluster is not the one that DCM made, so it is not approved; \
         look for a webhook that changes it",
    ))
}

async fn approve_and_wait(
    api: &Api,
    options: &KubeOptions,
    id: &ObjectId,
    made: &Value,
    manifest: &Value,
) -> Result<String, Failure> {
    approve(api, id, made, manifest).await?;
    let mut patience = Patience::new(options.certificate_wait);
    loop {
        let now = api.read(id).await?;
        let now = now.ok_or_else(|| {
            Failure::new(
                Reason::CertificateNotIssued,
                "somebody deleted the certificate signing request on the cluster",
            )
        })?;
        check(&now, made, manifest)?;
        if let Some(certificate) = outcome(&now)? {
            return Ok(certificate);
        }
        if !patience.wait().await {
            return Err(not_issued(options));
        }
    }
}

async fn approve(api: &Api, id: &ObjectId, made: &Value, manifest: &Value) -> Result<(), Failure> {
    let mut read = made.clone();
    let mut again = true;
    loop {
        check(&read, made, manifest)?;
        read["status"] = json!({ "conditions": [{
            "type": "Approved", "status": "True", "reason": "DCM",
            "message": "made and approved by DCM for the user of a logical cloud",
        }]});
        let path = format!("{}/approval", object::path(id));
        match api.call(Method::PUT, &path, JSON, Some(&read)).await {
            Ok(_) => return Ok(()),
            // Somebody annotated it meanwhile; what matters is checked again.
            Err(CallError::Refused(refusal)) if refusal.code == 409 && again => {
                again = false;
                read = api.read(id).await?.ok_or_else(|| nonsense("a new request is gone"))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn outcome(live: &Value) -> Result<Option<String>, Failure> {
    let conditions = live["status"]["conditions"].as_array();
    for condition in conditions.into_iter().flatten() {
        let kind = condition["type"].as_str().unwrap_or_default();
        if matches!(kind, "Denied" | "Failed") {
            let message = condition["message"].as_str().unwrap_or_default();
            let detail = format!("the cluster refused to sign the user's certificate ({kind}): {}", shown(message));
            return Err(Failure::new(Reason::CertificateRefused, detail));
        }
    }
    let Some(certificate) = live["status"]["certificate"].as_str().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    BASE64
        .decode(certificate.as_bytes())
        .ok()
        .and_then(|pem| String::from_utf8(pem).ok())
        .map(Some)
        .ok_or_else(|| nonsense("the certificate is not base64 of PEM"))
}

fn not_issued(options: &KubeOptions) -> Failure {
    let detail = format!(
        "the cluster did not sign the user's certificate within {} s; it may not sign client certificates at all \
         (signer {SIGNER}): then register the cluster with its CA, or use the user type token",
        options.certificate_wait.as_secs_f32()
    );
    Failure::new(Reason::CertificateNotIssued, detail)
}
