use std::sync::{Arc, OnceLock};

use super::{
    CloudId, Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition,
    children::refuse_deleting,
    freeze::fingerprint,
    watch::{Derivable, Parent, SharedViews, Start, Views},
};
use crate::{
    error::Error,
    keys,
    lifecycle::{Lifecycle, Phase},
    model::{LabelSelector, LogicalCloud, LogicalCloudInput, LogicalCloudSpec, Project},
    name::{LogicalCloudName, ProjectName},
    store::{Document, Entry, Key, Revision, Scan},
};

const WHAT: &str = "logical cloud";

/// A logical cloud with what is derived from its children.
#[derive(Clone, Debug)]
pub struct LogicalCloudView {
    /// The logical cloud.
    pub cloud: LogicalCloud,
    /// Its state in the store.
    pub revision: Revision,
    /// The names of its cluster references.
    pub references: Vec<String>,
    /// The generation that its records are in: one ahead of the applied one where they were edited since.
    pub generation: u64,
    /// The states of the children that the rest was derived from.
    children: Vec<(Key, Revision)>,
    /// What an edge writes for it.
    written: OnceLock<Arc<[u8]>>,
}

/// The view of a larger document, or of one with more children, is not kept: all views that are kept together must not take
/// much room.
const SMALL: usize = 4 * 1024;
const FEW_CHILDREN: usize = 32;

impl LogicalCloudView {
    /// What an edge writes for this view where it is read: made once, and kept with it.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn written<E>(&self, write: impl FnOnce(&Self) -> Result<Vec<u8>, E>) -> Result<Arc<[u8]>, E> {
        if let Some(written) = self.written.get() {
            return Ok(Arc::clone(written));
        }
        let written = write(self)?.into();
        Ok(Arc::clone(self.written.get_or_init(|| written)))
    }

    fn is_derived_from(&self, children: &[Document]) -> bool {
        let known = self.children.iter().map(|(key, revision)| (key, revision));
        known.eq(children.iter().map(|child| (&child.key, &child.revision)))
    }
}

impl Derivable for LogicalCloudView {
    type Record = LogicalCloud;

    fn views(shared: &SharedViews) -> &Views<Self> {
        &shared.clouds
    }

    async fn derive(dcm: Dcm, entry: Entry<LogicalCloud>) -> Result<(Self, usize), Error> {
        dcm.measured_cloud(entry).await
    }

    fn is_selected(cloud: &LogicalCloud, selector: &LabelSelector) -> bool {
        selector.selects(&cloud.spec.labels)
    }
}

impl Dcm {
    /// Creates a logical cloud. Nothing happens on clusters before it is applied.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::AlreadyExists`], [`Error::NotFound`] (the project, where projects are
    /// registered).
    pub async fn create_logical_cloud(
        &self,
        project: &ProjectName,
        draft: Draft<LogicalCloudInput>,
    ) -> Result<LogicalCloudView, Error> {
        let (metadata, spec) = draft.check(|input, faults| input.check(None, self.policy(), faults))?;
        let parent = self.project_for_child(project).await?.value;
        let cloud = LogicalCloud {
            uid: self.new_uid(),
            project: project.clone(),
            project_uid: parent.uid.clone(),
            metadata,
            spec,
            edits: 1,
            credential_epoch: 0,
            lifecycle: Lifecycle::new(),
            created_at: self.now(),
        };
        let name = cloud.metadata.name.clone();
        let key = keys::logical_cloud(&parent.uid, &name)?;
        let entry = match self.create(key, cloud, (WHAT, name.as_str())).await {
            Err(Error::AlreadyExists { .. }) => {
                let id = CloudId { project: project.clone(), name: name.clone() };
                refuse_deleting(&self.cloud(&id).await?.value)?;
                return Err(Error::exists(WHAT, &name));
            }
            other => other?,
        };
        // A project that went meanwhile takes its child along: keyed by the project's uid, it was never seen.
        if !self.is_still::<Project>(&keys::project(project)?, &parent.uid).await? {
            self.take_back(&entry).await?;
            return Err(Error::Refused(format!("the project \"{project}\" was deleted meanwhile; try again")));
        }
        Ok(LogicalCloudView {
            cloud: entry.value,
            revision: entry.revision,
            references: Vec::new(),
            generation: 1,
            children: Vec::new(),
            written: OnceLock::new(),
        })
    }

