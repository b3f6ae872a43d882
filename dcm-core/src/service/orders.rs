use super::{CloudId, Dcm, Expected, children::expect, freeze::Frozen, references::Deletion};
use crate::{
    error::Error,
    keys,
    lifecycle::{Event, Lifecycle, Next, Phase, next},
    model::{Level, LogicalCloud, LogicalCloudSpec, Order, Uid, User, quantity},
    name::QuotaName,
    store::{Entry, Key, StoreExt},
};

const WHAT: &str = "logical cloud";

/// How often a use case starts over when somebody else is faster.
pub(super) const ATTEMPTS: usize = 16;

/// An order that was taken: it will be carried out, also after a crash.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The logical cloud with the order in it.
    pub cloud: LogicalCloud,
    /// The clusters that it is for, as its references name them.
    pub clusters: Vec<String>,
    /// The quotas that it is for, by name.
    pub quotas: Vec<QuotaName>,
}

impl Dcm {
    /// Freezes the logical cloud as the store has it and orders its clusters to become that.
    ///
    /// `event` is [`Event::Apply`], [`Event::Instantiate`] or [`Event::Update`]. An apply that would freeze
    /// the same state again keeps the generation, and has the clusters looked at again. `force` goes on where a
    /// cluster is ahead of the store; whom it has seen cut off is unknown then, so the user becomes another one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] where the lifecycle or somebody else's namespace stands
    /// against it, or where there is no reference.
    pub async fn apply(&self, id: &CloudId, event: Event, force: bool) -> Result<Ordered, Error> {
        self.apply_at(id, event, force, None).await
    }

    pub(super) async fn apply_at(
        &self,
        id: &CloudId,
        event: Event,
        force: bool,
        expected: Expected<'_>,
    ) -> Result<Ordered, Error> {
        for _ in 0..ATTEMPTS {
            let mut cloud = self.cloud(id).await?;
            expect(&cloud, expected, (WHAT, id.name.as_str()))?;
            let phase = advance(&cloud.value, event)?;
            self.check_policy(&cloud.value.spec)?;
            let another = match self.gets_another_identity(&cloud.value).await {
                // Applied anew meanwhile.
                Err(Error::NotFound { .. }) => continue,
                another => another?,
            };
            if force || another {
                cloud.value.credential_epoch = self.new_epoch(&cloud.value);
            }
            let frozen = self.freeze(&cloud.value).await?;
            check_complete(id, &frozen)?;
            if let Some((namespace, _)) = frozen.applied.tenant() {
                self.reserve_all(&cloud.value, namespace, &frozen.references).await?;
            }
            let order = self.new_order(&cloud.key, force, true);
            let mut lifecycle = cloud.value.lifecycle.clone();
            let same = lifecycle.applied.as_ref().is_some_and(|old| old.digest == frozen.pointer.digest);
            if same {
                // What was edited since may be outside of what is frozen; the generation stays.
                let snapshot = lifecycle.applied.as_ref().map(|old| old.snapshot.clone());
                let snapshot = snapshot.unwrap_or_else(|| frozen.pointer.snapshot.clone());
                lifecycle.applied = Some(crate::lifecycle::AppliedPointer { snapshot, ..frozen.pointer.clone() });
            } else {
                self.keep(&frozen).await?;
                lifecycle = lifecycle.applying(frozen.applied.generation, frozen.pointer.clone());
            }
            lifecycle.phase = phase;
            lifecycle.order = Some(order.id.clone());
            let snapshot = frozen.pointer.snapshot.as_str();
            match self.give_order(cloud, lifecycle, order).await {
                Ok(cloud) => return Ok(ordered(cloud, frozen)),
                Err(Error::Changed { .. }) if !same => self.drop_state(&frozen.applied.cloud, snapshot).await?,
                Err(Error::Changed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::changed(WHAT, &id.name, false))
    }

    /// Whether the user that is about to be applied must be another one for clusters than any before: he has
    /// another name, or his access was taken away meanwhile. No certificate from before may fit his bindings.
    async fn gets_another_identity(&self, cloud: &LogicalCloud) -> Result<bool, Error> {
        if matches!(cloud.lifecycle.phase, Phase::Terminating | Phase::Terminated) {
            return Ok(true);
        }
        let identity = |user: &Option<User>| user.as_ref().map(|user| (user.user_name.clone(), user.user_type));
        let applied = self.frozen(cloud).await?;
        Ok(applied.is_some_and(|applied| identity(&applied.spec.user) != identity(&cloud.spec.user)))
    }

    /// Orders the clusters to hold nothing of the logical cloud.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub async fn terminate(&self, id: &CloudId, force: bool) -> Result<LogicalCloud, Error> {
        self.order(id, Event::Terminate, force, None).await
    }

    /// Ends work in progress and leaves objects as they are; apply or terminate resume it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub async fn stop(&self, id: &CloudId) -> Result<LogicalCloud, Error> {
        self.order(id, Event::Stop, false, None).await
    }

