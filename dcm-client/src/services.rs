//! The services: each method of the interface is one here.

use dcm_proto::v1 as pb;
use futures_util::FutureExt as _;

use crate::{
    Client, Error, Pages, Reply, Watch, page,
    retry::Effect,
    watch::{self, Asks, Tells},
};

/// So long may an answer be: the server keeps pages short, but a single record may be long.
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Declares a service. What each section's methods may do is the section's name; conditional ones are writes that have `if_match`.
macro_rules! service {
    (
        $(#[$doc:meta])*
        $service:ident, $module:ident::$client:ident {
            reads { $($read:ident($read_asked:ident) -> $read_told:ident;)* }
            writes { $($write:ident($write_asked:ident) -> $write_told:ident;)* }
            conditional { $($conditional:ident($conditional_asked:ident) -> $conditional_told:ident;)* }
            lists { $($all:ident: $list:ident($list_asked:ident) -> $entries:ident: $entry:ident;)* }
            watches { $($watch:ident($watch_asked:ident) -> $watch_told:ident, $events:ident $(, in parts: $part:ident)?;)* }
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $service {
            client: Client,
        }

        impl $service {
            pub(crate) const fn new(client: Client) -> Self {
                Self { client }
            }

            $(service!(call $module::$client, $read($read_asked) -> $read_told, |_| Effect::Harmless);)*
            $(service!(call $module::$client, $write($write_asked) -> $write_told, |_| Effect::Again);)*
            $(service!(
                call $module::$client, $conditional($conditional_asked) -> $conditional_told,
                |asked: &pb::$conditional_asked| Effect::of_condition(&asked.if_match)
            );)*

            $(
                #[doc = concat!("Reads all pages of [`", stringify!($list), "`](Self::", stringify!($list), "), each of the size that is asked for.")]
                pub fn $all(&self, request: pb::$list_asked) -> Pages<pb::$entry> {
                    let this = self.clone();
                    page::all(request, move |mut request| {
                        let this = this.clone();
                        async move {
                            let page = this.$list(request.clone()).await?.into_message();
                            request.page_token = page.next_page_token;
                            Ok((page.$entries, Some(request).filter(|next| !next.page_token.is_empty())))
                        }
                        .boxed()
                    })
                }
            )*

            $(
                #[doc = service!(doc $module::$client, $watch)]
                pub fn $watch(&self, request: pb::$watch_asked) -> Watch<pb::$watch_told> {
                    let client = self.client.clone();
                    watch::watch(request, *self.client.retry(), Box::new(move |request| {
                        let client = client.clone();
                        async move {
                            client.open(request, async |channel, request| {
                                pb::$module::$client::new(channel)
                                    .max_decoding_message_size(LARGEST_ANSWER)
                                    .$watch(request)
                                    .await
                            }).await
                        }
                        .boxed()
                    }))
                }
            )*
        }

        $(
            impl Asks for pb::$watch_asked {
                fn last_event_id(&mut self) -> &mut String {
                    &mut self.last_event_id
                }
            }

            impl Tells for pb::$watch_told {
                fn event_id(&self) -> &str {
                    &self.event_id
                }

                fn is_end(&self) -> bool {
                    matches!(self.event, Some(pb::$events::Event::Ended(_)))
                }

                $(
                    fn update(&mut self) -> Option<&mut pb::StatusUpdate> {
                        match &mut self.event {
                            Some(pb::$events::Event::$part(update)) => Some(update),
                            _ => None,
                        }
                    }
                )?
            }
        )*
    };
    (call $module:ident::$client:ident, $method:ident($asked:ident) -> $told:ident, $effect:expr) => {
        #[doc = service!(doc $module::$client, $method)]
        ///
        /// # Errors
        /// What the server, or the way to it, says.
        pub async fn $method(&self, request: pb::$asked) -> Result<Reply<pb::$told>, Error> {
            let effect: fn(&pb::$asked) -> Effect = $effect;
            let effect = effect(&request);
            let attempt = async |channel, request| {
                pb::$module::$client::new(channel)
                    .max_decoding_message_size(LARGEST_ANSWER)
                    .$method(request)
                    .await
            };
            self.client.call(request, effect, attempt).await
        }
    };
    (doc $module:ident::$client:ident, $method:ident) => {
        concat!(
            "Calls [`", stringify!($method), "`](dcm_proto::v1::", stringify!($module), "::", stringify!($client), "::",
            stringify!($method), "), where it is described."
        )
    };
}

service! {
    /// Logical clouds, what belongs to them, and what is to become of them.
    LogicalClouds, logical_clouds_client::LogicalCloudsClient {
        reads {
            get_logical_cloud(GetLogicalCloudRequest) -> GetLogicalCloudResponse;
            list_logical_clouds(ListLogicalCloudsRequest) -> ListLogicalCloudsResponse;
            get_cluster_reference(GetClusterReferenceRequest) -> GetClusterReferenceResponse;
            list_cluster_references(ListClusterReferencesRequest) -> ListClusterReferencesResponse;
            get_user_permission(GetUserPermissionRequest) -> GetUserPermissionResponse;
            list_user_permissions(ListUserPermissionsRequest) -> ListUserPermissionsResponse;
            get_quota(GetQuotaRequest) -> GetQuotaResponse;
            list_quotas(ListQuotasRequest) -> ListQuotasResponse;
            get_kv_pair(GetKvPairRequest) -> GetKvPairResponse;
            list_kv_pairs(ListKvPairsRequest) -> ListKvPairsResponse;
            get_status(GetStatusRequest) -> GetStatusResponse;
            get_kubeconfig(GetKubeconfigRequest) -> GetKubeconfigResponse;
            get_manifests(GetManifestsRequest) -> GetManifestsResponse;
            diff(DiffRequest) -> DiffResponse;
        }
        writes {
            create_logical_cloud(CreateLogicalCloudRequest) -> CreateLogicalCloudResponse;
            create_cluster_reference(CreateClusterReferenceRequest) -> CreateClusterReferenceResponse;
            create_user_permission(CreateUserPermissionRequest) -> CreateUserPermissionResponse;
            create_quota(CreateQuotaRequest) -> CreateQuotaResponse;
            create_kv_pair(CreateKvPairRequest) -> CreateKvPairResponse;
        }
        conditional {
            update_logical_cloud(UpdateLogicalCloudRequest) -> UpdateLogicalCloudResponse;
            delete_logical_cloud(DeleteLogicalCloudRequest) -> DeleteLogicalCloudResponse;
            update_cluster_reference(UpdateClusterReferenceRequest) -> UpdateClusterReferenceResponse;
            delete_cluster_reference(DeleteClusterReferenceRequest) -> DeleteClusterReferenceResponse;
            update_user_permission(UpdateUserPermissionRequest) -> UpdateUserPermissionResponse;
            delete_user_permission(DeleteUserPermissionRequest) -> DeleteUserPermissionResponse;
            update_quota(UpdateQuotaRequest) -> UpdateQuotaResponse;
            delete_quota(DeleteQuotaRequest) -> DeleteQuotaResponse;
            update_kv_pair(UpdateKvPairRequest) -> UpdateKvPairResponse;
            delete_kv_pair(DeleteKvPairRequest) -> DeleteKvPairResponse;
            apply(ApplyRequest) -> ApplyResponse;
            instantiate(InstantiateRequest) -> InstantiateResponse;
            update(UpdateRequest) -> UpdateResponse;
            terminate(TerminateRequest) -> TerminateResponse;
            stop(StopRequest) -> StopResponse;
            revoke_user(RevokeUserRequest) -> RevokeUserResponse;
            renew_user(RenewUserRequest) -> RenewUserResponse;
        }
        lists {
            list_all_logical_clouds: list_logical_clouds(ListLogicalCloudsRequest) -> logical_clouds: LogicalCloud;
            list_all_cluster_references: list_cluster_references(ListClusterReferencesRequest) -> cluster_references: ClusterReference;
            list_all_user_permissions: list_user_permissions(ListUserPermissionsRequest) -> user_permissions: UserPermission;
            list_all_quotas: list_quotas(ListQuotasRequest) -> quotas: Quota;
            list_all_kv_pairs: list_kv_pairs(ListKvPairsRequest) -> kv_pairs: KvPair;
        }
        watches {
            watch(WatchRequest) -> WatchResponse, watch_response, in parts: Status;
        }
    }
}

service! {
    /// Projects.
    Projects, projects_client::ProjectsClient {
        reads {
            get_project(GetProjectRequest) -> GetProjectResponse;
            list_projects(ListProjectsRequest) -> ListProjectsResponse;
        }
        writes {
            create_project(CreateProjectRequest) -> CreateProjectResponse;
        }
        conditional {
            update_project(UpdateProjectRequest) -> UpdateProjectResponse;
            delete_project(DeleteProjectRequest) -> DeleteProjectResponse;
        }
        lists {
            list_all_projects: list_projects(ListProjectsRequest) -> projects: Project;
        }
        watches {
            watch_projects(WatchProjectsRequest) -> WatchProjectsResponse, watch_projects_response;
        }
    }
}

service! {
    /// Cluster providers, clusters, their labels and kv-pairs.
    Clusters, clusters_client::ClustersClient {
        reads {
            get_cluster_provider(GetClusterProviderRequest) -> GetClusterProviderResponse;
            list_cluster_providers(ListClusterProvidersRequest) -> ListClusterProvidersResponse;
            get_cluster(GetClusterRequest) -> GetClusterResponse;
            list_clusters(ListClustersRequest) -> ListClustersResponse;
            get_cluster_label(GetClusterLabelRequest) -> GetClusterLabelResponse;
            list_cluster_labels(ListClusterLabelsRequest) -> ListClusterLabelsResponse;
            get_cluster_kv_pair(GetClusterKvPairRequest) -> GetClusterKvPairResponse;
            list_cluster_kv_pairs(ListClusterKvPairsRequest) -> ListClusterKvPairsResponse;
        }
        writes {
            create_cluster_provider(CreateClusterProviderRequest) -> CreateClusterProviderResponse;
            create_cluster(CreateClusterRequest) -> CreateClusterResponse;
            create_cluster_label(CreateClusterLabelRequest) -> CreateClusterLabelResponse;
            create_cluster_kv_pair(CreateClusterKvPairRequest) -> CreateClusterKvPairResponse;
        }
        conditional {
            update_cluster_provider(UpdateClusterProviderRequest) -> UpdateClusterProviderResponse;
            delete_cluster_provider(DeleteClusterProviderRequest) -> DeleteClusterProviderResponse;
            update_cluster(UpdateClusterRequest) -> UpdateClusterResponse;
            delete_cluster(DeleteClusterRequest) -> DeleteClusterResponse;
            update_cluster_label(UpdateClusterLabelRequest) -> UpdateClusterLabelResponse;
            delete_cluster_label(DeleteClusterLabelRequest) -> DeleteClusterLabelResponse;
            update_cluster_kv_pair(UpdateClusterKvPairRequest) -> UpdateClusterKvPairResponse;
            delete_cluster_kv_pair(DeleteClusterKvPairRequest) -> DeleteClusterKvPairResponse;
        }
        lists {
            list_all_cluster_providers: list_cluster_providers(ListClusterProvidersRequest) -> cluster_providers: ClusterProvider;
            list_all_clusters: list_clusters(ListClustersRequest) -> clusters: Cluster;
            list_all_cluster_labels: list_cluster_labels(ListClusterLabelsRequest) -> cluster_labels: ClusterLabel;
            list_all_cluster_kv_pairs: list_cluster_kv_pairs(ListClusterKvPairsRequest) -> kv_pairs: KvPair;
        }
        watches {
            watch_cluster_providers(WatchClusterProvidersRequest) -> WatchClusterProvidersResponse, watch_cluster_providers_response;
            watch_clusters(WatchClustersRequest) -> WatchClustersResponse, watch_clusters_response;
            watch_cluster_kv_pairs(WatchClusterKvPairsRequest) -> WatchClusterKvPairsResponse, watch_cluster_kv_pairs_response;
        }
    }
}

service! {
    /// Controllers.
    Controllers, controllers_client::ControllersClient {
        reads {
            get_controller(GetControllerRequest) -> GetControllerResponse;
            list_controllers(ListControllersRequest) -> ListControllersResponse;
        }
        writes {
            create_controller(CreateControllerRequest) -> CreateControllerResponse;
        }
        conditional {
            update_controller(UpdateControllerRequest) -> UpdateControllerResponse;
            delete_controller(DeleteControllerRequest) -> DeleteControllerResponse;
        }
        lists {
            list_all_controllers: list_controllers(ListControllersRequest) -> controllers: Controller;
        }
        watches {
            watch_controllers(WatchControllersRequest) -> WatchControllersResponse, watch_controllers_response;
        }
    }
}
