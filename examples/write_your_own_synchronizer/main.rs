//! A synchronizer of one's own under DCM: it knows no Kubernetes and writes manifests to a folder, as for GitOps.
//!
//! ```text
//! cargo run --example write_your_own_synchronizer                     # DCM on the folder, from apply to terminate
//! cargo test -p dcm-examples --example write_your_own_synchronizer    # every promise of a synchronizer, on this one
//! ```

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod folder;
#[path = "../embed_in_memory/machine.rs"]
mod machine;
mod synchronizer;
#[cfg(test)]
mod tests;

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use dcm_core::{
    lifecycle::Event,
    model::{ClusterInput, ClusterReferenceInput, LogicalCloudInput, MetadataInput, PermissionInput, UserInput},
    name::ProviderName,
    secret::Secret,
    service::{CloudId, Dcm, NoWake, Overall, Ports, Settings},
};
use dcm_mesh::credential::UserCredentials;
use dcm_store::{
    encryption::{AeadSealer, Keyring},
    memory::MemoryStore,
};
use serde_json::{Value, json};

use synchronizer::FolderSynchronizer;

const SIDE_BY_SIDE: NonZeroUsize = NonZeroUsize::new(8).unwrap();

#[tokio::main]
async fn main() -> Result<()> {
    let place = tempfile::tempdir().context("making a temporary folder")?;
    let root = place.path();
    let ports = Ports {
        store: Arc::new(MemoryStore::new()),
        sealer: Arc::new(AeadSealer::new(Keyring::random()?)?),
        credentials: Arc::new(UserCredentials),
        synchronizer: Arc::new(FolderSynchronizer::new(root)),
        clock: Arc::new(machine::SystemClock),
        entropy: Arc::new(machine::OsEntropy),
        wake: Arc::new(NoWake),
    };
    let dcm = Dcm::open(ports, Settings::default()).await?;
    let id = CloudId { project: "walmart".parse()?, name: "lc-1".parse()? };
    describe(&dcm, &id).await?;

    println!("== Apply: what lies in the folder then");
    dcm.apply(&id, Event::Apply, false).await?;
    carry_out(&dcm, &id).await?;
    ensure!(dcm.status(&id).await?.overall == Overall::Created, "it is not created");
    let files = files(root)?;
    files.iter().for_each(|file| println!("   {file}"));
    let role = "edge/c1/ns-1/Role.permission-1.json";
    ensure!(files.len() == 3 && files.iter().any(|file| file == role), "other files than expected");

    println!("== The user's certificate is signed with the cluster's CA: the folder need not be asked");
    let kubeconfig: Value = serde_json::from_slice(dcm.merged_kubeconfig(&id).await?.expose_json())?;
    let server = &kubeconfig["clusters"][0]["cluster"]["server"];
    println!("   a kubeconfig for {server}");
    ensure!(server == "https://c1.example:6443", "it leads elsewhere");

    println!("== Somebody edits a file, and puts one of his own beside it: the look for drift mends the first only");
    let ours = fs::read_to_string(root.join(role))?;
    fs::write(root.join(role), ours.replace("configmaps", "secrets"))?;
    let theirs = root.join("edge/c1/ns-1/ConfigMap.theirs.json");
    fs::write(&theirs, r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"ns-1","name":"theirs"}}"#)?;
    dcm.resync(&id).await?;
    carry_out(&dcm, &id).await?;
    ensure!(fs::read_to_string(root.join(role))? == ours, "the edit is still there");
    let status = dcm.status(&id).await?.clusters.remove(0).1.context("a cluster that was worked on")?;
    let drift = status.drift.context("drift that was seen")?;
    drift.objects.iter().for_each(|change| println!("   mended: {}", change.id));

    println!("== Terminate: what lies in the folder then");
    dcm.terminate(&id, false).await?;
    carry_out(&dcm, &id).await?;
    ensure!(dcm.status(&id).await?.overall == Overall::Deleted, "it is not deleted");
    let files = self::files(root)?;
    files.iter().for_each(|file| println!("   {file}"));
    ensure!(files == ["edge/c1/ns-1/ConfigMap.theirs.json"], "ours are not gone, or theirs is");
    Ok(())
}

async fn carry_out(dcm: &Dcm, id: &CloudId) -> Result<()> {
    let until_done = async {
        while let Some(again) = dcm.carry_out_waiting(SIDE_BY_SIDE).await? {
            tokio::time::sleep(dcm.time_until(again)).await;
        }
        Ok(())
    };
    if let Ok(done) = tokio::time::timeout(Duration::from_secs(30), until_done).await {
        return done;
    }
    // The status says of each cluster what stands in the way.
    let clusters = dcm.status(id).await?.clusters;
    let why = clusters.iter().filter_map(|(_, cluster)| cluster.as_ref()?.failure.as_ref());
    bail!("not done within half a minute: {}", why.map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// A logical cloud on one cluster, which is registered with its CA.
async fn describe(dcm: &Dcm, id: &CloudId) -> Result<()> {
    let named = |name: &str| MetadataInput { name: Some(name.to_owned()), ..MetadataInput::default() };
    let text = |text: &str| Some(text.to_owned());
    let (certificate, key) = authority()?;
    dcm.create_provider(named("edge").into()).await?;
    let cluster = ClusterInput {
        metadata: named("c1"),
        kubeconfig: Some(kubeconfig("https://c1.example:6443")),
        ca_certificate: Some(certificate),
        ca_key: Some(key),
        ..ClusterInput::default()
    };
    dcm.create_cluster(&ProviderName::new("edge")?, cluster.into()).await?;
    let permission = PermissionInput {
        name: text("permission-1"),
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        verbs: Some(vec!["*".to_owned()]),
        ..PermissionInput::default()
    };
    let user = UserInput { user_name: text("user-1"), user_type: text("certificate"), permissions: vec![permission] };
    let cloud = LogicalCloudInput {
        metadata: named("lc-1"),
        namespace: text("ns-1"),
        user: Some(user),
        ..LogicalCloudInput::default()
    };
    dcm.create_logical_cloud(&id.project, cloud.into()).await?;
    let reference = ClusterReferenceInput {
        metadata: named("c1"),
        cluster_provider: text("edge"),
        cluster_name: text("c1"),
        loadbalancer_ip: text("0.0.0.0"),
        ..ClusterReferenceInput::default()
    };
    dcm.create_reference(id, reference.into()).await?;
    Ok(())
}

/// A kubeconfig for a server that nobody dials here.
fn kubeconfig(server: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{ "name": "c", "cluster": { "server": server } }],
        "users": [{ "name": "u", "user": { "token": "nobody-asks-for-it" } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
    })
}

/// A CA as a cluster has one for its clients.
fn authority() -> Result<(String, Secret)> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::DigitalSignature];
    Ok((params.self_signed(&key)?.pem(), Secret::new(key.serialize_pem())))
}

/// All files below a folder.
fn files(root: &Path) -> Result<Vec<String>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path.strip_prefix(root)?.display().to_string()),
            }
        }
    }
    found.sort();
    Ok(found)
}
