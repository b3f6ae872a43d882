//! Requests' bodies: bounded, typed, read whole.

use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request},
};
use bytes::{Bytes, BytesMut};
use dcm_core::{
    fault::{Faults, segment},
    service::Draft,
};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;

use super::{App, dto, problem::Problem, query::Query, reply::Warnings};
use crate::status::Kind;

/// A body may have so many bytes.
pub(super) const LARGEST: usize = 1024 * 1024;

/// So much of a body that is too large is taken off the connection, so that its sender hears the answer.
const DRAINED: usize = 8 * LARGEST;

/// A body that was read: the input with what is wrong with it, and what its sender should know.
pub(super) struct Received<T> {
    pub(super) draft: Draft<T>,
    pub(super) warnings: Warnings,
}

/// As [`Received`], where a form is taken too.
pub(super) struct ReceivedOrForm<T>(pub(super) Received<T>);

/// What becomes of fields that nobody knows; as in Kubernetes.
#[derive(Clone, Copy)]
enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// What a body is, by its `Content-Type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Multipart,
}

impl<T: dto::Input> FromRequest<App> for Received<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let validation = validation(&request)?;
        if form(request.headers())? != Form::Json {
            return Err(unsupported("application/json"));
        }
        let bytes = read(request.into_body(), app).await?;
        received(dto::read(&bytes)?, validation)
    }
}

impl FromRequest<App> for ReceivedOrForm<dcm_core::model::ClusterInput> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if form(request.headers())? == Form::Json {
            return Received::from_request(request, app).await.map(Self);
        }
        let validation = validation(&request)?;
        let (parts, body) = request.into_parts();
        let bytes = read(body, app).await?;
        let request = Request::from_parts(parts, Body::from(bytes));
        let (metadata, file, unknown) = parts_of(request).await?;
        let mut read = dto::from_multipart(metadata.as_deref(), file.as_deref())?;
        read.unknown.extend(unknown);
        received(read, validation).map(Self)
    }
}

fn received<T>(read: dto::Read<T>, validation: Validation) -> Result<Received<T>, Problem> {
    let dto::Read { input, mut faults, unknown } = read;
    let mut warnings = Warnings::default();
    for pointer in unknown {
        match validation {
            Validation::Ignore => {}
            Validation::Warn => warnings.add(format!("unknown field {pointer}")),
            Validation::Strict => faults.add(pointer, "is not a known field"),
        }
    }
    Ok(Received { draft: Draft { input, faults }, warnings })
}

fn validation(request: &Request) -> Result<Validation, Problem> {
    match Query::parse(request.uri().query())?.one("fieldValidation")? {
        None | Some("Warn" | "") => Ok(Validation::Warn),
        Some("Ignore") => Ok(Validation::Ignore),
        Some("Strict") => Ok(Validation::Strict),
        Some(_) => Err(Problem::parameter("fieldValidation", "must be Ignore, Warn or Strict")),
    }
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(Form::Json) };
    let text = value.to_str().unwrap_or("?");
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        // A bare `curl -d` says that it sends a form, and sends JSON.
        "" | "application/json" | "application/x-www-form-urlencoded" => Ok(Form::Json),
        "multipart/form-data" => Ok(Form::Multipart),
        _ => Err(unsupported("application/json")),
    }
}

fn unsupported(expected: &str) -> Problem {
    Problem::new(Kind::MediaType, format!("the Content-Type must be {expected}"))
}

/// Reads a whole body, in bounded time and space.
async fn read(body: Body, app: &App) -> Result<Bytes, Problem> {
    let within = app.limits.body_timeout;
    match tokio::time::timeout(within, collect(body)).await {
        Ok(read) => read.inspect(|bytes| app.metrics.http.read(bytes)),
        Err(_) => {
            let detail = format!("the body was not complete after {} seconds", within.as_secs());
            Err(Problem::new(Kind::Slow, detail))
        }
    }
}

async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    let (mut whole, mut size) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Malformed, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(data.len());
        if size > DRAINED {
            return Err(too_large());
        }
        if size <= LARGEST {
            whole.extend_from_slice(&data);
        }
    }
    if size > LARGEST { Err(too_large()) } else { Ok(whole.freeze()) }
}

fn too_large() -> Problem {
    Problem::new(Kind::BodyTooLarge, format!("the body has more than {LARGEST} bytes"))
}

/// The parts of a form: `metadata`, `file`, and the names of others.
async fn parts_of(request: Request) -> Result<(Option<Bytes>, Option<Bytes>, Vec<String>), Problem> {
    let broken = || Problem::new(Kind::Malformed, "the body is not a form as its Content-Type says");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| broken())?;
    let (mut metadata, mut file, mut unknown) = (None, None, Vec::new());
    while let Some(part) = form.next_field().await.map_err(|_| broken())? {
        let name = part.name().unwrap_or_default().to_owned();
        let content = part.bytes().await.map_err(|_| broken())?;
        let place = match name.as_str() {
            "metadata" => &mut metadata,
            "file" => &mut file,
            _ => {
                if unknown.len() <= Faults::MOST {
                    unknown.push(format!("/{}", segment(&name)));
                }
                continue;
            }
        };
        if place.replace(content).is_some() {
            return Err(Problem::parameter(&name, "stands there more than once"));
        }
    }
    Ok((metadata, file, unknown))
}
