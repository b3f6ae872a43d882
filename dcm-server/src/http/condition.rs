//! Conditional requests: `If-Match` and `If-None-Match` (RFC 9110, section 13).
//!
//! A strong tag names bytes, so a compressed answer has another one than the same answer as it is (section 8.8.3):
//! `"7-gzip"` beside `"7"`. Both name the same state of the record, and a write is taken with either.

use std::future::Future;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use dcm_core::{error::ErrorKind, store::Revision};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use super::problem::Problem;
use crate::status::Kind;

/// Which states of a record the client asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// Each with whether it is weak.
    List(Vec<(bool, String)>),
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(&parts.headers)
    }
}

impl Conditions {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: tags(headers, header::IF_MATCH, "If-Match")?,
            if_none_match: tags(headers, header::IF_NONE_MATCH, "If-None-Match")?,
        })
    }

    /// Reads conditions that did not come as header fields: texts as those would have. An empty one is none.
    pub(crate) fn of_texts(if_match: &str, if_none_match: &str) -> Result<Self, Problem> {
        let tags = |name: &str, text: &str| match text {
            "" => Ok(None),
            text => Tags::parse(std::iter::once(Some(text))).map(Some).ok_or_else(|| Problem::parameter(name, TAGS)),
        };
        Ok(Self { if_match: tags("if_match", if_match)?, if_none_match: tags("if_none_match", if_none_match)? })
    }

    /// Whether a client has what a read answers already.
    pub(crate) fn has(&self, revision: &Revision) -> Result<bool, Problem> {
        if self.if_match.as_ref().is_some_and(|tags| !tags.match_strongly(revision)) {
            return Err(lost());
        }
        Ok(self.if_none_match.as_ref().is_some_and(|tags| tags.match_weakly(revision).is_some()))
    }

    /// What a read answers, where the client does not have it already.
    pub(super) fn of(&self, revision: &Revision, answer: impl FnOnce() -> Response) -> Result<Response, Problem> {
        self.has(revision)?;
        if let Some(had) = self.if_none_match.as_ref().and_then(|tags| tags.match_weakly(revision)) {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            // Of the two, the one that the client has.
            if let Ok(tag) = HeaderValue::from_str(&format!("\"{had}\"")) {
                response.headers_mut().insert(header::ETAG, tag);
            }
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            return Ok(response);
        }
        Ok(answer())
    }

    /// The one state that a write is for; `None` where any will do. Reads the present state only where
    /// several would do.
    pub(crate) async fn expected<F>(&self, present: impl FnOnce() -> F + Send) -> Result<Option<Revision>, Problem>
    where
        F: Future<Output = Result<Revision, dcm_core::error::Error>> + Send,
    {
        match (&self.if_match, &self.if_none_match) {
            (None | Some(Tags::Any), None) => return Ok(None),
            (Some(Tags::List(tags)), None) => {
                // A store may use any text for a revision: one that ends like ours is compared.
                if let [(false, tag)] = tags.as_slice()
                    && !tag.ends_with(COMPRESSED)
                {
                    return Ok(Some(Revision::new(tag.as_str())));
                }
            }
            _ => {}
        }
        let present = present().await?;
        self.hold(&present)?;
        Ok(Some(present))
    }

    /// Fails where a write is not for the present state.
    pub(super) fn hold(&self, present: &Revision) -> Result<(), Problem> {
        let holds = self.if_match.as_ref().is_none_or(|tags| tags.match_strongly(present))
            && self.if_none_match.as_ref().is_none_or(|tags| tags.match_weakly(present).is_none());
        if holds { Ok(()) } else { Err(lost()) }
    }
}

fn lost() -> Problem {
    let detail = "the record is not in the state that If-Match or If-None-Match asks for; read it again";
    Problem::new(Kind::Core(ErrorKind::PreconditionFailed), detail)
}

/// What is told of conditions that are none.
const TAGS: &str = "must be * or a list of entity tags such as \"7\"";

