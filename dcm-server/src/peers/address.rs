//! Where another role is: as configured, or as it is registered under `/v2/controllers`.

use dcm_core::{
    error::Error,
    keys,
    model::Controller,
    name::ControllerName,
    store::{Store, StoreExt as _},
};

use crate::config::PeerAddress;

/// Where a role is looked for.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What the configuration says; it counts before what is registered.
    configured: Option<PeerAddress>,
    /// The name of the controller that may be registered instead.
    controller: &'static str,
    /// Whether what is registered is spoken to over TLS.
    over_tls: bool,
}

impl Place {
    /// A place that may be configured, or registered as a controller.
    pub(crate) const fn new(configured: Option<PeerAddress>, controller: &'static str, over_tls: bool) -> Self {
        Self { configured, controller, over_tls }
    }

    /// Where it is now; `None` where nobody said.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn find(&self, store: &dyn Store) -> Result<Option<PeerAddress>, Error> {
        if self.configured.is_some() {
            return Ok(self.configured.clone());
        }
        let Ok(name) = ControllerName::new(self.controller) else { return Ok(None) };
        let Some(found) = store.load::<Controller>(&keys::controller(&name)?).await? else { return Ok(None) };
        let controller = found.value;
        let scheme = if self.over_tls { "https" } else { "http" };
        let host = if controller.host.contains(':') { format!("[{}]", controller.host) } else { controller.host };
        Ok(format!("{scheme}://{host}:{}", controller.port).parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dcm_core::{
        model::{ControllerInput, MetadataInput},
        service::Draft,
    };
    use dcm_test_utils::builders::Fixture;

    use super::*;

    #[tokio::test]
    async fn what_is_configured_counts_before_what_is_registered() {
        let store = dcm_store::open(dcm_store::Config::Memory).await.unwrap();
        let dcm = Fixture::new(Arc::clone(&store)).await.unwrap().dcm;
        let registered = Place::new(None, "rsync", true);
        assert_eq!(registered.find(&*store).await.unwrap(), None);
        let input = ControllerInput {
            metadata: MetadataInput { name: Some("rsync".to_owned()), ..MetadataInput::default() },
            host: Some("2001:db8::1".to_owned()),
            port: Some(9078),
            ..ControllerInput::default()
        };
        dcm.create_controller(Draft::from(input)).await.unwrap();
        let found = registered.find(&*store).await.unwrap().unwrap();
        assert_eq!(found.to_string(), "https://[2001:db8::1]:9078");
        let configured = Place::new(Some("http://s:1".parse().unwrap()), "rsync", true);
        assert_eq!(configured.find(&*store).await.unwrap().unwrap().to_string(), "http://s:1");
    }
}
