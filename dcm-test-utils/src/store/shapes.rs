//! What every store promises about what is inside of documents and keys.

use std::sync::Arc;

use dcm_core::store::{Body, Error, Precondition, Store};
use serde_json::{Value, json as value};

use super::{get, insert, json, key, names, number, numbered, put, scan, sized};

type AnyStore = Arc<dyn Store>;

/// Every JSON value comes back as it was.
pub async fn every_json_shape_survives(store: AnyStore) {
    let shapes = [
        value!(null),
        value!(true),
        value!(""),
        value!("a \u{0} \u{1f} \" \\ / é 日本 \u{10ffff} \u{2028}"),
        value!(0),
        value!(-1),
        value!(i64::MIN),
        value!(u64::MAX),
        value!((1_u64 << 53) + 1),
        value!(0.1),
        value!(-1.5e300),
        value!([]),
        value!({}),
        value!([[], {}, [[null]], "", 0]),
        value!({ "": "empty name", "a.b": 1, "$set": { "$gt": 1 }, "$": 0, "a\u{0}b": 2, "_id": 3 }),
        value!({ "empty-map": {}, "empty-list": [], "null": null, "é/日本": [1, "2", 3.5] }),
        value!({ "b": 1, "a": 2, "c": { "z": 1, "y": { "x": [] } } }),
        (0..60).fold(value!("deep"), |inner, _| value!({ "in": [inner] })),
    ];
    for (n, shape) in shapes.iter().enumerate() {
        let at = format!("shape/{n}");
        insert(&*store, &at, json(shape)).await;
        let read = get(&*store, &at).await.expect("the document");
        let read: Value = serde_json::from_slice(read.body.as_bytes()).expect("JSON");
        assert_eq!(read, *shape);
    }
    for (n, document) in scan(&*store, "shape", None, 100).await.iter().enumerate() {
        let read: Value = serde_json::from_slice(document.body.as_bytes()).expect("JSON");
        let at = document.key.last().parse::<usize>().expect("a number");
        assert_eq!(read, shapes[at], "number {n} of the scan");
    }
}

/// JSON without blanks, with names and numbers as `serde_json` writes them, comes back byte by byte, names in their order.
pub async fn compact_json_comes_back_byte_by_byte(store: AnyStore) {
    let texts = [
        r#"{"kind":"Quota","version":1,"document":{"z":1,"a":-2,"m":[3,{"y":null,"b":true}]}}"#,
        r#"{"big":18446744073709551615,"small":-9223372036854775808,"half":0.5,"one":1,"one-as-a-float":1.0}"#,
        r#"{"text":"é日本\"\\/\n","":{},"empty":[],"$set":{"a.b":[[]]}}"#,
        r#"["a",{"b":{"a":{"b":{"a":[]}}}}]"#,
    ];
    for (n, text) in texts.iter().enumerate() {
        insert(&*store, &format!("text/{n}"), Body::from_json(text.as_bytes())).await;
    }
    for (document, text) in scan(&*store, "text", None, 10).await.iter().zip(texts) {
        assert_eq!(String::from_utf8_lossy(document.body.as_bytes()), text);
        assert_eq!(get(&*store, document.key.as_str()).await.as_ref(), Some(document));
    }
}

/// Every text that can be a key's segment comes back as it was.
pub async fn every_name_survives(store: AnyStore) {
    let long = "n".repeat(128);
    let segments = [
        "a",
        "A",
        "0",
        ".",
        "..",
        "$",
        "%2F",
        "\\",
        " ",
        "a b",
        "'\"",
        "a:b@c",
        "é",
        "e\u{301}",
        "日本",
        "\u{10ffff}",
        long.as_str(),
    ];
    for (n, segment) in (0..).zip(segments) {
        insert(&*store, &format!("name/{segment}/x"), numbered(n)).await;
    }
    for (n, segment) in (0..).zip(segments) {
        let read = get(&*store, &format!("name/{segment}/x")).await;
        assert_eq!(read.map(|d| number(&d.body)), Some(n), "{segment:?}");
        let below = scan(&*store, &format!("name/{segment}"), None, 10).await;
        assert_eq!(names(&below), [format!("name/{segment}/x")]);
    }
}

/// A large document comes back as it was.
pub async fn a_megabyte_survives(store: AnyStore) {
    let sizes = [4 << 10, 16 << 10, (16 << 10) + 1, 100_000, 1 << 20];
    for size in sizes {
        let body = sized(size, 'a');
        insert(&*store, &format!("large/{size}"), body.clone()).await;
        let read = get(&*store, &format!("large/{size}")).await;
        assert_eq!(read.expect("the document").body, body);
    }
    let found = scan(&*store, "large", None, 10).await;
    assert_eq!(found.len(), sizes.len());
    for document in found {
        let size = document.key.last().parse().expect("a size");
        assert_eq!(document.body, sized(size, 'a'));
    }
}

/// What is above a store's limit is refused as that; the limit, if any, is at least a megabyte.
pub async fn what_is_too_large_is_refused_and_changes_nothing(store: AnyStore) {
    let huge = sized(40 << 20, 'a');
    let size_given = huge.as_bytes().len();
    match put(&*store, "a/huge", huge, Precondition::Absent).await {
        Ok(_) => assert!(get(&*store, "a/huge").await.is_some()),
        Err(Error::TooLarge { key: named, size, limit }) => {
            assert_eq!((named, size), (key("a/huge"), size_given));
            assert!((1 << 20..size).contains(&limit), "{limit}");
            assert_eq!(get(&*store, "a/huge").await, None);
        }
        Err(other) => panic!("not what a document that is too large gets: {other:?}"),
    }
    insert(&*store, "a/b", numbered(1)).await;
}
