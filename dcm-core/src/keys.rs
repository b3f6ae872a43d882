//! Where each kind of document lies. One place, because the layout is dear to change.
//!
//! | key | document |
//! |---|---|
//! | `installation/this` | [`Installation`] |
//! | `encryption/this` | [`Encryption`] |
//! | `project/<project>` | [`Project`] |
//! | `cluster-provider/<provider>` | [`ClusterProvider`] |
//! | `cluster/<provider uid>/<cluster>` | [`Cluster`] |
//! | `cluster-health/<cluster uid>` | [`ClusterHealth`] |
//! | `cluster-use/<cluster uid>/<cloud uid>` | [`ClusterUse`] |
//! | `cluster-kv-pair/<cluster uid>/<kv-pair>` | [`KvPair`] |
//! | `controller/<controller>` | [`Controller`] |
//! | `logical-cloud/<project uid>/<cloud>` | [`LogicalCloud`] |
//! | `desired/<cloud uid>/cluster-reference/<reference>` | [`ClusterReference`] |
//! | `desired/<cloud uid>/quota/<quota>` | [`Quota`] |
//! | `kv-pair/<cloud uid>/<kv-pair>` | [`KvPair`] |
//! | `applied/<cloud uid>/<snapshot>` | [`Applied`] |
//! | `applied-references/<cloud uid>/<snapshot>/<page>` | [`ReferencePage`] |
//! | `status/<cloud uid>/<reference>` | [`ClusterStatus`] |
//! | `credential/<cloud uid>/<reference>` | [`Credential`] |
//! | `renewal/<time>/<cloud uid>/<reference>` | [`Renewal`] |
//! | `reservation/<cluster identity>/<namespace>` | [`Reservation`] |
//! | `order/<cloud uid>` | [`Order`] |
//! | `certificate-authority/<cloud uid>` | [`CaRecord`]: a [`CertificateAuthority`], or that it is forgotten |
//! | `intermediate-ca/<cloud uid>/<cluster identity>/<generation>` | [`IntermediateCa`] |
//! | `pending-forget/<cloud uid>` | [`PendingForget`], until the CA has forgotten a logical cloud that is gone |
//! | `member/<member>` | [`Member`], while its process is at work |
//! | `import/this` | [`Unfinished`], while there is an import |
//!
//! Children are keyed by their parent's uid, never by its name: what an unlucky race leaves behind belongs
//! to a parent that no longer exists, is never seen, and is swept.
//!
//! [`Installation`]: crate::model::Installation
//! [`Encryption`]: crate::model::Encryption
//! [`Project`]: crate::model::Project
//! [`ClusterProvider`]: crate::model::ClusterProvider
//! [`Cluster`]: crate::model::Cluster
//! [`ClusterHealth`]: crate::model::ClusterHealth
//! [`ClusterUse`]: crate::model::ClusterUse
//! [`Controller`]: crate::model::Controller
//! [`LogicalCloud`]: crate::model::LogicalCloud
//! [`ClusterReference`]: crate::model::ClusterReference
//! [`Quota`]: crate::model::Quota
//! [`KvPair`]: crate::model::KvPair
//! [`Applied`]: crate::model::Applied
//! [`ReferencePage`]: crate::model::ReferencePage
//! [`ClusterStatus`]: crate::model::ClusterStatus
//! [`Credential`]: crate::model::Credential
//! [`Renewal`]: crate::model::Renewal
//! [`Reservation`]: crate::model::Reservation
//! [`Order`]: crate::model::Order
//! [`CaRecord`]: crate::model::CaRecord
//! [`CertificateAuthority`]: crate::model::CertificateAuthority
//! [`IntermediateCa`]: crate::model::IntermediateCa
//! [`PendingForget`]: crate::model::PendingForget
//! [`Member`]: crate::model::Member
//! [`Unfinished`]: crate::transfer::Unfinished

use jiff::Timestamp;

use crate::{
    ca::Generation,
    model::Uid,
    name::{
        ClusterIdentity, ClusterName, ControllerName, KvPairName, LogicalCloudName, Namespace, ProjectName,
        ProviderName, QuotaName, ReferenceName,
    },
    store::{InvalidKey, Key},
};

/// A part of a key: a fixed word, or a parameter.
macro_rules! part {
    ($word:literal) => {
        $word
    };
    ($parameter:ident) => {
        $parameter.as_ref()
    };
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident($($parameter:ident: $type:ty),*) = [$($part:tt),*];)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// [`InvalidKey`] where a part cannot be a segment; checked names always can.
        pub fn $name($($parameter: $type),*) -> Result<Key, InvalidKey> {
            Key::new([$(part!($part)),*])
        }
    )*};
}