    /// Deletes a logical cloud with its children; where clusters hold something of it, it is terminated
    /// first and goes when they are clean.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`].
    pub async fn delete_logical_cloud(&self, id: &CloudId, expected: Expected<'_>) -> Result<Deletion, Error> {
        for _ in 0..ATTEMPTS {
            let cloud = self.cloud(id).await?;
            expect(&cloud, expected, (WHAT, id.name.as_str()))?;
            let order = Order { deletes: true, ..self.new_order(&cloud.key, false, false) };
            let refused = |detail: &str| Error::Refused(detail.to_owned());
            let done = match next(cloud.value.lifecycle.phase, Event::Delete).map_err(refused)? {
                Next::Gone => {
                    // The order outlives the logical cloud and sweeps its children, after a crash too.
                    let key = self.put_order(&cloud.value.uid, order).await?;
                    let gone =
                        self.erase::<LogicalCloud>(&cloud.key, (WHAT, id.name.as_str()), Some(&cloud.revision)).await;
                    self.ports.wake.wake(&key);
                    gone.map(|()| Deletion::Gone)
                }
                Next::Phase(phase) => {
                    let lifecycle = Lifecycle { phase, order: Some(order.id.clone()), ..cloud.value.lifecycle.clone() };
                    self.give_order(cloud, lifecycle, order).await.map(|_| Deletion::Accepted)
                }
            };
            match done {
                Err(Error::Changed { .. }) if expected.is_none() => {}
                other => return other,
            }
        }
        Err(Error::changed(WHAT, &id.name, false))
    }

    /// The logical cloud that a waiting order is for; `None` where either is gone.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ordered_cloud(&self, order: &Key) -> Result<Option<LogicalCloud>, Error> {
        let Some(waiting) = self.store().load::<Order>(order).await? else { return Ok(None) };
        let cloud = self.store().load::<LogicalCloud>(&waiting.value.cloud).await?;
        Ok(cloud.map(|cloud| cloud.value).filter(|cloud| cloud.uid.as_str() == order.last()))
    }

    /// Has an applied logical cloud's clusters looked at again, for drift.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn resync(&self, id: &CloudId) -> Result<(), Error> {
        let cloud = self.cloud(id).await?;
        if cloud.value.lifecycle.phase == Phase::Applied {
            self.order_once_more(&cloud, true).await?;
        }
        Ok(())
    }

    /// What was written under a policy that allowed more is not carried to clusters under this one.
    fn check_policy(&self, spec: &LogicalCloudSpec) -> Result<(), Error> {
        match self.policy().refuses(spec).as_slice() {
            [] => Ok(()),
            refused => {
                let refused: Vec<String> = refused.iter().map(|(field, why)| format!("{field}: {why}")).collect();
                Err(Error::Refused(format!(
                    "the operator allows less than when this was written: {}",
                    refused.join("; ")
                )))
            }
        }
    }

    /// A credential epoch that the logical cloud never had, not even one that a restored store has forgotten.
    pub(super) fn new_epoch(&self, cloud: &LogicalCloud) -> u64 {
        let [.., a, b, c, d, e, f] = self.ports.entropy.bytes();
        // Six bytes: every reader of JSON keeps such a number as it is.
        let epoch = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        if epoch == cloud.credential_epoch { epoch + 1 } else { epoch }
    }

    pub(super) async fn order(
        &self,
        id: &CloudId,
        event: Event,
        force: bool,
        expected: Expected<'_>,
    ) -> Result<LogicalCloud, Error> {
        for _ in 0..ATTEMPTS {
            let mut cloud = self.cloud(id).await?;
            expect(&cloud, expected, (WHAT, id.name.as_str()))?;
            let phase = advance(&cloud.value, event)?;
            if phase == Phase::Terminating && cloud.value.lifecycle.phase != phase {
                // Here his access goes, however far that comes: an apply after a stop must not bring it back.
                cloud.value.credential_epoch = self.new_epoch(&cloud.value);
            }
            let order = self.new_order(&cloud.key, force, false);
            let lifecycle = Lifecycle { phase, order: Some(order.id.clone()), ..cloud.value.lifecycle.clone() };
            match self.give_order(cloud, lifecycle, order).await {
                Err(Error::Changed { .. }) => {}
                other => return other,
            }
        }
        Err(Error::changed(WHAT, &id.name, false))
    }

    /// Has a worker look at references that are on their way out.
    pub(super) async fn give_order_for_reference(&self, cloud: &Entry<LogicalCloud>) -> Result<(), Error> {
        self.order_once_more(cloud, false).await
    }

    /// Has a worker look once more at what was ordered last. An order that waits stays what it is: it may be a
    /// later one already, and forced.
    async fn order_once_more(&self, cloud: &Entry<LogicalCloud>, verify: bool) -> Result<(), Error> {
        let mut order = self.new_order(&cloud.key, false, verify);
        order.id = cloud.value.lifecycle.order.clone().unwrap_or(order.id);
        order.deletes = cloud.value.lifecycle.phase == Phase::Deleting;
        let key = keys::order(&cloud.value.uid)?;
        self.store()
            .update(&key, |old: Option<Order>| -> Result<_, Error> {
                let order = order.clone();
                Ok(match old {
                    Some(old) => Order { verify: order.verify.or(old.verify), ..old },
                    None => order,
                })
            })
            .await?;
        self.ports.wake.wake(&key);
        Ok(())
    }

    /// Writes the order where a worker finds it, then the logical cloud; only that makes it valid.
    ///
    /// In this sequence a crash between the two leaves an order that nobody was told of, which the worker
    /// drops; the other way round it would leave an acknowledged order that nobody finds.
    pub(super) async fn give_order(
        &self,
        mut cloud: Entry<LogicalCloud>,
        lifecycle: Lifecycle,
        order: Order,
    ) -> Result<LogicalCloud, Error> {
        let lifecycle = lifecycle.remembering(&cloud.value.lifecycle, order.given_at);
        let key = self.put_order(&cloud.value.uid, order).await?;
        let name = cloud.value.metadata.name.clone();
        cloud.value.lifecycle = lifecycle;
        let written = self.write(cloud, (WHAT, name.as_str()), None).await;
        self.ports.wake.wake(&key);
        Ok(written?.value)
    }

    pub(super) fn new_order(&self, cloud: &Key, force: bool, verify: bool) -> Order {
        Order {
            id: self.new_uid(),
            cloud: cloud.clone(),
            given_at: self.now(),
            verify: verify.then(|| self.new_uid()),
            cut_off: None,
            force,
            deletes: false,
        }
    }

    /// Puts an order in place of the one that waits. Clusters that were to be looked at again still are,
    /// who was to be cut off still is, and a delete that is on its way is not forgotten.
    async fn put_order(&self, cloud: &Uid, order: Order) -> Result<Key, Error> {
        let key = keys::order(cloud)?;
        self.store()
            .update(&key, |old: Option<Order>| -> Result<_, Error> {
                let mut order = order.clone();
                if let Some(old) = old {
                    order.verify = order.verify.or(old.verify);
                    order.cut_off = order.cut_off.or(old.cut_off);
                    order.deletes |= old.deletes;
                }
                Ok(order)
            })
            .await?;
        Ok(key)
    }
}

