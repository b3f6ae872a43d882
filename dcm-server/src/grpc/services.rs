//! The services, and which handler answers which of their methods.

use std::{convert::Infallible, sync::Arc};

use axum::extract::Request;
use dcm_core::{ca::CaProvider, service::Wake};
use dcm_mesh::grpc::CaService;
use dcm_proto::v1::{
    self as pb, clusters_server as clusters_of, controllers_server as controllers_of,
    logical_clouds_server as logical_clouds_of, projects_server as projects_of,
};
use dcm_proto::{
    ca_v1::ca_key_distribution_server,
    statusnotify::status_notify_server,
    sync_v1::{cluster_gateway_server, resource_synchronizer_server},
};
use dcm_sync::grpc::ClusterGatewayService;
use futures_util::future::BoxFuture;
use prost::DecodeError;
use tonic::{Response, Status, codegen::Service};
use tonic_health::pb::health_server::{self, HealthServer};
use tonic_reflection::server::Builder;

use super::{
    App, call::Call, cloud_status, cluster_kv_pairs, cluster_labels, clusters, controllers, health::Probe, kubeconfigs,
    kv_pairs, logical_clouds, methods::Methods, orders, permissions, previews, projects, providers, quotas, references,
    reply::answer, status_notify::StatusNotify, synchronizer::Synchronizer, watch::Events, watches,
};

/// What handlers of `dcm.v1` work with.
#[derive(Clone, Debug)]
struct Handlers {
    app: App,
}

/// Implements a service: each method is a handler.
macro_rules! service {
    (
        $service:path {
            $($method:ident($asked:ident) -> $told:ident = $handler:path;)*
        }
        streams {
            $($stream:ident: $watch:ident($watched:ident) -> $event:ident = $watcher:path;)*
        }
    ) => {
        #[tonic::async_trait]
        impl $service for Handlers {
            $(
                async fn $method(&self, request: tonic::Request<pb::$asked>) -> Result<Response<pb::$told>, Status> {
                    answer($handler(self.app.clone(), request.into_inner()).await)
                }
            )*
            $(
                type $stream = Events<pb::$event>;

                async fn $watch(&self, request: tonic::Request<pb::$watched>) -> Result<Response<Self::$stream>, Status> {
                    let (_, extensions, asked) = request.into_parts();
                    let call = extensions.get::<Call>().cloned().ok_or_else(|| Status::internal("no call"))?;
                    answer($watcher(self.app.clone(), asked, call).await)
                }
            )*
        }
    };
}

