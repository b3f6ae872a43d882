//! Quantities, and the resources that they limit.

use std::collections::BTreeMap;

use dcm_core::{
    fault::Faults,
    model::{MetadataInput, QuotaInput},
};

use super::reference::{Quantity, is_qualified_name};

/// A text as a limit of an amount and of a count: it is taken exactly where Kubernetes takes it, but for forms that nobody
/// means. With a `=` in it, its beginning as a resource: what is taken is a qualified name.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (resource, text) = match text.split_once('=') {
        Some((resource, text)) => (Some(resource), text),
        None => (None, text),
    };
    let amount = takes("requests.cpu", text);
    let count = takes("pods", text);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        assert!(amount && count, "a blank value is not set");
    } else {
        let reference = Quantity::parse(trimmed).filter(|_| is_meant(trimmed));
        let is_amount = reference.as_ref().is_some_and(|quantity| !quantity.negative);
        let is_count = is_amount && reference.as_ref().is_some_and(|count| count.is_whole() && !count.overflows());
        assert_eq!(amount, is_amount, "{trimmed:?} as an amount: {reference:?}");
        assert_eq!(count, is_count, "{trimmed:?} as a count: {reference:?}");
    }
    if let Some(resource) = resource.filter(|resource| takes(resource, "1")) {
        assert!(is_qualified_name(resource), "{resource:?}");
        assert!(!resource.starts_with("requests.kubernetes.io/"), "{resource:?}");
        // It is an amount or a count, and judges the value as such.
        let taken = takes(resource, text);
        assert!(taken == amount || taken == count, "{resource:?} = {text:?}");
    }
}

fn takes(resource: &str, value: &str) -> bool {
    let mut faults = Faults::new();
    let spec = BTreeMap::from([(resource.to_owned(), value.to_owned())]);
    let metadata = MetadataInput { name: Some("q".to_owned()), ..MetadataInput::default() };
    let quota = QuotaInput { metadata, spec: Some(spec) }.check(None, &mut faults);
    if faults.is_empty() {
        assert_eq!(quota.unwrap().spec.get(resource).map(String::as_str), Some(value), "kept as it is written");
        return true;
    }
    let pointers: Vec<&str> = faults.as_slice().iter().map(|fault| fault.pointer.as_str()).collect();
    assert!(pointers.iter().all(|pointer| pointer.starts_with("/spec/")), "{pointers:?}");
    false
}

/// DCM takes less than Kubernetes: no text without any digit, none of more than 36 characters, no exponent beyond 127.
fn is_meant(text: &str) -> bool {
    let number = text.split(['e', 'E']).next().unwrap_or_default();
    let exponent = text.split_once(['e', 'E']).map_or("", |(_, exponent)| exponent);
    let fits = exponent.parse::<i64>().map_or(true, |exponent| i8::try_from(exponent).is_ok());
    text.len() <= 36 && number.bytes().any(|b| b.is_ascii_digit()) && fits
}
