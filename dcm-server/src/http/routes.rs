//! The table of routes: which path leads to which handlers, method by method.
//!
//! It stands in for axum's own router, so that one look-up answers all that the edge asks of a path: the handler,
//! the methods that are possible there, and the template by which requests are counted. A request costs no copy
//! of the router and no second URI.

use std::{borrow::Cow, fmt, sync::Arc};

use axum::{extract::Request, handler::Handler, response::Response};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;

use super::{App, contract::Contract, problem::Problem};

/// Calls one handler.
pub(super) type Serve = Box<dyn Fn(Request, App) -> BoxFuture<'static, Response> + Send + Sync>;

/// The handlers of one path, by their methods.
#[derive(Default)]
pub(super) struct Methods(Vec<Served>);

/// What serves one method.
struct Served {
    method: Method,
    serve: Serve,
    contract: Contract,
}

/// A path with its handlers.
pub(super) struct Route {
    /// The path, with parameters in braces.
    pub(super) template: Arc<str>,
    /// The methods that are possible here, as the header field `Allow` has them.
    pub(super) allow: HeaderValue,
    /// The parameters, each with the number of its segment in the path.
    parameters: Vec<(String, usize)>,
    methods: Methods,
}

/// All routes.
#[derive(Default)]
pub(super) struct Routes {
    tree: matchit::Router<Arc<Route>>,
    /// All methods that are possible anywhere.
    methods: Vec<Method>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)*) => {
        impl Methods {$(
            $(#[$doc])*
            pub(super) fn $name<T: 'static>(self, handler: impl Handler<T, App>) -> Self {
                self.on(Method::$method, handler)
            }
        )*}
    };
}

methods! {
    /// Serves GET, and HEAD with it.
    get = GET;
    /// Serves POST.
    post = POST;
    /// Serves PUT.
    put = PUT;
    /// Serves PATCH.
    patch = PATCH;
    /// Serves DELETE.
    delete = DELETE;
}

/// Serves GET, and HEAD with it.
pub(super) fn get<T: 'static>(handler: impl Handler<T, App>) -> Methods {
    Methods::default().get(handler)
}

impl Methods {
    fn on<T: 'static>(mut self, method: Method, handler: impl Handler<T, App>) -> Self {
        let serve: Serve = Box::new(move |request, app| Box::pin(handler.clone().call(request, app)));
        self.0.push(Served { method, serve, contract: Contract::default() });
        self
    }

    /// Says what is promised of the method that was added last.
    pub(super) fn promising(mut self, contract: Contract) -> Self {
        if let Some(served) = self.0.last_mut() {
            served.contract = contract;
        }
        self
    }

    fn names(&self) -> impl Iterator<Item = &Method> {
        self.0.iter().map(|served| &served.method)
    }
}

/// A list of methods. Every route knows OPTIONS, and HEAD where it knows GET.
fn allow<'a>(methods: impl Iterator<Item = &'a Method>) -> HeaderValue {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    names.push(Method::OPTIONS.as_str());
    if names.contains(&Method::GET.as_str()) {
        names.push(Method::HEAD.as_str());
    }
    names.sort_unstable();
    names.dedup();
    HeaderValue::try_from(names.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

impl Routes {
    /// Adds a path. Parameters stand in braces, for whole segments: `/v2/projects/{project}`.
    pub(super) fn route(mut self, template: &str, methods: Methods) -> Self {
        let segments = template.split('/').enumerate();
        let parameter = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
        let parameters = segments.filter_map(|(at, segment)| Some((parameter(segment)?, at))).collect();
        let allow = allow(methods.names());
        self.methods.extend(methods.names().cloned());
        let added =
            self.tree.insert(template, Arc::new(Route { template: template.into(), allow, parameters, methods }));
        debug_assert!(added.is_ok(), "{template} cannot be added: {added:?}");
        self
    }

    /// The methods that are possible anywhere, as the header field `Allow` has them.
    pub(super) fn allow(&self) -> HeaderValue {
        allow(self.methods.iter())
    }

    /// The route of a path that comes without a trailing slash.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Route>> {
        self.tree.at(path).ok().map(|found| Arc::clone(found.value))
    }
}

impl Route {
    /// What serves a method here, where anything does. A HEAD is a GET whose answer is not sent: the edge sees to that.
    pub(super) fn handler(&self, method: &Method) -> Option<&Serve> {
        self.served(method).map(|served| &served.serve)
    }

    /// What is promised of a method here, where it is served.
    pub(super) fn contract(&self, method: &Method) -> Option<&Contract> {
        self.served(method).map(|served| &served.contract)
    }

    fn served(&self, method: &Method) -> Option<&Served> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.methods.0.iter().find(|served| served.method == *method)
    }

    /// The parameter at a position in a path of this route: its name, and what stands there.
    pub(super) fn parameter<'p>(&self, path: &'p str, position: usize) -> Result<(&str, Cow<'p, str>), Problem> {
        let found = self.parameters.get(position).and_then(|(name, at)| Some((name, path.split('/').nth(*at)?)));
        let Some((name, text)) = found else {
            return Err(Problem::bug("a route has fewer parameters than its handler reads"));
        };
        match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok((name, text)),
            Err(_) => Err(Problem::parameter(name, "must be UTF-8 where it is percent-decoded")),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("template", &self.template).field("allow", &self.allow).finish_non_exhaustive()
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}
