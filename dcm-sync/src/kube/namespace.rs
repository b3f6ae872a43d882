//! The cloud's own namespace: made, taken over, waited for, let go.

use dcm_core::{
    model::AdoptionPolicy,
    sync::{ChangeKind, Desired, Failure, Object, ObjectId, Owner, Reason},
    tenancy::marks,
};
use serde_json::{Map, Value, json};

use super::{
    compare,
    failure::{CallError, Refusal, about},
    make, object,
    session::{Patience, Session, Stop},
};

/// How often a namespace that changes under our hands is looked at again.
const TRIES: usize = 4;

/// Fails where a younger store has worked on the namespace already, or one that went another way.
pub(super) fn guard(live: &Value, owner: &Owner, force: bool) -> Result<(), Failure> {
    let there = object::generation(live);
    if force || owner.knows(there, object::annotation(live, marks::STATE)) {
        return Ok(());
    }
    let differs = match there > owner.generation {
        true => format!("the namespace carries generation {there}, the store has {}", owner.generation),
        false => format!("the namespace carries generation {there} of another store's history than this one's"),
    };
    let detail = format!(
        "store is older than the cluster: {differs}; was the store restored from an old backup? Nothing was changed; \
         force overrides this"
    );
    Err(Failure::new(Reason::StoreOlderThanCluster, detail))
}

/// Whether the namespace is this logical cloud's, by its marks or by the uid that we know it by.
pub(super) fn is_ours(session: &Session<'_>, id: &ObjectId, live: &Value) -> bool {
    object::is_marked(live, session.owner)
        || session.ledger.uid(id).as_deref() == Some(object::uid(live))
            && object::label(live, marks::CLOUD_UID).is_none()
}

/// Whether the namespace was there before DCM, which is noted on itself and in the inventory.
pub(super) fn is_adopted(session: &Session<'_>, id: &ObjectId, live: &Value) -> bool {
    let noted = session.ledger.get(id);
    object::annotation(live, marks::ADOPTED).is_some()
        || noted.is_some_and(|item| item.adopted && item.uid.as_deref() == Some(object::uid(live)))
}

/// Makes the namespace be there and as it should be. Answers whether it is new, and so empty.
pub(super) async fn ensure(session: &mut Session<'_>, wanted: &Object, desired: &Desired) -> Result<bool, Stop> {
    let id = &wanted.id;
    let mut patience = Patience::new(session.options.namespace_wait);
    let mut tries = 0;
    let mut last = None;
    while tries < TRIES {
        let live = session.api.read(id).await?;
        let new = live.is_none();
        let (live, adopted) = match live {
            Some(live) => {
                let ours = is_ours(session, id, &live);
                if ours {
                    guard(&live, session.owner, desired.force)?;
                }
                if object::is_terminating(&live) {
                    if !patience.wait().await {
                        return Err(still_terminating(id, &live).into());
                    }
                    continue;
                }
                if !ours {
                    may_adopt(session, &live, wanted, desired.adoption).inspect_err(|_| {
                        session.ledger.gone(id);
                    })?;
                }
                let adopted = !ours || is_adopted(session, id, &live);
                (Some(live), adopted)
            }
            None => (create(session, wanted).await?, false),
        };
        tries += 1;
        let Some(live) = live else { continue };
        match bring(session, wanted, &live, adopted).await? {
            Ok(now) => {
                session.remarks = remarks(&now, &wanted.manifest);
                return Ok(new);
            }
            Err(refusal) => last = refusal.or(last),
        }
    }
    Err(about(id, make::restless(last.as_deref())).into())
}

/// Posts the namespace; `None` where one was there first.
async fn create(session: &Session<'_>, wanted: &Object) -> Result<Option<Value>, Stop> {
    let id = &wanted.id;
    let news = session.ledger.plan(id);
    match session.api.create(id, &object::seed(wanted, session.owner)).await {
        Ok(made) => {
            session.ledger.there(id, object::uid(&made), false);
            session.changes.note(id, ChangeKind::Create);
            Ok(Some(made))
        }
        Err(error) => {
            let refusal = error.refusal();
            if news && refusal.is_some_and(Refusal::is_definite) {
                session.ledger.gone(id);
            }
            if refusal.is_some_and(Refusal::is_of_a_change) {
                return Ok(None);
            }
            Err(about(id, error.into()).into())
        }
    }
}

/// What a namespace that may be worked on should be.
pub(super) fn manifest(wanted: &Object, adopted: bool) -> Value {
    let mut manifest = wanted.manifest.clone();
    if adopted {
        manifest["metadata"]["annotations"][marks::ADOPTED] = "true".into();
    }
    manifest
}

