//! One operation: what it takes, and what it answers.

use http::StatusCode;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        AllOf, Array, Content, HeaderBuilder, Object, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
        Schema, Type,
        path::{Operation as Described, OperationBuilder, Parameter, ParameterIn},
        request_body::{RequestBody, RequestBodyBuilder},
    },
};

use super::{Schemas, parameters, problems, schema_ref};
use crate::http::{body::JSON, contract::Contract, patch::MERGE_PATCH};

/// The media type of a watch.
const EVENT_STREAM: &str = "text/event-stream";

/// What an operation is about.
#[derive(Clone, Copy)]
pub(in crate::http) struct Noun {
    /// In ids, as `Quota`.
    name: &'static str,
    /// One of them, as `a quota of a logical cloud`.
    one: &'static str,
    /// All of them, as `a logical cloud's quotas`.
    many: &'static str,
}

/// The description of an operation in the making.
pub(in crate::http) struct Operation {
    id: String,
    summary: String,
    about: String,
    parameters: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: Vec<(StatusCode, Response)>,
    problems: Vec<StatusCode>,
    schemas: Schemas,
    is_probe: bool,
}

impl Noun {
    pub(in crate::http) const fn new(name: &'static str, one: &'static str, many: &'static str) -> Self {
        Self { name, one, many }
    }

    /// A page of all of them, as an array.
    pub(in crate::http) fn list<T: ToSchema>(self) -> Operation {
        Operation::new(&format!("list{}s", self.name), &format!("Lists {}, ordered by name.", self.many))
            .paged()
            .answer(StatusCode::OK, "A page of them.", |operation| {
                let page = Array::new(operation.schema::<T>()).into();
                with_link(operation.json(&page))
            })
    }

    /// The same, of which labels select some.
    pub(in crate::http) fn list_selected<T: ToSchema>(self) -> Operation {
        self.list::<T>()
            .query("labelSelector", "Only those that have such labels, as in Kubernetes: `tier in (gold),!old`.")
    }

    pub(in crate::http) fn create<I: ToSchema, T: ToSchema>(self, status: StatusCode) -> Operation {
        let operation = Operation::new(&format!("create{}", self.name), &format!("Creates {}.", self.one))
            .body::<I>()
            .problem(StatusCode::CONFLICT);
        operation.answer(status, "It was created.", |operation| {
            let schema = operation.schema::<T>();
            with_location(with_tag(operation.json(&schema)))
        })
    }

    pub(in crate::http) fn read<T: ToSchema>(self) -> Operation {
        let operation = Operation::new(&format!("get{}", self.name), &format!("Reads {}.", self.one))
            .parameter(parameters::if_match())
            .parameter(parameters::if_none_match())
            .problem(StatusCode::PRECONDITION_FAILED)
            .answer(StatusCode::NOT_MODIFIED, "It is in a state that `If-None-Match` names.", |_| {
                with_tag(ResponseBuilder::new())
            });
        operation.answers_record::<T>(StatusCode::OK, "The record, with its state as `ETag`.")
    }

    pub(in crate::http) fn replace<I: ToSchema, T: ToSchema>(self, status: StatusCode) -> Operation {
        let operation = Operation::new(&format!("replace{}", self.name), &format!("Replaces {}.", self.one))
            .body::<I>()
            .conditional()
            .about("Never creates one. The name may be left out of the body; it cannot be changed.");
        operation.answers_record::<T>(status, "It was replaced.")
    }

    /// The status is that of its replacement.
    pub(in crate::http) fn patch<T: ToSchema>(self, status: StatusCode) -> Operation {
        let mut operation = Operation::new(&format!("patch{}", self.name), &format!("Changes a part of {}.", self.one))
            .takes(Object::new().into())
            .conditional()
            .about(
                "A JSON merge patch (RFC 7396) of what GET answers: what it names changes, `null` takes away, the rest stays. \
                 One that makes no difference writes nothing.",
            );
        if let Some(body) = &mut operation.body {
            let content = body.content.get(JSON).cloned();
            body.content.extend(content.map(|content| (MERGE_PATCH.to_owned(), content)));
        }
        operation.answers_record::<T>(status, "It is so now.")
    }

    pub(in crate::http) fn delete(self) -> Operation {
        Operation::new(&format!("delete{}", self.name), &format!("Deletes {}.", self.one))
            .conditional()
            .answers_nothing(StatusCode::NO_CONTENT, "It is gone.")
    }
}

impl Operation {
    pub(in crate::http) fn new(id: &str, summary: &str) -> Self {
        Self {
            id: id.to_owned(),
            summary: summary.to_owned(),
            about: String::new(),
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            schemas: Schemas::new(),
            is_probe: false,
        }
    }

