//! Bodies of every record that REST takes, and merge patches of it.

use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::world::{self, World, json_of};

/// What separates a patch from the body before it.
const PATCH: &[u8] = b"\n=====\n";

struct Resource {
    letter: u8,
    collection: &'static str,
    /// Where an answer has the record's name.
    name: &'static str,
    /// Whether a patch may spell a field in another form than answers do, so that RFC 7396 on answers says nothing.
    has_two_forms: bool,
}

const fn resource(letter: u8, collection: &'static str, name: &'static str, has_two_forms: bool) -> Resource {
    Resource { letter, collection, name, has_two_forms }
}

const RESOURCES: [Resource; 11] = [
    resource(b'p', "/v2/projects", "/metadata/name", false),
    resource(b'v', "/v2/cluster-providers", "/metadata/name", false),
    resource(b'c', "/v2/cluster-providers/default/clusters", "/metadata/name", false),
    resource(b't', "/v2/cluster-providers/default/clusters/c1/labels", "/label-name", true),
    resource(b'w', "/v2/cluster-providers/default/clusters/c1/kv-pairs", "/metadata/name", false),
    resource(b'o', "/v2/controllers", "/metadata/name", false),
    resource(b'l', "/v2/projects/walmart/logical-clouds", "/metadata/name", false),
    resource(b'r', "/v2/projects/walmart/logical-clouds/lc-2/cluster-references", "/metadata/name", true),
    resource(b'u', "/v2/projects/walmart/logical-clouds/lc-2/user-permissions", "/name", true),
    resource(b'q', "/v2/projects/walmart/logical-clouds/lc-2/cluster-quotas", "/metadata/name", false),
    resource(b'k', "/v2/projects/walmart/logical-clouds/lc-2/kv-pairs", "/metadata/name", false),
];

/// A letter that says which record it is, a body to create it with, and where wanted a line of five `=` and a merge patch.
///
/// What is refused says where it is wrong and changes nothing. What is accepted can be read, written back as it was read
/// without a change, patched with nothing and with itself without a change, and deleted. A patch that is accepted makes no
/// difference the second time, and makes what RFC 7396 says of the answer.
pub fn run(data: &[u8]) {
    let Some((letter, rest)) = data.split_first() else { return };
    let Some(resource) = RESOURCES.iter().find(|resource| resource.letter == *letter) else { return };
    let (body, patch) = match rest.windows(PATCH.len()).position(|part| part == PATCH) {
        Some(at) => (&rest[..at], Some(&rest[at + PATCH.len()..])),
        None => (rest, None),
    };
    world::with(|world| one(world, resource, body, patch));
}

fn one(world: &mut World, resource: &Resource, body: &[u8], patch: Option<&[u8]>) {
    let before = world.all();
    let answer = world.call(Method::POST, resource.collection, body.to_vec());
    if !answer.status().is_success() {
        assert!(world.all() == before, "a refused body changed something");
        return;
    }
    let made = json_of(&answer);
    let name = made.pointer(resource.name).and_then(Value::as_str).expect("an answer has its record's name");
    let path = format!("{}/{}", resource.collection, percent(name));
    assert_eq!(world.get(&path), made, "what was created is read");
    let there = unchanged(world, &path);
    if let Some(patch) = patch {
        patched(world, resource, &path, &there, patch);
    }
    let gone = world.call(Method::DELETE, &path, Vec::new());
    assert!(gone.status().is_success(), "{path} cannot be deleted: {}", String::from_utf8_lossy(gone.body()));
    let missing = world.call(Method::GET, &path, Vec::new());
    assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{path} is still there");
}

/// Writes a record back as it is read, and patches it with nothing and with itself.
fn unchanged(world: &mut World, path: &str) -> Value {
    let there = world.get(path);
    put(world, path, &there).unwrap_or_else(|problem| panic!("what was read cannot be written back: {problem}"));
    assert_eq!(world.get(path), there, "what was read and written back changed");
    for patch in ["{}", &there.to_string()] {
        let answer = world.call(Method::PATCH, path, patch.as_bytes().to_vec());
        assert!(answer.status().is_success(), "{patch} is refused: {}", String::from_utf8_lossy(answer.body()));
        assert_eq!(world.get(path), there, "a patch without a difference makes one: {patch}");
    }
    there
}

fn put(world: &mut World, path: &str, value: &Value) -> Result<(), String> {
    let answer = world.call(Method::PUT, path, value.to_string().into_bytes());
    if answer.status().is_success() { Ok(()) } else { Err(String::from_utf8_lossy(answer.body()).into_owned()) }
}

fn patched(world: &mut World, resource: &Resource, path: &str, there: &Value, patch: &[u8]) {
    let before = world.all();
    let answer = world.call(Method::PATCH, path, patch.to_vec());
    if !answer.status().is_success() {
        assert!(world.all() == before, "a refused patch changed something");
        return;
    }
    let now = world.get(path);
    let again = world.call(Method::PATCH, path, patch.to_vec());
    assert!(again.status().is_success(), "a patch is refused the second time");
    assert_eq!(world.get(path), now, "a patch makes a difference the second time");
    unchanged(world, path);
    let Ok(patch) = serde_json::from_slice::<Value>(patch) else { panic!("a patch was accepted that is no JSON") };
    if resource.has_two_forms || takes_away_respelled(there, &patch) {
        return;
    }
    let mut expected = there.clone();
    merge(&mut expected, &patch);
    // Other fields in another spelling stand in it twice then, and are refused.
    if put(world, path, &expected).is_ok() {
        assert_eq!(world.get(path), now, "a patch makes something else than RFC 7396: {patch}");
    }
}

/// Whether a patch takes a field away that is spelled in another way there: RFC 7396 knows of no spellings.
fn takes_away_respelled(there: &Value, patch: &Value) -> bool {
    let (Some(there), Some(patch)) = (there.as_object(), patch.as_object()) else { return false };
    let plain = |key: &str| key.replace(['-', '_'], "").to_ascii_lowercase();
    patch.iter().any(|(key, value)| match there.get(key) {
        Some(there) => takes_away_respelled(there, value),
        None => there.iter().any(|(known, there)| {
            plain(known) == plain(key) && (value.is_null() || takes_away_respelled(there, value))
        }),
    })
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

fn percent(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