pub(super) fn advance(cloud: &LogicalCloud, event: Event) -> Result<Phase, Error> {
    match next(cloud.lifecycle.phase, event) {
        Ok(Next::Phase(phase)) => Ok(phase),
        Ok(Next::Gone) => Err(Error::Refused("the logical cloud is being deleted".to_owned())),
        Err(detail) => Err(Error::Refused(detail.to_owned())),
    }
}

/// What must be there before a state can be applied.
fn check_complete(id: &CloudId, frozen: &Frozen) -> Result<(), Error> {
    if frozen.references.is_empty() {
        return Err(Error::Refused(format!(
            "the logical cloud has no cluster reference; add one with POST /v2/projects/{}/logical-clouds/{}/cluster-references",
            id.project, id.name
        )));
    }
    if frozen.applied.spec.level == Level::Admin {
        return Ok(());
    }
    // A quota counts what DCM makes, too.
    let permissions = frozen.applied.spec.user.as_ref().map_or(0, |user| user.permissions.len());
    let makes = [
        ("resourcequotas", frozen.applied.quotas.len()),
        ("count/resourcequotas", frozen.applied.quotas.len()),
        ("count/roles.rbac.authorization.k8s.io", permissions),
        ("count/rolebindings.rbac.authorization.k8s.io", permissions),
    ];
    for (name, limits) in &frozen.applied.quotas {
        for (resource, needed) in makes {
            let limit = limits.get(resource).and_then(|limit| quantity::parse(limit).ok());
            #[expect(clippy::cast_precision_loss, reason = "some hundreds at most")]
            if limit.is_some_and(|limit| limit.value < needed as f64) {
                return Err(Error::Refused(format!(
                    "the quota \"{name}\" allows fewer {resource} than this logical cloud itself needs ({needed})"
                )));
            }
        }
    }
    Ok(())
}

fn ordered(cloud: LogicalCloud, frozen: Frozen) -> Ordered {
    let clusters = frozen.references.iter().map(|reference| reference.name.to_string()).collect();
    Ordered { cloud, clusters, quotas: frozen.applied.quotas.into_keys().collect() }
}