/// Brings a namespace that may be worked on to its manifest; answers how it is then. Where it changed
/// meanwhile, it answers the refusal that said so, if one did.
async fn bring(
    session: &Session<'_>,
    wanted: &Object,
    live: &Value,
    adopted: bool,
) -> Result<Result<Value, Option<Box<Refusal>>>, Stop> {
    let id = &wanted.id;
    let manifest = manifest(wanted, adopted);
    if compare::is_as_desired(live, &manifest, &session.manager) {
        session.ledger.there(id, object::uid(live), adopted);
        return Ok(Ok(live.clone()));
    }
    if adopted {
        // Noted before it is done: an answer that is lost must not make it look like one of our own.
        session.ledger.there(id, object::uid(live), true);
    }
    let version = object::version(live);
    match session.api.apply(id, &manifest, &version, &session.manager).await {
        Ok(now) => {
            make::note_update(session, id, &version, &now);
            if object::is_terminating(&now) {
                return Ok(Err(None));
            }
            session.ledger.there(id, object::uid(&now), adopted);
            Ok(Ok(now))
        }
        Err(CallError::Refused(refusal)) if refusal.is_absence() || refusal.is_of_a_change() => Ok(Err(Some(refusal))),
        Err(error) => Err(about(id, error.into()).into()),
    }
}

/// Labels of others on the namespace that bring it into a mesh or set how secure its pods must be. They stay;
/// people should know.
pub(super) fn remarks(live: &Value, manifest: &Value) -> Vec<String> {
    let matters = |key: &str| {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        key == "istio-injection"
            || domain == "istio.io"
            || domain.ends_with(".istio.io")
            || domain == "pod-security.kubernetes.io"
    };
    let labels = live["metadata"]["labels"].as_object().into_iter().flatten();
    labels
        .filter(|(key, _)| matters(key) && manifest["metadata"]["labels"].get(key.as_str()).is_none())
        .map(|(key, value)| {
            let value = value.as_str().unwrap_or_default();
            let label = super::failure::shown(&format!("{key}={value}"));
            format!("the namespace carries the label {label}, which DCM has not set and leaves as it is")
        })
        .collect()
}

pub(super) fn may_adopt(
    session: &Session<'_>,
    live: &Value,
    wanted: &Object,
    policy: AdoptionPolicy,
) -> Result<(), Failure> {
    let refused = |why: &str| Err(about(&wanted.id, Failure::new(Reason::NotOurs, why)));
    if object::label(live, marks::INSTALLATION).is_some() || object::label(live, marks::CLOUD_UID).is_some() {
        let same = object::label(live, marks::INSTALLATION) == Some(&session.owner.store_id);
        let robbed = object::label(live, marks::INSTALLATION).is_none()
            && object::label(live, marks::CLOUD_UID) == Some(session.owner.cloud.as_str());
        if robbed {
            return refused(&format!(
                "has lost the label {}, by which DCM knows it; set it again to {}",
                marks::INSTALLATION,
                session.owner.store_id
            ));
        }
        return refused(if same {
            "is there already and belongs to another logical cloud; use another namespace"
        } else {
            "is there already and belongs to another DCM installation; use another namespace, or remove its labels dcm.onap.org/… if that installation is gone"
        });
    }
    match policy {
        AdoptionPolicy::Always => Ok(()),
        AdoptionPolicy::Never => refused(
            "is there already and was not made by DCM; use another namespace, or set the logical cloud's adoption-policy",
        ),
        AdoptionPolicy::IfIdentical => match compare::label_differences(live, &wanted.manifest).as_slice() {
            [] => Ok(()),
            labels => refused(&format!(
                "is there already and differs in its labels ({}), so the adoption-policy if-identical leaves it alone; make them the same, or use another namespace",
                labels.join(", ")
            )),
        },
    }
}

fn still_terminating(id: &ObjectId, live: &Value) -> Failure {
    about(id, blocked(live))
}

/// Why a namespace that is on its way out is still there, as its conditions say.
pub(super) fn blocked(live: &Value) -> Failure {
    let conditions = live["status"]["conditions"].as_array();
    let said: Vec<(&str, &str)> = conditions
        .into_iter()
        .flatten()
        .filter(|condition| condition["status"] == "True")
        .filter_map(|condition| Some((condition["type"].as_str()?, condition["message"].as_str()?)))
        .collect();
    let mut text: Vec<&str> = said.iter().map(|(_, message)| *message).collect();
    // "kubernetes" is the namespace controller's own; what is in the metadata waits for somebody else, and no condition tells of it.
    let foreign: Vec<&str> = object::finalizers(live).into_iter().filter(|name| *name != "kubernetes").collect();
    let foreign = (!foreign.is_empty()).then(|| format!("the namespace itself has finalizers: {}", foreign.join(", ")));
    text.extend(foreign.as_deref());
    let text = super::failure::shown(&text.join("; "));
    // What remains usually goes by itself; what fails or waits for a finalizer does not.
    if foreign.is_some() || said.iter().any(|(kind, _)| *kind != "NamespaceContentRemaining") {
        let detail = format!("something keeps it from going: {text}; look after that on the cluster");
        return Failure::new(Reason::DeletionBlocked, detail);
    }
    let detail = match text.as_str() {
        "" => "is still terminating; it is waited for".to_owned(),
        _ => format!("is still terminating; it is waited for: {text}"),
    };
    Failure::new(Reason::NamespaceTerminating, detail)
}

