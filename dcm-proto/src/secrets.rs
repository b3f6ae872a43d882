//! How messages look that hold secrets: without them.

use std::fmt;

use crate::v1::{ClusterSpec, GetKubeconfigResponse};

/// Stands for a secret.
struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Debug for GetKubeconfigResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetKubeconfigResponse").field("kubeconfig", &Hidden).field("format", &self.format()).finish()
    }
}

impl fmt::Debug for ClusterSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterSpec")
            .field("kubeconfig", &self.kubeconfig.as_ref().map(|_| Hidden))
            .field("labels", &self.labels)
            .field("ca_certificate", &self.ca_certificate)
            .field("ca_key", &self.ca_key.as_ref().map(|_| Hidden))
            .field("istio_version", &self.istio_version)
            .field("server", &self.server)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    const SECRET: &str = "s3cret";

    #[test]
    fn secrets_are_not_shown() {
        let kubeconfig = GetKubeconfigResponse { kubeconfig: SECRET.to_owned(), ..Default::default() };
        let secret = Some(SECRET.to_owned());
        let cluster = ClusterSpec { kubeconfig: secret.clone(), ca_key: secret, ..Default::default() };
        let shown = format!("{kubeconfig:?}{cluster:?}");
        assert!(!shown.contains(SECRET) && shown.contains('…'), "{shown}");
    }

    /// Whoever adds a secret to another message has to hide it here.
    #[test]
    fn no_other_message_has_a_secret() {
        let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
        let mut with_secrets = Vec::new();
        for file in ["dcm/v1", "dcm/sync/v1", "dcm/ca/v1", ""].iter().flat_map(|folder| files(&protos.join(folder))) {
            let text = fs::read_to_string(&file).unwrap();
            let mut message = "";
            for line in text.lines() {
                message = line.strip_prefix("message ").map_or(message, |rest| rest.split(' ').next().unwrap());
                if line.contains("debug_redact = true") {
                    let field = line.split(" = ").next().unwrap().rsplit(' ').next().unwrap();
                    with_secrets.push(format!("{message}.{field}"));
                }
            }
        }
        with_secrets.sort();
        let hidden = ["ClusterSpec.ca_key", "ClusterSpec.kubeconfig", "GetKubeconfigResponse.kubeconfig"];
        assert_eq!(with_secrets, hidden);
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_file()).collect()
    }
}
