//! What others have made by which a user may still have access.

use std::collections::BTreeSet;

use dcm_core::{
    sync::{CutOff, Failure, Grant, ObjectId, Reason},
    tenancy::marks,
};
use futures_util::future::try_join_all;
use serde_json::Value;

use super::super::{
    failure::shown,
    make,
    object::{self, ACCOUNT, BINDING, Kind},
    observe,
    session::Session,
};

/// How many are told by name.
const MOST: usize = 100;
/// How many pages of a list are looked at: whoever may make objects could make very many.
const PAGES: usize = 8;

/// The bindings and accounts of others in the own namespace, where that is ours, and the bindings of others
/// that may mean the user in other namespaces where he had some of ours.
pub(super) async fn left(session: &Session<'_>, cut: &CutOff, is_ours: bool) -> Result<Vec<Grant>, Failure> {
    let own = cut.namespace.as_str();
    let noted: BTreeSet<ObjectId> = session.ledger.all().into_iter().map(|item| item.id).collect();
    let bindings = noted.iter().filter(|id| id.kind == BINDING.1);
    let mut namespaces: BTreeSet<&str> = bindings.filter_map(|id| id.namespace.as_deref()).collect();
    namespaces.remove(own);
    let mut lists: Vec<_> = namespaces.into_iter().map(|namespace| (BINDING, namespace)).collect();
    if is_ours {
        lists.splice(0..0, [(BINDING, own), (ACCOUNT, own)]);
    }
    let mut grants = Vec::new();
    let looks = lists.into_iter().map(|(kind, namespace)| look(session, kind, namespace));
    let mut cut_short = false;
    for (objects, more) in try_join_all(looks).await? {
        let Some(objects) = objects else {
            let detail = "ServiceAccounts could not be looked for: DCM has no right to list them there".to_owned();
            grants.push(Grant { id: object::namespace_id(own), detail });
            continue;
        };
        cut_short |= more;
        let of_others = objects.into_iter().filter(|(id, live)| match session.is_own(id) {
            true => !make::is_ours(session, id, live),
            false => !noted.contains(id) && may_mean(cut, live),
        });
        grants.extend(of_others.filter_map(|(id, live)| Some(Grant { detail: detail(&id, &live)?, id })));
    }
    grants.sort_by_key(|grant| object::is_account(&grant.id));
    let more = grants.len().saturating_sub(MOST);
    if more > 0 || cut_short {
        grants.truncate(MOST);
        let least = if cut_short { "at least " } else { "" };
        let detail =
            format!("{least}{more} more objects that DCM has not made may give access; look at them on the cluster");
        grants.push(Grant { id: object::namespace_id(own), detail });
    }
    Ok(grants)
}

/// The objects of one kind in one namespace and whether there are more; none at all where they are accounts, which
/// DCM may not see where no user has tokens.
async fn look(
    session: &Session<'_>,
    kind: Kind,
    namespace: &str,
) -> Result<(Option<Vec<(ObjectId, Value)>>, bool), Failure> {
    match observe::pages(session.api, kind, namespace, "", PAGES).await {
        Ok((objects, more)) => Ok((Some(objects), more)),
        Err(error) => match Failure::from(error) {
            failure if failure.reason == Reason::Forbidden && kind == ACCOUNT => Ok((None, false)),
            failure => Err(failure),
        },
    }
}

