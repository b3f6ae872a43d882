//! A synchronizer that knows no Kubernetes: it keeps the manifests of each cluster in a folder, from which something
//! else carries them on (a Git repository with Argo CD or Flux behind it, for example).
//!
//! How it keeps what [`Synchronizer`] promises:
//! - *Repeatable*: it compares the folder with what should be, and writes the difference.
//! - *Droppable*: no method awaits anything, so each runs to its end or not at all; a file is there whole or not at all.
//! - *Only what is ours*: files whose labels name this installation and this logical cloud, and no other ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64, HEXLOWER};
use dcm_core::{
    model::DeletePolicy,
    sync::{
        CertificateRequest, Change, ChangeKind, ClusterAccess, Comparison, CutOff, Desired, Difference, Endpoint,
        Facts, Failure, FieldDifference, Grant, InventoryItem, IssuedToken, ObjectId, Part, PartState, Reason, Removal,
        Report, Synchronizer, TokenRequest,
    },
};
use serde_json::{Value, json};

use super::folder::{Folder, is_of};

/// Keeps the manifests of clusters below a folder: `<provider>/<cluster>/<namespace>/<Kind>.<name>.json`.
#[derive(Debug)]
pub(super) struct FolderSynchronizer {
    root: PathBuf,
    /// One call at a time: what was read is still so when it is written.
    turn: Mutex<()>,
}

/// What an apply would do.
#[derive(Default)]
struct Plan {
    /// In this order; with the manifest where something is written.
    changes: Vec<(Change, Option<Value>)>,
    /// What is refused, and why.
    refused: Vec<(ObjectId, Failure)>,
    /// What waits for something that is refused.
    waiting: Vec<ObjectId>,
}