keys! {
    /// This installation.
    installation(this: &str) = ["installation", this];
    /// With which keys documents are encrypted.
    encryption(this: &str) = ["encryption", this];
    /// The import that is not finished.
    import(this: &str) = ["import", this];
    /// All projects.
    projects() = ["project"];
    /// A project.
    project(name: &ProjectName) = ["project", name];
    /// All cluster providers.
    providers() = ["cluster-provider"];
    /// A cluster provider.
    provider(name: &ProviderName) = ["cluster-provider", name];
    /// All clusters of all providers.
    clusters_all() = ["cluster"];
    /// All clusters of a provider.
    clusters(provider: &Uid) = ["cluster", provider];
    /// A cluster.
    cluster(provider: &Uid, name: &ClusterName) = ["cluster", provider, name];
    /// What was last seen of all clusters.
    cluster_health_all() = ["cluster-health"];
    /// What was last seen of a cluster.
    cluster_health(cluster: &Uid) = ["cluster-health", cluster];
    /// Who uses a cluster.
    cluster_uses(cluster: &Uid) = ["cluster-use", cluster];
    /// One use of a cluster.
    cluster_use(cluster: &Uid, cloud: &Uid) = ["cluster-use", cluster, cloud];
    /// All kv-pairs of all clusters.
    cluster_kv_pairs_all() = ["cluster-kv-pair"];
    /// All kv-pairs of a cluster.
    cluster_kv_pairs(cluster: &Uid) = ["cluster-kv-pair", cluster];
    /// A kv-pair of a cluster.
    cluster_kv_pair(cluster: &Uid, name: &KvPairName) = ["cluster-kv-pair", cluster, name];
    /// All controllers.
    controllers() = ["controller"];
    /// A controller.
    controller(name: &ControllerName) = ["controller", name];
    /// All logical clouds of a project.
    logical_clouds(project: &Uid) = ["logical-cloud", project];
    /// A logical cloud.
    logical_cloud(project: &Uid, name: &LogicalCloudName) = ["logical-cloud", project, name];
    /// All that an apply of a logical cloud freezes beside its own document: references and quotas, together,
    /// so that they are read at once.
    desired(cloud: &Uid) = ["desired", cloud];
    /// All references of a logical cloud.
    references(cloud: &Uid) = ["desired", cloud, "cluster-reference"];
    /// A cluster reference.
    reference(cloud: &Uid, name: &ReferenceName) = ["desired", cloud, "cluster-reference", name];
    /// All quotas of a logical cloud.
    quotas(cloud: &Uid) = ["desired", cloud, "quota"];
    /// A quota.
    quota(cloud: &Uid, name: &QuotaName) = ["desired", cloud, "quota", name];
    /// All kv-pairs of a logical cloud.
    kv_pairs(cloud: &Uid) = ["kv-pair", cloud];
    /// A kv-pair.
    kv_pair(cloud: &Uid, name: &KvPairName) = ["kv-pair", cloud, name];
    /// All frozen states of a logical cloud.
    applied_all(cloud: &Uid) = ["applied", cloud];
    /// A frozen state.
    applied(cloud: &Uid, snapshot: &Uid) = ["applied", cloud, snapshot];
    /// All pages of references of all frozen states of a logical cloud.
    applied_pages_all(cloud: &Uid) = ["applied-references", cloud];
    /// All pages of references of a frozen state.
    applied_pages(cloud: &Uid, snapshot: &Uid) = ["applied-references", cloud, snapshot];
    /// A page of references of a frozen state; pages are numbered with six digits.
    applied_page(cloud: &Uid, snapshot: &Uid, page: &str) = ["applied-references", cloud, snapshot, page];
    /// All clusters' statuses of a logical cloud.
    statuses(cloud: &Uid) = ["status", cloud];
    /// A cluster's status.
    status(cloud: &Uid, reference: &ReferenceName) = ["status", cloud, reference];
    /// All credentials of a logical cloud.
    credentials(cloud: &Uid) = ["credential", cloud];
    /// A credential.
    credential(cloud: &Uid, reference: &ReferenceName) = ["credential", cloud, reference];
    /// All renewals of credentials, in the order in which they are due.
    renewals() = ["renewal"];
    /// A renewal of a credential; `at` is [`renewal_time`].
    renewal(at: &str, cloud: &Uid, reference: &ReferenceName) = ["renewal", at, cloud, reference];
    /// A reservation of a namespace.
    reservation(identity: &str, namespace: &Namespace) = ["reservation", identity, namespace];
    /// All waiting orders.
    orders() = ["order"];
    /// The waiting order of a logical cloud.
    order(cloud: &Uid) = ["order", cloud];
    /// A logical cloud's certificate authority.
    certificate_authority(cloud: &Uid) = ["certificate-authority", cloud];
    /// All intermediate CAs of a logical cloud.
    intermediate_cas_all(cloud: &Uid) = ["intermediate-ca", cloud];
    /// All intermediate CAs of a logical cloud for a cluster, in the order of their generations.
    intermediate_cas(cloud: &Uid, cluster: &ClusterIdentity) = ["intermediate-ca", cloud, cluster];
    /// An intermediate CA; `generation` is [`generation_number`].
    intermediate_ca(cloud: &Uid, cluster: &ClusterIdentity, generation: &str) = ["intermediate-ca", cloud, cluster, generation];
    /// All logical clouds that are gone and that the CA is still to forget.
    pending_forgets() = ["pending-forget"];
    /// A logical cloud that is gone and that the CA is still to forget.
    pending_forget(cloud: &Uid) = ["pending-forget", cloud];
    /// All processes that carry out orders.
    members() = ["member"];
    /// A process that carries out orders.
    member(member: &Uid) = ["member", member];
}

/// A generation as a segment of a key: lower ones come first.
#[must_use]
pub fn generation_number(generation: Generation) -> String {
    format!("{:010}", generation.get())
}

/// A time as a segment of a key: earlier ones come first. Seconds since 1970; times before that count as 1970.
#[must_use]
pub fn renewal_time(at: Timestamp) -> String {
    format!("{:012}", at.as_second().max(0))
}