/// What a grant is, for people; `None` for the account that every namespace has.
fn detail(id: &ObjectId, live: &Value) -> Option<String> {
    if object::is_account(id) {
        let why = "not made by DCM: whoever has a token of it may do what it may do";
        return (id.name != "default").then(|| why.to_owned());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let whom: Vec<String> = subjects(live)
        .map(|subject| {
            let place = match &subject["namespace"] {
                Value::String(namespace) => format!("{namespace}/"),
                _ => String::new(),
            };
            format!("{} {place}{}", text(&subject["kind"]), text(&subject["name"]))
        })
        .collect();
    let role = &live["roleRef"];
    let whom = if whom.is_empty() { "nobody".to_owned() } else { whom.join(", ") };
    Some(shown(&format!("binds {} {} to {whom}", text(&role["kind"]), text(&role["name"]))))
}

fn subjects(live: &Value) -> impl Iterator<Item = &Value> {
    live["subjects"].as_array().into_iter().flatten()
}

/// Whether a binding elsewhere may mean the cloud's user, under whatever identity he had: those who were
/// made by DCM for another cloud do not.
fn may_mean(cut: &CutOff, live: &Value) -> bool {
    if object::label(live, marks::CLOUD_UID).is_some_and(|cloud| cloud != cut.owner.cloud.as_str()) {
        return false;
    }
    let own = cut.namespace.as_str();
    let groups = [
        format!("dcm:{}", cut.owner.cloud),
        format!("system:serviceaccounts:{own}"),
        "system:serviceaccounts".to_owned(),
        "system:authenticated".to_owned(),
        "system:unauthenticated".to_owned(),
    ];
    let account = format!("system:serviceaccount:{own}:");
    subjects(live).any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("ServiceAccount") => subject["namespace"] == own,
            Some("Group") => groups.iter().any(|group| group == name),
            _ => name.starts_with("dcm:") || name.starts_with(&account),
        }
    })
}

#[cfg(test)]
mod tests {
    use dcm_core::{model::Uid, name::Namespace, sync::Owner, tenancy::Identity};
    use serde_json::json;

    use super::*;

    fn cut() -> CutOff {
        CutOff {
            owner: Owner {
                store_id: "s".to_owned(),
                cloud: Uid::from_random([1; 16]),
                generation: 1,
                history: Vec::new(),
            },
            namespace: Namespace::new("own").unwrap(),
            inventory: Vec::new(),
            keep: Identity::CommonName("dcm:p:c:u:2".to_owned()),
        }
    }

    #[test]
    fn a_binding_elsewhere_matters_where_it_may_mean_the_user() {
        let cut = cut();
        let group = format!("dcm:{}", cut.owner.cloud);
        for (subject, expected) in [
            (json!({ "kind": "User", "name": "dcm:p:c:u:1" }), true),
            (json!({ "kind": "User", "name": "system:serviceaccount:own:x" }), true),
            (json!({ "kind": "User", "name": "alice" }), false),
            (json!({ "kind": "ServiceAccount", "namespace": "own", "name": "x" }), true),
            (json!({ "kind": "ServiceAccount", "namespace": "shared", "name": "x" }), false),
            (json!({ "kind": "Group", "name": group }), true),
            (json!({ "kind": "Group", "name": "system:authenticated" }), true),
            (json!({ "kind": "Group", "name": "dcm:other" }), false),
        ] {
            let mut live = json!({ "subjects": [{ "kind": "User", "name": "bob" }, subject] });
            assert_eq!(may_mean(&cut, &live), expected, "{live}");
            live["metadata"]["labels"][marks::CLOUD_UID] = json!("another");
            assert!(!may_mean(&cut, &live));
        }
        assert!(!may_mean(&cut, &json!({})));
    }

    #[test]
    fn a_grant_says_whom_it_is_for() {
        let id = ObjectId { kind: "RoleBinding".to_owned(), ..object::account_id("own", "b") };
        let live = json!({
            "roleRef": { "kind": "ClusterRole", "name": "edit" },
            "subjects": [{ "kind": "User", "name": "a\nb" }, { "kind": "ServiceAccount", "namespace": "n", "name": "c" }],
        });
        assert_eq!(detail(&id, &live).unwrap(), "binds ClusterRole edit to User a b, ServiceAccount n/c");
        assert_eq!(detail(&id, &json!({ "roleRef": {} })).unwrap(), "binds   to nobody");
        assert_eq!(detail(&object::account_id("own", "default"), &json!({})), None);
        assert!(detail(&object::account_id("own", "x"), &json!({})).is_some());
    }
}
