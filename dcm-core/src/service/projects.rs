use super::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition, watch::Start};
use crate::{
    error::Error,
    keys,
    model::{Metadata, MetadataInput, Project, Uid},
    name::ProjectName,
    store::{Entry, Scan, StoreExt},
};

const WHAT: &str = "project";

impl Dcm {
    /// Registers a project.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::AlreadyExists`].
    pub async fn create_project(&self, draft: Draft<MetadataInput>) -> Result<Entry<Project>, Error> {
        let metadata = draft.check(|input, faults| input.check::<ProjectName>("/metadata", None, faults))?;
        let name = metadata.name.clone();
        let project = Project { uid: self.new_uid(), metadata, deleting: false };
        self.create(keys::project(&name)?, project, (WHAT, name.as_str())).await
    }

    /// Reads a project.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn project(&self, name: &ProjectName) -> Result<Entry<Project>, Error> {
        self.read(&keys::project(name)?, (WHAT, name.as_str())).await
    }

    /// The uid of a project, which its logical clouds are keyed by.
    pub(super) async fn project_uid(&self, name: &ProjectName) -> Result<Uid, Error> {
        let key = keys::project(name)?;
        let document = self.store().get(&key).await?.ok_or_else(|| Error::not_found(WHAT, name))?;
        if let Some(known) = self.project_uids.find(&document) {
            return Ok(known);
        }
        let uid = document.body.read::<Project>(&key)?.uid;
        self.project_uids.keep(&document, uid.clone());
        Ok(uid)
    }

    /// Lists projects by name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn projects(&self, page: &Page) -> Result<Listed<Entry<Project>>, Error> {
        self.page(keys::projects()?, page).await
    }

    /// Watches all projects.
    ///
    /// # Errors
    /// [`Error::Store`]: also where the position is too old, or another list's.
    pub async fn watch_projects(&self, from: Option<&WatchPosition>) -> Result<Watch<Entry<Project>>, Error> {
        let start = Start::of(self.store(), from).await?;
        self.watch_list(start, keys::projects()?, None).await
    }

    /// Changes a project's metadata.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::Changed`].
    pub async fn update_project(
        &self,
        name: &ProjectName,
        draft: Draft<MetadataInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<Project>, Error> {
        let metadata = draft.check(|input, faults| input.check("/metadata", Some(name), faults))?;
        let change = |project: Project| Ok(Project { metadata: metadata.clone(), ..project });
        self.change(&keys::project(name)?, (WHAT, name.as_str()), expected, change).await
    }

    /// Deletes a project that has no logical clouds.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Changed`]; [`Error::Refused`] naming up to ten of its logical clouds.
    pub async fn delete_project(&self, name: &ProjectName, expected: Expected<'_>) -> Result<(), Error> {
        let label = (WHAT, name.as_str());
        let held_by = async |uid: Uid| {
            let prefix = keys::logical_clouds(&uid)?;
            let found = self.store().scan(Scan::below(prefix, 11)).await?;
            let names = found.iter().map(|cloud| cloud.key.last());
            Ok((!found.is_empty()).then(|| still_has(label, "logical clouds", names)))
        };
        self.erase_parent::<Project, _>(&keys::project(name)?, label, expected, held_by).await.map(drop)
    }

    /// The project of a logical cloud that is about to be made; made on first use unless projects are
    /// registered.
    pub(super) async fn project_for_child(&self, name: &ProjectName) -> Result<Entry<Project>, Error> {
        loop {
            let found = self.store().load::<Project>(&keys::project(name)?).await?;
            match found {
                Some(project) => match self.unmarked(project).await? {
                    Some(project) => return Ok(project),
                    None => continue,
                },
                None if self.policy().registered_projects => {
                    return Err(Error::not_found(WHAT, name));
                }
                None => {}
            }
            let metadata = Metadata::named(name.clone());
            let project = Project { uid: self.new_uid(), metadata, deleting: false };
            match self.create(keys::project(name)?, project, (WHAT, name.as_str())).await {
                Err(Error::AlreadyExists { .. }) => {}
                other => return other,
            }
        }
    }
}

/// Says that a record cannot go, naming up to ten of those that hold it.
pub(super) fn still_has<'a>(
    label: (&'static str, &str),
    of: &str,
    names: impl ExactSizeIterator<Item = &'a str>,
) -> String {
    let more = if names.len() > 10 { ", …" } else { "" };
    let names: Vec<&str> = names.take(10).collect();
    format!("the {} {:?} still has {of}: {}{more}; delete them first", label.0, label.1, names.join(", "))
}
