//! Server-side apply: merge what a manager wants, refuse what others want otherwise, remove what nobody wants any more.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{ATOMIC, Managers, Operation, Path, Writer, leaves, value_at};
use crate::json;

/// A field that somebody else wants to be otherwise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) field: String,
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
}

/// Applies a configuration to a live object (which may be empty).
///
/// # Errors
/// The conflicts, where there are some and `force` is off.
pub(crate) fn apply(
    live: &Value,
    mut managers: Managers,
    wanted: &Value,
    writer: &Writer,
    force: bool,
) -> Result<(Value, Managers), Vec<Conflict>> {
    let mine = leaves(wanted);
    let mut conflicts = Vec::new();
    for manager in managers.0.iter_mut().filter(|manager| !manager.is(writer)) {
        let (lost, kept): (BTreeSet<Path>, BTreeSet<Path>) = std::mem::take(&mut manager.fields)
            .into_iter()
            .partition(|theirs| mine.iter().any(|mine| collide(live, wanted, theirs, mine)));
        conflicts.extend(lost.iter().map(|path| Conflict {
            field: dotted(path),
            manager: manager.name.clone(),
            operation: manager.operation,
            api_version: manager.api_version.clone(),
        }));
        manager.fields = kept;
    }
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }

    let mut merged = live.clone();
    overlay(&mut merged, wanted);
    for path in ATOMIC {
        if let Some(whole) = json::at(wanted, path) {
            json::set(&mut merged, path, whole.clone());
        }
    }
    let before = std::mem::take(&mut managers.entry(writer).fields);
    for dropped in before.difference(&mine) {
        let still_wanted = |fields: &BTreeSet<Path>| fields.iter().any(|path| path.starts_with(dropped));
        if !still_wanted(&mine) && !managers.0.iter().any(|manager| still_wanted(&manager.fields)) {
            prune(&mut merged, dropped);
        }
    }
    let own = managers.entry(writer);
    if before != mine {
        own.time.clone_from(&writer.time);
    }
    own.fields = mine;
    managers.0.retain(|manager| !manager.fields.is_empty());
    Ok((merged, managers))
}

/// Whether what is wanted at `mine` changes what somebody else owns at `theirs`.
fn collide(live: &Value, wanted: &Value, theirs: &Path, mine: &Path) -> bool {
    if mine.starts_with(theirs) || theirs.starts_with(mine) {
        let shorter = if mine.len() < theirs.len() { mine } else { theirs };
        match (value_at(live, shorter), value_at(wanted, shorter)) {
            // Two maps are merged, so neither takes anything from the other.
            (Some(Value::Object(_)), Some(Value::Object(_))) => false,
            (live, wanted) => live != wanted,
        }
    } else {
        false
    }
}

