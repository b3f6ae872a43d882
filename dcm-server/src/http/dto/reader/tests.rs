use serde_json::Value;

use super::*;

fn read<T>(json: &str, read: impl FnOnce(&Object<'_>) -> T) -> (T, Vec<String>, Vec<String>) {
    let node = Node::parse(json.as_bytes(), 64).unwrap();
    let findings = Findings::default();
    let value = read(&Object::root(&node, &findings));
    let (faults, remarks) = findings.into_parts();
    (value, faults.as_slice().iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect(), remarks.unknown)
}

#[test]
fn a_field_is_found_whatever_its_case_hyphens_and_underscores() {
    for spelling in ["user-name", "userName", "username", "USER_NAME", "User-name"] {
        let (name, faults, unknown) = read(&format!("{{\"{spelling}\": \"u\"}}"), |o| o.text(&["user-name"]));
        assert_eq!((name.as_deref(), faults.len(), unknown.len()), (Some("u"), 0, 0), "{spelling}");
    }
}

#[test]
fn the_same_field_in_two_spellings_is_a_fault() {
    let (_, faults, _) = read(r#"{"cluster-name": "a", "cluster": "b"}"#, |o| o.text(&["cluster-name", "cluster"]));
    assert_eq!(faults, ["/cluster-name: stands there twice, as \"cluster-name\" and as \"cluster\""]);
    let (_, faults, unknown) = read(r#"{"x": 1, "x": 2}"#, |_| ());
    assert_eq!((faults, unknown), (vec!["/x: stands there twice".to_owned()], vec!["/x".to_owned()]));
}

#[test]
fn a_wrong_type_says_what_was_expected() {
    let (_, faults, _) = read(r#"{"a": 1, "b": {}, "c": ["x", 2], "d": [1]}"#, |o| {
        (o.text(&["a"]), o.texts("b"), o.texts("c"), o.object("d").is_some())
    });
    assert_eq!(
        faults,
        [
            "/a: must be a text, not a number",
            "/b: must be an array, not an object",
            "/c/1: must be a text, not a number",
            "/d: must be an object, not an array",
        ]
    );
}

#[test]
fn keys_of_data_stay_as_they_are() {
    let json = r#"{"labels": {"A-b": "1", "ab": "2"}, "spec": {"pods": 5}, "kv": {"b": 1, "a": null}}"#;
    let ((labels, spec, kv), faults, unknown) =
        read(json, |o| (o.map("labels", false), o.map("spec", true), o.pairs("kv")));
    assert_eq!((faults, unknown), (vec![], vec![]));
    assert_eq!(labels.unwrap().len(), 2);
    assert_eq!(spec.unwrap()["pods"], "5");
    assert_eq!(kv.unwrap(), [("a".to_owned(), Value::Null), ("b".to_owned(), 1.into())]);
}

#[test]
fn quantities_are_texts_or_integers_and_nothing_is_lost() {
    let json =
        r#"{"spec": {"a": 18446744073709551615, "b": -7, "c": 0.5, "d": 18446744073709551616, "e": 1e400, "f": 1.0}}"#;
    let (spec, faults, _) = read(json, |o| o.map("spec", true));
    assert_eq!(
        spec.unwrap().into_iter().collect::<Vec<_>>(),
        [("a".to_owned(), "18446744073709551615".to_owned()), ("b".to_owned(), "-7".to_owned()),]
    );
    let named: Vec<&str> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(named, ["/spec/c", "/spec/d", "/spec/e", "/spec/f"]);
    assert!(faults.iter().all(|fault| fault.ends_with("write the quantity in quotes")), "{faults:?}");
}

#[test]
fn of_many_faults_and_unknown_fields_the_first_are_kept() {
    let many = |entry: &str| vec![entry; 100_000].join(",");
    for json in [
        format!("{{\"kv\": [{}]}}", many("1")),
        format!("{{\"kv\": {{{}}}}}", many("\"a\": 1e400")),
        format!("{{\"texts\": [{}]}}", many("1")),
        format!("{{\"map\": {{{}}}}}", many("\"a\": 1")),
        format!("{{{}}}", many("\"KV\": []")),
        format!("{{{}}}", many("\"x\": 1")),
    ] {
        let (_, faults, unknown) = read(&json, |o| (o.pairs("kv"), o.texts("texts"), o.map("map", false)));
        assert_eq!((faults.len(), unknown.len() < 2), (Faults::MOST + 1, true), "{json:.40}");
    }
    let unknown: Vec<String> = (0..100_000).map(|i| format!("\"x{i}\": 1")).collect();
    let (_, faults, unknown) = read(&format!("{{{}}}", unknown.join(",")), |_| ());
    assert_eq!((faults.len(), unknown.len()), (0, Faults::MOST + 1));
    let (objects, faults, _) = read(&format!("{{\"a\": [{}]}}", many("{}")), |o| o.objects(&["a"]).is_some());
    assert_eq!((objects, faults.len()), (false, 1));
}

#[test]
fn pairs_keep_their_order_and_their_repetitions() {
    let (kv, faults, _) = read(r#"{"kv": [{"z": 1}, {"a": 2}, {"z": 3}]}"#, |o| o.pairs("kv"));
    let keys: Vec<String> = kv.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!((keys, faults), (vec!["z".to_owned(), "a".to_owned(), "z".to_owned()], vec![]));
    let (_, faults, _) = read(r#"{"kv": [{"a": 1, "b": 2}, {}, 3]}"#, |o| o.pairs("kv"));
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn what_is_not_known_is_named_and_what_is_read_only_is_not() {
    let (_, faults, unknown) = read(r#"{"uid": "x", "nmae": 1, "spec": {"nsp": 1}}"#, |o| {
        o.read_only(&["uid"]);
        o.object("spec");
    });
    assert_eq!((faults, unknown), (vec![], vec!["/spec/nsp".to_owned(), "/nmae".to_owned()]));
}

#[test]
fn a_field_that_is_repeated_is_told_of_where_the_two_differ() {
    let differing = |json: &str| {
        let node = Node::parse(json.as_bytes(), 64).unwrap();
        let findings = Findings::default();
        let object = Object::root(&node, &findings);
        let spec = object.object_or_empty("spec");
        object.repeats(&["cluster", "verbs"], &spec, &["cluster-name", "cluster"]);
        object.repeats_name(&["name"], &spec, &["name"]);
        drop((spec.text(&["cluster-name", "cluster"]), spec.text(&["name"])));
        drop((spec, object));
        let (faults, remarks) = findings.into_parts();
        assert!(faults.as_slice().is_empty() && remarks.unknown.is_empty() && remarks.kept.is_empty(), "{json}");
        remarks.differing.into_iter().map(|one| (one.pointer, one.counts)).collect::<Vec<_>>()
    };
    for same in [
        r#"{"cluster": "a", "spec": {"clusterName": "a"}}"#,
        r#"{"cluster": null, "spec": {"cluster": "a"}}"#,
        r#"{"name": "n", "spec": {"cluster": "a"}}"#,
        r#"{"name": "n", "spec": {"name": "n"}}"#,
        r#"{"spec": {"cluster": "a", "name": "n"}}"#,
    ] {
        assert_eq!(differing(same), vec![], "{same}");
    }
    let at = |pointer: &str, counts: &str| vec![(pointer.to_owned(), counts.to_owned())];
    let first = at("/cluster", "/spec/cluster-name");
    assert_eq!(differing(r#"{"Cluster": "b", "spec": {"cluster": "a"}}"#), first);
    // What is lost is told of too.
    assert_eq!(differing(r#"{"cluster": "b", "spec": {}}"#), first);
    assert_eq!(differing(r#"{"name": "m", "spec": {"name": "n"}}"#), at("/name", "/spec/name"));
}
