//! TokenRequest: `serviceaccounts/{name}/token`.

use data_encoding::BASE64URL_NOPAD;
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Call, body, update};
use crate::clock;
use crate::json;
use crate::state::{State, Token};
use crate::status::{Cause, Refusal};

const DEFAULT_SECONDS: i64 = 3600;
const LEAST_SECONDS: i64 = 600;
const MOST_SECONDS: i64 = 1 << 32;

/// Issues a token for a ServiceAccount. A dry run issues a live one too, as real servers were seen to do.
pub(crate) fn issue(state: &mut State, call: &Call<'_>, longest: Option<SignedDuration>) -> Result<Value, Refusal> {
    let mut request = body::object(call.content_type, call.body)?;
    let account = update::live(state, call)?;
    let asked = json::at(&request, &["spec", "expirationSeconds"]).and_then(Value::as_i64).unwrap_or(DEFAULT_SECONDS);
    if !(LEAST_SECONDS..=MOST_SECONDS).contains(&asked) {
        let why = "may not specify a duration less than 10 minutes or more than 2^32 seconds";
        let cause = Cause::invalid("spec.expirationSeconds", &asked.into(), why);
        return Err(Refusal::invalid_as("authentication.k8s.io", "TokenRequest", "", &[cause]));
    }
    let seconds = longest.map_or(asked, |longest| asked.min(longest.as_secs()));
    let now = clock::now();
    let expires = now + SignedDuration::from_secs(seconds);
    let uid = json::text(&account, &["metadata", "uid"]).to_owned();
    let token = write(call, &uid, now.as_second(), expires.as_second());
    state.tokens.retain(|_, token| token.expires > now);
    state.tokens.insert(
        token.clone(),
        Token { namespace: call.namespace.to_owned(), account: call.name.to_owned(), uid: uid.clone(), expires },
    );
    json::set(&mut request, &["apiVersion"], "authentication.k8s.io/v1");
    json::set(&mut request, &["kind"], "TokenRequest");
    json::set(
        &mut request,
        &["metadata"],
        json!({
            "name": call.name,
            "namespace": call.namespace,
            "uid": uid,
            "creationTimestamp": clock::rfc3339(now),
        }),
    );
    json::set_default(&mut request, &["spec", "audiences"], json!(["https://kubernetes.default.svc"]));
    json::set(&mut request, &["spec", "expirationSeconds"], seconds);
    json::set(&mut request, &["status"], json!({"token": token, "expirationTimestamp": clock::rfc3339(expires)}));
    Ok(request)
}

/// Looks like a JWT, and is only good for being looked up: its last part is random.
fn write(call: &Call<'_>, uid: &str, issued: i64, expires: i64) -> String {
    let header = json!({"alg": "none", "typ": "JWT"});
    let claims = json!({
        "iss": "https://kubernetes.default.svc",
        "sub": format!("system:serviceaccount:{}:{}", call.namespace, call.name),
        "iat": issued,
        "nbf": issued,
        "exp": expires,
        "jti": Uuid::new_v4().to_string(),
        "kubernetes.io": {"namespace": call.namespace, "serviceaccount": {"name": call.name, "uid": uid}},
    });
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let random = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
    format!("{}.{}.{}", part(header), part(claims), BASE64URL_NOPAD.encode(&random))
}
