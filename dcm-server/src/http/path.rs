//! The names in a request's path, checked.

use std::{fmt::Display, str::FromStr};

use axum::extract::{FromRequestParts, RawPathParams};
use dcm_core::{
    name::{ClusterName, ProviderName},
    service::CloudId,
};
use http::request::Parts;

use super::problem::Problem;

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

struct Names(RawPathParams);

impl Names {
    async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(names) => Ok(Self(names)),
            Err(rejection) => {
                let text = rejection.body_text();
                let name = text.split('`').nth(1).unwrap_or("path");
                Err(Problem::parameter(name, "must be UTF-8 where it is percent-decoded"))
            }
        }
    }

    /// The name at a position, counted in the route's parameters.
    fn get<N>(&self, position: usize) -> Result<N, Problem>
    where
        N: FromStr,
        N::Err: Display,
    {
        let Some((parameter, text)) = self.0.iter().nth(position) else {
            return Err(Problem::bug("a route has fewer parameters than its handler reads"));
        };
        text.parse().map_err(|error| Problem::parameter(parameter, error))
    }

    fn cluster(&self) -> Result<ClusterPath, Problem> {
        Ok(ClusterPath { provider: self.get(0)?, cluster: self.get(1)? })
    }

    fn cloud(&self) -> Result<CloudId, Problem> {
        Ok(CloudId { project: self.get(0)?, name: self.get(1)? })
    }
}

impl<S: Send + Sync, N> FromRequestParts<S> for Named<N>
where
    N: FromStr,
    N::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Names::of(parts, state).await?.get(0).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Cloud {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Names::of(parts, state).await?.cloud().map(Self)
    }
}

impl<S: Send + Sync, N> FromRequestParts<S> for Child<N>
where
    N: FromStr,
    N::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let names = Names::of(parts, state).await?;
        Ok(Self { cloud: names.cloud()?, name: names.get(2)? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClusterPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Names::of(parts, state).await?.cluster()
    }
}

impl<S: Send + Sync, N> FromRequestParts<S> for ClusterChild<N>
where
    N: FromStr,
    N::Err: Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let names = Names::of(parts, state).await?;
        Ok(Self { cluster: names.cluster()?, name: names.get(2)? })
    }
}
