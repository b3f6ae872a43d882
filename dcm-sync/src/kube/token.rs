//! Has a cluster issue a token for a user's ServiceAccount.

use data_encoding::BASE64URL_NOPAD;
use dcm_core::{
    secret::Secret,
    sync::{Failure, IssuedToken, ObjectId, Reason, TokenRequest},
};
use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    api::Api,
    failure::{CallError, about, nonsense},
    make, object,
};

/// Kubernetes takes no less and no more.
const SECONDS: std::ops::RangeInclusive<u64> = 600..=(1 << 32);

/// Never to be called for a preview: a dry run of it answers a token that works.
pub(super) async fn issue(api: &Api, request: &TokenRequest) -> Result<IssuedToken, Failure> {
    let id = object::account_id(request.namespace.as_str(), &request.account);
    let account = api.read(&id).await.map_err(|error| about(&id, error.into()))?;
    let account = account.ok_or_else(|| absent(&id))?;
    if !object::is_marked(&account, &request.owner) {
        return Err(make::not_ours(&id));
    }
    if object::is_terminating(&account) {
        return Err(make::going(&id, &object::finalizers(&account).join(", ")));
    }
    let path = format!("{}/token", object::path(&id));
    let seconds = request.lifetime.as_secs().clamp(*SECONDS.start(), *SECONDS.end());
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "expirationSeconds": seconds },
    });
    let answer = api.dated(Method::POST, &path, "application/json", Some(&body)).await;
    let (answer, clock) = answer.map_err(|error| match error.refusal() {
        Some(refusal) if refusal.is_absence() && refusal.status["details"]["name"] == id.name.as_str() => absent(&id),
        _ => about(&id, CallError::into(error)),
    })?;
    read(answer, clock, object::uid(&account), &id)
}

fn absent(id: &ObjectId) -> Failure {
    let why = "is not there, so that there is no token for the user; the next apply makes it anew";
    about(id, Failure::new(Reason::Conflict, why))
}

/// What a token says of itself (RFC 7519), as far as it matters here. Only the cluster can verify it.
#[derive(Deserialize)]
struct Claims {
    iat: Option<f64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Bound>,
}

#[derive(Deserialize)]
struct Bound {
    serviceaccount: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    uid: String,
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = Secret::new(BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?);
    serde_json::from_slice(payload.expose()).ok()
}

/// Takes a token out of its answer. Nothing of it gets into a failure.
fn read(mut answer: Value, clock: Option<Timestamp>, uid: &str, id: &ObjectId) -> Result<IssuedToken, Failure> {
    let Value::String(token) = answer["status"]["token"].take() else {
        return Err(nonsense("a token request has no token"));
    };
    let token = Secret::new(token);
    let claims = token.expose_str().and_then(claims).ok_or_else(|| nonsense("a token is not a JSON web token"))?;
    let bound = claims.kubernetes.and_then(|bound| bound.serviceaccount);
    if bound.is_none_or(|account| account.uid != uid) {
        let why = "was replaced by another one of its name while a token was asked for; the next attempt asks again";
        return Err(about(id, Failure::new(Reason::Conflict, why)));
    }
    let time = |text: &Value| text.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let expires_at = time(&answer["status"]["expirationTimestamp"]);
    let expires_at = expires_at.ok_or_else(|| nonsense("a token has no expiration"))?;
    let issued_at = claims.iat.and_then(seconds).or_else(|| time(&answer["metadata"]["creationTimestamp"])).or(clock);
    let issued_at = issued_at.ok_or_else(|| nonsense("a token does not say when it was issued"))?;
    if issued_at >= expires_at {
        return Err(nonsense("a token expires before it is issued"));
    }
    Ok(IssuedToken { token, account_uid: uid.to_owned(), issued_at, expires_at })
}

/// A time in seconds since 1970, which may have a fraction.
fn seconds(since: f64) -> Option<Timestamp> {
    let since = std::time::Duration::try_from_secs_f64(since).ok()?;
    Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()))
    }

    fn answer(token: &str) -> Value {
        json!({
            "metadata": { "creationTimestamp": "2026-01-01T00:00:05Z" },
            "status": { "token": token, "expirationTimestamp": "2026-01-01T01:00:00Z" },
        })
    }

    fn read(answer: Value, clock: Option<Timestamp>) -> Result<IssuedToken, Failure> {
        super::read(answer, clock, "u", &object::account_id("ns", "a"))
    }

    fn bound(uid: &str, iat: &Value) -> Value {
        json!({ "iat": iat, "kubernetes.io": { "namespace": "ns", "serviceaccount": { "name": "a", "uid": uid } } })
    }

    #[test]
    fn times_are_the_clusters() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let start = at("2026-01-01T00:00:00Z");
        for iat in [json!(start.as_second()), json!(1_767_225_600.25)] {
            let issued = read(answer(&token(&bound("u", &iat))), None).unwrap();
            assert_eq!((issued.issued_at, issued.expires_at), (start, at("2026-01-01T01:00:00Z")));
            assert_eq!(issued.account_uid, "u");
        }
        let silent = token(&bound("u", &Value::Null));
        assert_eq!(read(answer(&silent), None).unwrap().issued_at, at("2026-01-01T00:00:05Z"));
        let mut undated = answer(&silent);
        undated["metadata"] = Value::Null;
        assert_eq!(read(undated.clone(), Some(start)).unwrap().issued_at, start);
        assert_eq!(read(undated, None).unwrap_err().reason, Reason::ServerError);
    }

    #[test]
    fn a_token_of_another_account_is_a_conflict() {
        for odd in [bound("v", &json!(1)), json!({ "iat": 1 }), json!({ "iat": 1, "kubernetes.io": {} })] {
            assert_eq!(read(answer(&token(&odd)), None).unwrap_err().reason, Reason::Conflict, "{odd}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_without_showing_it() {
        let late = token(&bound("u", &json!(4_000_000_000_u64)));
        for odd in ["s3cret", "a.s3cret.b", "a.czNjcmV0.b", "", late.as_str()] {
            let failure = read(answer(odd), None).unwrap_err();
            assert_eq!(failure.reason, Reason::ServerError, "{odd}");
            assert!(odd.is_empty() || !failure.detail.contains(odd), "{failure}");
        }
        assert_eq!(read(json!({ "status": {} }), None).unwrap_err().reason, Reason::ServerError);
        assert_eq!(read(json!({}), None).unwrap_err().reason, Reason::ServerError);
    }
}
