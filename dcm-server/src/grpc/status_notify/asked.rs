//! What a client registers for.

use std::collections::HashSet;

use dcm_core::{
    name::{ClusterName, ProviderName},
    service::CloudId,
};
use dcm_proto::statusnotify::{OutputType, StatusRegistration, StatusValue, status_registration::Key};

use super::Problem;
use crate::grpc::names::name;

/// A registration that can be served.
#[derive(Debug)]
pub(super) struct Asked {
    /// The logical cloud that it is about.
    pub(super) cloud: CloudId,
    pub(super) word: Word,
    /// Whether each object is told of, too.
    pub(super) details: bool,
    /// Providers and clusters; all where there is none.
    pub(super) clusters: HashSet<(String, String)>,
    /// Names of objects; all where there is none.
    pub(super) resources: HashSet<String>,
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Whether it was carried out what was ordered.
    Deployed,
    /// Whether it is there and as it should be.
    Ready,
}

impl Asked {
    /// What is wrong with it is said all at once. `apps` selects nothing here, as in EMCO: a logical cloud has no apps.
    pub(super) fn read(registration: StatusRegistration) -> Result<Self, Problem> {
        let (word, details) = (word(&registration), details(&registration));
        let clusters: Result<HashSet<_>, _> = registration.clusters.iter().map(|text| cluster(text)).collect();
        let cloud = cloud(registration.key);
        match (cloud, word, details, clusters) {
            (Ok(cloud), Ok(word), Ok(details), Ok(clusters)) => {
                let resources = registration.resources.into_iter().collect();
                Ok(Self { cloud, word, details, clusters, resources })
            }
            (cloud, word, details, clusters) => {
                let problems = [cloud.err(), word.err(), details.err(), clusters.err()];
                Err(Problem::all(problems.into_iter().flatten()))
            }
        }
    }

    /// Whether more is to be known than the status.
    pub(super) const fn wants_objects(&self) -> bool {
        self.details || matches!(self.word, Word::Deployed)
    }
}

fn cloud(key: Option<Key>) -> Result<CloudId, Problem> {
    let Some(Key::LcKey(key)) = key else {
        let detail = "must be given: DCM knows logical clouds, and neither deployment intent groups nor clusters";
        return Err(Problem::parameter("lcKey", detail));
    };
    match (name("lcKey.project", &key.project), name("lcKey.logicalCloud", &key.logical_cloud)) {
        (Ok(project), Ok(name)) => Ok(CloudId { project, name }),
        (project, name) => Err(Problem::all([project.err(), name.err()].into_iter().flatten())),
    }
}

/// EMCO's clients always say it; who leaves it out is told what REST tells then.
fn word(registration: &StatusRegistration) -> Result<Word, Problem> {
    match StatusValue::try_from(registration.status_type) {
        Ok(StatusValue::Ready | StatusValue::StatusError) => Ok(Word::Ready),
        Ok(StatusValue::Deployed) => Ok(Word::Deployed),
        _ => Err(Problem::parameter("statusType", "must be READY or DEPLOYED")),
    }
}

fn details(registration: &StatusRegistration) -> Result<bool, Problem> {
    match OutputType::try_from(registration.output) {
        Ok(output) => Ok(output == OutputType::All),
        Err(_) => Err(Problem::parameter("output", "must be SUMMARY or ALL")),
    }
}

fn cluster(text: &str) -> Result<(String, String), Problem> {
    let names = text
        .split_once('+')
        .filter(|(provider, cluster)| ProviderName::new(provider).is_ok() && ClusterName::new(cluster).is_ok());
    let names = names.map(|(provider, cluster)| (provider.to_owned(), cluster.to_owned()));
    names.ok_or_else(|| Problem::parameter("clusters", "must be <cluster provider>+<cluster>, two names"))
}