    /// What there is to know of it beyond its summary.
    pub(in crate::http) fn about(mut self, text: &str) -> Self {
        if !self.about.is_empty() {
            self.about.push_str("\n\n");
        }
        self.about.push_str(text);
        self
    }

    pub(in crate::http) fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A parameter of the query that is a text.
    pub(in crate::http) fn query(self, name: &str, description: &str) -> Self {
        self.parameter(parameters::query(name, description, parameters::text()))
    }

    /// A parameter of the query that is a record's name.
    pub(in crate::http) fn query_name(self, name: &str, description: &str) -> Self {
        self.parameter(parameters::query(name, description, parameters::name_schema()))
    }

    /// A parameter of the query that is one of several words.
    pub(in crate::http) fn query_one_of(self, name: &str, description: &str, values: &[&'static str]) -> Self {
        self.parameter(parameters::query(name, description, parameters::one_of(values)))
    }

    /// With `?force=true`.
    pub(in crate::http) fn forced(self, description: &str) -> Self {
        self.parameter(parameters::query("force", description, parameters::flag()))
    }

    /// A page of a list can be asked for.
    pub(in crate::http) fn paged(mut self) -> Self {
        self.parameters.extend(parameters::of_page());
        self
    }

    /// Its pages begin after keys of labels, not after names.
    pub(in crate::http) fn after_keys(mut self) -> Self {
        if let Some(after) = self.parameters.iter_mut().find(|parameter| parameter.name == "after") {
            after.schema = Some(parameters::key_schema().into());
        }
        self
    }

    /// It can be watched: `?watch=true` makes its answer go on as server-sent events.
    pub(in crate::http) fn watched(mut self) -> Self {
        self.parameters.extend(parameters::of_watch());
        if let Some((_, response)) = self.answers.iter_mut().find(|(status, _)| *status == StatusCode::OK) {
            // Without a schema: some readers take one for that of each event, and others for that of the whole text.
            let events = Content::new(None::<RefOr<Schema>>);
            response.content.insert(EVENT_STREAM.to_owned(), RefOr::T(events));
        }
        self.problem(StatusCode::GONE).problem(StatusCode::NOT_ACCEPTABLE)
    }

    /// It can be made to depend on the record's state.
    pub(in crate::http) fn conditional(self) -> Self {
        self.parameter(parameters::if_match())
            .parameter(parameters::if_none_match())
            .problem(StatusCode::CONFLICT)
            .problem(StatusCode::PRECONDITION_FAILED)
    }

    /// It may answer with this problem, beside those that every operation may answer with.
    pub(in crate::http) fn problem(mut self, status: StatusCode) -> Self {
        self.problems.push(status);
        self
    }

    /// It is answered in its one form, whatever `Accept` says: nobody must take the server for dead because of that.
    pub(in crate::http) fn probe(mut self) -> Self {
        self.is_probe = true;
        self
    }

    /// It takes a body.
    pub(in crate::http) fn body<I: ToSchema>(mut self) -> Self {
        let schema = self.schema::<I>();
        self.takes(schema)
    }

    /// The body must name the record.
    pub(in crate::http) fn named(mut self) -> Self {
        let name = ObjectBuilder::new().required("name").build();
        let named = ObjectBuilder::new().property("metadata", name).required("metadata").build();
        if let Some(schema) = self.json_body().and_then(|content| content.schema.as_mut()) {
            let mut all = AllOf::new();
            all.items = vec![std::mem::take(schema), Schema::from(named).into()];
            *schema = Schema::AllOf(all).into();
        }
        self
    }

    fn json_body(&mut self) -> Option<&mut Content> {
        match self.body.as_mut()?.content.get_mut(JSON)? {
            RefOr::T(content) => Some(content),
            RefOr::Ref(_) => None,
        }
    }

    fn takes(mut self, schema: RefOr<Schema>) -> Self {
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        self.body = Some(body.content(JSON, Content::new(Some(schema))).build());
        self.parameters.extend(parameters::of_body());
        self.problem(StatusCode::REQUEST_TIMEOUT)
            .problem(StatusCode::PAYLOAD_TOO_LARGE)
            .problem(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    }

    /// The body may also be a form with these parts, of which the first ones are required.
    pub(in crate::http) fn or_form(mut self, parts: &[(&str, &str)], required: usize) -> Self {
        let mut form = ObjectBuilder::new();
        for (i, (name, description)) in parts.iter().enumerate() {
            let part = ObjectBuilder::new().schema_type(Type::String).description(Some(*description));
            form = form.property(*name, part);
            if i < required {
                form = form.required(*name);
            }
        }
        if let Some(body) = &mut self.body {
            let content = Content::new(Some(RefOr::T(Schema::from(form))));
            body.content.insert("multipart/form-data".to_owned(), RefOr::T(content));
        }
        self
    }

    /// An answer that holds JSON.
    pub(in crate::http) fn answers<T: ToSchema>(self, status: StatusCode, description: &str) -> Self {
        self.answer(status, description, |operation| {
            let schema = operation.schema::<T>();
            operation.json(&schema)
        })
    }

    /// An answer without a body.
    pub(in crate::http) fn answers_nothing(self, status: StatusCode, description: &str) -> Self {
        self.answer(status, description, |_| ResponseBuilder::new())
    }

    /// What it asks for is recorded, and the answer says what.
    pub(in crate::http) fn accepts<T: ToSchema>(self) -> Self {
        self.answers::<T>(StatusCode::ACCEPTED, "It is recorded, and will be carried out.")
    }

    /// An answer of one of several media types, as text.
    pub(in crate::http) fn answers_text(self, status: StatusCode, description: &str, types: &[&str]) -> Self {
        self.answer(status, description, |_| {
            let mut response = ResponseBuilder::new();
            for media_type in types {
                let schema = if media_type.ends_with("json") { Object::new() } else { parameters::text() };
                response = response.content(*media_type, Content::new(Some(schema)));
            }
            response
        })
    }

    fn answers_record<T: ToSchema>(self, status: StatusCode, description: &str) -> Self {
        self.answer(status, description, |operation| {
            let schema = operation.schema::<T>();
            with_tag(operation.json(&schema))
        })
    }

    /// An example of the body.
    pub(in crate::http) fn example(mut self, example: Value) -> Self {
        if let Some(content) = self.json_body() {
            content.example = Some(example);
        }
        self
    }

    fn answer(
        mut self,
        status: StatusCode,
        description: &str,
        build: impl FnOnce(&mut Self) -> ResponseBuilder,
    ) -> Self {
        let mut response = build(&mut self).description(description);
        if self.body.is_some() && status.is_success() {
            response = response.header("Warning", text_header("What the client should know although it was served."));
        }
        self.answers.push((status, response.build()));
        self
    }

    fn json(&self, schema: &RefOr<Schema>) -> ResponseBuilder {
        ResponseBuilder::new().content(JSON, Content::new(Some(schema.clone())))
    }

    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        add_schema::<T>(&mut self.schemas)
    }

    /// What the edge has to know of it.
    pub(super) fn contract(&self) -> Contract {
        let asked = self.parameters.iter().filter(|parameter| parameter.parameter_in == ParameterIn::Query);
        let forms = || self.answers.iter().flat_map(|(_, response)| response.content.keys());
        Contract {
            parameters: asked.map(|parameter| parameter.name.clone()).collect(),
            is_json: !self.is_probe
                && forms().any(|form| form == JSON)
                && forms().all(|form| form == JSON || form == EVENT_STREAM),
        }
    }

    /// All of it, at its place.
    pub(super) fn describe(self, template: &str, tag: &str) -> (Described, Schemas) {
        let is_json = self.contract().is_json;
        let mut described = OperationBuilder::new()
            .operation_id(Some(self.id))
            .tag(tag)
            .summary(Some(&self.summary))
            .description(Some(if self.about.is_empty() { self.summary.clone() } else { self.about }))
            .parameters(Some(parameters::of_path(template)))
            .parameters(Some(self.parameters))
            .request_body(self.body);
        let mut statuses = self.problems;
        statuses.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::FORBIDDEN,
            StatusCode::URI_TOO_LONG,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::SERVICE_UNAVAILABLE,
        ]);
        if parameters::names(template).next().is_some() {
            statuses.push(StatusCode::NOT_FOUND);
        }
        if is_json {
            statuses.push(StatusCode::NOT_ACCEPTABLE);
        }
        for status in statuses {
            described = described.response(status.as_str(), Ref::from_response_name(problems::name(status)));
        }
        for (status, response) in self.answers {
            described = described.response(status.as_str(), response);
        }
        (described.build(), self.schemas)
    }
}

/// Adds a type's schema and those that it needs, and refers to it.
pub(super) fn add_schema<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let mut needed = Vec::new();
    T::schemas(&mut needed);
    schemas.extend(needed);
    schemas.insert(T::name().into_owned(), T::schema());
    schema_ref(&T::name())
}

pub(super) fn text_header(description: &str) -> utoipa::openapi::Header {
    HeaderBuilder::new().schema(Some(parameters::text())).description(Some(description)).build()
}

fn with_tag(response: ResponseBuilder) -> ResponseBuilder {
    response.header("ETag", text_header("The record's state, for `If-Match` and `If-None-Match`."))
}

fn with_location(response: ResponseBuilder) -> ResponseBuilder {
    response.header("Location", text_header("The path of the new record."))
}

fn with_link(response: ResponseBuilder) -> ResponseBuilder {
    response.header("Link", text_header("Where the next page is (`rel=\"next\"`), where there is one."))
}
