use dcm_core::{
    model::{
        AdoptionPolicy, DeletePolicy, Level, LogicalCloud, LogicalCloudInput, MeshMode, User, UserInput, UserType,
    },
    service::LogicalCloudView,
};
use dcm_proto::v1 as pb;

use super::{etag, metadata, permission};

pub(in crate::grpc) fn input(cloud: Option<pb::LogicalCloud>) -> LogicalCloudInput {
    let pb::LogicalCloud { metadata, spec, .. } = cloud.unwrap_or_default();
    let spec = spec.unwrap_or_default();
    LogicalCloudInput {
        metadata: metadata::input(metadata),
        level: word(spec.level, |level| match level {
            pb::Level::Unspecified => None,
            pb::Level::Standard => Some(Level::Standard.as_str()),
            pb::Level::Admin => Some(Level::Admin.as_str()),
        }),
        mesh: word(spec.mesh, |mesh| match mesh {
            pb::MeshMode::Unspecified => None,
            pb::MeshMode::Auto => Some(MeshMode::Auto.as_str()),
            pb::MeshMode::Required => Some(MeshMode::Required.as_str()),
            pb::MeshMode::None => Some(MeshMode::None.as_str()),
        }),
        adoption_policy: word(spec.adoption_policy, |policy| match policy {
            pb::AdoptionPolicy::Unspecified => None,
            pb::AdoptionPolicy::Never => Some(AdoptionPolicy::Never.as_str()),
            pb::AdoptionPolicy::IfIdentical => Some(AdoptionPolicy::IfIdentical.as_str()),
            pb::AdoptionPolicy::Always => Some(AdoptionPolicy::Always.as_str()),
        }),
        delete_policy: word(spec.delete_policy, |policy| match policy {
            pb::DeletePolicy::Unspecified => None,
            pb::DeletePolicy::Delete => Some(DeletePolicy::Delete.as_str()),
            pb::DeletePolicy::Keep => Some(DeletePolicy::Keep.as_str()),
        }),
        namespace: spec.namespace,
        user: spec.user.map(user_input),
        labels: spec.labels,
        trust_domain: spec.trust_domain,
    }
}

fn user_input(user: pb::User) -> UserInput {
    UserInput {
        user_type: word(user.r#type, |user_type| match user_type {
            pb::UserType::Unspecified => None,
            pb::UserType::Certificate => Some(UserType::Certificate.as_str()),
            pb::UserType::Token => Some(UserType::Token.as_str()),
            pb::UserType::Unpw => Some("UNPW"),
        }),
        user_name: user.user_name,
        permissions: user.user_permissions.into_iter().map(|one| permission::input(Some(one))).collect(),
    }
}

/// The word that the core knows for one of an enumeration. One that only a newer client knows is refused by its number.
fn word<E: TryFrom<i32>>(number: i32, word: impl Fn(E) -> Option<&'static str>) -> Option<String> {
    match E::try_from(number) {
        Ok(known) => word(known).map(str::to_owned),
        Err(_) => Some(number.to_string()),
    }
}

pub(in crate::grpc) fn told(view: &LogicalCloudView) -> pb::LogicalCloud {
    let LogicalCloud { metadata, spec, uid, lifecycle, .. } = &view.cloud;
    let level = match spec.level {
        Level::Standard => pb::Level::Standard,
        Level::Admin => pb::Level::Admin,
    };
    let mesh = match spec.mesh {
        MeshMode::Auto => pb::MeshMode::Auto,
        MeshMode::Required => pb::MeshMode::Required,
        MeshMode::None => pb::MeshMode::None,
    };
    let adoption_policy = match spec.adoption_policy {
        AdoptionPolicy::Never => pb::AdoptionPolicy::Never,
        AdoptionPolicy::IfIdentical => pb::AdoptionPolicy::IfIdentical,
        AdoptionPolicy::Always => pb::AdoptionPolicy::Always,
    };
    let delete_policy = match spec.delete_policy {
        DeletePolicy::Delete => pb::DeletePolicy::Delete,
        DeletePolicy::Keep => pb::DeletePolicy::Keep,
    };
    pb::LogicalCloud {
        metadata: metadata::told(metadata),
        spec: Some(pb::LogicalCloudSpec {
            namespace: spec.namespace.as_ref().map(ToString::to_string),
            level: level.into(),
            user: spec.user.as_ref().map(user_told),
            labels: spec.labels.clone(),
            mesh: mesh.into(),
            trust_domain: spec.trust_domain.clone(),
            adoption_policy: adoption_policy.into(),
            delete_policy: delete_policy.into(),
            clusters: view.references.clone(),
        }),
        uid: uid.to_string(),
        generation: view.generation,
        applied_generation: lifecycle.applied_generation,
        etag: etag(&view.revision),
    }
}

fn user_told(user: &User) -> pb::User {
    let user_type = match user.user_type {
        UserType::Certificate => pb::UserType::Certificate,
        UserType::Token => pb::UserType::Token,
    };
    pb::User {
        user_name: Some(user.user_name.to_string()),
        r#type: user_type.into(),
        user_permissions: user.permissions.iter().map(|one| permission::told(one, None)).collect(),
    }
}
