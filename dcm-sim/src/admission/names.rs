//! Names of objects, labels and label values.

use serde_json::Value;

use crate::kinds::Naming;
use crate::status::Cause;

/// What is wrong with the name of an object, if anything.
pub(crate) fn check(naming: Naming, name: &str) -> Option<Cause> {
    if name.is_empty() {
        return Some(Cause::required("metadata.name", "name or generateName is required"));
    }
    let wrong = |rule: &str| Some(Cause::invalid("metadata.name", &Value::from(name), rule));
    match naming {
        Naming::Label if !is_label(name) => wrong("a lowercase RFC 1123 label is needed"),
        Naming::Service if !is_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) => {
            wrong("a DNS-1035 label is needed")
        }
        Naming::Subdomain if !is_subdomain(name) => wrong("a lowercase RFC 1123 subdomain is needed"),
        Naming::PathSegment if matches!(name, "." | "..") || name.contains(['/', '%']) => {
            wrong("can't be '.' or '..' and can't hold '/' or '%'")
        }
        _ => None,
    }
}

/// At most 63 lower case letters, digits and hyphens, no hyphen at an end.
pub(crate) fn is_label(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 63 && text.chars().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

/// Labels with dots between them.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

/// `[prefix/]name`, as in the keys of labels and annotations.
pub(crate) fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_word(name),
        None => is_word(text),
    }
}

/// The value of a label: empty, or a word.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_word(text)
}

fn is_word(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    !text.is_empty() && text.len() <= 63 && text.chars().all(inside) && text.starts_with(edge) && text.ends_with(edge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_naming_has_its_own_rule() {
        let good = |naming, name: &str| check(naming, name).is_none();
        assert!(good(Naming::Label, "a-1") && !good(Naming::Label, "a.b") && !good(Naming::Label, "A"));
        assert!(!good(Naming::Label, &"a".repeat(64)) && !good(Naming::Label, "-a"));
        assert!(good(Naming::Subdomain, "a.b-c") && !good(Naming::Subdomain, "a..b"));
        assert!(good(Naming::PathSegment, "system:Any Thing") && !good(Naming::PathSegment, "a/b"));
        assert!(!good(Naming::Service, "1a") && good(Naming::Service, "a1"));
        assert!(!good(Naming::PathSegment, ""));
    }

    #[test]
    fn keys_and_values_of_labels_are_words() {
        assert!(is_qualified("a.io/B_c") && is_qualified("B") && !is_qualified("A.io/b") && !is_qualified("a/b/c"));
        assert!(is_label_value("") && is_label_value("x_Y.1") && !is_label_value("x y") && !is_label_value("-x"));
    }
}
