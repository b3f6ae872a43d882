mod health;

use std::sync::Arc;

use super::{
    Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition,
    projects::still_has,
    watch::{Derivable, Parent, SharedViews, Start, Views},
};
use crate::{
    credential::SigningCa,
    error::Error,
    fault::Faults,
    keys,
    model::{
        CheckedCa, CheckedCluster, Cluster, ClusterHealth, ClusterInput, ClusterProvider, ClusterStatus, ClusterUse,
        LabelSelector, Uid,
    },
    name::{ClusterName, ProviderName},
    secret::Secret,
    store::{self, Entry, Key, Revision, Scan, StoreExt},
    sync::ClusterAccess,
};

const WHAT: &str = "cluster";

/// A registered cluster with what is known of it.
#[derive(Clone, Debug)]
pub struct ClusterView {
    /// The registration.
    pub cluster: Cluster,
    /// Its state in the store.
    pub revision: Revision,
    /// What was last seen of it.
    pub health: Option<ClusterHealth>,
    /// Which logical clouds refer to it; at most [`Page::LARGEST_LIMIT`] of them.
    pub uses: Vec<ClusterUse>,
}

impl Derivable for ClusterView {
    type Record = Cluster;

    fn views(shared: &SharedViews) -> &Views<Self> {
        &shared.clusters
    }

    async fn derive(dcm: Dcm, entry: Entry<Cluster>) -> Result<(Self, usize), Error> {
        dcm.measured_cluster(entry).await
    }

    fn is_selected(cluster: &Cluster, selector: &LabelSelector) -> bool {
        selector.selects(&cluster.labels)
    }
}

impl Dcm {
    /// Registers a cluster, and asks it once who it is. A cluster that does not answer is registered all
    /// the same.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] (the provider), [`Error::AlreadyExists`].
    pub async fn create_cluster(
        &self,
        provider: &ProviderName,
        draft: Draft<ClusterInput>,
    ) -> Result<ClusterView, Error> {
        let checked = self.check_cluster(None, draft)?;
        let provider_key = keys::provider(provider)?;
        let label = ("cluster provider", provider.as_str());
        let parent = self.for_child::<ClusterProvider>(&provider_key, label).await?;
        let key = keys::cluster(&parent.value.uid, &checked.metadata.name)?;
        let cluster = self.seal_cluster(&key, provider, checked, None)?;
        let name = cluster.metadata.name.to_string();
        let entry = self.create(key, cluster, (WHAT, &name)).await?;
        if !self.is_still::<ClusterProvider>(&provider_key, &parent.value.uid).await? {
            self.take_back(&entry).await?;
            return Err(Error::not_found("cluster provider", provider));
        }
        self.look_at(&entry).await?;
        self.view(entry).await
    }

