//! What the user of a logical cloud does with his kubeconfig.

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};

/// Acts as the user on each cluster: something that is allowed, and something that is not.
pub(crate) async fn try_out(kubeconfig: &[u8]) -> Result<()> {
    let kubeconfig: Kubeconfig = serde_json::from_slice(kubeconfig)?;
    ensure!(!kubeconfig.contexts.is_empty(), "a kubeconfig without contexts");
    for context in &kubeconfig.contexts {
        let options = KubeConfigOptions { context: Some(context.name.clone()), ..KubeConfigOptions::default() };
        let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await?)?;
        let mut hello = ConfigMap::default();
        hello.metadata.name = Some("hello".to_owned());
        let config_maps = Api::<ConfigMap>::default_namespaced(client.clone());
        config_maps.create(&PostParams::default(), &hello).await.context("creating a config map is allowed")?;
        match Api::<Secret>::default_namespaced(client).list(&ListParams::default()).await {
            Err(kube::Error::Api(denied)) if denied.code == 403 => {
                println!("   {}: may create config maps, may not list secrets", context.name);
            }
            other => bail!("{}: listing secrets is not allowed, and came to {other:?}", context.name),
        }
    }
    Ok(())
}
