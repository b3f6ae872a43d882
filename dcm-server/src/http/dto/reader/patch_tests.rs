use serde_json::{Value, json};

use super::*;

struct Merged<T> {
    value: T,
    faults: Vec<String>,
    unknown: Vec<String>,
    kept: Vec<String>,
    differing: Vec<String>,
    is_changed: bool,
}

fn merge<T>(present: Value, patch: &str, read: impl FnOnce(&Object<'_>) -> T) -> Merged<T> {
    let (present, patch) = (Node::from(present), Node::parse(patch.as_bytes(), 64).unwrap());
    let findings = Findings::default();
    let value = read(&Object::patch(&patch, &present, &findings));
    let is_changed = findings.is_changed();
    let (faults, Remarks { unknown, kept, differing }) = findings.into_parts();
    let differing = differing.into_iter().map(|one| one.pointer).collect();
    let faults = faults.as_slice().iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect();
    Merged { value, faults, unknown, kept, differing, is_changed }
}

fn texts(object: &Object<'_>) -> (Option<String>, Option<String>) {
    (object.text(&["user-name", "user"]), object.text(&["b"]))
}

#[test]
fn what_is_written_counts_and_the_rest_is_as_it_was() {
    let present = || json!({ "user-name": "old", "b": "b" });
    let some = |text: &str| Some(text.to_owned());
    for (patch, expected, is_changed) in [
        ("{}", (some("old"), some("b")), false),
        (r#"{"userName": "new"}"#, (some("new"), some("b")), true),
        (r#"{"user": "new"}"#, (some("new"), some("b")), true),
        (r#"{"USER_NAME": "old"}"#, (some("old"), some("b")), false),
        (r#"{"b": null}"#, (some("old"), None), true),
        (r#"{"b": "", "user-name": null}"#, (None, some("")), true),
    ] {
        let merged = merge(present(), patch, texts);
        assert_eq!((merged.value, merged.is_changed), (expected, is_changed), "{patch}");
        assert_eq!((merged.faults.len(), merged.unknown.len()), (0, 0), "{patch}");
    }
    let twice = merge(present(), r#"{"user": "x", "user-name": null}"#, texts);
    assert_eq!(twice.faults, ["/user-name: stands there twice, as \"user\" and as \"user-name\""]);
}

#[test]
fn objects_are_merged_and_arrays_are_replaced() {
    let present = || json!({ "spec": { "verbs": ["get", "list"], "inner": { "b": "b", "user": "u" } } });
    let read = |o: &Object<'_>| {
        let spec = o.object_or_empty("spec");
        (spec.texts("verbs").unwrap_or_default().len(), spec.object("inner").map(|inner| texts(&inner)))
    };
    assert_eq!(merge(present(), "{}", read).value, (2, Some((Some("u".to_owned()), Some("b".to_owned())))));
    let one = merge(present(), r#"{"spec": {"verbs": ["get"], "inner": {"b": null}}}"#, read);
    assert_eq!(one.value, (1, Some((Some("u".to_owned()), None))));
    let none = merge(present(), r#"{"spec": null}"#, read);
    assert_eq!((none.value, none.is_changed), ((0, None), true));
    let without = merge(present(), r#"{"spec": {"inner": null, "x": 1, "y": null}}"#, read);
    assert_eq!(
        (without.value, without.unknown.as_slice()),
        ((2, None), ["/spec/x".to_owned(), "/spec/y".to_owned()].as_slice())
    );
    let wrong = merge(present(), r#"{"spec": {"inner": [], "verbs": {}}}"#, read);
    assert_eq!(
        wrong.faults,
        ["/spec/verbs: must be an array, not an object", "/spec/inner: must be an object, not an array"]
    );
}

#[test]
fn keys_of_data_are_merged_as_they_are() {
    let present = || json!({ "labels": { "a": "1", "A": "2" }, "spec": { "pods": "5" } });
    let read = |o: &Object<'_>| (o.map("labels", false).unwrap_or_default(), o.map("spec", true).unwrap_or_default());
    let merged = merge(present(), r#"{"labels": {"A": null, "a-": "3", "none": null}, "spec": {"pods": 5}}"#, read);
    assert_eq!(json!(merged.value), json!([{ "a": "1", "a-": "3" }, { "pods": "5" }]));
    assert_eq!(merged.faults, Vec::<String>::new());
    let same = merge(present(), r#"{"labels": {"a": "1", "none": null}, "spec": {"pods": 5}}"#, read);
    assert!(!same.is_changed);
    let gone = merge(present(), r#"{"labels": null}"#, read);
    assert!(gone.value.0.is_empty() && gone.is_changed);
    let bad = merge(present(), r#"{"labels": {"x": 1, "a": "4", "a": null}, "spec": {"pods": []}}"#, read);
    assert_eq!(
        bad.faults,
        [
            "/labels/x: must be a text, not a number",
            "/labels/a: stands there twice",
            "/spec/pods: must be a text or an integer, not an array",
        ]
    );
}

#[test]
fn data_that_takes_the_place_of_something_else_loses_its_nulls() {
    let present = || json!({ "kv": [{ "a": 1 }] });
    let read = |o: &Object<'_>| o.pairs("kv").unwrap_or_default();
    let object = merge(present(), r#"{"kv": {"b": {"c": null, "d": [null, {"e": null}]}, "a": null}}"#, read);
    assert_eq!(json!(object.value), json!([["b", { "d": [null, { "e": null }] }]]));
    let list = merge(present(), r#"{"kv": [{"a": null}, {"b": {"c": null}}]}"#, read);
    assert_eq!(json!(list.value), json!([["a", null], ["b", { "c": null }]]));
    assert!(!merge(present(), r#"{"kv": [{"a": 1}]}"#, read).is_changed);
}

#[test]
fn what_cannot_be_changed_is_told_where_it_would_be() {
    let present = || json!({ "uid": "u", "clusters": ["a"] });
    let read = |o: &Object<'_>| o.read_only(&["uid", "clusters", "name"]);
    let same = merge(present(), r#"{"uid": "u", "clusters": ["a"], "name": null}"#, read);
    assert_eq!((same.kept, same.unknown), (vec![], vec![]));
    let other = merge(present(), r#"{"UID": "v", "clusters": null, "name": "n"}"#, read);
    assert_eq!(other.kept, ["/uid", "/clusters", "/name"]);
    assert!(!other.is_changed);
}

#[test]
fn a_repeated_field_may_be_as_it_was_or_as_it_becomes() {
    let present = || json!({ "user": "old", "spec": { "user": "old" } });
    let read = |o: &Object<'_>| {
        let spec = o.object_or_empty("spec");
        o.repeats(&["user"], &spec, &["user"]);
        spec.text(&["user"])
    };
    for same in [
        r#"{"user": "old"}"#,
        r#"{"user": "old", "spec": {"user": "new"}}"#,
        r#"{"user": "new", "spec": {"user": "new"}}"#,
        r#"{"user": null, "spec": {"user": null}}"#,
    ] {
        let merged = merge(present(), same, read);
        assert!(merged.kept.is_empty() && merged.differing.is_empty(), "{same}");
    }
    let other = merge(present(), r#"{"user": "other"}"#, read);
    assert_eq!((other.kept.as_slice(), other.differing.len()), (["/user".to_owned()].as_slice(), 0));
    let both = merge(present(), r#"{"user": "other", "spec": {"user": "new"}}"#, read);
    assert_eq!((both.kept.len(), both.differing.as_slice()), (0, ["/user".to_owned()].as_slice()));
    assert_eq!(both.value.as_deref(), Some("new"));
}

#[test]
fn a_patch_that_is_no_object_is_refused() {
    for (patch, kind) in [("null", "null"), ("[]", "an array"), ("7", "a number"), ("\"x\"", "a text")] {
        let merged = merge(json!({}), patch, |_| ());
        assert_eq!(merged.faults, [format!(": must be an object, not {kind}")]);
    }
}