service! {
    logical_clouds_of::LogicalClouds {
        create_logical_cloud(CreateLogicalCloudRequest) -> CreateLogicalCloudResponse = logical_clouds::create;
        get_logical_cloud(GetLogicalCloudRequest) -> GetLogicalCloudResponse = logical_clouds::read;
        list_logical_clouds(ListLogicalCloudsRequest) -> ListLogicalCloudsResponse = logical_clouds::list;
        update_logical_cloud(UpdateLogicalCloudRequest) -> UpdateLogicalCloudResponse = logical_clouds::update;
        delete_logical_cloud(DeleteLogicalCloudRequest) -> DeleteLogicalCloudResponse = logical_clouds::delete;
        create_cluster_reference(CreateClusterReferenceRequest) -> CreateClusterReferenceResponse = references::create;
        get_cluster_reference(GetClusterReferenceRequest) -> GetClusterReferenceResponse = references::read;
        list_cluster_references(ListClusterReferencesRequest) -> ListClusterReferencesResponse = references::list;
        update_cluster_reference(UpdateClusterReferenceRequest) -> UpdateClusterReferenceResponse = references::update;
        delete_cluster_reference(DeleteClusterReferenceRequest) -> DeleteClusterReferenceResponse = references::delete;
        create_user_permission(CreateUserPermissionRequest) -> CreateUserPermissionResponse = permissions::create;
        get_user_permission(GetUserPermissionRequest) -> GetUserPermissionResponse = permissions::read;
        list_user_permissions(ListUserPermissionsRequest) -> ListUserPermissionsResponse = permissions::list;
        update_user_permission(UpdateUserPermissionRequest) -> UpdateUserPermissionResponse = permissions::update;
        delete_user_permission(DeleteUserPermissionRequest) -> DeleteUserPermissionResponse = permissions::delete;
        create_quota(CreateQuotaRequest) -> CreateQuotaResponse = quotas::create;
        get_quota(GetQuotaRequest) -> GetQuotaResponse = quotas::read;
        list_quotas(ListQuotasRequest) -> ListQuotasResponse = quotas::list;
        update_quota(UpdateQuotaRequest) -> UpdateQuotaResponse = quotas::update;
        delete_quota(DeleteQuotaRequest) -> DeleteQuotaResponse = quotas::delete;
        create_kv_pair(CreateKvPairRequest) -> CreateKvPairResponse = kv_pairs::create;
        get_kv_pair(GetKvPairRequest) -> GetKvPairResponse = kv_pairs::read;
        list_kv_pairs(ListKvPairsRequest) -> ListKvPairsResponse = kv_pairs::list;
        update_kv_pair(UpdateKvPairRequest) -> UpdateKvPairResponse = kv_pairs::update;
        delete_kv_pair(DeleteKvPairRequest) -> DeleteKvPairResponse = kv_pairs::delete;
        apply(ApplyRequest) -> ApplyResponse = orders::apply;
        instantiate(InstantiateRequest) -> InstantiateResponse = orders::instantiate;
        update(UpdateRequest) -> UpdateResponse = orders::update;
        terminate(TerminateRequest) -> TerminateResponse = orders::terminate;
        stop(StopRequest) -> StopResponse = orders::stop;
        revoke_user(RevokeUserRequest) -> RevokeUserResponse = orders::revoke;
        renew_user(RenewUserRequest) -> RenewUserResponse = orders::renew;
        get_status(GetStatusRequest) -> GetStatusResponse = cloud_status::read;
        get_kubeconfig(GetKubeconfigRequest) -> GetKubeconfigResponse = kubeconfigs::read;
        get_manifests(GetManifestsRequest) -> GetManifestsResponse = previews::manifests;
        diff(DiffRequest) -> DiffResponse = previews::diff;
    }
    streams {
        WatchStream: watch(WatchRequest) -> WatchResponse = watches::watch;
    }
}

service! {
    projects_of::Projects {
        create_project(CreateProjectRequest) -> CreateProjectResponse = projects::create;
        get_project(GetProjectRequest) -> GetProjectResponse = projects::read;
        list_projects(ListProjectsRequest) -> ListProjectsResponse = projects::list;
        update_project(UpdateProjectRequest) -> UpdateProjectResponse = projects::update;
        delete_project(DeleteProjectRequest) -> DeleteProjectResponse = projects::delete;
    }
    streams {
        WatchProjectsStream: watch_projects(WatchProjectsRequest) -> WatchProjectsResponse = projects::watch;
    }
}

