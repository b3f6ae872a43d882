//! Finds out what an apply would change, by dry runs.
//!
//! It reads as an apply reads and goes through the same decisions; where an apply writes, it sends the same
//! with `dryRun=All`, so that the cluster judges it (validation, escalation, webhooks, quotas) and stores
//! nothing. What only works once something else is made cannot be tried, and is marked as not checked.
//! Neither a token nor a certificate is asked for: a dry run of a TokenRequest answers a token that works.

mod fields;

use std::collections::BTreeMap;

use dcm_core::sync::{
    Change, ChangeKind, Comparison, Desired, Difference, Failure, FieldDifference, Object, ObjectId, Outlook, Part,
    Reason,
};
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use serde_json::Value;

use super::{
    api::Deletion,
    compare,
    failure::{CallError, Refusal, about},
    make, namespace, object, observe, prune,
    session::Session,
};

/// How often an object that changes under our hands is looked at.
const LOOKS: usize = 3;

/// What is known of the cloud's own namespace.
enum Home {
    /// An apply would come no further.
    Closed(Failure),
    /// There is none, or it is on its way out.
    Absent,
    /// It is there and may be worked on.
    Open,
}

type Seen = BTreeMap<ObjectId, Value>;
/// The difference of one object, if there is one; a failure where the cluster cannot be asked.
type Outcome = Result<Option<Difference>, Failure>;

pub(super) async fn compare(mut session: Session<'_>, desired: &Desired) -> Result<Comparison, Failure> {
    session.accounts |= desired.objects.iter().any(|object| object::is_account(&object.id));
    let mut comparison = Comparison::default();
    let mut home = Home::Open;
    for wanted in desired.objects.iter().filter(|object| object.part == Part::Namespace) {
        home = look_at_home(&session, wanted, desired, &mut comparison).await?;
    }
    let seen = match home {
        Home::Closed(failure) => return Ok(Comparison { failure: Some(failure), ..comparison }),
        Home::Open => observe::own_objects(&session).await?,
        Home::Absent => {
            if let Some(own) = session.own {
                session.ledger.gone_with(own);
            }
            Seen::new()
        }
    };
    let unwanted: Vec<ObjectId> =
        prune::unwanted(&session, desired, &seen).into_iter().flat_map(|(_, ids)| ids).collect();
    let look = Look { session: &session, seen: &seen, is_home: matches!(home, Home::Open) };
    let mut works: Vec<BoxFuture<'_, Outcome>> = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| *part != Part::Namespace) {
        for wanted in desired.objects.iter().filter(|object| object.part == part) {
            works.push(look.at(wanted).boxed());
        }
    }
    for id in &unwanted {
        works.push(look.at_unwanted(id).boxed());
    }
    let outcomes: Vec<Outcome> = stream::iter(works).buffered(session.options.concurrency.max(1)).collect().await;
    for outcome in outcomes {
        comparison.differences.extend(outcome?);
    }
    let raises = |difference: &Difference| {
        difference.change.id.kind == "ResourceQuota" && difference.change.change == ChangeKind::Update
    };
    if comparison.differences.iter().any(raises) {
        comparison.differences.iter_mut().for_each(leave_room);
    }
    Ok(comparison)
}

/// A quota that is full may be one that is to be raised, and an apply raises it first.
fn leave_room(difference: &mut Difference) {
    if difference.refusal.as_ref().is_some_and(|refusal| refusal.reason == Reason::QuotaExceeded) {
        difference.refusal = None;
        difference.checked = false;
    }
}

