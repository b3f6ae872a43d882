use utoipa::ToSchema;

/// Why a request was not served (RFC 9457).
#[derive(ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes what the edge writes")]
pub(crate) struct ProblemSchema {
    /// What kind of problem it is: one of a stable list of URIs.
    #[schema(rename = "type")]
    type_uri: String,
    title: String,
    status: u16,
    /// What is wrong here, and what to do about it.
    detail: String,
    /// The path that was asked for.
    instance: String,
    /// All that is wrong with the request, at once.
    errors: Option<Vec<FaultSchema>>,
    /// The request's id, which is in the server's log too.
    request_id: String,
}

/// One thing that is wrong: a field of the body, a parameter, or a header field.
#[derive(ToSchema)]
#[schema(as = Fault)]
#[expect(dead_code, reason = "describes what the edge writes")]
struct FaultSchema {
    /// The field, as a JSON pointer (RFC 6901) in the spelling of the answers.
    pointer: Option<String>,
    /// The parameter of the path or the query.
    parameter: Option<String>,
    /// The header field.
    header: Option<String>,
    /// What is wrong with it.
    detail: String,
}
