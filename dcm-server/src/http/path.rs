//! The names in a request's path, checked.

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::extract::FromRequestParts;
use dcm_core::{
    name::{ClusterName, ProviderName},
    service::CloudId,
};
use http::request::Parts;

use super::{problem::Problem, routes::Route};

/// No name: what is meant is everything of its kind.
pub(super) struct All;

/// The only name in the path.
pub(super) struct Named<N>(pub(super) N);

/// A logical cloud.
pub(super) struct Cloud(pub(super) CloudId);

/// Something of a logical cloud.
pub(super) struct Child<N> {
    pub(super) cloud: CloudId,
    pub(super) name: N,
}

/// A cluster of a provider.
pub(super) struct ClusterPath {
    pub(super) provider: ProviderName,
    pub(super) cluster: ClusterName,
}

impl ClusterPath {
    /// As the core takes it.
    pub(super) fn of(&self) -> (&ProviderName, &ClusterName) {
        (&self.provider, &self.cluster)
    }
}

/// Something of a cluster.
pub(super) struct ClusterChild<N> {
    pub(super) cluster: ClusterPath,
    pub(super) name: N,
}

/// The names in a path, by its route.
struct Names<'a> {
    route: &'a Route,
    path: &'a str,
}

impl<'a> Names<'a> {
    fn of(parts: &'a Parts) -> Result<Self, Problem> {
        match parts.extensions.get::<Arc<Route>>() {
            Some(route) => Ok(Self { route, path: parts.uri.path() }),
            None => Err(Problem::bug("a handler was called without its route")),
        }
    }

    /// The name at a position, counted in the route's parameters.
    fn get<N>(&self, position: usize) -> Result<N, Problem>
    where
        N: FromStr,
        N::Err: Display,
    {
        let (parameter, text) = self.route.parameter(self.path, position)?;
        text.parse().map_err(|error| Problem::parameter(parameter, error))
    }

    fn cluster(&self) -> Result<ClusterPath, Problem> {
        Ok(ClusterPath { provider: self.get(0)?, cluster: self.get(1)? })
    }

    fn cloud(&self) -> Result<CloudId, Problem> {
        Ok(CloudId { project: self.get(0)?, name: self.get(1)? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for All {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl<S: Send + Sync, N> FromRequestParts<S> for Named<N>
where
    N: FromStr,
    N::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Names::of(parts)?.get(0).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cloud {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Names::of(parts)?.cloud().map(Self)
    }
}

impl<S: Send + Sync, N> FromRequestParts<S> for Child<N>
where
    N: FromStr,
    N::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let names = Names::of(parts)?;
        Ok(Self { cloud: names.cloud()?, name: names.get(2)? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClusterPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Names::of(parts)?.cluster()
    }
}

impl<S: Send + Sync, N> FromRequestParts<S> for ClusterChild<N>
where
    N: FromStr,
    N::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let names = Names::of(parts)?;
        Ok(Self { cluster: names.cluster()?, name: names.get(2)? })
    }
}