    /// Reads a logical cloud.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn logical_cloud(&self, id: &CloudId) -> Result<Arc<LogicalCloudView>, Error> {
        let key = self.cloud_key(id).await?;
        let document = self.store().get(&key).await?.ok_or_else(|| Error::not_found(WHAT, &id.name))?;
        if let Some(known) = self.views.find(&document)
            && known.is_derived_from(&self.documents_below(keys::desired(&known.cloud.uid)?).await?)
        {
            return Ok(known);
        }
        let value = document.body.read(&key)?;
        let entry = Entry { key, revision: document.revision.clone(), value };
        let view = Arc::new(self.cloud_view(entry).await?);
        if document.body.as_bytes().len() <= SMALL && view.children.len() <= FEW_CHILDREN {
            self.views.keep(&document, Arc::clone(&view));
        }
        Ok(view)
    }

    /// Lists a project's logical clouds by name: those whose `spec.labels` are selected.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the project).
    pub async fn logical_clouds(
        &self,
        project: &ProjectName,
        selector: &LabelSelector,
        page: &Page,
    ) -> Result<Listed<LogicalCloudView>, Error> {
        let project = self.project(project).await?;
        let prefix = keys::logical_clouds(&project.value.uid)?;
        let found = self.select(prefix, page, |cloud| LogicalCloudView::is_selected(cloud, selector)).await?;
        found.views(|entry| self.measured_cloud(entry)).await
    }

    /// Watches those of a project's logical clouds that are selected. Told when a logical cloud's own document changes, with what its
    /// children are then.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the project); [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_logical_clouds(
        &self,
        project: &ProjectName,
        selector: &LabelSelector,
        from: Option<&WatchPosition>,
    ) -> Result<Watch<Arc<LogicalCloudView>>, Error> {
        let start = Start::of(self.store(), from).await?;
        let project = self.project(project).await?;
        let clouds = keys::logical_clouds(&project.value.uid)?;
        self.watch_selected(start, clouds, Some(Parent::project(&project)?), selector).await
    }

    /// Replaces what a tenant wants of a logical cloud. Clusters learn of it at the next apply.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`]; [`Error::Refused`] where a field cannot
    /// change while the logical cloud is applied.
    pub async fn update_logical_cloud(
        &self,
        id: &CloudId,
        draft: Draft<LogicalCloudInput>,
        expected: Expected<'_>,
    ) -> Result<LogicalCloudView, Error> {
        let checked = draft.check(|input, faults| input.check(Some(&id.name), self.policy(), faults))?;
        let (metadata, spec) = checked;
        let entry = self
            .change_cloud(id, expected, |mut cloud| {
                if cloud.lifecycle.phase.is_on_clusters() {
                    refuse_fixed(&cloud.spec, &spec)?;
                }
                if cloud.spec != spec {
                    cloud.edits += 1;
                }
                cloud.metadata.clone_from(&metadata);
                cloud.spec.clone_from(&spec);
                Ok(cloud)
            })
            .await?;
        self.cloud_view(entry).await
    }

    /// One page of a project's logical clouds, of which it answers those that are applied.
    ///
    /// # Errors
    /// [`Error::NotFound`] (the project).
    pub async fn applied_clouds(&self, project: &ProjectName, page: &Page) -> Result<Listed<CloudId>, Error> {
        let project = self.project(project).await?;
        let prefix = keys::logical_clouds(&project.value.uid)?;
        let after = page.after.as_deref().map(|name| prefix.child(name)).transpose()?;
        let scan = Scan::below(prefix, page.limit).bytes(Page::BYTES).after(after);
        let documents = self.store().scan(scan.clone()).await?;
        let next = documents.last().filter(|_| scan.is_full(&documents)).map(|last| last.key.last().to_owned());
        let mut applied = Vec::new();
        for document in documents {
            // One that cannot be read is reported where it is asked for; it does not hold the others up.
            let Ok(cloud) = document.body.read::<LogicalCloud>(&document.key) else {
                continue;
            };
            if cloud.lifecycle.phase == Phase::Applied {
                applied.push(CloudId::from(&cloud));
            }
        }
        Ok(Listed { entries: applied, next })
    }

    /// Reads a logical cloud's document.
    pub(super) async fn cloud(&self, id: &CloudId) -> Result<Entry<LogicalCloud>, Error> {
        self.read(&self.cloud_key(id).await?, (WHAT, id.name.as_str())).await
    }

    /// Where a logical cloud's document lies, if there is one.
    async fn cloud_key(&self, id: &CloudId) -> Result<Key, Error> {
        let project = match self.project_uid(&id.project).await {
            Err(Error::NotFound { .. }) => return Err(Error::not_found(WHAT, &id.name)),
            other => other?,
        };
        Ok(keys::logical_cloud(&project, &id.name)?)
    }

    /// Changes a logical cloud's document, unless it is on its way out.
    pub(super) async fn change_cloud(
        &self,
        id: &CloudId,
        expected: Expected<'_>,
        mut change: impl FnMut(LogicalCloud) -> Result<LogicalCloud, Error> + Send,
    ) -> Result<Entry<LogicalCloud>, Error> {
        let key = self.cloud_key(id).await?;
        let change = |cloud: LogicalCloud| {
            refuse_deleting(&cloud)?;
            change(cloud)
        };
        self.change(&key, (WHAT, id.name.as_str()), expected, change).await
    }

    pub(super) async fn cloud_view(&self, entry: Entry<LogicalCloud>) -> Result<LogicalCloudView, Error> {
        Ok(self.measured_cloud(entry).await?.0)
    }

    /// A view, and how many bytes of children were read for it.
    async fn measured_cloud(&self, entry: Entry<LogicalCloud>) -> Result<(LogicalCloudView, usize), Error> {
        let Entry { value: cloud, revision, .. } = entry;
        let children = self.documents_below(keys::desired(&cloud.uid)?).await?;
        let generation = match &cloud.lifecycle.applied {
            None => cloud.lifecycle.applied_generation + 1,
            Some(applied) => {
                let edited = applied.edits != cloud.edits || applied.children != fingerprint(&children);
                cloud.lifecycle.applied_generation + u64::from(edited)
            }
        };
        let prefix = keys::references(&cloud.uid)?;
        let references = children.iter().filter(|child| child.key.is_below(&prefix));
        let references = references.map(|reference| reference.key.last().to_owned()).collect();
        let read = children.iter().map(|child| child.body.as_bytes().len()).sum();
        let children = children.into_iter().map(|child| (child.key, child.revision)).collect();
        let view = LogicalCloudView { cloud, revision, references, generation, children, written: OnceLock::new() };
        Ok((view, read))
    }

    /// All documents below a prefix, as they are stored.
    pub(super) async fn documents_below(&self, prefix: Key) -> Result<Vec<Document>, Error> {
        let mut all = Vec::new();
        let mut rest = Some(Scan::below(prefix, Page::LARGEST_LIMIT).bytes(Scan::PAGE_BYTES));
        while let Some(scan) = rest {
            let page = self.store().scan(scan.clone()).await?;
            rest = scan.rest(&page);
            if all.is_empty() {
                all = page;
            } else {
                all.extend(page);
            }
        }
        Ok(all)
    }
}

/// Names a logical cloud by its document.
impl From<&LogicalCloud> for CloudId {
    fn from(cloud: &LogicalCloud) -> Self {
        Self { project: cloud.project.clone(), name: LogicalCloudName::clone(&cloud.metadata.name) }
    }
}

/// What an applied logical cloud keeps until it is terminated.
fn refuse_fixed(old: &LogicalCloudSpec, new: &LogicalCloudSpec) -> Result<(), Error> {
    let fixed = [
        ("spec.namespace", old.namespace == new.namespace),
        ("spec.level", old.level == new.level),
        ("spec.mesh", old.mesh == new.mesh),
        ("spec.trust-domain", old.trust_domain == new.trust_domain),
    ];
    let changed: Vec<&str> = fixed.iter().filter(|(_, same)| !same).map(|(field, _)| *field).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let changed = changed.join(", ");
    Err(Error::Refused(format!("{changed} cannot change while the logical cloud is applied; terminate it first")))
}
