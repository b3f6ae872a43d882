//! What Kubernetes says of names and quantities, written down once more from its documentation and sources, as plainly as
//! can be: what DCM takes is held against it.

use std::collections::BTreeMap;

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 (RFC 1123).
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.len() <= 63 && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Labels with dots between them, at most 253 together. Kubernetes bounds no single label here.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]` with at most so many characters.
pub(crate) fn is_word(text: &str, most: usize, inner: &str) -> bool {
    let is_alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    is_alphanumeric(text.chars().next())
        && is_alphanumeric(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || inner.contains(c))
        && text.chars().count() <= most
}

/// A label's key, a resource's name: a word of 63, and where wanted a DNS name and a slash before it.
pub(crate) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_word(name, 63, "-_."),
        None => is_word(text, 63, "-_."),
    }
}

/// A label's value.
pub(crate) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_word(text, 63, "-_.")
}

/// Whether labels are as a selector that is well formed requires; read requirement by requirement, without a grammar.
pub(crate) fn selects(selector: &str, labels: &BTreeMap<String, String>) -> bool {
    let (mut requirements, mut depth) = (vec![String::new()], 0);
    for c in selector.chars() {
        match c {
            ',' if depth == 0 => requirements.push(String::new()),
            _ => {
                depth += i32::from(c == '(') - i32::from(c == ')');
                requirements.last_mut().expect("there is one").push(c);
            }
        }
    }
    let blank = [' ', '\t', '\r', '\n'];
    let value = |key: &str| labels.get(key.trim_matches(blank)).map(String::as_str);
    selector.trim_matches(blank).is_empty()
        || requirements.iter().all(|requirement| {
            let requirement = requirement.trim_matches(blank);
            if let Some(key) = requirement.strip_prefix('!') {
                value(key).is_none()
            } else if let Some((head, values)) = requirement.split_once('(') {
                let (key, operator) = head.trim_matches(blank).rsplit_once(blank).expect("a key and an operator");
                let mut values = values.trim_end_matches(')').split(',').map(|value| value.trim_matches(blank));
                let is_among = |value| values.any(|one| one == value);
                if operator == "in" { value(key).is_some_and(is_among) } else { !value(key).is_some_and(is_among) }
            } else if let Some((key, wanted)) = requirement.split_once("!=") {
                value(key) != Some(wanted.trim_matches(blank))
            } else if let Some((key, wanted)) = requirement.split_once('=') {
                value(key) == Some(wanted.trim_start_matches('=').trim_matches(blank))
            } else {
                value(requirement).is_some()
            }
        })
}

/// A quantity in decimal: the digits before and after the point.
#[derive(Debug)]
pub(crate) struct Quantity {
    pub(crate) negative: bool,
    whole: Vec<u8>,
    fraction: Vec<u8>,
}

impl Quantity {
    /// Reads a text as `resource.ParseQuantity` of `k8s.io/apimachinery` does, though with any precision.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return None;
        }
        let mut at = usize::from(matches!(bytes[0], b'-' | b'+'));
        let digits = |at: &mut usize| {
            let start = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            bytes[start..*at].iter().map(|b| b - b'0').collect::<Vec<u8>>()
        };
        let mut quantity = Self { negative: bytes[0] == b'-', whole: digits(&mut at), fraction: Vec::new() };
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            quantity.fraction = digits(&mut at);
        }
        let suffix = text.get(at..)?;
        match suffix {
            "" => {}
            "n" => quantity.shift(-9),
            "u" => quantity.shift(-6),
            "m" => quantity.shift(-3),
            "k" => quantity.shift(3),
            "M" => quantity.shift(6),
            "G" => quantity.shift(9),
            "T" => quantity.shift(12),
            "P" => quantity.shift(15),
            "E" => quantity.shift(18),
            "Ki" => quantity.double(10),
            "Mi" => quantity.double(20),
            "Gi" => quantity.double(30),
            "Ti" => quantity.double(40),
            "Pi" => quantity.double(50),
            "Ei" => quantity.double(60),
            exponent => {
                let exponent: i64 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
                // Further than any text is long, every digit lies on one side of the point already.
                quantity.shift(i32::try_from(exponent.clamp(-1000, 1000)).ok()?);
            }
        }
        quantity.negative &= !quantity.is_zero();
        Some(quantity)
    }

    fn is_zero(&self) -> bool {
        self.whole.iter().chain(&self.fraction).all(|digit| *digit == 0)
    }

    /// Whether nothing is left behind the point.
    pub(crate) fn is_whole(&self) -> bool {
        self.fraction.iter().all(|digit| *digit == 0)
    }

    /// Whether it is so large that Kubernetes' look for a fraction overflows: it multiplies by a thousand, in 64 bits.
    pub(crate) fn overflows(&self) -> bool {
        let number = self.whole.iter().try_fold(0_i64, |n, digit| n.checked_mul(10)?.checked_add(i64::from(*digit)));
        // DCM draws the line where floating-point numbers are still exact.
        number.is_none_or(|number| number > 9_000_000_000_000_000)
    }

    /// Multiplies by a power of ten.
    fn shift(&mut self, places: i32) {
        for _ in 0..places {
            let digit = if self.fraction.is_empty() { 0 } else { self.fraction.remove(0) };
            self.whole.push(digit);
        }
        for _ in places..0 {
            self.fraction.insert(0, self.whole.pop().unwrap_or(0));
        }
    }

    /// Multiplies by a power of two.
    fn double(&mut self, times: u32) {
        for _ in 0..times {
            let mut carry = 0;
            for digit in self.whole.iter_mut().chain(&mut self.fraction).rev() {
                let doubled = *digit * 2 + carry;
                *digit = doubled % 10;
                carry = doubled / 10;
            }
            if carry > 0 {
                self.whole.insert(0, carry);
            }
        }
    }
}
