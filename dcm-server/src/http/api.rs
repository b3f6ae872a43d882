//! Routes, each together with its description: neither is there without the other.
//!
//! What all operations have in common (names in the path, conditions, pages, problems) is described in one place here;
//! a resource's own file says what is its own.

mod operation;
mod parameters;
mod problems;

use std::collections::BTreeMap;

use axum::handler::Handler;
use http::StatusCode;
use utoipa::openapi::{
    Components, Info, License, OpenApi, OpenApiBuilder, PathItem, Paths, Ref, RefOr, Schema,
    link::{Link, LinkBuilder},
    path::{HttpMethod, Operation as Described},
    tag::{Tag, TagBuilder},
};

pub(super) use operation::{Noun, Operation};

use super::{
    App,
    dto::ProblemSchema,
    routes::{Methods, Routes},
};

/// What a path of a logical cloud begins with.
const LOGICAL_CLOUD: &str = "/v2/projects/{project}/logical-clouds/{logical-cloud}";

/// The path of something of a logical cloud.
pub(super) fn of_cloud(rest: &str) -> String {
    format!("{LOGICAL_CLOUD}{rest}")
}

/// What a path of a cluster begins with.
const CLUSTER: &str = "/v2/cluster-providers/{cluster-provider}/clusters/{cluster}";

/// The path of something of a cluster.
pub(super) fn of_cluster(rest: &str) -> String {
    format!("{CLUSTER}{rest}")
}

/// Routes and their description.
pub(super) struct Api {
    routes: Routes,
    paths: Paths,
    schemas: Schemas,
    tags: Vec<Tag>,
}

/// Schemas by name.
type Schemas = BTreeMap<String, RefOr<Schema>>;

/// One path in the making.
pub(super) struct Path {
    template: String,
    tag: String,
    methods: Methods,
    item: PathItem,
    schemas: Schemas,
}

impl Api {
    pub(super) fn new() -> Self {
        Self { routes: Routes::default(), paths: Paths::new(), schemas: Schemas::new(), tags: Vec::new() }
    }

    /// What follows belongs together, under this name.
    pub(super) fn tag(mut self, name: &str, description: &str) -> Self {
        self.tags.push(TagBuilder::new().name(name).description(Some(description)).build());
        self
    }

    /// Adds a path without a trailing slash.
    pub(super) fn path(mut self, template: impl Into<String>, build: impl FnOnce(Path) -> Path) -> Self {
        let path = build(Path {
            template: template.into(),
            tag: self.tags.last().map(|tag| tag.name.clone()).unwrap_or_default(),
            methods: Methods::default(),
            item: PathItem::default(),
            schemas: Schemas::new(),
        });
        self.routes = self.routes.route(&path.template, path.methods);
        self.schemas.extend(path.schemas);
        self.paths.paths.insert(path.template, path.item);
        self
    }

    /// The routes, and what they are.
    pub(super) fn into_parts(self) -> (Routes, OpenApi) {
        let Self { routes, mut paths, mut schemas, tags } = self;
        link(&mut paths);
        operation::add_schema::<ProblemSchema>(&mut schemas);
        let mut components = Components::new();
        components.schemas = schemas;
        components.responses = problems::responses();
        let license = License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
        let info = Info::builder()
            .title("Distributed Cloud Manager")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(include_str!("api/description.md")))
            .license(Some(license));
        let description =
            OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).tags(Some(tags)).build();
        (routes, description)
    }
}

impl Path {
    pub(super) fn get<H: Handler<T, App>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.get(handler);
        self.describe(HttpMethod::Get, operation)
    }

    pub(super) fn post<H: Handler<T, App>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.post(handler);
        self.describe(HttpMethod::Post, operation)
    }

    pub(super) fn put<H: Handler<T, App>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.put(handler);
        self.describe(HttpMethod::Put, operation)
    }

    pub(super) fn patch<H: Handler<T, App>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.patch(handler);
        self.describe(HttpMethod::Patch, operation)
    }

    pub(super) fn delete<H: Handler<T, App>, T: 'static>(mut self, handler: H, operation: Operation) -> Self {
        self.methods = self.methods.delete(handler);
        self.describe(HttpMethod::Delete, operation)
    }

    fn describe(mut self, method: HttpMethod, operation: Operation) -> Self {
        self.methods = self.methods.promising(operation.contract());
        let (described, schemas) = operation.describe(&self.template, &self.tag);
        self.schemas.extend(schemas);
        self.item.merge_operations(PathItem::new(method, described));
        self
    }
}

/// Says, for each answer to a creation, which operations the new record knows.
fn link(paths: &mut Paths) {
    let mut links: Vec<(String, BTreeMap<String, RefOr<Link>>)> = Vec::new();
    for (template, item) in &paths.paths {
        if item.post.is_none() {
            continue;
        }
        let below = format!("{template}/{{");
        let mut found = BTreeMap::new();
        for (other, item) in &paths.paths {
            let Some(rest) = other.strip_prefix(&below) else { continue };
            let Some((parameter, rest)) = rest.split_once('}') else { continue };
            if rest.contains('{') {
                continue;
            }
            for operation in operations(item) {
                let id = operation.operation_id.clone().unwrap_or_default();
                let named = if parameter == parameters::LABEL { "label-name" } else { "metadata/name" };
                let mut link =
                    LinkBuilder::new().operation_id(&id).parameter(parameter, format!("$response.body#/{named}"));
                for name in parameters::names(template) {
                    link = link.parameter(name, format!("$request.path.{name}"));
                }
                found.insert(id, RefOr::T(link.build()));
            }
        }
        links.push((template.clone(), found));
    }
    for (template, links) in links {
        let Some(post) = paths.paths.get_mut(&template).and_then(|item| item.post.as_mut()) else { continue };
        for status in [StatusCode::OK, StatusCode::CREATED] {
            if let Some(RefOr::T(response)) = post.responses.responses.get_mut(status.as_str()) {
                response.links.clone_from(&links);
            }
        }
    }
}

fn operations(item: &PathItem) -> impl Iterator<Item = &Described> {
    [&item.get, &item.put, &item.patch, &item.post, &item.delete].into_iter().flatten()
}

/// A schema that is described elsewhere in the document.
fn schema_ref(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}
