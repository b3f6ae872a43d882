use axum::{body::Body, extract::State, response::Response};
use dcm_core::{name::ReferenceName, service::IssuedKubeconfig};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::{
    Answer, App, dto,
    path::{Child, Cloud},
    problem::Problem,
    quality::weight,
    query::Query,
};
use crate::status::Kind;

/// A kubeconfig's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
}

/// With a cluster reference the one for that cluster, as the design has it; else one for all clusters.
pub(super) async fn of_cloud(State(app): State<App>, Cloud(id): Cloud, uri: Uri, headers: HeaderMap) -> Answer {
    match Query::parse(uri.query())?.one("cluster-reference")? {
        Some(text) => {
            let name: ReferenceName = text.parse().map_err(|error| Problem::parameter("cluster-reference", error))?;
            // 201 although nothing is made: the design says so.
            answer(StatusCode::CREATED, &app.dcm.kubeconfig(&id, &name).await?, Form::Json)
        }
        None => {
            let form = accepted(&headers, Form::Json)?;
            answer(StatusCode::OK, &app.dcm.merged_kubeconfig(&id).await?, form)
        }
    }
}

pub(super) async fn of_reference(State(app): State<App>, path: Child<ReferenceName>, headers: HeaderMap) -> Answer {
    let form = accepted(&headers, Form::Yaml)?;
    answer(StatusCode::OK, &app.dcm.kubeconfig(&path.cloud, &path.name).await?, form)
}

fn answer(status: StatusCode, kubeconfig: &IssuedKubeconfig, form: Form) -> Answer {
    let json = kubeconfig.expose_json();
    let (body, media_type) = match form {
        Form::Json => (json.to_vec(), "application/json"),
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
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let text = value.to_str().map_err(|_| Problem::header("Accept", "must be a list of media types"))?;
        ranges.extend(text.split(',').map(str::trim).filter(|range| !range.is_empty()));
    }
    if ranges.is_empty() {
        return Ok(usual);
    }
    let quality = |form: Form| {
        let of = |range: &&str| {
            let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
            (specificity(media_type.trim(), form), weight(parameters))
        };
        let best = ranges.iter().map(of).filter(|(specificity, _)| *specificity > 0).max_by_key(|(s, _)| *s);
        best.map_or(0, |(_, weight)| weight)
    };
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
    let range = range.to_ascii_lowercase();
    match (range.as_str(), form) {
        ("application/json", Form::Json)
        | ("application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml", Form::Yaml) => 3,
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
