//! A cluster as a folder: one file for each object that is there, read and written whole.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use dcm_core::{
    sync::{Failure, ObjectId, Owner, Reason},
    tenancy::marks,
};
use serde_json::Value;

/// The folder of one cluster, as it was when it was read.
pub(super) struct Folder {
    path: PathBuf,
    /// What is in it, ours and others'.
    pub(super) objects: BTreeMap<ObjectId, Value>,
}

impl Folder {
    /// Reads all of a folder; one that is not there is empty.
    pub(super) fn read(path: PathBuf) -> Result<Self, Failure> {
        let mut objects = BTreeMap::new();
        for folder in entries(&path)? {
            for file in entries(&folder)?.into_iter().filter(|file| file.extension().is_some_and(|end| end == "json")) {
                let text = fs::read(&file).map_err(|error| unusable(&file, &error))?;
                // What is no object is nobody's business here.
                if let Ok(manifest) = serde_json::from_slice::<Value>(&text)
                    && let Some(id) = id_of(&manifest)
                {
                    objects.insert(id, manifest);
                }
            }
        }
        Ok(Self { path, objects })
    }

    /// Writes an object, all of it or nothing: whoever reads the folder meanwhile sees the old one or the new one.
    pub(super) fn write(&mut self, id: &ObjectId, manifest: &Value) -> Result<(), Failure> {
        let file = self.file(id);
        let write = || {
            let folder = file.parent().unwrap_or(&self.path);
            fs::create_dir_all(folder)?;
            let draft = file.with_extension("new");
            fs::write(&draft, serde_json::to_vec_pretty(manifest)?)?;
            fs::rename(draft, &file)
        };
        write().map_err(|error| unusable(&file, &error))?;
        self.objects.insert(id.clone(), manifest.clone());
        Ok(())
    }

    /// Deletes an object; one that is gone already is fine.
    pub(super) fn delete(&mut self, id: &ObjectId) -> Result<(), Failure> {
        let file = self.file(id);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&file, &error)),
            _ => {}
        }
        self.objects.remove(id);
        Ok(())
    }

    /// The objects that this installation keeps for one logical cloud.
    pub(super) fn of(&self, owner: &Owner) -> Vec<ObjectId> {
        self.objects.iter().filter(|(_, held)| is_of(held, owner)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether the folder carries more than the store knows: then the store is an old backup.
    pub(super) fn is_ahead_of(&self, owner: &Owner, force: bool) -> Result<(), Failure> {
        let knows = |namespace: &Value| {
            let annotations = &namespace["metadata"]["annotations"];
            let generation = annotations[marks::GENERATION].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
            owner.knows(generation, annotations[marks::STATE].as_str())
        };
        let mut namespaces = self.objects.iter().filter(|(id, held)| id.kind == "Namespace" && is_of(held, owner));
        if force || namespaces.all(|(_, namespace)| knows(namespace)) {
            return Ok(());
        }
        Err(Failure::new(Reason::StoreOlderThanCluster, "the store is older than what lies in the folder"))
    }

    /// Kinds and names are made of letters, digits, `-`, `_` and `.`, and a namespace has no `_`.
    fn file(&self, id: &ObjectId) -> PathBuf {
        let folder = id.namespace.as_deref().unwrap_or("_cluster");
        self.path.join(folder).join(format!("{}.{}.json", id.kind, id.name))
    }
}

/// Whether an object is this installation's, for this logical cloud: its labels say so.
pub(super) fn is_of(manifest: &Value, owner: &Owner) -> bool {
    let labels = &manifest["metadata"]["labels"];
    labels[marks::INSTALLATION] == owner.store_id.as_str() && labels[marks::CLOUD_UID] == owner.cloud.as_str()
}

fn id_of(manifest: &Value) -> Option<ObjectId> {
    let metadata = &manifest["metadata"];
    Some(ObjectId {
        api_version: manifest["apiVersion"].as_str()?.to_owned(),
        kind: manifest["kind"].as_str()?.to_owned(),
        namespace: metadata["namespace"].as_str().map(str::to_owned),
        name: metadata["name"].as_str()?.to_owned(),
    })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let read = || -> io::Result<Vec<_>> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    match read() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        read => read.map_err(|error| unusable(folder, &error)),
    }
}

/// The worker tries again, with pauses that grow, and the status says why.
fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Reason::Unreachable, format!("{} cannot be used: {error}; free or mend the disk", path.display()))
}
