use axum::{body::Body, extract::State, response::Response};
use dcm_core::{name::ReferenceName, service::IssuedKubeconfig};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::{
    Answer, App,
    accept::Accept,
    api::{Api, Operation, of_cloud},
    body::JSON,
    dto,
    path::{Child, Cloud},
    problem::Problem,
    query::Query,
};
use crate::status::Kind;

/// A kubeconfig's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
}

pub(super) fn routes(api: Api) -> Api {
    let types = [JSON, "application/yaml"];
    let operation = |id: &str, summary: &str| {
        Operation::new(id, summary)
            .about("A secret: it is the user's way in. 409 with `Retry-After` while it is not issued yet.")
            .problem(StatusCode::CONFLICT)
            .problem(StatusCode::NOT_ACCEPTABLE)
            .answers_text(StatusCode::OK, "The kubeconfig, as JSON or YAML by `Accept`.", &types)
    };
    let of_all = operation("getKubeconfig", "Hands out the user's kubeconfig: a context for each cluster.")
        .query_name("cluster-reference", "Only for this cluster, with the status 201.")
        .answers_text(StatusCode::CREATED, "The kubeconfig for one cluster.", &types);
    let of_one = operation("getKubeconfigOfClusterReference", "Hands out the user's kubeconfig for one cluster.");
    api.tag("Kubeconfigs", "The user's way in.")
        .path(of_cloud("/kubeconfig"), |path| path.get(of_whole_cloud, of_all))
        .path(of_cloud("/cluster-references/{cluster-reference}/kubeconfig"), |path| path.get(of_reference, of_one))
}

/// With a cluster reference the one for that cluster, as the design has it; else one for all clusters.
async fn of_whole_cloud(State(app): State<App>, Cloud(id): Cloud, uri: Uri, headers: HeaderMap) -> Answer {
    match Query::parse(uri.query())?.one("cluster-reference")? {
        Some(text) => {
            let name: ReferenceName = text.parse().map_err(|error| Problem::parameter("cluster-reference", error))?;
            let form = accepted(&headers, Form::Json)?;
            // 201 although nothing is made: the design says so.
            answer(StatusCode::CREATED, &app.dcm.kubeconfig(&id, &name).await?, form)
        }
        None => {
            let form = accepted(&headers, Form::Json)?;
            answer(StatusCode::OK, &app.dcm.merged_kubeconfig(&id).await?, form)
        }
    }
}

async fn of_reference(State(app): State<App>, path: Child<ReferenceName>, headers: HeaderMap) -> Answer {
    let form = accepted(&headers, Form::Yaml)?;
    answer(StatusCode::OK, &app.dcm.kubeconfig(&path.cloud, &path.name).await?, form)
}

fn answer(status: StatusCode, kubeconfig: &IssuedKubeconfig, form: Form) -> Answer {
    let json = kubeconfig.expose_json();
    let (body, media_type) = match form {
        Form::Json => (json.to_vec(), JSON),
        Form::Yaml => {
            let yaml = dto::yaml::from_json(json).ok_or_else(|| Problem::bug("a kubeconfig has no YAML form"))?;
            (yaml.into_bytes(), "application/yaml")
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// The form that the client likes best (RFC 9110, section 12.5.1); `usual` where he does not care.
fn accepted(headers: &HeaderMap, usual: Form) -> Result<Form, Problem> {
    let accept = Accept::of(headers)?;
    if accept.is_empty() {
        return Ok(usual);
    }
    let quality = |form: Form| accept.weight(|range| specificity(range, form));
    let other = if usual == Form::Json { Form::Yaml } else { Form::Json };
    match (quality(usual), quality(other)) {
        (0, 0) => {
            Err(Problem::new(Kind::NotAcceptable, "a kubeconfig can be had as application/yaml or application/json"))
        }
        (first, second) if second > first => Ok(other),
        _ => Ok(usual),
    }
}

/// How closely a media range names a form; 0 where it does not.
fn specificity(range: &str, form: Form) -> u8 {
    match (range, form) {
        (JSON, Form::Json) | ("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml", Form::Yaml) => 3,
        ("application/*", _) | ("text/*", Form::Yaml) => 2,
        ("*/*", _) => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(accept: &'static str) -> Option<Form> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        accepted(&headers, Form::Yaml).ok()
    }

    #[test]
    fn the_client_chooses_the_form() {
        assert_eq!(accepted(&HeaderMap::new(), Form::Yaml).ok(), Some(Form::Yaml));
        assert_eq!(choose("*/*"), Some(Form::Yaml));
        assert_eq!(choose("application/json"), Some(Form::Json));
        assert_eq!(choose("application/json, */*;q=0.5"), Some(Form::Json));
        assert_eq!(choose("text/yaml;q=0.4, application/json;q=0.3"), Some(Form::Yaml));
        assert_eq!(choose("text/html, application/*;q=0.1"), Some(Form::Yaml));
        assert_eq!(choose("application/yaml;q=0, */*"), Some(Form::Json));
        assert_eq!(choose("text/html"), None);
    }
}
