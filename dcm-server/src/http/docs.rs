//! The description of the API, and a page to read it and to try the API with. Neither needs the internet.

use std::sync::Arc;

use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use http::{HeaderValue, header};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::{
    Answer,
    body::JSON,
    path::Named,
    problem::Problem,
    routes::{Routes, get},
};
use crate::status::Kind;

/// The page runs nothing but what comes from here. (Its style sheet has images and its own styles inside.)
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where the description lies, as the page says it.
const DESCRIPTION: &str = "/openapi.json";

pub(super) fn routes(routes: Routes, description: &OpenApi) -> Routes {
    let json = Bytes::from(serde_json::to_vec(description).unwrap_or_default());
    let config = Arc::new(Config::from(DESCRIPTION).try_it_out_enabled(true).display_request_duration(true));
    routes
        .route(DESCRIPTION, get(async move || ([(header::CONTENT_TYPE, JSON)], json.clone())))
        // The page refers to its parts by relative paths, and trailing slashes are cut off before a path is looked at.
        .route("/docs", get(async || Redirect::temporary("/docs/index.html")))
        .route("/docs/{file}", get(async move |Named(file): Named<String>| page(&file, &config)))
}

fn page(file: &str, config: &Arc<Config<'static>>) -> Answer {
    let found = utoipa_swagger_ui::serve(file, Arc::clone(config));
    let found = found.map_err(|error| Problem::bug(format!("the page of the description: {error}")))?;
    let Some(file) = found else { return Err(Problem::new(Kind::NoSuchPath, "the page has no such part")) };
    let media_type =
        HeaderValue::from_str(&file.content_type).map_err(|_| Problem::bug("a part of the page has no media type"))?;
    let mut response: Response = Bytes::from(file.bytes.into_owned()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}
