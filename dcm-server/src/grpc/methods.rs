//! What the descriptors say of the methods that are served.

use std::{collections::HashMap, sync::Arc};

use prost::{DecodeError, Message as _};
use prost_types::{FileDescriptorSet, method_options::IdempotencyLevel};

/// One method.
#[derive(Clone, Debug)]
pub(super) struct Method {
    /// Its name with that of its service, for whoever counts: `dcm.v1.LogicalClouds/Apply`.
    pub(super) name: Arc<str>,
    /// Whether it changes nothing.
    pub(super) reads: bool,
    /// Whether its client sends a stream.
    pub(super) takes_stream: bool,
    /// Whether its answer is a stream.
    pub(super) gives_stream: bool,
    /// Whether it says how the server itself is, or what it can do.
    pub(super) of_the_server: bool,
    /// Whether it is what a supervisor asks, who has no certificate and must not take a busy server for a dead one.
    pub(super) is_probe: bool,
}

/// The methods, by their paths.
#[derive(Clone, Debug, Default)]
pub(super) struct Methods(HashMap<String, Method>);

/// The services that tell of the server itself. What they have changes nothing.
const OF_THE_SERVER: &str = "grpc.";

/// The one call that is answered to everybody, and at once.
const PROBE: &str = "grpc.health.v1.Health/Check";

impl Methods {
    /// Those of these services.
    pub(super) fn of(descriptors: &[&[u8]], services: &[&str]) -> Result<Self, DecodeError> {
        let mut methods = HashMap::new();
        for descriptors in descriptors {
            for file in FileDescriptorSet::decode(*descriptors)?.file {
                for service in &file.service {
                    let service_name = match file.package() {
                        "" => service.name().to_owned(),
                        package => format!("{package}.{}", service.name()),
                    };
                    if !services.contains(&service_name.as_str()) {
                        continue;
                    }
                    let of_the_server = service_name.starts_with(OF_THE_SERVER);
                    for method in &service.method {
                        let name = format!("{service_name}/{}", method.name());
                        let level = method.options.as_ref().map(|options| options.idempotency_level());
                        let described = Method {
                            name: name.as_str().into(),
                            reads: of_the_server || level == Some(IdempotencyLevel::NoSideEffects),
                            takes_stream: method.client_streaming(),
                            gives_stream: method.server_streaming(),
                            of_the_server,
                            is_probe: name == PROBE,
                        };
                        methods.insert(format!("/{name}"), described);
                    }
                }
            }
        }
        Ok(Self(methods))
    }

    pub(super) fn find(&self, path: &str) -> Option<&Method> {
        self.0.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_not_taken_for_a_read() {
        let services = ["dcm.v1.LogicalClouds", "dcm.v1.Projects", "dcm.v1.Clusters", "dcm.v1.Controllers"];
        let methods = Methods::of(&[dcm_proto::FILE_DESCRIPTOR_SET], &services).unwrap();
        assert_eq!(methods.0.len(), 72);
        for (path, method) in &methods.0 {
            let name = path.rsplit('/').next().unwrap();
            let is_read = ["Get", "List", "Watch", "Diff"].iter().any(|begin| name.starts_with(begin));
            assert_eq!(method.reads, is_read, "{path}");
            assert_eq!(method.gives_stream, name.starts_with("Watch"), "{path}");
            assert!(!method.takes_stream && !method.of_the_server && !method.is_probe, "{path}");
        }
        assert!(methods.find("/dcm.ca.v1.CaKeyDistribution/Revoke").is_none());
    }

    #[test]
    fn only_the_question_for_health_is_open_to_everybody() {
        let descriptors = [tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
        let services = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
        let methods = Methods::of(&descriptors, &services).unwrap();
        assert!(methods.0.values().all(|method| method.of_the_server && method.reads));
        let open: Vec<&str> = methods.0.values().filter(|method| method.is_probe).map(|method| &*method.name).collect();
        assert_eq!(open, [PROBE]);
    }
}