impl Tags {
    /// Reads one list in several parts; `None` where it is none.
    fn parse<'a>(parts: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        let (mut list, mut any, mut count) = (Vec::new(), false, 0);
        for part in parts {
            count += 1;
            match part?.trim() {
                "*" => any = true,
                text => read_list(text, &mut list)?,
            }
        }
        match any {
            true if count == 1 => Some(Self::Any),
            false if !list.is_empty() => Some(Self::List(list)),
            _ => None,
        }
    }

    fn match_strongly(&self, revision: &Revision) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|(weak, tag)| !weak && names(tag, revision)),
        }
    }

    /// The tag that matches.
    fn match_weakly<'a>(&'a self, revision: &'a Revision) -> Option<&'a str> {
        match self {
            Self::Any => Some(revision.as_str()),
            Self::List(tags) => tags.iter().map(|(_, tag)| tag.as_str()).find(|tag| names(tag, revision)),
        }
    }
}

/// What is added to the tag of a compressed answer.
const COMPRESSED: &str = "-gzip";

/// Whether a tag names this state, compressed or not.
fn names(tag: &str, revision: &Revision) -> bool {
    tag == revision.as_str() || tag.strip_suffix(COMPRESSED).is_some_and(|tag| tag == revision.as_str())
}

/// Makes the tag of an answer that of the same answer compressed.
pub(super) fn compressed(tag: &mut HeaderValue) {
    let text = tag.to_str().ok().and_then(|text| text.strip_suffix('"'));
    if let Some(Ok(other)) = text.map(|text| HeaderValue::try_from(format!("{text}{COMPRESSED}\""))) {
        *tag = other;
    }
}

/// Several header fields of one name are one list.
fn tags(headers: &HeaderMap, name: header::HeaderName, shown: &'static str) -> Result<Option<Tags>, Problem> {
    if !headers.contains_key(&name) {
        return Ok(None);
    }
    let values = headers.get_all(&name).iter().map(|value| value.to_str().ok());
    Tags::parse(values).map(Some).ok_or_else(|| Problem::header(shown, TAGS))
}

fn read_list(mut text: &str, list: &mut Vec<(bool, String)>) -> Option<()> {
    loop {
        // Nobody is to send empty elements, and everybody has to take them (RFC 9110, section 5.6.1).
        text = text.trim_start_matches([',', ' ', '\t']);
        if text.is_empty() {
            return Some(());
        }
        let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
        let (tag, rest) = quoted.strip_prefix('"')?.split_once('"')?;
        list.push((weak, tag.to_owned()));
        text = rest.trim_start();
        if !text.is_empty() && !text.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: header::HeaderName, value: &'static str) -> Option<Conditions> {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        Conditions::read(&headers).ok()
    }

    fn matches(value: &'static str) -> Option<bool> {
        read(header::IF_MATCH, value)?.if_match.map(|tags| tags.match_strongly(&Revision::new("7")))
    }

    #[test]
    fn a_list_matches_where_one_of_it_does() {
        assert_eq!(matches("\"7\""), Some(true));
        assert_eq!(matches("\"6\", \"7\""), Some(true));
        assert_eq!(matches("*"), Some(true));
        assert_eq!(matches("\"6\""), Some(false));
        assert_eq!(matches("W/\"7\""), Some(false));
        for with_empty in ["\"6\", , \"7\"", ",\"7\"", "\"7\",", " ,\t,, \"7\" , ,"] {
            assert_eq!(matches(with_empty), Some(true), "{with_empty}");
        }
    }

    #[test]
    fn the_tag_of_a_compressed_answer_names_the_same_state() {
        let mut tag = HeaderValue::from_static("\"7\"");
        compressed(&mut tag);
        assert_eq!(tag, "\"7-gzip\"");
        assert_eq!(matches("\"7-gzip\""), Some(true));
        assert_eq!(matches("W/\"7-gzip\""), Some(false));
        assert_eq!(matches("\"7-gzip-gzip\""), Some(false));
        let odd = Revision::new("7-gzip");
        assert!(names("7-gzip", &odd) && names("7-gzip-gzip", &odd) && !names("7", &odd));
    }

    #[test]
    fn what_is_no_entity_tag_is_refused() {
        for bad in ["7", "\"7", "", ",", "\"7\" \"8\"", "\"7\", *", "*, \"7\"", "\"6\", 7"] {
            assert_eq!(matches(bad), None, "{bad}");
        }
    }
}