service! {
    clusters_of::Clusters {
        create_cluster_provider(CreateClusterProviderRequest) -> CreateClusterProviderResponse = providers::create;
        get_cluster_provider(GetClusterProviderRequest) -> GetClusterProviderResponse = providers::read;
        list_cluster_providers(ListClusterProvidersRequest) -> ListClusterProvidersResponse = providers::list;
        update_cluster_provider(UpdateClusterProviderRequest) -> UpdateClusterProviderResponse = providers::update;
        delete_cluster_provider(DeleteClusterProviderRequest) -> DeleteClusterProviderResponse = providers::delete;
        create_cluster(CreateClusterRequest) -> CreateClusterResponse = clusters::create;
        get_cluster(GetClusterRequest) -> GetClusterResponse = clusters::read;
        list_clusters(ListClustersRequest) -> ListClustersResponse = clusters::list;
        update_cluster(UpdateClusterRequest) -> UpdateClusterResponse = clusters::update;
        delete_cluster(DeleteClusterRequest) -> DeleteClusterResponse = clusters::delete;
        create_cluster_label(CreateClusterLabelRequest) -> CreateClusterLabelResponse = cluster_labels::create;
        get_cluster_label(GetClusterLabelRequest) -> GetClusterLabelResponse = cluster_labels::read;
        list_cluster_labels(ListClusterLabelsRequest) -> ListClusterLabelsResponse = cluster_labels::list;
        update_cluster_label(UpdateClusterLabelRequest) -> UpdateClusterLabelResponse = cluster_labels::update;
        delete_cluster_label(DeleteClusterLabelRequest) -> DeleteClusterLabelResponse = cluster_labels::delete;
        create_cluster_kv_pair(CreateClusterKvPairRequest) -> CreateClusterKvPairResponse = cluster_kv_pairs::create;
        get_cluster_kv_pair(GetClusterKvPairRequest) -> GetClusterKvPairResponse = cluster_kv_pairs::read;
        list_cluster_kv_pairs(ListClusterKvPairsRequest) -> ListClusterKvPairsResponse = cluster_kv_pairs::list;
        update_cluster_kv_pair(UpdateClusterKvPairRequest) -> UpdateClusterKvPairResponse = cluster_kv_pairs::update;
        delete_cluster_kv_pair(DeleteClusterKvPairRequest) -> DeleteClusterKvPairResponse = cluster_kv_pairs::delete;
    }
    streams {
        WatchClusterProvidersStream: watch_cluster_providers(WatchClusterProvidersRequest) -> WatchClusterProvidersResponse = providers::watch;
        WatchClustersStream: watch_clusters(WatchClustersRequest) -> WatchClustersResponse = clusters::watch;
        WatchClusterKvPairsStream: watch_cluster_kv_pairs(WatchClusterKvPairsRequest) -> WatchClusterKvPairsResponse = cluster_kv_pairs::watch;
    }
}

service! {
    controllers_of::Controllers {
        create_controller(CreateControllerRequest) -> CreateControllerResponse = controllers::create;
        get_controller(GetControllerRequest) -> GetControllerResponse = controllers::read;
        list_controllers(ListControllersRequest) -> ListControllersResponse = controllers::list;
        update_controller(UpdateControllerRequest) -> UpdateControllerResponse = controllers::update;
        delete_controller(DeleteControllerRequest) -> DeleteControllerResponse = controllers::delete;
    }
    streams {
        WatchControllersStream: watch_controllers(WatchControllersRequest) -> WatchControllersResponse = controllers::watch;
    }
}

/// The services for clients: those of `dcm.v1`, and EMCO's.
const FOR_CLIENTS: [&str; 5] = [
    logical_clouds_of::SERVICE_NAME,
    projects_of::SERVICE_NAME,
    clusters_of::SERVICE_NAME,
    controllers_of::SERVICE_NAME,
    status_notify_server::SERVICE_NAME,
];

type Answered = BoxFuture<'static, Result<http::Response<tonic::body::Body>, Infallible>>;

