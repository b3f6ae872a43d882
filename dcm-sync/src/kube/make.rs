//! Makes one object be as it should be.

use dcm_core::sync::{Failure, Object, ObjectId, Reason};
use serde_json::Value;

use super::{
    api::Version,
    compare,
    failure::{CallError, Refusal, about},
    object,
    session::{Session, Stop},
};

/// How often an object that changes under our hands is looked at again.
const TRIES: usize = 6;

/// What is known of an object.
enum Place {
    /// It is not there.
    Nowhere,
    /// It is there, and ours.
    At(Version),
}

/// Makes one object be as it should be. `live` is what was just read of it.
pub(super) async fn make(session: &Session<'_>, wanted: &Object, live: Option<&Value>) -> Result<(), Stop> {
    let id = &wanted.id;
    let mut place = match live {
        Some(live)
            if compare::is_as_desired(live, &wanted.manifest, &session.manager)
                && !object::is_terminating(live)
                && !compare::binds_another_role(live, &wanted.manifest) =>
        {
            session.ledger.there(id, object::uid(live), false);
            return Ok(());
        }
        Some(live) => judge(session, wanted, live).await?,
        None => match session.ledger.uid(id) {
            Some(uid) if !would_be_seen(session, id) => Place::At(Version { uid, resource_version: None }),
            _ => Place::Nowhere,
        },
    };
    for _ in 0..TRIES {
        place = match place {
            Place::Nowhere => match create(session, wanted).await? {
                Some(made) => Place::At(object::version(&made)),
                None => look(session, wanted).await?,
            },
            Place::At(version) => match bring(session, wanted, &version).await? {
                true => return Ok(()),
                false => look(session, wanted).await?,
            },
        };
    }
    let failure = Failure::new(Reason::Conflict, "it keeps changing while it is worked on");
    Err(about(id, failure).into())
}

/// Whether the lists of the own namespace would have shown an object.
fn would_be_seen(session: &Session<'_>, id: &ObjectId) -> bool {
    session.is_own(id) && object::KINDS.iter().any(|(_, kind)| *kind == id.kind)
}

/// Posts an object; `None` where one of its name is there.
async fn create(session: &Session<'_>, wanted: &Object) -> Result<Option<Value>, Stop> {
    let id = &wanted.id;
    let news = session.ledger.plan(id);
    let seed = object::seed(wanted, session.owner);
    match session.api.create(id, &seed).await {
        Ok(made) => {
            session.ledger.there(id, object::uid(&made), false);
            Ok(Some(made))
        }
        Err(error) => {
            let refusal = error.refusal();
            if refusal.is_some_and(|refusal| refusal.is_reason("AlreadyExists")) {
                return Ok(None);
            }
            if news && refusal.is_some_and(Refusal::is_definite) {
                session.ledger.gone(id);
            }
            Err(stop(session, id, error))
        }
    }
}

/// Brings an object to its manifest; false where it has to be looked at first.
async fn bring(session: &Session<'_>, wanted: &Object, version: &Version) -> Result<bool, Stop> {
    let id = &wanted.id;
    let applied = session.api.apply(id, &wanted.manifest, version, &session.manager).await;
    let mut now = match applied {
        Ok(now) => now,
        Err(CallError::Refused(refusal)) if is_another(&refusal, version) => return Ok(false),
        Err(error) => return Err(stop(session, id, error)),
    };
    if let Some(patch) = compare::foreign(&now, &wanted.manifest) {
        let version = object::version(&now);
        now = match session.api.merge(id, &patch, &version, &session.manager).await {
            Ok(now) => now,
            Err(CallError::Refused(refusal)) if is_another(&refusal, &version) => return Ok(false),
            Err(error) => return Err(stop(session, id, error)),
        };
    }
    session.ledger.there(id, object::uid(&now), false);
    if object::is_terminating(&now) {
        return Err(going(id).into());
    }
    Ok(true)
}

/// Whether a refusal says that the object is not the one that was meant: it is gone, was changed, or
/// another one has its name. A refusal of a fresh version for its content is not that.
fn is_another(refusal: &Refusal, version: &Version) -> bool {
    match refusal.code {
        409 => true,
        404 => refusal.is_absence() && !refusal.lacks_namespace(),
        422 => version.resource_version.is_none(),
        _ => false,
    }
}

/// Reads an object and finds out whose it is.
async fn look(session: &Session<'_>, wanted: &Object) -> Result<Place, Stop> {
    match session.api.read(&wanted.id).await {
        Ok(Some(live)) => judge(session, wanted, &live).await,
        Ok(None) => Ok(Place::Nowhere),
        Err(error) => Err(stop(session, &wanted.id, error)),
    }
}

async fn judge(session: &Session<'_>, wanted: &Object, live: &Value) -> Result<Place, Stop> {
    let id = &wanted.id;
    let known = session.ledger.uid(id).as_deref() == Some(object::uid(live));
    if !known && !object::is_marked(live, session.owner) {
        session.ledger.gone(id);
        let why = "is there already and was not made by DCM; rename it there, or the record here";
        return Err(about(id, Failure::new(Reason::NotOurs, why)).into());
    }
    session.ledger.there(id, object::uid(live), false);
    if object::is_terminating(live) {
        return Err(going(id).into());
    }
    if compare::binds_another_role(live, &wanted.manifest) {
        let held = session.api.delete(id, object::uid(live)).await;
        return match held {
            Ok(None) => Ok(Place::Nowhere),
            Ok(Some(_)) => Err(going(id).into()),
            Err(error) => Err(stop(session, id, error)),
        };
    }
    Ok(Place::At(object::version(live)))
}

fn going(id: &ObjectId) -> Failure {
    let detail = "is being deleted and something holds it; look at its finalizers";
    about(id, Failure::new(Reason::DeletionBlocked, detail))
}

fn stop(session: &Session<'_>, id: &ObjectId, error: CallError) -> Stop {
    let refusal = error.refusal();
    let (gone, terminates) =
        (refusal.is_some_and(Refusal::lacks_namespace), refusal.is_some_and(Refusal::namespace_terminates));
    let mut failure = about(id, error.into());
    if session.is_own(id) && (gone || terminates) {
        return Stop::NamespaceGone(failure);
    }
    if gone {
        failure.reason = Reason::Rejected;
        failure.detail =
            format!("{id}: its namespace does not exist on the cluster; make it there, or take the permission away");
    }
    Stop::Failed(failure)
}
