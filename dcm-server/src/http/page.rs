//! Lists, page by page.

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use dcm_core::{
    model::LabelSelector,
    name::{LabelKey, ProjectName},
    service::Page,
};
use http::{HeaderValue, header, request::Parts};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{problem::Problem, query::Query, reply::Reply};

/// How a selector may be spelled: as Kubernetes does, and as we spell things.
const SELECTOR: [&str; 2] = ["labelSelector", "label-selector"];

/// EMCO's parameter for the names of the clusters that have a label.
const LABEL: &str = "label";

/// What is encoded in a link's query: all that RFC 3986 does not leave to everybody (section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which page of a list was asked for.
pub(super) struct Listing {
    pub(super) page: Page,
    path: String,
    explicit_limit: bool,
    /// The parameters that the next page is asked for with too, as they stand in a link.
    kept: String,
}

/// As [`Listing`], of labels: pages begin after keys, which are no names.
pub(super) struct KeyListing(pub(super) Listing);

/// Which page was asked for of a list whose entries have labels, and of which of them.
pub(super) struct Selecting {
    pub(super) listing: Listing,
    pub(super) selector: LabelSelector,
}

/// As [`Selecting`], for clusters.
pub(super) struct SelectingClusters {
    pub(super) listing: Listing,
    pub(super) selector: LabelSelector,
    /// Whether EMCO's question was asked, which is answered with names.
    pub(super) names_only: bool,
}

/// A list of which a part may be asked for, where its entries have labels.
pub(super) trait Selects {
    /// What is asked for; everything, where nothing is said.
    fn selector(query: &Query) -> Result<LabelSelector, Problem>;
}

impl Selects for Listing {
    fn selector(query: &Query) -> Result<LabelSelector, Problem> {
        for name in [SELECTOR[0], SELECTOR[1], LABEL] {
            if query.one(name)?.is_some() {
                return Err(Problem::parameter(name, "selects nothing here: what is told here has no labels"));
            }
        }
        Ok(LabelSelector::everything())
    }
}

impl Selects for Selecting {
    fn selector(query: &Query) -> Result<LabelSelector, Problem> {
        refuse_label(query)?;
        Ok(read_selector(query)?.map(|(selector, ..)| selector).unwrap_or_default())
    }
}

impl Selects for SelectingClusters {
    /// EMCO's question is answered with names, which a watch does not tell.
    fn selector(query: &Query) -> Result<LabelSelector, Problem> {
        Selecting::selector(query)
    }
}

impl<S: Sync> FromRequestParts<S> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query())?;
        Self::selector(&query)?;
        Self::read(parts, &query, read_after)
    }
}

impl<S: Sync> FromRequestParts<S> for KeyListing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query())?;
        Listing::selector(&query)?;
        Listing::read(parts, &query, |key| Ok(key.to_owned())).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Selecting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query())?;
        refuse_label(&query)?;
        let mut listing = Listing::read(parts, &query, read_after)?;
        let selector = listing.select(&query)?.unwrap_or_default();
        Ok(Self { listing, selector })
    }
}

impl<S: Sync> FromRequestParts<S> for SelectingClusters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::parse(parts.uri.query())?;
        let mut listing = Listing::read(parts, &query, read_after)?;
        let selector = listing.select(&query)?;
        match (query.one(LABEL)?.filter(|label| !label.is_empty()), selector) {
            (None, selector) => {
                let selector = selector.unwrap_or_default();
                Ok(Self { listing, selector, names_only: false })
            }
            (Some(_), Some(_)) => {
                Err(Problem::parameter(LABEL, "stands there beside a label selector: use one of them"))
            }
            (Some(label), None) if label.parse::<LabelKey>().is_err() => {
                Err(Problem::parameter(LABEL, "is a label's key and nothing else: write labelSelector=<key>=<value>"))
            }
            (Some(label), None) => {
                listing.keep(LABEL, label);
                Ok(Self { listing, selector: LabelSelector::has(label), names_only: true })
            }
        }
    }
}

fn refuse_label(query: &Query) -> Result<(), Problem> {
    match query.one(LABEL)? {
        Some(_) => Err(Problem::parameter(LABEL, "is for lists of clusters: write labelSelector=<key>=<value>")),
        None => Ok(()),
    }
}

/// The label selector, where there is one, with its name and text.
fn read_selector(query: &Query) -> Result<Option<(LabelSelector, &'static str, &str)>, Problem> {
    let [usual, ours] = SELECTOR;
    let (name, text) = match (query.one(usual)?, query.one(ours)?) {
        (None, None) => return Ok(None),
        (Some(text), None) => (usual, text),
        (None, Some(text)) => (ours, text),
        (Some(_), Some(_)) => return Err(Problem::parameter(ours, format!("stands there beside {usual}"))),
    };
    let selector = text.parse().map_err(|error| Problem::parameter(name, error))?;
    Ok(Some((selector, name, text)))
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
    fn read(parts: &Parts, query: &Query, read_after: fn(&str) -> Result<String, Problem>) -> Result<Self, Problem> {
        if query.flag("watch")? {
            return Err(Problem::parameter("watch", "is for lists of records and for the status of a logical cloud"));
        }
        let limit = query.one("limit")?.map(read_limit).transpose()?;
        let after = query.one("after")?.filter(|after| !after.is_empty()).map(read_after).transpose()?;
        Ok(Self {
            page: Page { after, limit: limit.unwrap_or(Page::DEFAULT_LIMIT) },
            path: parts.uri.path().to_owned(),
            explicit_limit: limit.is_some(),
            kept: String::new(),
        })
    }

    /// The label selector, where there is one; the next page is asked for with it too.
    fn select(&mut self, query: &Query) -> Result<Option<LabelSelector>, Problem> {
        let Some((selector, name, text)) = read_selector(query)? else { return Ok(None) };
        self.keep(name, text);
        Ok(Some(selector))
    }

    fn keep(&mut self, name: &str, value: &str) {
        self.kept = format!("{name}={}&", utf8_percent_encode(value, ENCODED));
    }

    /// With pages that have at most so many entries.
    pub(super) fn at_most(mut self, limit: usize) -> Self {
        self.page.limit = self.page.limit.min(limit);
        self
    }

    /// The answer: what was found, and after which name the next page begins, where there is one.
    pub(super) fn answer<T: Serialize>(&self, found: &T, next: Option<&str>) -> Response {
        let response = Reply::ok(found).into_response();
        match next {
            Some(last) => self.link(response, last),
            None => response,
        }
    }

    fn link(&self, mut response: Response<Body>, last: &str) -> Response {
        let limit = if self.explicit_limit { format!("limit={}&", self.page.limit) } else { String::new() };
        let last = utf8_percent_encode(last, ENCODED);
        let link = format!("<{}?{}{limit}after={last}>; rel=\"next\"", self.path, self.kept);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}
