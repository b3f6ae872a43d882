//! What the edge has to know of an operation before its handler is asked: it comes from the operation's description.

use http::{HeaderMap, Uri};

use super::{accept::Accept, body::JSON, problem::Problem, query::Query, watch};
use crate::status::Kind;

/// What the description promises of one operation.
#[derive(Debug, Default)]
pub(super) struct Contract {
    /// The query's parameters.
    pub(super) parameters: Vec<String>,
    /// Whether JSON is the only form of its answers, watches aside.
    pub(super) is_json: bool,
}

impl Contract {
    /// Refuses a request whose `Accept` takes no answer that there could be. Problems are sent whatever it says.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let is_watch = self.knows("watch") && watch::is_asked_for(uri) && asks_for_a_watch(uri);
        if !self.is_json || is_watch {
            return Ok(());
        }
        let accept = Accept::of(headers)?;
        let specificity = |range: &str| match range {
            JSON => 3,
            "application/*" => 2,
            "*/*" => 1,
            _ => 0,
        };
        if !accept.is_empty() && accept.weight(specificity) == 0 {
            return Err(Problem::new(Kind::NotAcceptable, format!("the answer can be had as {JSON}")));
        }
        Ok(())
    }

    /// Whether the operation asks for a parameter of the query.
    pub(super) fn knows(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|known| known == parameter)
    }
}

/// Whether a watch will be the answer, if there is one.
fn asks_for_a_watch(uri: &Uri) -> bool {
    Query::parse(uri.query()).and_then(|query| query.flag("watch")).unwrap_or(false)
}
