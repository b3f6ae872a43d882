//! The application: its own routes and its own idea of who may do what, with DCM's use cases behind them.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use dcm_core::{
    error::{Error, ErrorKind},
    fault::Faults,
    lifecycle::Event,
    model::{ClusterReferenceInput, LogicalCloudInput, MetadataInput, PermissionInput, UserInput},
    service::{CloudId, Dcm, Deletion},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What all handlers share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) dcm: Dcm,
    /// The application's own accounts: who has this token is of that team.
    pub(crate) teams: Arc<HashMap<String, String>>,
}

/// The team of whoever asks.
#[derive(Clone, Debug)]
struct Team(String);

/// What a team asks for: an environment is a logical cloud with a namespace of its own.
#[derive(Debug, Deserialize)]
struct Environment {
    name: String,
    clusters: Vec<String>,
}

pub(crate) fn router(app: App) -> Router {
    let teams = Router::new()
        .route("/teams/{team}/environments", post(create))
        .route("/teams/{team}/environments/{name}", get(show).delete(remove))
        .route("/teams/{team}/environments/{name}/kubeconfig", get(kubeconfig))
        .layer(middleware::from_fn_with_state(app.clone(), authenticate))
        .with_state(app);
    Router::new().route("/health", get(async || "fine")).merge(teams)
}

/// Lets in who has a token, and only to his own team.
async fn authenticate(
    State(app): State<App>,
    Path(path): Path<HashMap<String, String>>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer "));
    match token.and_then(|token| app.teams.get(token)) {
        None => StatusCode::UNAUTHORIZED.into_response(),
        Some(team) if path.get("team") != Some(team) => StatusCode::FORBIDDEN.into_response(),
        Some(team) => {
            request.extensions_mut().insert(Team(team.clone()));
            next.run(request).await
        }
    }
}

/// Three calls, each whole or not at all. What one that failed in between left is shown, and can be deleted.
async fn create(
    State(app): State<App>,
    Extension(Team(team)): Extension<Team>,
    Json(wanted): Json<Environment>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = id(&team, &wanted.name)?;
    app.dcm.create_logical_cloud(&id.project, logical_cloud(&wanted.name, &team).into()).await?;
    for cluster in &wanted.clusters {
        app.dcm.create_reference(&id, reference(cluster).into()).await?;
    }
    app.dcm.apply(&id, Event::Apply, false).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "name": wanted.name }))))
}

async fn show(
    State(app): State<App>,
    Extension(Team(team)): Extension<Team>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let status = app.dcm.status(&id(&team, &name)?).await?;
    let clusters: Vec<&str> = status.clusters.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Json(json!({ "name": name, "state": status.overall.as_str(), "clusters": clusters })))
}

async fn remove(
    State(app): State<App>,
    Extension(Team(team)): Extension<Team>,
    Path((_, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    Ok(match app.dcm.delete_logical_cloud(&id(&team, &name)?, None).await? {
        Deletion::Gone => StatusCode::NO_CONTENT,
        Deletion::Accepted => StatusCode::ACCEPTED,
    })
}

async fn kubeconfig(
    State(app): State<App>,
    Extension(Team(team)): Extension<Team>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let issued = app.dcm.merged_kubeconfig(&id(&team, &name)?).await?;
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
    Ok((headers, issued.expose_json().to_vec()).into_response())
}

/// A team is a project of DCM's. Names that are none are told as every other bad field.
fn id(team: &str, name: &str) -> Result<CloudId, Error> {
    let mut faults = Faults::new();
    let (project, name) = (faults.check("/team", team.parse()), faults.check("/name", name.parse()));
    match (project, name) {
        (Some(project), Some(name)) => Ok(CloudId { project, name }),
        _ => Err(faults.into()),
    }
}

fn logical_cloud(name: &str, team: &str) -> LogicalCloudInput {
    let text = |text: &str| Some(text.to_owned());
    let texts = |list: &[&str]| Some(list.iter().map(|&text| text.to_owned()).collect());
    let permission = PermissionInput {
        name: text("develop"),
        api_groups: texts(&["", "apps"]),
        resources: texts(&["configmaps", "pods", "deployments"]),
        verbs: texts(&["*"]),
        ..PermissionInput::default()
    };
    let user = UserInput { user_name: text(team), user_type: text("certificate"), permissions: vec![permission] };
    LogicalCloudInput {
        metadata: MetadataInput { name: text(name), ..MetadataInput::default() },
        namespace: Some(format!("{team}-{name}")),
        user: Some(user),
        ..LogicalCloudInput::default()
    }
}

fn reference(cluster: &str) -> ClusterReferenceInput {
    ClusterReferenceInput {
        cluster_name: Some(cluster.to_owned()),
        loadbalancer_ip: Some("0.0.0.0".to_owned()),
        short: true,
        ..ClusterReferenceInput::default()
    }
}

/// An error of DCM's as this application tells it.
#[derive(Debug)]
pub(crate) struct Problem(Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Problem {
    /// By its kind alone. The list is closed: a kind that is new in a later release does not compile here.
    fn into_response(self) -> Response {
        let status = match self.0.kind() {
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::AlreadyExists | ErrorKind::Refused | ErrorKind::NotReady | ErrorKind::Conflict => {
                StatusCode::CONFLICT
            }
            ErrorKind::AnswerTooLarge => StatusCode::BAD_REQUEST,
            ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            ErrorKind::Expired => StatusCode::GONE,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Unavailable | ErrorKind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            // What is inside belongs into the application's log.
            ErrorKind::Internal => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        let fields: Vec<Value> = match &self.0 {
            Error::Invalid(faults) => {
                faults.as_slice().iter().map(|fault| json!({ "field": fault.pointer, "why": fault.detail })).collect()
            }
            _ => Vec::new(),
        };
        (status, Json(json!({ "error": self.0.to_string(), "fields": fields }))).into_response()
    }
}
