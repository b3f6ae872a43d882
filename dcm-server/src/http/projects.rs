use dcm_core::{
    error::Error,
    model::{MetadataInput, Project},
    name::ProjectName,
    service::{Dcm, Draft, Expected, Listed, Page, Watch, WatchPosition},
    store::Entry,
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use super::{
    api::{Api, Noun},
    dto::{RecordAnswer, RecordBody, RecordSchema},
    path::{All, Named},
    record::{Kept, Record, create, delete, list, patch, read, update},
};

pub(super) fn routes(api: Api) -> Api {
    let project = Noun::new("Project", "a project", "projects");
    api.tag("Projects", "Tenants.")
        .path("/v2/projects", |path| {
            path.get(list::<Projects>, project.list::<RecordSchema>().watched()).post(
                create::<Projects>,
                project
                    .create::<RecordBody, RecordSchema>(StatusCode::CREATED)
                    .named()
                    .example(json!({"metadata": {"name": "walmart"}})),
            )
        })
        .path("/v2/projects/{project}", |path| {
            path.get(read::<Projects>, project.read::<RecordSchema>())
                .put(update::<Projects>, project.replace::<RecordBody, RecordSchema>(StatusCode::OK))
                .patch(patch::<Projects>, project.patch::<RecordSchema>(StatusCode::OK))
                .delete(
                    delete::<Projects>,
                    project.delete().about("A project that holds logical clouds stays (409, naming some of them)."),
                )
        })
}

impl Kept for Project {
    fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    fn answer(&self) -> impl Serialize {
        RecordAnswer { metadata: &self.metadata, uid: self.uid.as_str() }
    }
}

/// Tenants.
struct Projects;

impl Record for Projects {
    type Stored = Project;
    type Input = MetadataInput;
    type Of = All;
    type One = Named<ProjectName>;

    async fn create(dcm: &Dcm, _: &All, draft: Draft<MetadataInput>) -> Result<Entry<Project>, Error> {
        dcm.create_project(draft).await
    }

    async fn page(dcm: &Dcm, _: &All, page: &Page) -> Result<Listed<Entry<Project>>, Error> {
        dcm.projects(page).await
    }

    async fn watch(dcm: &Dcm, _: &All, from: Option<&WatchPosition>) -> Result<Watch<Entry<Project>>, Error> {
        dcm.watch_projects(from).await
    }

    async fn find(dcm: &Dcm, one: &Named<ProjectName>) -> Result<Entry<Project>, Error> {
        dcm.project(&one.0).await
    }

    async fn replace(
        dcm: &Dcm,
        one: &Named<ProjectName>,
        draft: Draft<MetadataInput>,
        expected: Expected<'_>,
    ) -> Result<Entry<Project>, Error> {
        dcm.update_project(&one.0, draft, expected).await
    }

    async fn delete(dcm: &Dcm, one: &Named<ProjectName>, expected: Expected<'_>) -> Result<(), Error> {
        dcm.delete_project(&one.0, expected).await
    }
}
