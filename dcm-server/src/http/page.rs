//! Lists, page by page.

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use dcm_core::{name::ProjectName, service::Page};
use http::{HeaderValue, header, request::Parts};
use serde::Serialize;

use super::{problem::Problem, query::Query, reply::Reply};

/// Which page of a list was asked for.
pub(super) struct Listing {
    pub(super) page: Page,
    path: String,
    explicit_limit: bool,
}

impl<S: Sync> FromRequestParts<S> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query())?;
        query.refuse(&["labelSelector", "label-selector", "label"])?;
        if query.flag("watch")? {
            return Err(Problem::parameter("watch", "is for lists of records and for the status of a logical cloud"));
        }
        let limit = query.one("limit")?.map(read_limit).transpose()?;
        let after = query.one("after")?.filter(|after| !after.is_empty()).map(read_after).transpose()?;
        Ok(Self {
            page: Page { after, limit: limit.unwrap_or(Page::DEFAULT_LIMIT) },
            path: parts.uri.path().to_owned(),
            explicit_limit: limit.is_some(),
        })
    }
}

fn read_limit(text: &str) -> Result<usize, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=Page::LARGEST_LIMIT).contains(limit));
    limit.ok_or_else(|| Problem::parameter("limit", format!("must be a number from 1 to {}", Page::LARGEST_LIMIT)))
}

/// All names keep the same rule.
fn read_after(text: &str) -> Result<String, Problem> {
    match ProjectName::new(text) {
        Ok(name) => Ok(name.into()),
        Err(error) => Err(Problem::parameter("after", format!("is a name, so it {error}"))),
    }
}

impl Listing {
    /// With pages that have at most so many entries.
    pub(super) fn at_most(mut self, limit: usize) -> Self {
        self.page.limit = self.page.limit.min(limit);
        self
    }

    /// The answer where it is known after which name the next page begins.
    pub(super) fn answer_until<T: Serialize>(&self, found: &T, next: Option<&str>) -> Response {
        let response = Reply::ok(found).into_response();
        match next {
            Some(last) => self.link(response, last),
            None => response,
        }
    }

    /// The answer: what was found, and where the next page is. `last` is the last entry's name.
    pub(super) fn answer<T: Serialize>(&self, found: &T, count: usize, last: Option<&str>) -> Response {
        let response = Reply::ok(found).into_response();
        match last.filter(|_| count >= self.page.limit) {
            Some(last) => self.link(response, last),
            None => response,
        }
    }

    fn link(&self, mut response: Response<Body>, last: &str) -> Response {
        let limit = if self.explicit_limit { format!("limit={}&", self.page.limit) } else { String::new() };
        let link = format!("<{}?{limit}after={last}>; rel=\"next\"", self.path);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}
