//! A CA of one's own for DCM: an in-house PKI in one file, held to the conformance suite, and served over gRPC.
//!
//! ```text
//! cargo run --example write_your_own_ca                     # the PKI as a CA controller, asked as DCM asks
//! cargo test -p dcm-examples --example write_your_own_ca    # every promise of a CA, on this one
//! ```
//!
//! It needs the `openssl` program.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod pki;
#[cfg(test)]
mod tests;

use std::{fs, path::Path, process::Command, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use dcm_core::{
    ca::{CaProvider, Cloud, Error, Generation, IntermediateRequest, Rotation},
    model::Uid,
};
use dcm_mesh::{
    ca::IntermediateKey,
    grpc::{CaService, GrpcCa, Patience},
};
use tokio::net::TcpListener;
use tonic::transport::{Endpoint, Server, server::TcpIncoming};

use pki::Pki;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir().context("making a temporary folder")?;

    println!("== Serve the PKI as dcm.ca.v1.CaKeyDistribution");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = CaService::new(Arc::new(Pki::new(folder.path()))).into_server();
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
    println!("   at {address}; behind mutual TLS, where it is not an example");

    // From here on as DCM does: it knows the port `CaProvider`, and not who answers.
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
    let ca = GrpcCa::new(channel, Patience::default());
    let cloud = Cloud {
        uid: Uid::parse("5f9a6b1e-3f0c-4c57-9d5b-0d8a3f6c2e11")?,
        project: "walmart".parse()?,
        name: "lc-1".parse()?,
        trust_domain: "lc-1.walmart.example".parse()?,
    };
    ask(&ca, &cloud, folder.path()).await
}

async fn ask(ca: &dyn CaProvider, cloud: &Cloud, folder: &Path) -> Result<()> {
    println!("== Intermediate CAs for two clusters; their keys are made here and stay here");
    let mut issued = Vec::new();
    for cluster in ["cluster-1", "cluster-2"] {
        let request = request(cloud, cluster)?;
        let intermediate = ca.issue_intermediate(&request).await?;
        println!("   {cluster}: serial {}, until {}", intermediate.serial, intermediate.not_after);
        issued.push((request, intermediate));
    }

    println!("== The chains, judged by openssl");
    let bundle = ca.bundle(&cloud.uid).await?;
    fs::write(folder.join("bundle.pem"), bundle.pem())?;
    for (request, intermediate) in &issued {
        fs::write(folder.join("chain.pem"), &intermediate.certificate_pem)?;
        let verify = ["verify", "-x509_strict", "-CAfile", "bundle.pem", "chain.pem"];
        let judged = Command::new("openssl").args(verify).current_dir(folder).output().context("running openssl")?;
        ensure!(judged.status.success(), "refused: {}", String::from_utf8_lossy(&judged.stderr));
        println!("   {}: {}", request.cluster, String::from_utf8_lossy(&judged.stdout).trim());
    }

    println!("== The same request once more, and another key for the same generation");
    let (asked, first) = issued.first().context("an intermediate")?;
    let again = ca.issue_intermediate(asked).await?;
    ensure!(again.certificate_pem == first.certificate_pem, "a repeat got another certificate");
    println!("   the repeat got the same certificate");
    let refused = ca.issue_intermediate(&request(cloud, "cluster-1")?).await;
    ensure!(matches!(refused, Err(Error::OtherKey { .. })), "another key was not refused: {refused:?}");
    println!("   the other key was refused");

    println!("== What this PKI cannot do");
    let second = Generation::new(2).context("a generation")?;
    match ca.rotate(&cloud.uid, Rotation::Introduce(second)).await {
        Err(error @ Error::Unsupported { .. }) => println!("   {error}"),
        other => anyhow::bail!("a rotation was not refused: {other:?}"),
    }
    Ok(())
}

fn request(cloud: &Cloud, cluster: &str) -> Result<IntermediateRequest> {
    let made = IntermediateKey::default().make()?;
    Ok(IntermediateRequest {
        cloud: cloud.clone(),
        cluster: cluster.parse()?,
        generation: Generation::FIRST,
        csr_pem: made.csr_pem,
    })
}
