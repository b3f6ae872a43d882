//! Requests' bodies: bounded, typed, read whole.

use axum::{
    body::{Body, HttpBody as _},
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request},
};
use bytes::{Bytes, BytesMut};
use dcm_core::{
    fault::{Faults, segment},
    service::Draft,
};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;

use super::{
    App, dto,
    problem::Problem,
    query::Query,
    reply::{Told, Warnings},
    room::Held,
};
use crate::status::Kind;

pub(super) const JSON: &str = "application/json";

/// A body that was read: the input with what is wrong with it, and what its sender should know.
pub(super) struct Received<T> {
    pub(super) draft: Draft<T>,
    pub(super) warnings: Warnings,
    /// The body's room in memory, until its request has been served.
    _held: Option<Held>,
}

/// As [`Received`], where a form is taken too.
pub(super) struct ReceivedOrForm<T>(pub(super) Received<T>);

/// What becomes of fields that nobody knows, as in Kubernetes, and of those that differ from what they repeat.
#[derive(Clone, Copy)]
pub(super) enum Validation {
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

impl<T> Received<T> {
    /// What did not come as a body of its own.
    pub(super) const fn without_body(draft: Draft<T>, warnings: Warnings) -> Self {
        Self { draft, warnings, _held: None }
    }
}

impl<T: dto::Input> FromRequest<App> for Received<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (validation, told) = (validation(&request)?, told(&request));
        if form(request.headers())? != Form::Json {
            return Err(unsupported(JSON));
        }
        let (bytes, held) = read(request, app).await?;
        Ok(received(dto::read(&bytes, app.limits.json_depth)?, validation, &told, held))
    }
}

impl FromRequest<App> for ReceivedOrForm<dcm_core::model::ClusterInput> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if form(request.headers())? == Form::Json {
            return Received::from_request(request, app).await.map(Self);
        }
        let (validation, told) = (validation(&request)?, told(&request));
        let mut form = Request::new(Body::empty());
        form.headers_mut().clone_from(request.headers());
        let (bytes, held) = read(request, app).await?;
        *form.body_mut() = Body::from(bytes);
        let (metadata, file, unknown) = parts_of(form).await?;
        let mut read = dto::from_multipart(metadata.as_deref(), file.as_deref(), app.limits.json_depth)?;
        read.remarks.unknown.extend(unknown);
        Ok(Self(received(read, validation, &told, held)))
    }
}

fn received<T>(read: dto::Read<T>, validation: Validation, told: &Told, held: Held) -> Received<T> {
    let dto::Read { input, mut faults, remarks } = read;
    let mut warnings = Warnings::default();
    validation.tell(remarks, &mut faults, &mut warnings);
    told.note(&warnings);
    Received { draft: Draft { input, faults }, warnings, _held: Some(held) }
}

/// Where to note what is found in a request's body.
pub(super) fn told(request: &Request) -> Told {
    request.extensions().get::<Told>().cloned().unwrap_or_default()
}

impl Validation {
    /// Tells of fields that are no fault by themselves.
    pub(super) fn tell(self, remarks: dto::Remarks, faults: &mut Faults, warnings: &mut Warnings) {
        let dto::Remarks { unknown, differing, kept } = remarks;
        for pointer in unknown {
            match self {
                Self::Ignore => {}
                Self::Warn => warnings.add(format!("unknown field {pointer}")),
                Self::Strict => faults.add(pointer, "is not a known field"),
            }
        }
        for dto::Differing { pointer, counts } in differing {
            match self {
                Self::Ignore => {}
                Self::Warn => warnings.add(format!("{pointer} differs from {counts}, which counts")),
                Self::Strict => {
                    faults.add(
                        pointer,
                        format!("differs from {counts}, which counts: leave it out, or make both the same"),
                    );
                }
            }
        }
        // No fault, however strict: what is derived may have changed since the client read it.
        if !matches!(self, Self::Ignore) {
            warnings.extend(kept.iter().map(|pointer| format!("{pointer} is read-only and stays as it is")));
        }
    }
}

pub(super) fn validation(request: &Request) -> Result<Validation, Problem> {
    match Query::parse(request.uri().query())?.one("fieldValidation")? {
        None | Some("Warn" | "") => Ok(Validation::Warn),
        Some("Ignore") => Ok(Validation::Ignore),
        Some("Strict") => Ok(Validation::Strict),
        Some(_) => Err(Problem::parameter("fieldValidation", "must be Ignore, Warn or Strict")),
    }
}

/// What a body says that it is, without parameters; JSON where it says nothing. A bare `curl -d` says that it sends
/// a form, and sends JSON.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return JSON.to_owned() };
    let text = value.to_str().unwrap_or("?");
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "" | "application/x-www-form-urlencoded" => JSON.to_owned(),
        _ => essence,
    }
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    match media_type(headers).as_str() {
        JSON => Ok(Form::Json),
        "multipart/form-data" => Ok(Form::Multipart),
        _ => Err(unsupported(JSON)),
    }
}

pub(super) fn unsupported(expected: &str) -> Problem {
    Problem::new(Kind::MediaType, format!("the Content-Type must be {expected}"))
}

/// Reads a whole body, in bounded time and space.
pub(super) async fn read(request: Request, app: &App) -> Result<(Bytes, Held), Problem> {
    let read = read_whole(request.into_body(), app.limits.body_size, app).await;
    read.inspect(|(bytes, _)| app.metrics.http.read(bytes))
}

/// The same, of at most so many bytes; counts nothing.
pub(crate) async fn read_whole(body: Body, most: usize, app: &App) -> Result<(Bytes, Held), Problem> {
    let limits = &app.limits;
    match tokio::time::timeout(limits.body_timeout, collect(body, most, app)).await {
        Ok(done) => done,
        Err(_) => {
            let detail = format!("the body was not complete after {} seconds", limits.body_timeout.as_secs());
            Err(Problem::new(Kind::Slow, detail))
        }
    }
}

async fn collect(mut body: Body, most: usize, app: &App) -> Result<(Bytes, Held), Problem> {
    let too_large = || Problem::new(Kind::BodyTooLarge, format!("the body has more than {most} bytes"));
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > most) {
        return Err(too_large());
    }
    let (mut whole, mut held) = (BytesMut::new(), app.room.clone().none());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Kind::Malformed, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        let size = whole.len().saturating_add(data.len());
        if size > most {
            return Err(too_large());
        }
        held.grow(size).await.map_err(|_| {
            Problem::new(
                Kind::Overloaded,
                "the bodies of other requests have taken all the memory that there is for them",
            )
        })?;
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), held))
}

/// The parts of a form: `metadata`, `file`, and the names of others.
async fn parts_of(mut request: Request) -> Result<(Option<Bytes>, Option<Bytes>, Vec<String>), Problem> {
    let broken = || Problem::new(Kind::Malformed, "the body is not a form as its Content-Type says");
    // axum's own bound is another one than the server's, which has been kept by now.
    DefaultBodyLimit::disable().apply(&mut request);
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