/// Compares the namespace itself and finds out whether an apply would come past it.
async fn look_at_home(
    session: &Session<'_>,
    wanted: &Object,
    desired: &Desired,
    comparison: &mut Comparison,
) -> Result<Home, Failure> {
    let id = &wanted.id;
    let Some(live) = session.api.read(id).await.map_err(|error| about(id, error.into()))? else {
        let tried = session.api.try_create(id, &wanted.manifest).await;
        comparison.differences.push(Tried::of(id, tried)?.difference(id, ChangeKind::Create, Vec::new()));
        return Ok(Home::Absent);
    };
    let ours = namespace::is_ours(session, id, &live);
    if ours && let Err(failure) = namespace::guard(&live, session.owner, desired.force) {
        return Ok(Home::Closed(failure));
    }
    if object::is_terminating(&live) {
        let remark = "the namespace is terminating; an apply waits until it is gone and makes it anew";
        comparison.remarks.push(remark.to_owned());
        let tried = Tried { checked: false, refusal: None };
        comparison.differences.push(tried.difference(id, ChangeKind::Create, Vec::new()));
        return Ok(Home::Absent);
    }
    if !ours && let Err(failure) = namespace::may_adopt(session, &live, wanted, desired.adoption) {
        return Ok(Home::Closed(failure));
    }
    let manifest = namespace::manifest(wanted, !ours || namespace::is_adopted(session, id, &live));
    comparison.remarks = namespace::remarks(&live, &manifest);
    comparison.differences.extend(update(session, id, &live, &manifest).await?);
    Ok(Home::Open)
}

/// How a dry run ended that was not to change an object that is there.
struct Tried {
    checked: bool,
    refusal: Option<Failure>,
}

impl Tried {
    /// What the cluster says; a failure where it cannot be asked.
    fn of<T>(id: &ObjectId, tried: Result<T, CallError>) -> Result<Self, Failure> {
        match tried {
            Ok(_) => Ok(Self { checked: true, refusal: None }),
            Err(error) if error.refusal().is_some_and(Refusal::is_of_dry_runs) => {
                Ok(Self { checked: false, refusal: None })
            }
            Err(error) => Ok(Self { checked: true, refusal: Some(refusal(id, error)?) }),
        }
    }

    fn difference(self, id: &ObjectId, change: ChangeKind, fields: Vec<FieldDifference>) -> Difference {
        let change = Change { id: id.clone(), change };
        Difference { change, fields, checked: self.checked, refusal: self.refusal }
    }
}

/// Whether the cluster refuses this one object; otherwise it cannot be asked about others either.
fn refusal(id: &ObjectId, error: CallError) -> Result<Failure, Failure> {
    let judged = error.refusal().is_some();
    let failure = about(id, error.into());
    match failure.reason.outlook() {
        Outlook::Away => Err(failure),
        _ if !judged || failure.reason == Reason::Unauthorized => Err(failure),
        _ => Ok(failure),
    }
}

/// An object that is there and may be worked on, against what an apply would make of it.
async fn update(session: &Session<'_>, id: &ObjectId, live: &Value, manifest: &Value) -> Outcome {
    let mut live = live.clone();
    let mut looks = 1;
    loop {
        if compare::is_as_desired(&live, manifest, &session.manager) {
            return Ok(None);
        }
        let tried = session.api.try_apply(id, manifest, &object::version(&live), &session.manager).await;
        if looks < LOOKS && tried.as_ref().is_err_and(|error| error.refusal().is_some_and(Refusal::is_of_a_change)) {
            // A controller writes a status, for example.
            looks += 1;
            if let Some(now) = session.api.read(id).await.map_err(|error| about(id, error.into()))? {
                live = now;
            }
            continue;
        }
        // Where it is not told, it is guessed.
        let mut result = tried.as_ref().map_or_else(|_| fields::laid_over(&live, manifest), Value::clone);
        if let Some(patch) = compare::foreign(&result, manifest) {
            fields::take_out(&mut result, &patch);
        }
        let fields = fields::differences(&live, &result);
        let tried = Tried::of(id, tried)?;
        // It may be written in another way only.
        let same = fields.is_empty() && tried.refusal.is_none() && tried.checked;
        return Ok((!same).then(|| tried.difference(id, ChangeKind::Update, fields)));
    }
}

/// What all looks at objects have at hand.
struct Look<'a> {
    session: &'a Session<'a>,
    seen: &'a Seen,
    /// Whether the cloud's own namespace is there.
    is_home: bool,
}

