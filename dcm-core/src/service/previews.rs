//! What an apply would send, and what it would change. Nothing is written, neither here nor on clusters.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{CloudId, Dcm, Page, freeze::Frozen};
use crate::{
    error::Error,
    keys,
    model::{AppliedReference, ClusterStatus},
    name::ReferenceName,
    store::StoreExt,
    sync::{Comparison, Desired, Failure, Object, Owner, Reason},
    tenancy::{Tenancy, marks},
};

/// How many clusters are asked side by side.
const SIDE_BY_SIDE: usize = 16;

/// A preview of an apply, cluster by cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview<T> {
    /// The generation that an apply would have; the applied one where it would change nothing.
    pub generation: u64,
    /// One page of clusters, by the names of their references.
    pub clusters: Vec<(ReferenceName, T)>,
    /// The name after which the next page begins; `None` where this is the last.
    pub next: Option<String>,
}

/// Of which clusters a preview is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Of one, by the name of its reference.
    One(ReferenceName),
    /// Of one page of them.
    Page(Page),
}

impl Selection {
    /// The largest page: every cluster of it is asked, or shown with all of its objects. Edges keep it.
    pub const LARGEST_PAGE: usize = 100;
}

/// What an apply would freeze now, and on whose behalf it would be carried out.
struct Previewed {
    frozen: Frozen,
    owner: Owner,
}

impl Dcm {
    /// The objects that an apply would send. Asks no cluster; certificates and tokens are no objects.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn manifests(&self, id: &CloudId, which: &Selection) -> Result<Preview<Arc<[Object]>>, Error> {
        let (Previewed { frozen, .. }, references, next) = self.preview(id, which).await?;
        let objects: Arc<[Object]> = self.objects(&frozen).into();
        let clusters = references.into_iter().map(|reference| (reference.name, Arc::clone(&objects))).collect();
        Ok(Preview { generation: frozen.applied.generation, clusters, next })
    }

    /// What an apply would change on clusters, as they say themselves; the inner error is why one cannot be
    /// asked. No certificate and no token is asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Gateway`].
    pub async fn diff(&self, id: &CloudId, which: &Selection) -> Result<Preview<Result<Comparison, Failure>>, Error> {
        if let Some(gateway) = self.gateway() {
            return gateway.diff(id, which).await;
        }
        let (previewed, references, next) = self.preview(id, which).await?;
        let previewed = &previewed;
        // Collected first: a closure over borrowed items does not make a `Send` stream.
        let all: Vec<_> = references.into_iter().map(|reference| self.compare(previewed, reference)).collect();
        let clusters = stream::iter(all).buffered(SIDE_BY_SIDE).try_collect().await?;
        Ok(Preview { generation: previewed.owner.generation, clusters, next })
    }

    /// What an apply would freeze now, with the references that are wanted of it.
    async fn preview(
        &self,
        id: &CloudId,
        which: &Selection,
    ) -> Result<(Previewed, Vec<AppliedReference>, Option<String>), Error> {
        let cloud = self.cloud(id).await?.value;
        let mut frozen = self.freeze(&cloud).await?;
        let mut lifecycle = cloud.lifecycle;
        if lifecycle.applied.as_ref().is_some_and(|applied| applied.digest == frozen.pointer.digest) {
            frozen.applied.generation = lifecycle.applied_generation;
            frozen.applied.snapshot = lifecycle.history.last().cloned();
        } else {
            lifecycle = lifecycle.applying(frozen.applied.generation, frozen.pointer.clone());
            // Which state it will be is known when there is one.
            frozen.applied.snapshot = None;
        }
        let owner = self.owner_of(&cloud.uid, &lifecycle);
        let all = std::mem::take(&mut frozen.references);
        let (references, next) = match which {
            Selection::One(name) => {
                let name = self.reference(id, name).await?.value.metadata.name;
                let one: Vec<_> = all.into_iter().filter(|reference| reference.name == name).collect();
                if one.is_empty() {
                    return Err(Error::Refused(format!("the cluster reference \"{name}\" is being deleted")));
                }
                (one, None)
            }
            Selection::Page(page) => {
                let after = |reference: &AppliedReference| {
                    page.after.as_deref().is_none_or(|after| reference.name.as_str() > after)
                };
                let mut rest = all.into_iter().filter(after);
                let references: Vec<_> = rest.by_ref().take(page.limit).collect();
                let more = rest.next().is_some();
                let next = references.last().filter(|_| more).map(|last| last.name.to_string());
                (references, next)
            }
        };
        Ok((Previewed { frozen, owner }, references, next))
    }

    fn objects(&self, frozen: &Frozen) -> Vec<Object> {
        Tenancy { applied: &frozen.applied, installation: self.installation() }.objects()
    }

    async fn compare(
        &self,
        Previewed { frozen, owner }: &Previewed,
        reference: AppliedReference,
    ) -> Result<(ReferenceName, Result<Comparison, Failure>), Error> {
        let applied = &frozen.applied;
        let cluster = match self.registration(&reference.cluster_provider, &reference.cluster_name).await {
            Ok(cluster) => cluster,
            Err(Error::NotFound { .. }) => {
                let failure = Failure::new(Reason::NotRegistered, "the cluster is not registered any more");
                return Ok((reference.name, Err(failure)));
            }
            Err(error) => return Err(error),
        };
        let status = self.store().load::<ClusterStatus>(&keys::status(&applied.cloud, &reference.name)?).await?;
        let status = status.map(|status| status.value).filter(|status| status.reference_uid == reference.uid);
        if let Some(status) = &status {
            // One that does not answer is not waited for.
            let away = status.failure.clone().filter(|_| status.unreachable_since.is_some());
            let failure = match away {
                Some(failure) => Some(failure),
                None => self.known_as_another(&cluster, status).await?,
            };
            if let Some(failure) = failure {
                return Ok((reference.name, Err(failure)));
            }
        }
        let desired = Desired {
            owner: owner.clone(),
            namespace: applied.tenant().map(|(namespace, _)| namespace.clone()),
            objects: self.objects(frozen),
            inventory: status.map(|status| status.inventory).unwrap_or_default(),
            adoption: applied.adoption(),
            force: false,
        };
        let access = self.access(&cluster)?;
        let mut compared = self.ports.synchronizer.compare(&access, &desired).await;
        if let Ok(comparison) = &mut compared {
            leave_state_out(comparison);
        }
        Ok((reference.name, compared))
    }
}

/// Which state the next one will be is not known yet, so nothing is said of that annotation.
fn leave_state_out(comparison: &mut Comparison) {
    let state = format!("/metadata/annotations/{}", marks::STATE.replace('/', "~1"));
    for difference in &mut comparison.differences {
        difference.fields.retain(|field| field.pointer != state);
    }
}
