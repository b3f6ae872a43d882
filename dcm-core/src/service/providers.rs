use super::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition, projects::still_has, watch::Start};
use crate::{
    error::Error,
    keys,
    model::{ClusterProvider, ClusterReference, MetadataInput, Uid},
    name::ProviderName,
    store::{Entry, Scan},
};

const WHAT: &str = "cluster provider";

impl Dcm {
    /// Registers a cluster provider.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::AlreadyExists`].
    pub async fn create_provider(&self, draft: Draft<MetadataInput>) -> Result<Entry<ClusterProvider>, Error> {
        let metadata = draft.check(|input, faults| input.check::<ProviderName>("/metadata", None, faults))?;
        let name = metadata.name.clone();
        let provider = ClusterProvider { uid: self.new_uid(), metadata, deleting: false };
        self.create(keys::provider(&name)?, provider, (WHAT, name.as_str())).await
    }

    /// Reads a cluster provider.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn provider(&self, name: &ProviderName) -> Result<Entry<ClusterProvider>, Error> {
        self.read(&keys::provider(name)?, (WHAT, name.as_str())).await
    }

    /// Lists cluster providers by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn providers(&self, page: &Page) -> Result<Listed<Entry<ClusterProvider>>, Error> {
        self.page(keys::providers()?, page).await
    }

    /// Watches all cluster providers.
    ///
    /// # Errors
    /// [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_providers(&self, from: Option<&WatchPosition>) -> Result<Watch<Entry<ClusterProvider>>, Error> {
        let start = Start::of(self.store(), from).await?;
        self.watch_list(start, keys::providers()?, None).await
    }

    /// Changes a cluster provider's metadata.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_provider(
        &self,
        name: &ProviderName,
        draft: Draft<MetadataInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<ClusterProvider>, Error> {
        let metadata = draft.check(|input, faults| input.check("/metadata", Some(name), faults))?;
        let change = |provider: ClusterProvider| Ok(ClusterProvider { metadata: metadata.clone(), ..provider });
        self.change(&keys::provider(name)?, (WHAT, name.as_str()), expected, change).await
    }

    /// Deletes a cluster provider that has no clusters.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`]; [`Error::Refused`] naming up to ten of its clusters.
    pub async fn delete_provider(&self, name: &ProviderName, expected: Expected<'_>) -> Result<(), Error> {
        let label = (WHAT, name.as_str());
        let held_by = async |uid: Uid| {
            let prefix = keys::clusters(&uid)?;
            let found = self.store().scan(Scan::below(prefix, 11)).await?;
            let names = found.iter().map(|cluster| cluster.key.last());
            Ok((!found.is_empty()).then(|| still_has(label, "clusters", names)))
        };
        self.erase_parent::<ClusterProvider, _>(&keys::provider(name)?, label, expected, held_by).await.map(drop)
    }

    /// Makes the provider that the short form of a cluster reference means, where it is not there yet.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn ensure_default_provider(&self) -> Result<(), Error> {
        let name = ClusterReference::DEFAULT_PROVIDER;
        let input = MetadataInput {
            name: Some(name.to_owned()),
            description: Some("the provider of clusters that are named without one".to_owned()),
            ..MetadataInput::default()
        };
        let key = keys::providers()?.child(name)?;
        if self.store().get(&key).await?.is_some() {
            return Ok(());
        }
        match self.create_provider(input.into()).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