/// Takes everything of ours off a namespace that stays.
pub(super) async fn release(session: &Session<'_>, id: &ObjectId, live: &Value) -> Result<(), Failure> {
    let fail = |error: CallError| about(id, error.into());
    let nothing = json!({ "apiVersion": id.api_version, "kind": id.kind, "metadata": { "name": id.name } });
    let version = object::version(live);
    let now = session.api.apply(id, &nothing, &version, &session.manager).await.map_err(fail)?;
    let patch = json!({ "metadata": {
        "labels": unmarked(&now["metadata"]["labels"]),
        "annotations": unmarked(&now["metadata"]["annotations"]),
    }});
    let version = object::version(&now);
    session.api.merge(id, &patch, &version, &session.manager).await.map_err(fail)?;
    session.changes.note(id, ChangeKind::Update);
    session.ledger.gone(id);
    Ok(())
}

/// Nulls for the marks: those of the POST are not server-side apply's to take away.
fn unmarked(map: &Value) -> Map<String, Value> {
    let keys = map.as_object().into_iter().flat_map(Map::keys);
    keys.filter(|key| key.starts_with("dcm.onap.org/")).map(|key| (key.clone(), Value::Null)).collect()
}

#[cfg(test)]
mod tests {
    use dcm_core::model::Uid;

    use super::*;

    fn owner(generation: u64) -> Owner {
        Owner { store_id: "s".to_owned(), cloud: Uid::from_random([1; 16]), generation, history: Vec::new() }
    }

    #[test]
    fn a_lower_generation_is_stopped_unless_forced() {
        let live = json!({ "metadata": { "annotations": { (marks::GENERATION): "5" } } });
        assert_eq!(guard(&live, &owner(4), false).unwrap_err().reason, Reason::StoreOlderThanCluster);
        assert!(guard(&live, &owner(4), true).is_ok());
        assert!(guard(&live, &owner(5), false).is_ok());
        assert!(guard(&json!({}), &owner(0), false).is_ok());
        let state = |n: u8| Uid::from_random([n; 16]);
        let live =
            json!({ "metadata": { "annotations": { (marks::GENERATION): "5", (marks::STATE): state(5).as_str() } } });
        let remembers = |generation, states: &[u8]| {
            let history = states.iter().map(|n| state(*n)).collect();
            guard(&live, &Owner { history, ..owner(generation) }, false).is_ok()
        };
        assert!(remembers(5, &[4, 5]) && remembers(6, &[4, 5, 6]) && remembers(9, &[8, 9]) && remembers(5, &[]));
        assert!(!remembers(5, &[4, 50]) && !remembers(6, &[50, 6]) && !remembers(4, &[4]));
    }

    #[test]
    fn labels_of_others_that_matter_are_remarked() {
        let live = json!({ "metadata": { "labels": {
            "team": "a", "istio-injection": "enabled", "istio.io/rev": "x", "topology.istio.io/network": "n",
            "pod-security.kubernetes.io/enforce": "privileged", "notistio.io/rev": "x", "kubernetes.io/metadata.name": "n",
        } } });
        let manifest = json!({ "metadata": { "labels": { "istio.io/rev": "x" } } });
        let all = remarks(&live, &manifest);
        assert_eq!(all.len(), 3, "{all:?}");
        for label in
            ["istio-injection=enabled", "topology.istio.io/network=n", "pod-security.kubernetes.io/enforce=privileged"]
        {
            assert!(all.iter().any(|remark| remark.contains(label)), "{all:?}");
        }
        assert_eq!(remarks(&json!({}), &manifest), [""; 0]);
    }

    #[test]
    fn conditions_say_what_blocks() {
        let live = |kind: &str| {
            json!({ "status": { "conditions": [
                { "type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all fine" },
                { "type": kind, "status": "True", "message": "pods. has 1 resource instances" },
            ] } })
        };
        let waiting = blocked(&live("NamespaceContentRemaining"));
        assert_eq!(waiting.reason, Reason::NamespaceTerminating);
        assert!(waiting.detail.contains("pods.") && !waiting.detail.contains("fine"));
        let stuck = blocked(&live("NamespaceFinalizersRemaining"));
        assert_eq!(stuck.reason, Reason::DeletionBlocked);
        assert_eq!(blocked(&json!({})).reason, Reason::NamespaceTerminating);
        let own = json!({ "spec": { "finalizers": ["kubernetes"] } });
        assert_eq!(blocked(&own).reason, Reason::NamespaceTerminating);
        let foreign = blocked(&json!({ "metadata": { "finalizers": ["example.com/x"] } }));
        assert_eq!(foreign.reason, Reason::DeletionBlocked);
        assert!(foreign.detail.contains("example.com/x"), "{foreign}");
    }
}