/// A service that is called by its name.
type Named = (&'static str, Box<dyn Fn(Request) -> Answered + Send + Sync>);

/// What a role serves over gRPC, beside its health and what describes it.
#[derive(Debug)]
pub(crate) enum Offer {
    /// `dcm.v1`, and EMCO's `StatusNotify`, to clients.
    Clients,
    /// `dcm.sync.v1`, to main servers: the worker is told of orders.
    Synchronizer(Arc<dyn Wake>),
    /// `dcm.ca.v1`, to main servers.
    Ca(Arc<dyn CaProvider>),
}

/// All services that are served.
pub(super) struct Services {
    named: Vec<Named>,
}

impl Services {
    /// Those that a role offers, and their methods.
    pub(super) fn of(app: &App, offer: Offer) -> Result<(Self, Methods), ServicesError> {
        let mut names = vec![health_server::SERVICE_NAME, v1_name(), v1alpha_name()];
        match &offer {
            Offer::Clients => names.extend(FOR_CLIENTS),
            Offer::Synchronizer(_) => {
                names.extend([resource_synchronizer_server::SERVICE_NAME, cluster_gateway_server::SERVICE_NAME]);
            }
            Offer::Ca(_) => names.push(ca_key_distribution_server::SERVICE_NAME),
        }
        let descriptors = [
            dcm_proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            // What errors carry: a client that knows nothing but reflection reads them, too.
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ];
        let methods = Methods::of(&descriptors, &names)?;
        let reflection = || {
            let builder = Builder::configure().include_reflection_service(false);
            let builder =
                descriptors.iter().fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set));
            names.iter().fold(builder, |builder, name| builder.with_service_name(*name))
        };
        let probe = Probe::new(App::clone(app), names.clone());
        let mut services = Self { named: Vec::new() };
        match offer {
            Offer::Clients => services.add_clients(app),
            Offer::Synchronizer(worker) => {
                let synchronizer = Synchronizer::new(App::clone(app), worker);
                let server = resource_synchronizer_server::ResourceSynchronizerServer::new(synchronizer);
                services.add(resource_synchronizer_server::SERVICE_NAME, server);
                let gateway = ClusterGatewayService::new(Arc::new(app.dcm.clone()));
                services.add(cluster_gateway_server::SERVICE_NAME, gateway.into_server());
            }
            Offer::Ca(ca) => services.add(ca_key_distribution_server::SERVICE_NAME, CaService::new(ca).into_server()),
        }
        services.add(health_server::SERVICE_NAME, HealthServer::new(probe).max_decoding_message_size(LONGEST_NAME));
        services.add(v1_name(), reflection().build_v1()?.max_decoding_message_size(LARGEST_QUESTION));
        services.add(v1alpha_name(), reflection().build_v1alpha()?.max_decoding_message_size(LARGEST_QUESTION));
        Ok((services, methods))
    }

    /// The services for clients.
    fn add_clients(&mut self, app: &App) {
        let handlers = Handlers { app: App::clone(app) };
        // The edge has read the message by then, within its bound; the length that stands in front of it may be another one.
        let most = app.limits.body_size;
        let clouds = logical_clouds_of::LogicalCloudsServer::new(handlers.clone());
        self.add(logical_clouds_of::SERVICE_NAME, clouds.max_decoding_message_size(most));
        let projects = projects_of::ProjectsServer::new(handlers.clone());
        self.add(projects_of::SERVICE_NAME, projects.max_decoding_message_size(most));
        let clusters = clusters_of::ClustersServer::new(handlers.clone());
        self.add(clusters_of::SERVICE_NAME, clusters.max_decoding_message_size(most));
        let controllers = controllers_of::ControllersServer::new(handlers);
        self.add(controllers_of::SERVICE_NAME, controllers.max_decoding_message_size(most));
        let emco = status_notify_server::StatusNotifyServer::new(StatusNotify::new(App::clone(app)));
        self.add(status_notify_server::SERVICE_NAME, emco.max_decoding_message_size(most));
    }

    fn add<S>(&mut self, name: &'static str, service: S)
    where
        S: Service<Request, Response = http::Response<tonic::body::Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let call = move |request| -> Answered { Box::pin(service.clone().call(request)) };
        self.named.push((name, Box::new(call)));
    }

    /// The answer of a service; `None` where there is none of that name.
    pub(super) fn call(&self, request: Request) -> Option<Answered> {
        let name = request.uri().path().strip_prefix('/')?.split_once('/')?.0;
        let (_, call) = self.named.iter().find(|(known, _)| *known == name)?;
        Some(call(request))
    }
}

/// A question for health has the name of a service.
const LONGEST_NAME: usize = 1024;

/// A question to reflection is a name.
const LARGEST_QUESTION: usize = 16 * 1024;

const fn v1_name() -> &'static str {
    tonic_reflection::pb::v1::server_reflection_server::SERVICE_NAME
}

const fn v1alpha_name() -> &'static str {
    tonic_reflection::pb::v1alpha::server_reflection_server::SERVICE_NAME
}

/// The descriptors that are part of this program cannot be used: a mistake in its making.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServicesError {
    /// They cannot be read.
    #[error("the descriptors of the gRPC services cannot be read")]
    Descriptors(#[from] DecodeError),
    /// Reflection cannot serve them.
    #[error("the descriptors of the gRPC services cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.named.iter().map(|(name, _)| name)).finish()
    }
}
