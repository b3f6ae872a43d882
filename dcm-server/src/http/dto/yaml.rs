//! Kubeconfigs as text: YAML, and so JSON too.

use dcm_core::fault::Faults;
use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::{
    reader::Object,
    tree::{self, Node, NotJson, Pointer},
};

/// Reads a kubeconfig's text. What is wrong is noted without quoting it: it holds secrets.
pub(crate) fn kubeconfig(text: &str, at: &str, faults: &mut Faults) -> Option<Value> {
    if text.trim_start().starts_with('{') {
        match Node::parse(text.as_bytes(), tree::DEEPEST) {
            Ok(node) => {
                let mut tell = |at: Pointer<'_>, detail: &str| {
                    if !faults.is_full() {
                        faults.add(at.to_string(), detail);
                    }
                };
                return Some(node.to_value(Pointer::Of(at), &mut tell));
            }
            Err(error @ NotJson::LongKey { .. }) => {
                faults.add(at, error.to_string());
                return None;
            }
            // It may be YAML all the same.
            Err(_) => {}
        }
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 20_000,
            max_aliases: 64,
            max_anchors: 64,
            max_recorded_anchor_events: 10_000,
            max_depth: tree::DEEPEST,
            max_documents: 1,
            max_nodes: 10_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 64,
        },
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(value) => Some(value),
        Err(error) => {
            let place = error.location().map_or_else(String::new, |location| {
                format!(" (line {}, column {})", location.line(), location.column())
            });
            faults
                .add(at, format!("must be one YAML or JSON document without repeated keys and of modest size{place}"));
            None
        }
    }
}

/// Reads a kubeconfig that stands in a body: as text or as an object.
pub(super) fn field(spec: &Object<'_>, name: &str) -> Option<Value> {
    match spec.value(name)? {
        Value::String(text) => {
            let mut faults = Faults::new();
            let value = kubeconfig(&text, &spec.at(name), &mut faults);
            spec.faults(faults);
            value
        }
        other => Some(other),
    }
}

/// Writes JSON text as YAML.
pub(crate) fn from_json(json: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_saphyr::to_string(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        let mut faults = Faults::new();
        let value = kubeconfig(text, "/spec/kubeconfig", &mut faults);
        faults.into_result().map(|()| value.unwrap()).map_err(|faults| faults.to_string())
    }

    #[test]
    fn takes_yaml_and_json() {
        assert_eq!(read("a: {b: [1, x]}").unwrap(), serde_json::json!({ "a": { "b": [1, "x"] } }));
        assert_eq!(read("{\"a\": \"yes\"}").unwrap(), serde_json::json!({ "a": "yes" }));
    }

    #[test]
    fn json_with_many_faults_or_long_keys_is_refused_in_few_words() {
        let many = format!("{{\"{}\": {{{}\"a\": 1}}}}", "k".repeat(1000), "\"a\": 1e400, ".repeat(80_000));
        let long = format!("{{\"a\": {{\"{}\": 1}}}}", "k".repeat(500_000));
        for (text, faults) in [(many, Faults::MOST + 1), (long, 1)] {
            let mut found = Faults::new();
            kubeconfig(&text, "/spec/kubeconfig", &mut found);
            assert_eq!(found.as_slice().len(), faults);
            assert!(found.to_string().len() < 150 * faults, "{}", found.to_string().len());
        }
    }

    #[test]
    fn refuses_what_is_ambiguous_or_grows_and_quotes_nothing() {
        let bomb = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d, *d]\n";
        let deep = "[".repeat(1000);
        for text in [
            "s3cret: 1\ns3cret: 2\n",
            "a: s3cret\n b: : x",
            "a: 1\n---\nb: s3cret\n",
            bomb,
            &deep,
            "{\"s3cret\": 1, \"s3cret\": 2}",
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with("/spec/kubeconfig"), "{error}");
            assert!(text.starts_with('{') || !error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn what_it_writes_reads_back_the_same() {
        let value =
            serde_json::json!({ "a": ["yes", "1", "0x1", "null", "~", "a: b", "# c", "", "x\ny"], "b": { "c": true } });
        let yaml = from_json(value.to_string().as_bytes()).unwrap();
        assert_eq!(read(&yaml).unwrap(), value);
    }
}