impl FolderSynchronizer {
    pub(super) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), turn: Mutex::default() }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, access: &ClusterAccess) -> Result<Folder, Failure> {
        Folder::read(self.root.join(access.provider.as_str()).join(access.cluster.as_str()))
    }

    fn try_apply(&self, access: &ClusterAccess, desired: &Desired, report: &mut Report) -> Result<(), Failure> {
        let mut folder = self.folder(access)?;
        let plan = plan(&folder, desired)?;
        for (change, manifest) in plan.changes {
            match manifest {
                Some(manifest) => folder.write(&change.id, &manifest)?,
                None => folder.delete(&change.id)?,
            }
            report.changes.push(change);
        }
        for object in &desired.objects {
            report.parts.entry(object.part).or_insert(PartState::Created);
        }
        for id in &plan.waiting {
            report.parts.insert(id.part(), PartState::Pending);
        }
        for (id, failure) in plan.refused {
            report.parts.insert(id.part(), failure.as_state());
            report.failure.get_or_insert(failure);
        }
        // A file has no uid, and none is needed: its labels say whose it is.
        report.inventory = folder.of(&desired.owner).into_iter().map(item).collect();
        Ok(())
    }

    fn try_remove(&self, access: &ClusterAccess, removal: &Removal) -> Result<(), Failure> {
        let mut folder = self.folder(access)?;
        folder.is_ahead_of(&removal.owner, removal.force)?;
        let (namespaces, others): (Vec<_>, Vec<_>) =
            folder.of(&removal.owner).into_iter().partition(|id| id.kind == "Namespace");
        others.iter().try_for_each(|id| folder.delete(id))?;
        for id in namespaces {
            match removal.delete {
                DeletePolicy::Delete => folder.delete(&id)?,
                // It stays, and is nobody's any more.
                DeletePolicy::Keep => folder.write(&id, &bare(&id))?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Synchronizer for FolderSynchronizer {
    /// A folder cannot be asked: who the cluster is, its registered kubeconfig says.
    async fn probe(&self, access: &ClusterAccess) -> Result<Facts, Failure> {
        let unusable = || Failure::new(Reason::Rejected, "the registered kubeconfig names no API server");
        let kubeconfig: Value = serde_json::from_slice(access.kubeconfig.expose()).map_err(|_| unusable())?;
        let cluster = &kubeconfig["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().ok_or_else(unusable)?;
        let ca = cluster["certificate-authority-data"].as_str().and_then(|ca| BASE64.decode(ca.as_bytes()).ok());
        Ok(Facts {
            // The same server is the same cluster, whatever it is called.
            identity: HEXLOWER.encode(digest(&SHA256, server.as_bytes()).as_ref()),
            version: "unknown".to_owned(),
            endpoint: Endpoint {
                server: server.to_owned(),
                ca_pem: ca.and_then(|ca| String::from_utf8(ca).ok()),
                tls_server_name: None,
            },
            clock: None,
        })
    }

    async fn capabilities(&self, _: &ClusterAccess) -> Result<BTreeMap<String, Vec<String>>, Failure> {
        Ok(BTreeMap::new())
    }

    async fn apply(&self, access: &ClusterAccess, desired: &Desired) -> Report {
        let _turn = self.turn();
        // As long as nothing else is known, what was there may still be there.
        let mut report = Report { inventory: desired.inventory.clone(), ..Report::default() };
        if let Err(failure) = self.try_apply(access, desired, &mut report) {
            report.parts.insert(Part::Namespace, failure.as_state());
            report.failure = Some(failure);
        }
        report
    }

    async fn sign(&self, _: &ClusterAccess, _: &CertificateRequest) -> Result<String, Failure> {
        let detail = "a folder signs nothing: register the cluster with ca-certificate and ca-key, and DCM does";
        Err(Failure::new(Reason::CertificateRefused, detail))
    }

    async fn token(&self, _: &ClusterAccess, _: &TokenRequest) -> Result<IssuedToken, Failure> {
        let detail = "a folder issues no tokens: give the logical cloud a user of the type certificate";
        Err(Failure::new(Reason::Rejected, detail))
    }

    /// The decisions are an apply's, so what it foretells comes true.
    async fn compare(&self, access: &ClusterAccess, desired: &Desired) -> Result<Comparison, Failure> {
        let _turn = self.turn();
        let folder = self.folder(access)?;
        let plan = match plan(&folder, desired) {
            Ok(plan) => plan,
            Err(failure) => return Ok(Comparison { failure: Some(failure), ..Comparison::default() }),
        };
        let refused = plan.refused.into_iter().map(|(id, failure)| Difference {
            change: Change { id, change: ChangeKind::Create },
            fields: Vec::new(),
            checked: true,
            refusal: Some(failure),
        });
        let changed = plan.changes.into_iter().map(|(change, manifest)| Difference {
            fields: fields(folder.objects.get(&change.id), manifest.as_ref()),
            change,
            checked: true,
            refusal: None,
        });
        Ok(Comparison { differences: changed.chain(refused).collect(), ..Comparison::default() })
    }

    async fn cut_off(&self, access: &ClusterAccess, cut: &CutOff) -> Result<Vec<Grant>, Failure> {
        let _turn = self.turn();
        let mut folder = self.folder(access)?;
        folder.is_ahead_of(&cut.owner, false)?;
        for id in folder.of(&cut.owner) {
            let kept = match id.kind.as_str() {
                "RoleBinding" | "ClusterRoleBinding" => folder.objects[&id]["subjects"][0]["name"] == cut.keep.name(),
                "ServiceAccount" => id.name == cut.keep.name(),
                _ => true,
            };
            if !kept {
                folder.delete(&id)?;
            }
        }
        // What others gave him, a folder does not know.
        Ok(Vec::new())
    }

    async fn remove(&self, access: &ClusterAccess, removal: &Removal) -> Report {
        let _turn = self.turn();
        match self.try_remove(access, removal) {
            Ok(()) => Report { parts: Part::ALL.map(|part| (part, PartState::Deleted)).into(), ..Report::default() },
            Err(failure) => {
                Report { inventory: removal.inventory.clone(), failure: Some(failure), ..Report::default() }
            }
        }
    }
}

/// What would have to be written and deleted. An error where an apply comes no further than the namespace.
fn plan(folder: &Folder, desired: &Desired) -> Result<Plan, Failure> {
    folder.is_ahead_of(&desired.owner, desired.force)?;
    let mut plan = Plan::default();
    for object in &desired.objects {
        let change = match folder.objects.get(&object.id) {
            Some(held) if !is_of(held, &desired.owner) => {
                let failure = Failure::new(Reason::NotOurs, format!("{} is there, and not ours", object.id));
                if object.part == Part::Namespace {
                    return Err(failure);
                }
                plan.refused.push((object.id.clone(), failure));
                continue;
            }
            Some(held) if *held == object.manifest => continue,
            Some(_) => ChangeKind::Update,
            None => ChangeKind::Create,
        };
        // A binding must not give a user the rights of somebody else's role.
        let role = &object.manifest["roleRef"];
        if plan.refused.iter().any(|(id, _)| role["kind"] == id.kind.as_str() && role["name"] == id.name.as_str()) {
            plan.waiting.push(object.id.clone());
            continue;
        }
        plan.changes.push((Change { id: object.id.clone(), change }, Some(object.manifest.clone())));
    }
    let wanted: BTreeSet<&ObjectId> = desired.objects.iter().map(|object| &object.id).collect();
    let unwanted = folder.of(&desired.owner).into_iter().filter(|id| !wanted.contains(id));
    plan.changes.extend(unwanted.map(|id| (Change { id, change: ChangeKind::Delete }, None)));
    Ok(plan)
}

/// The members of a manifest that differ.
fn fields(live: Option<&Value>, wanted: Option<&Value>) -> Vec<FieldDifference> {
    let (Some(Value::Object(live)), Some(Value::Object(wanted))) = (live, wanted) else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = live.keys().chain(wanted.keys()).collect();
    let differing = names.into_iter().filter(|name| live.get(*name) != wanted.get(*name));
    differing
        .map(|name| FieldDifference {
            pointer: format!("/{name}"),
            live: live.get(name).cloned(),
            wanted: wanted.get(name).cloned(),
        })
        .collect()
}

/// A namespace without a word of DCM's.
fn bare(id: &ObjectId) -> Value {
    json!({ "apiVersion": id.api_version, "kind": id.kind, "metadata": { "name": id.name } })
}

fn item(id: ObjectId) -> InventoryItem {
    InventoryItem { id, uid: None, adopted: false }
}