    /// Reads a cluster's registration and what is known of it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn cluster(&self, provider: &ProviderName, name: &ClusterName) -> Result<ClusterView, Error> {
        let entry = self.registration(provider, name).await?;
        self.view(entry).await
    }

    /// Lists a provider's clusters by name: those whose labels are selected.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the provider).
    pub async fn clusters(
        &self,
        provider: &ProviderName,
        selector: &LabelSelector,
        page: &Page,
    ) -> Result<Listed<ClusterView>, Error> {
        let provider = self.provider(provider).await?;
        let prefix = keys::clusters(&provider.value.uid)?;
        let found = self.select(prefix, page, |cluster| ClusterView::is_selected(cluster, selector)).await?;
        found.views(|entry| self.measured_cluster(entry)).await
    }

    /// Watches those of a provider's clusters that are selected. Told when a registration changes, with what is known of the cluster
    /// then.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the provider); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_clusters(
        &self,
        provider: &ProviderName,
        selector: &LabelSelector,
        from: Option<&WatchPosition>,
    ) -> Result<Watch<Arc<ClusterView>>, Error> {
        let start = Start::of(self.store(), from).await?;
        let provider = self.provider(provider).await?;
        let clusters = keys::clusters(&provider.value.uid)?;
        self.watch_selected(start, clusters, Some(Parent::provider(&provider)?), selector).await
    }

    /// Changes a cluster's registration, for example its credential. Credentials that the input leaves out
    /// stay.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_cluster(
        &self,
        provider: &ProviderName,
        name: &ClusterName,
        draft: Draft<ClusterInput>,
        expected: Expected<'_>,
    ) -> Result<ClusterView, Error> {
        let label = (WHAT, name.as_str());
        let found = self.registration(provider, name).await?;
        let checked = self.check_cluster(Some(&found.value), draft)?;
        let change = |old: Cluster| self.seal_cluster(&found.key, provider, checked.clone(), Some(old));
        let entry = self.change(&found.key, label, expected, change).await?;
        self.look_at(&entry).await?;
        let view = self.view(entry).await?;
        for used in &view.uses {
            // The registration is written. Where this fails, the cluster is tried when it would have been.
            drop(self.try_now(used).await);
        }
        Ok(view)
    }

    /// Deletes the registration of a cluster that no logical cloud refers to, with its kv-pairs.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`]; [`Error::Refused`] naming up to ten logical clouds.
    pub async fn delete_cluster(
        &self,
        provider: &ProviderName,
        name: &ClusterName,
        expected: Expected<'_>,
    ) -> Result<(), Error> {
        let label = (WHAT, name.as_str());
        let key = self.registration(provider, name).await?.key;
        let held_by = async |uid: Uid| {
            let uses = self.uses_that_stand(&uid).await?;
            let names: Vec<String> = uses.iter().map(|used| format!("{}/{}", used.project, used.name)).collect();
            let names = names.iter().map(String::as_str);
            Ok((!uses.is_empty()).then(|| still_has(label, "references from logical clouds", names)))
        };
        let uid = self.erase_parent::<Cluster, _>(&key, label, expected, held_by).await?;
        self.remove_below(keys::cluster_kv_pairs(&uid)?).await?;
        Ok(self.store().remove(&keys::cluster_health(&uid)?).await?)
    }

    /// Reads a registration.
    pub(super) async fn registration(
        &self,
        provider: &ProviderName,
        name: &ClusterName,
    ) -> Result<Entry<Cluster>, Error> {
        let provider = self.provider(provider).await?;
        self.read(&keys::cluster(&provider.value.uid, name)?, (WHAT, name.as_str())).await
    }

    /// How to reach a registered cluster.
    pub(super) fn access(&self, cluster: &Entry<Cluster>) -> Result<ClusterAccess, Error> {
        Ok(ClusterAccess {
            provider: cluster.value.provider.clone(),
            cluster: cluster.value.metadata.name.clone(),
            kubeconfig: self.ports.sealer.open(&cluster.key, &cluster.value.kubeconfig)?,
        })
    }

    /// Has a cluster tried again now whose next attempt was still to come: what stood in the way may be mended.
    async fn try_now(&self, used: &ClusterUse) -> Result<(), Error> {
        let key = keys::status(&used.cloud, &used.reference)?;
        let Some(status) = self.store().load::<ClusterStatus>(&key).await? else {
            return Ok(());
        };
        if status.value.next_attempt.is_none() || status.value.reference_uid != used.reference_uid {
            return Ok(());
        }
        let due = ClusterStatus { next_attempt: None, ..status.value };
        match self.store().replace(&key, &due, &status.revision).await {
            Ok(_) => self.ports.wake.wake(&keys::order(&used.cloud)?),
            // It is being tried.
            Err(store::Error::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn view(&self, entry: Entry<Cluster>) -> Result<ClusterView, Error> {
        Ok(self.measured_cluster(entry).await?.0)
    }

    /// A view, and how many bytes were read for it.
    async fn measured_cluster(&self, entry: Entry<Cluster>) -> Result<(ClusterView, usize), Error> {
        let health = self.store().get(&keys::cluster_health(&entry.value.uid)?).await?;
        let of_health = health.as_ref().map_or(0, |document| document.body.as_bytes().len());
        let health = health.map(Entry::read).transpose()?.map(|found| found.value);
        let prefix = keys::cluster_uses(&entry.value.uid)?;
        let found = self.store().scan(Scan::below(prefix, Page::LARGEST_LIMIT)).await?;
        let of_uses: usize = found.iter().map(|document| document.body.as_bytes().len()).sum();
        let uses = found.into_iter().map(|document| Ok(Entry::read(document)?.value)).collect::<Result<_, Error>>()?;
        let view = ClusterView { cluster: entry.value, revision: entry.revision, health, uses };
        Ok((view, of_health + of_uses))
    }

    /// Up to eleven of those who refer to a cluster. What a crash left of a logical cloud or reference that
    /// is gone does not count.
    async fn uses_that_stand(&self, cluster: &Uid) -> Result<Vec<ClusterUse>, Error> {
        let mut uses = Vec::new();
        for entry in self.store().list_all::<ClusterUse>(&keys::cluster_uses(cluster)?).await? {
            if self.is_in_use(&entry.value).await? {
                uses.push(entry.value);
            }
            if uses.len() > 10 {
                break;
            }
        }
        Ok(uses)
    }

    fn check_cluster(&self, old: Option<&Cluster>, draft: Draft<ClusterInput>) -> Result<CheckedCluster, Error> {
        let checked = draft.check(|input, faults| input.check(old, self.policy(), faults))?;
        if let CheckedCa::Given(certificate_pem, key_pem) = &checked.ca {
            let ca = SigningCa { certificate_pem, key_pem };
            if let Err(error) = self.ports.credentials.check_ca(&ca) {
                let mut faults = Faults::new();
                faults.add("/spec/ca-certificate", error.to_string());
                return Err(faults.into());
            }
        }
        Ok(checked)
    }

    fn seal_cluster(
        &self,
        key: &Key,
        provider: &ProviderName,
        checked: CheckedCluster,
        old: Option<Cluster>,
    ) -> Result<Cluster, Error> {
        let seal = |secret: &Secret| self.ports.sealer.seal(key, secret);
        let missing = || {
            let mut faults = Faults::new();
            faults.add("/spec/kubeconfig", "is required: the cluster's kubeconfig");
            Error::Invalid(faults)
        };
        let (server, kubeconfig) = match (checked.kubeconfig, &old) {
            (Some(new), _) => (new.server, seal(&new.json)?),
            (None, Some(old)) => (old.server.clone(), old.kubeconfig.clone()),
            (None, None) => return Err(missing()),
        };
        let (ca_certificate, ca_key) = match (checked.ca, &old) {
            (CheckedCa::Given(certificate, secret), _) => (Some(certificate), Some(seal(&secret)?)),
            (CheckedCa::Kept(certificate), Some(old)) if old.ca_certificate.as_ref() == Some(&certificate) => {
                (Some(certificate), old.ca_key.clone())
            }
            (CheckedCa::Kept(_), _) => return Err(Error::changed(WHAT, &checked.metadata.name, false)),
            (CheckedCa::None, _) => (None, None),
        };
        Ok(Cluster {
            uid: old.as_ref().map_or_else(|| self.new_uid(), |old| old.uid.clone()),
            metadata: checked.metadata,
            provider: provider.clone(),
            labels: checked.labels,
            server,
            kubeconfig,
            ca_certificate,
            ca_key,
            istio_version: checked.istio_version,
            registered_at: old.as_ref().map_or_else(|| self.now(), |old| old.registered_at),
            deleting: old.is_some_and(|old| old.deleting),
        })
    }
}
