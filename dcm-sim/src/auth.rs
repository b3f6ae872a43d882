//! Who is asking: client certificates of the cluster's CA, the admin's token, ServiceAccount tokens.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};

use crate::clock;
use crate::json;
use crate::kinds::{NAMESPACES, SERVICEACCOUNTS};
use crate::pki::Peer;
use crate::shared::Shared;
use crate::state::State;
use crate::status::Refusal;

pub(crate) mod bootstrap;
pub(crate) mod escalation;
pub(crate) mod rbac;

/// The group of those that RBAC does not bind.
pub(crate) const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";

/// An authenticated user, or the anonymous one.
#[derive(Debug, Clone, Default)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
}

impl User {
    /// A user with these groups, and the one that every authenticated user is in.
    pub(crate) fn authenticated(name: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { name: name.into(), uid: String::new(), groups }
    }

    pub(crate) fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            uid: String::new(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    pub(crate) fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        Self { uid: uid.to_owned(), ..Self::authenticated(format!("system:serviceaccount:{namespace}:{name}"), groups) }
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.groups.iter().any(|group| group == "system:unauthenticated")
    }

    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }

    /// The user as reviews show it.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.clone().into();
        }
        info
    }
}

/// Finds out who sends a request. No credential at all is the anonymous user; a wrong one is refused.
pub(crate) fn authenticate(shared: &Shared, peer: Option<&Peer>, headers: &HeaderMap) -> Result<User, Refusal> {
    if let Some(user) = peer.and_then(|peer| peer.user_at(clock::now())) {
        return Ok(user.clone());
    }
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match bearer {
        Some(token) => shared.token_user(token.trim()).ok_or_else(Refusal::unauthorized),
        // A certificate of another CA, or one that has run out.
        None if peer.is_some() => Err(Refusal::unauthorized()),
        None => Ok(User::anonymous()),
    }
}

/// Whom a ServiceAccount's token stands for, while the account lives and the token has not run out.
pub(crate) fn account_of(state: &State, token: &str) -> Option<User> {
    let token = state.tokens.get(token)?;
    let account = state.get(SERVICEACCOUNTS, &token.namespace, &token.account)?;
    let alive = json::text(account, &["metadata", "uid"]) == token.uid
        && token.expires > clock::now()
        && state.get(NAMESPACES, "", &token.namespace).is_some();
    alive.then(|| User::service_account(&token.namespace, &token.account, &token.uid))
}

/// Whom the request asks to act as, with what has to be allowed for it: (resource, name) pairs.
pub(crate) fn impersonated(headers: &HeaderMap) -> Option<(User, Vec<(&'static str, String)>)> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let name = headers.get("impersonate-user").map(text)?;
    let groups: Vec<String> = headers.get_all("impersonate-group").iter().map(text).collect();
    let mut needed = vec![("users", name.clone())];
    needed.extend(groups.iter().map(|group| ("groups", group.clone())));
    Some((User::authenticated(name, groups), needed))
}
