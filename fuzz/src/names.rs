//! Names, user names, namespaces, and the keys and values of labels.

use std::{fmt::Debug, str::FromStr};

use dcm_core::{
    fault::Faults,
    keys,
    model::{ClusterLabelInput, LogicalCloudInput, MetadataInput, Policy, Uid, UserInput},
    name::{
        ClusterName, ControllerName, KvPairName, LabelKey, LogicalCloudName, Namespace, PermissionName, ProjectName,
        ProviderName, QuotaName, ReferenceName, UserName,
    },
    store::{InvalidKey, Key},
};

use super::reference::{is_dns_label, is_label_value, is_qualified_name, is_word};

/// A text as every kind of name: it is one exactly where the rule says so, reads back as it is printed, and can be a
/// segment of a key. With a `=` in it, also as key and value of labels.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let uid = Uid::from_random([7; 16]);
    let is_record_name = is_word(text, 128, "-_.");
    name::<ProjectName>(text, is_record_name, keys::project);
    name::<LogicalCloudName>(text, is_record_name, |name| keys::logical_cloud(&uid, name));
    name::<ReferenceName>(text, is_record_name, |name| keys::reference(&uid, name));
    name::<PermissionName>(text, is_record_name, |name| Key::new([name.as_str()]));
    name::<QuotaName>(text, is_record_name, |name| keys::quota(&uid, name));
    name::<KvPairName>(text, is_record_name, |name| keys::kv_pair(&uid, name));
    name::<ProviderName>(text, is_record_name, keys::provider);
    name::<ClusterName>(text, is_record_name, |name| keys::cluster(&uid, name));
    name::<ControllerName>(text, is_record_name, keys::controller);
    name::<Namespace>(text, is_dns_label(text), |name| keys::reservation("identity", name));
    name::<UserName>(text, is_word(text, 63, "-_.@"), |name| Key::new([name.as_str()]));
    assert!(UserName::new(text).is_err() || !text.contains(':'), "{text:?} may pass for a user of Kubernetes");
    if let Ok(key) = same_in_every_form::<LabelKey>(text) {
        assert!((1..=317).contains(&key.as_str().len()), "{text:?}");
    }
    if let Some((key, value)) = text.split_once('=') {
        namespace_label(key, value);
        cluster_label(key, value);
    }
}

/// Reads a name from text and from JSON, and prints it.
fn same_in_every_form<N>(text: &str) -> Result<N, N::Err>
where
    N: FromStr + Debug + PartialEq + ToString + serde::Serialize + serde::de::DeserializeOwned,
{
    let parsed = text.parse::<N>();
    let json = serde_json::to_string(text).unwrap();
    let from_json = serde_json::from_str::<N>(&json);
    match &parsed {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            assert_eq!(from_json.as_ref().ok(), Some(name));
            assert_eq!(serde_json::to_string(name).unwrap(), json);
        }
        Err(_) => assert!(from_json.is_err(), "{text:?} is a name in JSON only"),
    }
    parsed
}

fn name<N>(text: &str, is_one: bool, key: impl FnOnce(&N) -> Result<Key, InvalidKey>)
where
    N: FromStr + Debug + PartialEq + ToString + serde::Serialize + serde::de::DeserializeOwned,
{
    let parsed = same_in_every_form::<N>(text);
    assert_eq!(parsed.is_ok(), is_one, "{text:?} as {}", std::any::type_name::<N>());
    if let Ok(name) = parsed {
        assert_eq!(key(&name).unwrap().last(), text);
    }
}

/// A label of a logical cloud's namespace: what is taken is one for Kubernetes; what is one is taken unless it is kept
/// from tenants.
fn namespace_label(key: &str, value: &str) {
    let input = LogicalCloudInput {
        metadata: MetadataInput { name: Some("lc".to_owned()), ..MetadataInput::default() },
        namespace: Some("ns".to_owned()),
        user: Some(UserInput { user_name: Some("u".to_owned()), ..UserInput::default() }),
        labels: [(key.to_owned(), value.to_owned())].into(),
        ..LogicalCloudInput::default()
    };
    let mut faults = Faults::new();
    input.check(None, &Policy::default(), &mut faults);
    let is_label = is_qualified_name(key) && is_label_value(value);
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    let is_below = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
    let is_kept = ["kubernetes.io", "k8s.io", "istio.io", "dcm.onap.org"].into_iter().any(is_below);
    let is_allowed = is_label && !is_kept && key != "istio-injection";
    assert_eq!(faults.is_empty(), is_allowed, "{key:?} = {value:?}: {faults}");
    assert!(faults.as_slice().iter().all(|fault| fault.pointer.starts_with("/spec/labels/")), "{faults}");
}

/// A label of a cluster: what is taken is kept as it is.
fn cluster_label(key: &str, value: &str) {
    let mut faults = Faults::new();
    let input = ClusterLabelInput { key: Some(key.to_owned()), value: Some(value.to_owned()) };
    let checked = input.check(None, &mut faults).filter(|_| faults.is_empty());
    if let Some(label) = checked {
        assert_eq!((label.key.as_str(), label.value.as_str()), (key, value));
        assert!(key.len() <= 317 && value.len() <= 63, "{key:?} = {value:?}");
    }
}
