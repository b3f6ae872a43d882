//! What the server says of itself in OpenAPI, against what it does: every answer that any test of this suite gets
//! is held against the description.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Mutex,
};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::{
    on_every_store,
    support::{LC, Reply, kubeconfig},
};

/// A description, ready to be held against answers.
pub(crate) struct Description {
    document: Value,
    /// The same, with every object closed: a field that is not described is a fault.
    closed: Value,
    validators: Mutex<HashMap<String, &'static Validator>>,
}

impl Description {
    pub(crate) fn new(document: Value) -> Self {
        let mut closed = document.clone();
        close(&mut closed, false);
        Self { document, closed, validators: Mutex::default() }
    }

    /// All operations: method, path and what is said of them.
    fn operations(&self) -> impl Iterator<Item = (&str, &str, &Map<String, Value>)> {
        self.document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            let item = item.as_object().unwrap().iter();
            item.map(move |(method, operation)| (method.as_str(), path.as_str(), operation.as_object().unwrap()))
        })
    }

    /// All paths, each with the methods that are described there.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        let methods = |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        self.document["paths"].as_object().unwrap().iter().map(move |(path, item)| (path.as_str(), methods(item)))
    }

    /// The ids of all operations.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        self.operations().map(|(_, _, operation)| operation["operationId"].as_str().unwrap().to_owned()).collect()
    }

    /// The template of a path; one without parameters comes before one with.
    fn template(&self, path: &str) -> Option<&str> {
        let given: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let fits = |template: &&str| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == given.len()
                && parts.iter().zip(&given).all(|(part, one)| part == one || part.starts_with('{'))
        };
        let paths = self.document["paths"].as_object().unwrap();
        paths.keys().map(String::as_str).filter(fits).min_by_key(|template| template.matches('{').count())
    }

    /// Panics where the answer is not described. Gives the operation's id.
    #[track_caller]
    pub(crate) fn check(&self, method: &Method, path: &str, reply: &Reply) -> Option<String> {
        let template = self.template(path)?;
        let method = method.as_str().to_ascii_lowercase();
        let operation = self.document["paths"][template].get(&method)?;
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let status = reply.status.to_string();
        let pointer = format!("/paths/{}/{method}/responses/{status}", template.replace('/', "~1"));
        let Some(mut response) = self.closed.pointer(&pointer) else {
            panic!("{id} answers {status}, which is not described: {}", reply.text());
        };
        if let Some(reference) = response["$ref"].as_str() {
            response = self.closed.pointer(reference.trim_start_matches('#')).unwrap();
        }
        let media_type = reply.header("content-type").split(';').next().unwrap_or_default();
        match response.get("content") {
            None => {
                assert!(reply.body.is_empty(), "{id} {status} has a body, which is not described: {}", reply.text())
            }
            Some(content) => {
                let Some(described) = content.get(media_type) else {
                    panic!("{id} {status} is {media_type:?}, which is not described");
                };
                if media_type.ends_with("json") {
                    self.validate(&format!("{id} {status} {media_type}"), &described["schema"], &reply.plain());
                }
            }
        }
        Some(id)
    }

    /// Panics where a body that was served is not one that is described.
    #[track_caller]
    pub(crate) fn check_body(&self, method: &Method, path: &str, media_type: &str, sent: &[u8]) {
        let Some(template) = self.template(path) else { return };
        let method = method.as_str().to_ascii_lowercase();
        let body = self.document["paths"][template][&method].get("requestBody");
        // An operation that takes no body reads none.
        let Some(described) = body.map(|body| body["content"].get(media_type)) else { return };
        // Its objects are open: an unknown field is none that is refused.
        let Some(described) = described else {
            panic!("{method} {template} takes {media_type:?}, which is not described")
        };
        let schema = &described["schema"];
        let name = format!("request of {method} {template} {media_type}");
        self.validate_by(&name, schema, &self.document, &serde_json::from_slice(sent).unwrap());
    }

    #[track_caller]
    fn validate(&self, name: &str, schema: &Value, instance: &Value) {
        self.validate_by(name, schema, &self.closed, instance);
    }

    #[track_caller]
    fn validate_by(&self, name: &str, schema: &Value, document: &Value, instance: &Value) {
        let validator = *self.validators.lock().unwrap().entry(name.to_owned()).or_insert_with(|| {
            let mut whole = schema.clone();
            whole["components"] = document["components"].clone();
            Box::leak(Box::new(jsonschema::validator_for(&whole).unwrap()))
        });
        let faults: Vec<String> =
            validator.iter_errors(instance).map(|fault| format!("{} {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{name} is not as described: {faults:#?}\n{instance:#}");
    }
}