impl Look<'_> {
    /// What would become of an object that is wanted.
    async fn at(&self, wanted: &Object) -> Outcome {
        let (session, id) = (self.session, &wanted.id);
        let known = session.ledger.uid(id).is_some() && !make::would_be_seen(session, id);
        let (live, tried) = match self.seen.get(id) {
            Some(live) => (Some(live.clone()), None),
            None if known => match session.api.read(id).await {
                Ok(live) => (live, None),
                Err(error) => (None, Some(Err(error))),
            },
            None => (None, None),
        };
        match (live, tried) {
            (Some(live), _) => self.at_live(wanted, &live).await,
            (None, Some(error)) => {
                Ok(Some(Tried::of::<Value>(id, error)?.difference(id, ChangeKind::Create, Vec::new())))
            }
            (None, None) => self.at_missing(wanted).await,
        }
    }

    async fn at_live(&self, wanted: &Object, live: &Value) -> Outcome {
        let (session, id) = (self.session, &wanted.id);
        let refused = |failure: Failure| {
            let tried = Tried { checked: true, refusal: Some(failure) };
            Ok(Some(tried.difference(id, ChangeKind::Update, Vec::new())))
        };
        if !make::is_ours(session, id, live) {
            return refused(make::not_ours(id));
        }
        if object::is_terminating(live) {
            return refused(make::going(id, &object::finalizers(live).join(", ")));
        }
        if compare::binds_another_role(live, &wanted.manifest) {
            return self.replacement(wanted, live).await;
        }
        update(session, id, live, &wanted.manifest).await
    }

    async fn at_missing(&self, wanted: &Object) -> Outcome {
        let (session, id) = (self.session, &wanted.id);
        let tried = match session.api.try_create(id, &wanted.manifest).await {
            Err(error) if error.refusal().is_some_and(|refusal| refusal.is_reason("AlreadyExists")) => {
                let live = session.api.read(id).await.map_err(|error| about(id, error.into()))?;
                let live = live.ok_or_else(|| about(id, make::restless(None)))?;
                return self.at_live(wanted, &live).await;
            }
            tried => self.judged(id, tried)?,
        };
        Ok(Some(tried.difference(id, ChangeKind::Create, Vec::new())))
    }

    /// What a dry run says that makes an object. It may need what an apply makes before: the namespace, or
    /// the role that a binding is for.
    fn judged(&self, id: &ObjectId, tried: Result<Value, CallError>) -> Result<Tried, Failure> {
        let refusal = tried.as_ref().err().and_then(CallError::refusal);
        if let Some(refusal) = refusal {
            let unchecked = Ok(Tried { checked: false, refusal: None });
            let homeless = refusal.lacks_namespace() || refusal.namespace_terminates();
            if homeless && self.session.is_own(id) && !self.is_home {
                return unchecked;
            }
            if refusal.lacks_namespace() {
                return Ok(Tried { checked: true, refusal: Some(make::no_namespace(id)) });
            }
            if refusal.is_absence() && id.part() == Part::RoleBinding {
                return unchecked;
            }
        }
        Tried::of(id, tried)
    }

    /// A binding that would be deleted and made anew; tried under another name, since its own is taken.
    async fn replacement(&self, wanted: &Object, live: &Value) -> Outcome {
        let (session, id) = (self.session, &wanted.id);
        let mut manifest = wanted.manifest.clone();
        if let Some(metadata) = manifest["metadata"].as_object_mut() {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), format!("{}-", id.name).into());
        }
        let tried = match session.api.try_delete(id, object::uid(live)).await {
            Err(error) => Err(error),
            Ok(_) => session.api.try_create(id, &manifest).await,
        };
        let fields = fields::differences(live, &fields::laid_over(live, &wanted.manifest));
        let mut tried = self.judged(id, tried)?;
        // It takes the room of the one that goes.
        if tried.refusal.as_ref().is_some_and(|refusal| refusal.reason == Reason::QuotaExceeded) {
            tried = Tried { checked: false, refusal: None };
        }
        Ok(Some(tried.difference(id, ChangeKind::Replace, fields)))
    }

    /// What would become of an object that is ours and not wanted.
    async fn at_unwanted(&self, id: &ObjectId) -> Outcome {
        let session = self.session;
        let found = match self.seen.get(id) {
            Some(live) => Ok(Some(object::uid(live).to_owned())),
            None => prune::find(session, id).await,
        };
        let tried = match found {
            Ok(None) => return Ok(None),
            Ok(Some(uid)) => session.api.try_delete(id, &uid).await,
            Err(error) => Err(error),
        };
        if matches!(tried, Ok(Deletion::Absent)) {
            return Ok(None);
        }
        Ok(Some(Tried::of(id, tried)?.difference(id, ChangeKind::Delete, Vec::new())))
    }
}
