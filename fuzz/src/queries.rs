//! Requests without a body of interest: paths, queries, cursors, and header fields that choose and condition an answer.

use dcm_core::model::LabelSelector;
use http::{Method, Request, Response, StatusCode, Uri, header};
use serde_json::Value;

use super::{
    reference::selects,
    world::{self, World},
};

/// A first line of method and target, then lines of header fields, as in HTTP/1.1.
///
/// With `?` at the beginning a label selector, and after a line of five `=` lines of labels: it selects what a plain reading
/// of it does.
///
/// Every answer is one that is described, and no failure of ours. The pages of a list end, and their names come in order and
/// once. Who has a state by its entity tag is told so, and whose condition holds is served.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(text) = text.strip_prefix('?') {
        selector(text);
        return;
    }
    let Some(request) = request(text) else { return };
    world::with(|world| one(world, &request));
}

fn selector(text: &str) {
    let (text, labels) = text.split_once("\n=====\n").unwrap_or((text, ""));
    let labels = labels.lines().filter_map(|line| line.split_once('='));
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    match text.parse::<LabelSelector>() {
        Ok(selector) => assert_eq!(selector.selects(&labels), selects(text, &labels), "{text:?} of {labels:?}"),
        // It is told to clients.
        Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
    }
}

fn request(text: &str) -> Option<Request<Vec<u8>>> {
    let mut lines = text.split('\n');
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut request = Request::builder().method(method).uri(target);
    for line in lines.take(16).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        request = request.header(name, value.trim());
    }
    let mut request = request.body(Vec::new()).ok()?;
    // A server meets these only with a target that its HTTP takes.
    if request.uri().path_and_query().is_none() || request.method() == Method::CONNECT {
        return None;
    }
    request.headers_mut().entry(header::HOST).or_insert(header::HeaderValue::from_static("localhost"));
    Some(request)
}

fn one(world: &mut World, request: &Request<Vec<u8>>) {
    let answer = world.serve(request.clone());
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_read {
        if answer.status().is_success() {
            world.spoil();
        }
        return;
    }
    if *request.method() != Method::GET || answer.status() != StatusCode::OK {
        return;
    }
    if answer.headers().contains_key(header::LINK) {
        pages(world, request, &answer);
    }
    if let Some(tag) = answer.headers().get(header::ETAG) {
        let mut known = request.clone();
        known.headers_mut().remove(header::IF_MATCH);
        known.headers_mut().insert(header::IF_NONE_MATCH, tag.clone());
        assert_eq!(world.serve(known).status(), StatusCode::NOT_MODIFIED, "{}", request.uri());
        let mut held = request.clone();
        held.headers_mut().remove(header::IF_NONE_MATCH);
        held.headers_mut().insert(header::IF_MATCH, tag.clone());
        assert_eq!(world.serve(held).status(), StatusCode::OK, "{}", request.uri());
    }
}

/// Goes from page to page.
fn pages(world: &mut World, request: &Request<Vec<u8>>, first: &Response<Vec<u8>>) {
    let mut names = names(first);
    let mut next = next(first);
    for _ in 0..100 {
        let Some(uri) = next else {
            assert!(names.is_sorted_by(|a, b| a < b), "{}: {names:?}", request.uri());
            return;
        };
        let mut request = request.clone();
        *request.uri_mut() = uri;
        let answer = world.serve(request.clone());
        assert_eq!(answer.status(), StatusCode::OK, "{}", request.uri());
        names.extend(self::names(&answer));
        next = self::next(&answer);
    }
    panic!("{} has no last page", request.uri());
}

/// Where the next page is (RFC 8288).
fn next(answer: &Response<Vec<u8>>) -> Option<Uri> {
    let link = answer.headers().get(header::LINK)?.to_str().expect("a link is text");
    let target = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
    Some(target.expect("a link is the next page").parse().expect("a link is a URI"))
}

fn names(answer: &Response<Vec<u8>>) -> Vec<String> {
    let Ok(page) = serde_json::from_slice::<Value>(answer.body()) else { return Vec::new() };
    // Permissions and statuses come in an object with their list.
    let list = page.as_array().or_else(|| page.as_object()?.values().find_map(Value::as_array));
    let name = |entry: &Value| {
        let found = ["/metadata/name", "/label-name", "/name"].into_iter().find_map(|at| entry.pointer(at));
        found.and_then(Value::as_str).map(str::to_owned)
    };
    list.into_iter().flatten().filter_map(name).collect()
}