/// Lays a configuration over an object: maps are merged, anything else is replaced.
fn overlay(target: &mut Value, wanted: &Value) {
    match wanted {
        Value::Object(wanted) => {
            let target = json::map(target);
            for (key, value) in wanted {
                overlay(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        other => *target = other.clone(),
    }
}

/// Takes a leaf away, and the maps that become empty by it.
fn prune(value: &mut Value, path: &[String]) {
    let (Some((key, rest)), Some(map)) = (path.split_first(), value.as_object_mut()) else {
        return;
    };
    if rest.is_empty() {
        map.remove(key);
    } else if let Some(child) = map.get_mut(key) {
        prune(child, rest);
        if child.as_object().is_some_and(serde_json::Map::is_empty) {
            map.remove(key);
        }
    }
}

/// A path as Kubernetes writes it.
fn dotted(path: &[String]) -> String {
    path.iter().map(|key| format!(".{key}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn writer(name: &str, operation: Operation) -> Writer {
        Writer {
            name: name.to_owned(),
            operation,
            subresource: String::new(),
            api_version: "v1".to_owned(),
            time: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    /// An object with its managers, and appliers by name.
    struct Thing(Value, Managers);

    impl Thing {
        fn posted(object: Value) -> Self {
            let managers = Managers::default().updated(&json!({}), &object, &writer("poster", Operation::Update));
            Self(object, managers)
        }

        fn try_apply(&mut self, name: &str, wanted: &Value, force: bool) -> Result<(), Vec<Conflict>> {
            let by = writer(name, Operation::Apply);
            (self.0, self.1) = apply(&self.0, self.1.clone(), wanted, &by, force)?;
            Ok(())
        }

        fn apply(&mut self, name: &str, wanted: Value) {
            self.try_apply(name, &wanted, false).unwrap();
        }
    }

    #[test]
    fn a_field_that_is_no_longer_applied_goes() {
        let mut thing = Thing(json!({}), Managers::default());
        thing.apply("a", json!({"data": {"x": "1", "y": "2"}}));
        thing.apply("a", json!({"data": {"x": "1"}}));
        assert_eq!(thing.0, json!({"data": {"x": "1"}}));
        thing.apply("a", json!({}));
        assert_eq!(thing.0, json!({}));
    }

    #[test]
    fn a_field_with_another_owner_stays() {
        let mut thing = Thing(json!({}), Managers::default());
        thing.apply("a", json!({"data": {"x": "1"}}));
        thing.apply("b", json!({"data": {"x": "1"}}));
        thing.apply("a", json!({}));
        assert_eq!(thing.0, json!({"data": {"x": "1"}}));
    }

    #[test]
    fn a_posted_field_is_never_removed_by_an_apply() {
        let mut thing = Thing::posted(json!({"data": {"x": "1"}}));
        thing.apply("poster", json!({"data": {"x": "1"}}));
        thing.apply("poster", json!({}));
        assert_eq!(thing.0, json!({"data": {"x": "1"}}));
    }

    #[test]
    fn another_value_is_a_conflict_unless_forced() {
        let mut thing = Thing::posted(json!({"data": {"x": "1"}}));
        let wanted = json!({"data": {"x": "2"}});
        let conflicts = thing.try_apply("a", &wanted, false).unwrap_err();
        assert_eq!(conflicts.len(), 1);
        assert_eq!((conflicts[0].field.as_str(), conflicts[0].manager.as_str()), (".data.x", "poster"));
        thing.try_apply("a", &wanted, true).unwrap();
        assert_eq!(thing.0, wanted);
        thing.apply("a", json!({}));
        assert_eq!(thing.0, json!({}), "the poster lost the field");
    }

    #[test]
    fn foreign_keys_of_a_map_survive_force() {
        let mut thing = Thing::posted(json!({"data": {"theirs": "1"}}));
        thing.try_apply("a", &json!({"data": {"mine": "2"}}), true).unwrap();
        assert_eq!(thing.0, json!({"data": {"theirs": "1", "mine": "2"}}));
    }

    #[test]
    fn lists_are_atomic() {
        let mut thing = Thing::posted(json!({"rules": [1, 2]}));
        assert!(thing.try_apply("a", &json!({"rules": [1]}), false).is_err());
        thing.try_apply("a", &json!({"rules": [1]}), true).unwrap();
        assert_eq!(thing.0, json!({"rules": [1]}));
    }

    #[test]
    fn an_update_takes_the_fields_that_it_changes() {
        let mut thing = Thing(json!({}), Managers::default());
        thing.apply("a", json!({"data": {"x": "1", "y": "1"}}));
        let new = json!({"data": {"x": "1", "y": "9"}});
        thing.1 = thing.1.updated(&thing.0, &new, &writer("editor", Operation::Update));
        thing.0 = new;
        assert!(thing.try_apply("a", &json!({"data": {"y": "1"}}), false).is_err());
        thing.apply("a", json!({}));
        assert_eq!(thing.0, json!({"data": {"y": "9"}}));
    }

    #[test]
    fn managers_survive_being_written_into_the_object() {
        let mut thing = Thing::posted(json!({"metadata": {"name": "n", "labels": {"a.io/b": "c"}}, "empty": {}}));
        thing.apply("a", json!({"data": {"x": "1"}}));
        let managers = thing.1.clone();
        managers.write_to(&mut thing.0);
        assert!(managers.own_the_same(&Managers::of(&thing.0)));
    }
}
