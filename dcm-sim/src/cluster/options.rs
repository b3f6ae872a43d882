//! How a cluster is started.

use std::time::Duration;

use super::Secret;

/// How a simulated cluster behaves. Start from [`ClusterOptions::default`] or [`ClusterOptions::named`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// The cluster's name, in its kubeconfigs and its CA.
    pub name: String,
    /// Delay of every answer.
    pub latency: Duration,
    /// How long an empty namespace takes to go.
    pub namespace_termination: Duration,
    /// How long an approved request waits for its certificate.
    pub signing_delay: Duration,
    /// The longest life of a client certificate or token that is asked for.
    pub max_certificate_lifetime: Option<Duration>,
    /// The uid of `kube-system`; random if not given.
    pub identity: Option<String>,
    /// Whether approved requests are signed at all: some providers' clusters never do.
    pub signs_client_certificates: bool,
    /// A bearer token of a user in `system:masters`.
    pub admin_token: Option<Secret>,
    /// Whether Istio's custom resources are there.
    pub istio: bool,
    /// How many requests are remembered for [`Cluster::requests`](crate::Cluster::requests).
    pub remembered_requests: usize,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            name: "simulated".to_owned(),
            latency: Duration::ZERO,
            namespace_termination: Duration::from_millis(50),
            signing_delay: Duration::from_millis(10),
            max_certificate_lifetime: None,
            identity: None,
            signs_client_certificates: true,
            admin_token: None,
            istio: false,
            remembered_requests: 1_000,
        }
    }
}

impl ClusterOptions {
    /// The defaults, with a name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets [`latency`](Self::latency).
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Sets [`namespace_termination`](Self::namespace_termination).
    #[must_use]
    pub fn namespace_termination(mut self, delay: Duration) -> Self {
        self.namespace_termination = delay;
        self
    }

    /// Sets [`signing_delay`](Self::signing_delay).
    #[must_use]
    pub fn signing_delay(mut self, delay: Duration) -> Self {
        self.signing_delay = delay;
        self
    }

    /// Sets [`max_certificate_lifetime`](Self::max_certificate_lifetime).
    #[must_use]
    pub fn max_certificate_lifetime(mut self, longest: Duration) -> Self {
        self.max_certificate_lifetime = Some(longest);
        self
    }

    /// Sets [`identity`](Self::identity).
    #[must_use]
    pub fn identity(mut self, uid: impl Into<String>) -> Self {
        self.identity = Some(uid.into());
        self
    }

    /// Sets [`signs_client_certificates`](Self::signs_client_certificates).
    #[must_use]
    pub fn signs_client_certificates(mut self, signs: bool) -> Self {
        self.signs_client_certificates = signs;
        self
    }

    /// Sets [`admin_token`](Self::admin_token).
    #[must_use]
    pub fn admin_token(mut self, token: impl Into<String>) -> Self {
        self.admin_token = Some(Secret::new(token));
        self
    }

    /// Sets [`istio`](Self::istio).
    #[must_use]
    pub fn istio(mut self, istio: bool) -> Self {
        self.istio = istio;
        self
    }

    /// Sets [`remembered_requests`](Self::remembered_requests).
    #[must_use]
    pub fn remembered_requests(mut self, limit: usize) -> Self {
        self.remembered_requests = limit;
        self
    }
}
