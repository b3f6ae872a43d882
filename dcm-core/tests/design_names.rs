//! `docs/design-names.md` has every function that the design lists, and names no method that does not exist.

use std::collections::BTreeSet;

use dcm_core::service::Dcm;

const PAGE: &str = include_str!("../../docs/design-names.md");

/// The names of methods; one that does not exist does not compile.
macro_rules! methods {
    ($($name:ident)*) => {{
        $( let _ = Dcm::$name; )*
        BTreeSet::from([$(concat!("Dcm::", stringify!($name))),*])
    }};
}

/// Those of the design's "GO API" and "Service Mesh API".
const OF_THE_DESIGN: [&str; 19] = [
    "createNamespace",
    "createUser",
    "createKVpair",
    "addCluster",
    "addUserPermissions",
    "applyConfig",
    "getKVPair",
    "getClusterConfig",
    "getNamespace",
    "getUser",
    "getClusters",
    "getUserPermissions",
    "create_mesh",
    "get_lc_clusters",
    "create_mesh_namespace",
    "create_ca_secrets",
    "get_ca_certs",
    "install_helm",
    "create_helm_chart",
];

#[test]
fn every_function_of_the_design_has_a_row() {
    let rows: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, OF_THE_DESIGN);
}

#[test]
fn every_method_that_is_named_exists() {
    let existing = methods! {
        create_logical_cloud update_logical_cloud logical_cloud
        create_reference update_reference references
        create_permission delete_permission permissions
        create_kv_pair kv_pair
        create_quota
        apply status kubeconfig merged_kubeconfig
    };
    let named: BTreeSet<&str> = PAGE.split('`').skip(1).step_by(2).filter(|code| code.starts_with("Dcm::")).collect();
    assert_eq!(named, existing);
}
