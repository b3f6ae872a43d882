//! Makes one object be as it should be.

use dcm_core::sync::{ChangeKind, Failure, Object, ObjectId, Reason};
use serde_json::Value;

use super::{
    api::{Deletion, Version},
    compare,
    failure::{CallError, Refusal, about},
    object,
    session::{Session, Stop},
};

/// How many steps are taken for an object that changes under our hands.
const TRIES: usize = 12;

/// What is known of an object.
enum Place {
    /// It is not there.
    Nowhere,
    /// It is there, and ours.
    At(Version),
    /// It is there, ours, and as it should be.
    Done,
    /// It has to be looked at.
    Unknown,
}

/// Makes one object be as it should be. `live` is what was just read of it.
pub(super) async fn make(session: &Session<'_>, wanted: &Object, live: Option<&Value>) -> Result<(), Stop> {
    let id = &wanted.id;
    let mut place = match live {
        Some(live) => judge(session, wanted, live).await?,
        None if session.ledger.uid(id).is_some() && !would_be_seen(session, id) => Place::Unknown,
        None => Place::Nowhere,
    };
    let mut last = None;
    for _ in 0..TRIES {
        place = match place {
            Place::Nowhere => match create(session, wanted).await? {
                Some(made) => Place::At(object::version(&made)),
                None => Place::Unknown,
            },
            Place::At(version) => match bring(session, wanted, &version).await? {
                None => Place::Done,
                refusal => {
                    last = refusal;
                    Place::Unknown
                }
            },
            Place::Unknown => look(session, wanted).await?,
            Place::Done => return Ok(()),
        };
    }
    match place {
        Place::Done => Ok(()),
        _ => Err(about(id, restless(last.as_deref())).into()),
    }
}

/// Whether the lists of the own namespace would have shown an object.
pub(super) fn would_be_seen(session: &Session<'_>, id: &ObjectId) -> bool {
    session.is_own(id) && session.kinds().any(|(_, kind)| kind == id.kind)
}

/// Posts an object; `None` where one of its name is there.
async fn create(session: &Session<'_>, wanted: &Object) -> Result<Option<Value>, Stop> {
    let id = &wanted.id;
    let news = session.ledger.plan(id);
    let seed = object::seed(wanted, session.owner);
    match session.api.create(id, &seed).await {
        Ok(made) => {
            session.ledger.there(id, object::uid(&made), false);
            session.changes.note(id, ChangeKind::Create);
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

/// Brings an object to its manifest. Answers the refusal where it has to be looked at first.
async fn bring(session: &Session<'_>, wanted: &Object, version: &Version) -> Result<Option<Box<Refusal>>, Stop> {
    let id = &wanted.id;
    let applied = session.api.apply(id, &wanted.manifest, version, &session.manager).await;
    let mut now = match applied {
        Ok(now) => now,
        Err(CallError::Refused(refusal)) if is_another(&refusal, version) => return Ok(Some(refusal)),
        Err(error) => return Err(stop(session, id, error)),
    };
    note_update(session, id, version, &now);
    if let Some(patch) = compare::foreign(&now, &wanted.manifest) {
        let version = object::version(&now);
        now = match session.api.merge(id, &patch, &version, &session.manager).await {
            Ok(now) => now,
            Err(CallError::Refused(refusal)) if is_another(&refusal, &version) => return Ok(Some(refusal)),
            Err(error) => return Err(stop(session, id, error)),
        };
        note_update(session, id, &version, &now);
    }
    session.ledger.there(id, object::uid(&now), false);
    if object::is_terminating(&now) {
        return Err(going(id, &object::finalizers(&now).join(", ")).into());
    }
    Ok(None)
}

/// Notes that an object was changed, where it was.
pub(super) fn note_update(session: &Session<'_>, id: &ObjectId, before: &Version, now: &Value) {
    if object::version(now).resource_version != before.resource_version {
        session.changes.note(id, ChangeKind::Update);
    }
}

/// An object that was looked at again and again; what the cluster said last may tell why.
pub(super) fn restless(last: Option<&Refusal>) -> Failure {
    let said = last.map(|refusal| format!("; the last refusal: {}", Failure::from(refusal))).unwrap_or_default();
    Failure::new(Reason::Conflict, format!("it keeps changing while it is worked on{said}"))
}

/// Whether a refusal says that the object is not the one that was meant: it is gone, was changed, or
/// another one has its name. A refusal of a fresh version for its content is not that.
fn is_another(refusal: &Refusal, version: &Version) -> bool {
    match refusal.code {
        _ if refusal.is_of_a_webhook() => false,
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
    if !is_ours(session, id, live) {
        session.ledger.gone(id);
        return Err(not_ours(id).into());
    }
    session.ledger.there(id, object::uid(live), false);
    if object::is_terminating(live) {
        return Err(going(id, &object::finalizers(live).join(", ")).into());
    }
    if compare::binds_another_role(live, &wanted.manifest) {
        return match session.api.delete(id, object::uid(live)).await {
            Ok(Deletion::Held(by)) => Err(going(id, &by).into()),
            Ok(done) => {
                if done == Deletion::Done {
                    session.changes.note(id, ChangeKind::Delete);
                }
                Ok(Place::Nowhere)
            }
            Err(error) => Err(stop(session, id, error)),
        };
    }
    if compare::is_as_desired(live, &wanted.manifest, &session.manager) {
        return Ok(Place::Done);
    }
    Ok(Place::At(object::version(live)))
}

/// Whether an object is this logical cloud's, by its marks or by the uid that we know it by.
pub(super) fn is_ours(session: &Session<'_>, id: &ObjectId, live: &Value) -> bool {
    session.ledger.uid(id).as_deref() == Some(object::uid(live)) || object::is_marked(live, session.owner)
}

pub(super) fn not_ours(id: &ObjectId) -> Failure {
    let why = "is there already and was not made by DCM; rename it there, or the record here";
    about(id, Failure::new(Reason::NotOurs, why))
}

pub(super) fn going(id: &ObjectId, finalizers: &str) -> Failure {
    let finalizers = super::failure::shown(finalizers);
    let detail = format!("is being deleted and something holds it; look at its finalizers: {finalizers}");
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
        failure = no_namespace(id);
    }
    Stop::Failed(failure)
}

pub(super) fn no_namespace(id: &ObjectId) -> Failure {
    let why = "its namespace does not exist on the cluster; make it there, or take the permission away";
    about(id, Failure::new(Reason::Rejected, why))
}