/// Closes every object of a schema; those that are put together with others by the whole.
fn close(schema: &mut Value, is_part: bool) {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("properties").is_some_and(Value::is_object);
            let is_whole = fields.get("allOf").is_some_and(Value::is_array);
            if (is_object || is_whole) && !is_part {
                fields.insert("unevaluatedProperties".to_owned(), json!(false));
            }
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("allOf", Value::Array(parts)) => parts.iter_mut().for_each(|part| close(part, true)),
                    (_, field) => close(field, false),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|one| close(one, false)),
        _ => {}
    }
}

// One test that goes to every operation: one that is added without being added here fails it.
on_every_store! {
    async fn every_operation_is_served_as_it_is_described(dcm) {
        let (p, cp) = ("/v2/projects", "/v2/cluster-providers");
        let spec = json!({ "host": "ca.example.com", "port": 9078 });
        for base in [p, cp, "/v2/controllers"] {
            let named = json!({ "metadata": { "name": "w" }, "spec": spec });
            dcm.post(base, &named).await.expect(201);
            dcm.get(base).await.expect(200);
            dcm.get(&format!("{base}/w")).await.expect(200);
            dcm.put(&format!("{base}/w"), &named).await.expect(200);
            dcm.patch(&format!("{base}/w"), &json!({ "metadata": { "description": "d" } })).await.expect(200);
            dcm.delete(&format!("{base}/w")).await.expect(204);
        }
        let clusters = format!("{cp}/default/clusters");
        let body = json!({ "metadata": { "name": "cluster-1" }, "spec": { "kubeconfig": kubeconfig(), "labels": { "a": "b" } } });
        dcm.post(&clusters, &body).await.expect(201);
        dcm.get(&clusters).await.expect(200);
        dcm.get(&format!("{clusters}/cluster-1")).await.expect(200);
        dcm.put(&format!("{clusters}/cluster-1"), &body).await.expect(200);

        dcm.patch(&format!("{clusters}/cluster-1"), &json!({ "spec": { "labels": { "a": "c" } } })).await.expect(200);
        for (children, body, name) in [
            ("labels", &json!({ "label-name": "x", "value": "y" }), "x"),
            ("kv-pairs", &json!({ "metadata": { "name": "x" }, "spec": { "kv": [{ "a": [1, null] }] } }), "x"),
        ] {
            let base = format!("{clusters}/cluster-1/{children}");
            dcm.post(&base, body).await.expect(201);
            dcm.get(&base).await.expect(200);
            dcm.get(&format!("{base}/{name}")).await.expect(200);
            dcm.put(&format!("{base}/{name}"), body).await.expect(200);
            dcm.patch(&format!("{base}/{name}"), &json!({})).await.expect(200);
            if children == "kv-pairs" {
                dcm.get(&format!("{base}/{name}?key=a")).await.expect(200);
            }
            dcm.delete(&format!("{base}/{name}")).await.expect(204);
        }

        let cloud = dcm.with_cloud().await;
        dcm.get(&format!("{p}/p/logical-clouds")).await.expect(200);
        dcm.put(LC, &cloud).await.expect(200);
        dcm.patch(LC, &json!({ "spec": { "labels": { "team": "finance" } } })).await.expect(200);
        let reference = json!({ "cluster-reference": "cluster-1", "loadbalancer-ip": "0.0.0.0" });
        for (children, body, name, created, replaced) in [
            ("cluster-references", &reference, "cluster-1", 200, 200),
            ("user-permissions", &json!({ "name": "x", "apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"] }), "x", 200, 200),
            ("cluster-quotas", &json!({ "metadata": { "name": "x" }, "spec": { "pods": "5" } }), "x", 201, 201),
            ("kv-pairs", &json!({ "metadata": { "name": "x" }, "spec": { "kv": [{ "a": [1, null] }] } }), "x", 201, 201),
        ] {
            let base = format!("{LC}/{children}");
            dcm.post(&base, body).await.expect(created);
            dcm.get(&base).await.expect(200);
            dcm.get(&format!("{base}/{name}")).await.expect(200);
            dcm.put(&format!("{base}/{name}"), body).await.expect(replaced);
            dcm.patch(&format!("{base}/{name}"), &json!({})).await.expect(replaced);
        }
        for (order, status) in [("instantiate", 202), ("update", 202), ("stop", 202), ("apply", 200)] {
            dcm.order(&format!("{LC}/{order}")).await.expect(status);
        }
        dcm.wait_for("Created").await;
        dcm.get(LC).await.expect(200);
        for query in ["output=detail", "status=deployed", "output=summary", "clusters", "resources"] {
            dcm.get(&format!("{LC}/status?{query}")).await.expect(200);
        }
        for path in ["/manifests", "/manifests?cluster-reference=cluster-1", "/diff", "/kubeconfig"] {
            dcm.get(&format!("{LC}{path}")).await.expect(200);
        }
        dcm.get(&format!("{LC}/kubeconfig?cluster-reference=cluster-1")).await.expect(201);
        assert_eq!(dcm.get(&format!("{LC}/cluster-references/cluster-1/kubeconfig")).await.status, 200);
        for order in ["user/renew", "user/revoke", "terminate"] {
            dcm.order(&format!("{LC}/{order}")).await.expect(202);
        }
        dcm.wait_for("Deleted").await;
        for path in ["/cluster-quotas/x", "/kv-pairs/x", "/user-permissions/x", "/cluster-references/cluster-1", ""] {
            dcm.delete(&format!("{LC}{path}")).await.expect(204);
        }
        dcm.delete(&format!("{clusters}/cluster-1")).await.expect(204);
        for path in ["/healthz", "/readyz", "/v2/encryption", "/metrics"] {
            assert_eq!(dcm.get(path).await.status, 200, "{path}");
        }

        let missing: Vec<String> = dcm.description().await.ids().difference(&dcm.served()).cloned().collect();
        assert!(missing.is_empty(), "no test was served these: {missing:?}");
    }
}

#[tokio::test]
async fn every_operation_and_every_parameter_says_what_it_is() {
    let dcm = crate::support::Dcm::start("memory", &[]).await;
    let description = dcm.description().await;
    assert_eq!(description.document["openapi"], "3.1.0");
    let mut ids = BTreeMap::new();
    for (method, path, operation) in description.operations() {
        let says = |field: &str| operation[field].as_str().is_some_and(|text| text.ends_with('.'));
        assert!(says("summary") && says("description"), "{method} {path} lacks a description");
        let id = operation["operationId"].as_str().unwrap();
        assert_eq!(ids.insert(id, path), None, "{id} is there twice");
        for parameter in operation["parameters"].as_array().unwrap() {
            assert!(parameter["description"].as_str().is_some_and(|text| text.ends_with('.')), "{id}: {parameter}");
        }
        let statuses = operation["responses"].as_object().unwrap();
        assert!(statuses.keys().any(|status| status.starts_with('2')) && statuses.contains_key("503"), "{id}");
    }
    assert!(ids.len() > 50, "{ids:?}");
    dcm.stop().await;
}
